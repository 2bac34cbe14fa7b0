"""The networks by name, and their weights in and out of files. A name is imported when it is first used."""

from importlib import import_module
from typing import Any

_MODULES = {
    "registry": ("NETWORKS", "build", "network_of", "read_network", "start_from", "weights_in", "weights_out"),
    "weights": ("read_checkpoint", "read_weights"),
}

__all__ = [
    "NETWORKS",
    "build",
    "network_of",
    "read_checkpoint",
    "read_network",
    "read_weights",
    "start_from",
    "weights_in",
    "weights_out",
]


def __getattr__(name: str) -> Any:
    for module, names in _MODULES.items():
        if name in names:
            return getattr(import_module(f"helpers.networks.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
