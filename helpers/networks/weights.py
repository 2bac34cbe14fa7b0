"""Reads weights from files of every kind, and runs no code from them."""

import json
import sys
import zipfile
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open

from helpers.networks.foreign import diagnose

EXPORTED = ("network", "table", "config")
"""What a .safetensors file of ours tells of a checkpoint besides its weights, as JSON."""

_LEARNT = (".weight", ".bias", ".running_mean", ".running_var")
"""Ends of the names of what cannot be whole numbers, as counters and indices may be."""

WRAPPERS = ("model_state_dict", "state_dict", "model_state", "model", "network", "net", "weights", "params", "ema")
"""Keys under which a training program stores the weights beside other things; the first one found counts."""


def read_checkpoint(path: Path | str) -> dict[str, Any]:
    """The dict in a checkpoint or weight file, on the CPU. Never runs code from the file.

    A safetensors file, known by its contents, gives `model_state_dict` in single precision and, if `helpers.export`
    wrote it, `config`, `table` and `network`. Raises FileNotFoundError for a missing file. Raises ValueError for a file
    that is damaged, be it by a single bit (safetensors and files of PyTorch before 1.6 have no checksums), and for a
    file of another kind: the message names the file, says what it is and what to do.
    """
    try:
        if _is_safetensors(path):
            return _read_safetensors(path)
        _check_sums(path)
        with open(path, "rb") as file:  # by its name, torch would read one as safetensors
            state = torch.load(file, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise FileNotFoundError(f"{path}: no such file; correct the path of the weights") from None
    except Exception as error:  # damaged bytes make the unpickler raise anything: IndexError, KeyError, …
        reason, advice = diagnose(path, error)
        raise ValueError(f"{path}: not a readable checkpoint ({reason}); {advice}") from error
    if not isinstance(state, dict):
        raise ValueError(
            f"{path}: holds a {type(state).__name__}, expected a dict of tensors; save the network's state_dict()"
        )
    return state


def _is_safetensors(path):
    with open(path, "rb") as file:
        return file.read(9)[8:] == b"{"  # after the length of its header, which is JSON


def _check_sums(path):
    """Raise BadZipFile if a file of `torch.save` is not as it was written: `torch.load` does not look at checksums."""
    with open(path, "rb") as file:
        if file.read(2) == b"PK":
            with zipfile.ZipFile(file) as parts:
                if part := parts.testzip():
                    raise zipfile.BadZipFile(f"the checksum of {part} is wrong")
                if any(part.external_attr for part in parts.infolist()):  # it leaves out what is called a folder
                    raise zipfile.BadZipFile("the table of its parts is wrong")


def _read_safetensors(path):
    with safe_open(path, framework="pt") as file:
        weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (it is no dict)
        if any(value.is_complex() for value in weights.values()):
            raise ValueError("complex numbers")
        notes = _notes(file.metadata() or {})
    single = {key: value.float() if value.is_floating_point() else value for key, value in weights.items()}
    return notes | {"model_state_dict": single}


def _notes(metadata):
    """What `EXPORTED` names; none where another program wrote something else than JSON under these names."""
    try:
        return {key: json.loads(text) for key, text in metadata.items() if key in EXPORTED}
    except ValueError:
        return {}


def read_weights(path: Path | str) -> dict[str, torch.Tensor]:
    """The model's state dict under the original U²-Net code's key names, from any of the files people have.

    A plain state dict (u2net.pth), a checkpoint of this project, a .safetensors file, the published
    final_model_ckpt.pth, or a checkpoint of another program. Errors as in `read_checkpoint`.
    """
    return weights_of(read_checkpoint(path), path)


def weights_of(state: dict[str, Any], path: Path | str) -> dict[str, torch.Tensor]:
    """The state dict in a `state` that was read from `path`.

    Wrappers such as {"state_dict": …}, and a prefix that all names share, such as "module." of DataParallel or
    "_orig_mod." of torch.compile, are taken off; a line on stderr says so, except for this project's own wrapper.
    Raises ValueError naming the path if there are no weights, and if some of them are no numbers.
    """
    weights, removed = state, []
    while wrapper := _wrapper(weights):
        others = [name for name in _state_dicts(weights) if name != wrapper]
        weights = weights[wrapper]
        if wrapper != WRAPPERS[0]:
            beside = f" (there are weights under {', '.join(others)} as well)" if others else ""
            removed.append(f"the key {wrapper}{beside}")
    if isinstance(weights, dict):
        weights = {name: value for name, value in weights.items() if name != "n_averaged"}  # a counter of AveragedModel
    while prefix := _common_prefix(weights):
        weights = {name.removeprefix(prefix): value for name, value in weights.items()}
        removed.append(f"the prefix {prefix}")
    if not weights or not all(map(_is_weight, *zip(*weights.items()))):
        raise ValueError(
            f"{path}: holds no weights, but {_listed(state)}; expected a state dict, or one under the key "
            "model_state_dict or state_dict"
        )
    whole = [name for name, value in weights.items() if name.endswith(_LEARNT) and not value.is_floating_point()]
    if whole:
        numbers = str(weights[whole[0]].dtype).removeprefix("torch.")
        raise ValueError(
            f"{path}: {whole[0]} holds {numbers} numbers, as a quantised network does whose scales are lost here; take "
            "the weights that it was made from"
        )
    wrong = [name for name, value in weights.items() if not value.isfinite().all()]
    if wrong:
        raise ValueError(
            f"{path}: NaN or infinite numbers in {len(wrong)} of {len(weights)} weights, first in {wrong[0]}: its "
            "training went wrong; take another file, or a checkpoint from before"
        )
    if negative := [name for name, value in weights.items() if name.endswith("running_var") and value.min() < 0]:
        raise ValueError(f"{path}: a negative variance in {negative[0]}: it is damaged; replace it by a whole copy")
    if removed:
        print(f"{path}: {', '.join(removed)} taken off to find the weights", file=sys.stderr)
    return weights


def _wrapper(weights: dict[str, Any]) -> str | None:
    """The key under which the weights are: the first of `WRAPPERS`, or that of the only state dict in the dict."""
    known = next((name for name in WRAPPERS if isinstance(weights.get(name), dict)), None)
    held = _state_dicts(weights)
    return known or (held[0] if len(held) == 1 else None)


def _state_dicts(weights: dict[str, Any]) -> list[str]:
    """The keys under which weights are; whole numbers alone, such as the states of random generators, are none."""
    return [
        name
        for name, value in weights.items()
        if isinstance(value, dict)
        and value
        and all(map(_is_weight, *zip(*value.items())))
        and any(number.is_floating_point() for number in value.values())
    ]


def _common_prefix(weights: dict[Any, Any]) -> str | None:
    """The first part, such as "module.", with which every name begins, if there are several names."""
    if len(weights) < 2 or not all(isinstance(name, str) and "." in name for name in weights):
        return None
    first = {name.partition(".")[0] for name in weights}
    return f"{first.pop()}." if len(first) == 1 else None


def _listed(state: dict[Any, Any]) -> str:
    names = [str(name) for name in state]
    return f"the keys {', '.join(names[:5])}{' …' if len(names) > 5 else ''}" if names else "nothing"


def _is_weight(name: object, value: object) -> bool:
    """Whether this is a name and a plain tensor that stores all its numbers: neither sparse nor expanded."""
    return (
        isinstance(name, str) and isinstance(value, torch.Tensor) and not (value.is_complex() or value.is_quantized)
        and value.device.type == "cpu" and value.layout == torch.strided
        and value.numel() * value.element_size() <= value.untyped_storage().nbytes()
    )  # fmt: skip
