"""Weights in files of every kind, read without running code from them."""

import json
import zipfile
from pathlib import Path

import torch
from safetensors import safe_open

EXPORTED = ("network", "table", "config")
"""What a .safetensors file of ours tells of a checkpoint besides its weights, as JSON."""

_DTYPES = (torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64)
"""Of weights, and of batch norm's counters."""


def read_checkpoint(path):
    """The dict in a checkpoint or weight file, on the CPU. Never runs code from the file.

    Of a .safetensors file: `model_state_dict` in single precision and, if `helpers.export` wrote it, `config`, `table`
    and `network`. Raises FileNotFoundError for a missing file, ValueError naming one that holds anything but tensors and
    plain values or is damaged, be it by a single bit (.safetensors and files of PyTorch before 1.6 have no checksums).
    """
    try:
        if Path(path).suffix == ".safetensors":
            return _read_safetensors(path)
        _check_sums(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise
    except Exception as error:  # damaged bytes make the unpickler stumble in any way: IndexError, KeyError, …
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ValueError(
            f"{path}: not a readable checkpoint ({reason}); delete it or replace it by a whole copy"
        ) from error
    if not isinstance(state, dict):
        raise ValueError(f"{path}: holds a {type(state).__name__}, expected a dict of tensors")
    return state


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
        weights = {name: file.get_tensor(name) for name in file.keys()}
        if any(value.is_complex() for value in weights.values()):
            raise ValueError("complex numbers")
        notes = {key: json.loads(text) for key, text in (file.metadata() or {}).items() if key in EXPORTED}
    return notes | {"model_state_dict": {key: value.float() for key, value in weights.items()}}


def read_weights(path):
    """The model's state dict under the original U²-Net code's key names, from any of the files people have.

    A plain state dict (u2net.pth), a checkpoint of this project, a .safetensors file, or the published
    final_model_ckpt.pth. Errors as in `read_checkpoint`.
    """
    return weights_of(read_checkpoint(path), path)


def weights_of(state, path):
    """The state dict in a `state` that was read from `path`; raises ValueError naming the path if there is none."""
    weights = state.get("model_state_dict", state)
    if not isinstance(weights, dict) or not weights or not all(map(_is_weight, *zip(*weights.items()))):
        raise ValueError(f"{path}: holds no weights; expected a state dict, or one under the key model_state_dict")
    return weights


def _is_weight(name, value):
    """Whether this is a name, and a plain tensor whose numbers are all there: not sparse, nor one standing for many."""
    return (
        isinstance(name, str) and isinstance(value, torch.Tensor) and value.dtype in _DTYPES
        and value.device.type == "cpu" and value.layout == torch.strided
        and value.numel() * value.element_size() <= value.untyped_storage().nbytes()
    )  # fmt: skip
