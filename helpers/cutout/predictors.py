"""What computes the network's map: torch or ONNX Runtime, called alike.

A predictor is called with (B, 3, h, w) uint8 RGB pictures as a numpy array. It returns their fused maps, (B, h, w)
float32 in [0, 1], which are never stretched. Any number of threads may call it. Its `name` says what computes. Only
`TorchPredictor` imports torch, which takes longer than ONNX Runtime takes for a photo.
"""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from helpers.files.kinds import first_bytes, kind_of
from helpers.network_input import DEVIATION, LARGEST, MEAN, trained_size
from helpers.startup import thread_limit

if TYPE_CHECKING:
    from torch import nn

    from helpers.devices import Runtime


class Predictor(Protocol):
    """What computes the maps (B, h, w) float32 in [0, 1] of pictures (B, 3, h, w) uint8 RGB."""

    name: str

    def __call__(self, images: NDArray[np.uint8], /) -> NDArray[np.float32]: ...


class TorchPredictor:
    """A copy of a network of `helpers.networks.registry`, made ready to predict on a `helpers.devices.Runtime`.

    `source` is where its weights come from, as errors name it.
    """

    def __init__(self, model: "nn.Module", runtime: "Runtime", source: Path | str = "the network"):
        from helpers.devices import forward_layout
        from helpers.networks.fuse import fused, name_of

        self.runtime, self.source = runtime, source
        # in the precision that autocast computes in: it would convert the weights anew for every picture
        self.model = fused(model).to(runtime.device, runtime.amp_dtype).to(memory_format=forward_layout(runtime.device))
        precision = str(runtime.amp_dtype or "float32").removeprefix("torch.")
        self.name = f"{name_of(model)}, torch, {runtime.device} {precision}"

    def __call__(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        import torch

        from helpers.u2net import outputs_of

        with torch.inference_mode():
            fused_map = outputs_of(self.model, torch.from_numpy(images), self.runtime)[0]
        maps = fused_map[:, 0].float().cpu().numpy()
        if fault := _fault(maps):
            raise ValueError(f"{self.source}: {fault}; its training went wrong, or it is damaged: take another file")
        return maps


_TAKE = "take a file that python -m helpers.export wrote, or a U²-Net's in ONNX"

MAPS = 7
"""The number of outputs of a U²-Net in ONNX: the fused map and six side outputs."""


class OnnxPredictor:
    """An .onnx file: one of ours, or another that takes one normalised picture and answers with a map in [0, 1] first.

    `source` is its path, or its contents as `bytes`; `device` is None, `"cpu"` or `"cuda"`. If the file takes one size
    only, pictures are resized to it; if it takes one picture at a time, they are given one by one.
    Raises FileNotFoundError for a missing file. Raises ValueError with the file's name if it is damaged or has other
    inputs, if onnxruntime is not installed, and for a device that it does not compute on.
    """

    def __init__(self, source: Path | str | bytes, device: str | None = None):
        if not isinstance(source, bytes) and not Path(source).is_file():
            raise FileNotFoundError(f"{source}: no such file; correct the path of the weights")
        self.path = Path("the exported network" if isinstance(source, bytes) else source)  # as errors name it
        self.session = _session(source, self.path, device)
        try:
            inputs, self.first = self.session.get_inputs(), self.session.get_outputs()[0].name
            shapes = [each.shape for each in inputs]  # their sizes may have names, too
            metadata = self.session.get_modelmeta().custom_metadata_map
            notes = {key: json.loads(metadata[key]) for key in ("config", "network") if key in metadata}
            network, trained = notes.get("network", self.path.stem), trained_size(notes)
        except (ValueError, IndexError, RecursionError) as error:  # no UTF-8, no output at all, no JSON
            raise ValueError(f"{self.path}: its names or notes cannot be read ({error}); {_TAKE}") from error
        shape = shapes[0] if len(shapes) == 1 else []
        sizes = [side for side in shape if isinstance(side, int)]
        if (len(shape) != 4 or isinstance(shape[1], int) and shape[1] != 3 or inputs[0].type != "tensor(float)"
                or not all(0 < side <= LARGEST for side in sizes)):  # fmt: skip
            found = "; ".join(f"{each.name}: {each.type} {each.shape}" for each in inputs)
            raise ValueError(
                f"{self.path}: expected one input of (batch, 3, height, width) floats, found {found}; {_TAKE}"
            )
        self.mean, self.deviation = (255 * np.array(each, np.float32).reshape(3, 1, 1) for each in (MEAN, DEVIATION))
        self.alone = shape[0] == 1
        self.fixed = tuple(shape[2:]) if all(isinstance(side, int) for side in shape[2:]) else None
        self.trained = self.fixed[0] if self.fixed and "image_size" not in notes.get("config", {}) else trained
        if not isinstance(network, str) or not network.isprintable():
            raise ValueError(f"{self.path}: its notes name no network: {network!r:.80}; {_TAKE}")
        if "network" not in notes and len(self.session.get_outputs()) != MAPS:
            print(
                f"{self.path}: does not say what network it is, and is used as a U²-Net; another network, such as "
                f"IS-Net or MODNet, needs other inputs, and its cutouts will be wrong. If it is another one, {_TAKE}",
                file=sys.stderr,
            )
        unit = self.session.get_providers()[0].removesuffix("ExecutionProvider").lower()
        self.name = f"{network}, onnxruntime, {unit}"

    def size_for(self, asked: int | None = None) -> int:
        """Side of the input in pixels: the one asked for, or what the network was trained at.

        Raises ValueError if the file is for another size only.
        """
        if asked and self.fixed and asked != self.fixed[0]:
            raise ValueError(f"{self.path}: computes at {self.fixed[0]} × {self.fixed[1]} pixels only, not at {asked}")
        return asked or self.trained

    def __call__(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        height, width = images.shape[2:]
        if self.fixed:
            images = np.stack([_resized(image.transpose(1, 2, 0), self.fixed).transpose(2, 0, 1) for image in images])
        inputs = (images - self.mean) / self.deviation
        maps = np.concatenate([self._run(part) for part in (np.split(inputs, len(inputs)) if self.alone else [inputs])])
        if self.fixed:
            maps = np.stack([_resized(each, (height, width), cv2.INTER_LINEAR) for each in maps])
        return maps

    def _run(self, images):
        """The first output's map, as (B, h, w)."""
        try:
            maps = np.asarray(self.session.run([self.first], {self.session.get_inputs()[0].name: images})[0])
        except Exception as error:  # a type of its own for every way in which a layer can fail
            reason = str(error).splitlines()[0]
            raise ValueError(
                f"{self.path}: does not compute on {len(images)} pictures like these ({reason})"
            ) from error
        if maps.shape != (len(images), 1, *images.shape[2:]) or maps.dtype.kind != "f":
            raise ValueError(f"{self.path}: its first output is {maps.shape}, not a map of each picture; {_TAKE}")
        if fault := _fault(maps):
            raise ValueError(f"{self.path}: {fault}; {_TAKE}")
        return maps[:, 0].clip(0, 1).astype(np.float32, copy=False)


def _fault(maps):
    """Why a network's answer is no alpha; None if it is one. A NaN is in no range."""
    least, most = maps.min(), maps.max()
    return None if -0.01 <= least <= most <= 1.01 else f"answers with {least:.3g} to {most:.3g}, which is no alpha"


def _resized(image, size, interpolation=cv2.INTER_AREA):
    return cv2.resize(image, size[::-1], interpolation=interpolation)


def _session(source, path, device):
    """An onnxruntime session on as many cores as torch would take; `OMP_NUM_THREADS` limits them.

    Errors call the file `path`.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise ValueError(f"{path}: .onnx files are run by onnxruntime: pip install onnxruntime") from error
    available = onnxruntime.get_available_providers()
    providers = ["CPUExecutionProvider"]
    if device != "cpu" and "CUDAExecutionProvider" in available:
        providers.insert(0, "CUDAExecutionProvider")
    elif device not in (None, "cpu"):
        raise ValueError(f"{path}: device={device}, but this onnxruntime computes by {', '.join(available)} only")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = thread_limit() or 0  # 0: a thread for each core
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # who waits takes no core from others
    options.log_severity_level = 3  # errors; it warns of every constant it could fold
    try:
        return onnxruntime.InferenceSession(source, options, providers=providers, enable_fallback=False)
    except Exception as error:  # a type of its own for every way in which a file can be wrong
        reason, to_do = kind_of(first_bytes(source)) or (str(error).splitlines()[0], _TAKE)
        raise ValueError(f"{path}: not a readable ONNX model ({reason}); {to_do}") from error
