"""The networks by name, and their weights in and out of files."""

from helpers.networks.registry import NETWORKS, build, network_of, read_network, start_from, weights_in, weights_out
from helpers.networks.weights import read_checkpoint, read_weights

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
