"""A loaded network that cuts people out of photos: from a photo to its alpha and its cutout, at its own size."""

from collections import defaultdict
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from helpers.config import FINAL
from helpers.cutout.foreground import foreground_colours
from helpers.cutout.onnx_cache import find_conversion, keep_conversion, key_of, may_have_gpu
from helpers.cutout.predictors import OnnxPredictor, TorchPredictor
from helpers.cutout.refine import refine
from helpers.files.colour_profiles import in_colour
from helpers.files.photos import to_rgb
from helpers.network_input import trained_size

STEP = 32
"""A U²-Net halves its picture five times: of sides that 32 does not divide, its maps no longer lie on each other."""

BATCH = 8
"""Photos that the network sees at a time; more are no faster and need more memory."""


def alpha_of(predict, photo, size):
    """The alpha matte (H, W) float32 in [0, 1] of a photo (H, W, 3) uint8 RGB, at the photo's own size.

    The network sees the photo made small, its aspect kept; `predict` is a predictor of `helpers.cutout.predictors`. Its map is
    neither thresholded nor stretched: what it leaves between 0 and 1 becomes the soft edge (report, section 1), which
    the photo itself tells in detail.
    """
    small = shrink(photo, size)
    rough = predict(small.transpose(2, 0, 1)[None])[0]
    return refine(rough, small, photo)


def shrink(photo, size):
    """A photo (H, W, 3) uint8 as the network sees it: (h, w, 3), of about `size` × `size` pixels in all.

    Aspect kept, but for rounding both sides to multiples of `STEP`, and for photos so narrow that a side would fall
    below it.
    """
    ratio = (photo.shape[0] / photo.shape[1]) ** 0.5
    height, width = (
        round(np.clip(side, STEP, max(size * size / STEP, STEP)) / STEP) * STEP for side in (size * ratio, size / ratio)
    )
    return cv2.resize(photo, (width, height), interpolation=cv2.INTER_AREA)


class Matter:
    """A loaded network that cuts people out of photos, from any number of threads at a time.

    Photos are `PIL.Image` of any mode, as `helpers.files.photos.open_picture` returns them, or (H, W, 3) uint8 RGB arrays.

    Attributes:
        predict: one of `helpers.cutout.predictors`.
        size: side in pixels of the square that has as many as the network's input.
    """

    def __init__(self, predict, size):
        self.predict, self.size = predict, size

    @property
    def name(self):
        """What computes, in a few words, such as "u2net_lite, torch, cpu float32"."""
        return self.predict.name

    def alpha(self, photo):
        """The alpha matte (H, W) float32 in [0, 1] at the photo's size; what was transparent in the photo stays so."""
        pixels, opacity, _ = _pixels(photo)
        return _seen_through(alpha_of(self.predict, pixels, self.size), opacity)

    def alphas(self, photos):
        """The alpha mattes of several photos, as a list; those that the network sees at one size, it sees together."""
        photos = [_pixels(photo) for photo in photos]
        small = [shrink(pixels, self.size) for pixels, *_ in photos]
        groups, mattes = defaultdict(list), [None] * len(photos)
        for number, each in enumerate(small):
            groups[each.shape].append(number)
        for group in groups.values():
            for numbers in (group[start : start + BATCH] for start in range(0, len(group), BATCH)):
                maps = self.predict(np.stack([small[number].transpose(2, 0, 1) for number in numbers]))
                for number, rough in zip(numbers, maps, strict=True):
                    pixels, opacity, _ = photos[number]
                    mattes[number] = _seen_through(refine(rough, small[number], pixels), opacity)
        return mattes

    def cutout(self, photo):
        """An RGBA `PIL.Image` with straight alpha and clean foreground colours, at the photo's size.

        What was transparent in the photo stays so. The cutout's `info` holds the colour profile and the resolution of
        the photo's, so that `save` writes them.
        """
        pixels, opacity, info = _pixels(photo)
        alpha = alpha_of(self.predict, pixels, self.size)
        colours = foreground_colours(pixels, alpha)
        grey = cv2.convertScaleAbs(_seen_through(alpha, opacity), alpha=255)
        del pixels, alpha  # of a large photo, half of the memory
        cutout = cv2.cvtColor(colours, cv2.COLOR_RGB2RGBA)
        cutout[..., 3] = grey
        cutout = Image.fromarray(cutout)
        cutout.info = info
        return cutout


def _pixels(photo):
    """RGB (H, W, 3) uint8 of a photo; its own opacity, None or (H, W) uint8; and the `info` that its cutout keeps."""
    if isinstance(photo, np.ndarray):
        if photo.ndim != 3 or photo.shape[2] != 3 or photo.dtype != np.uint8:
            raise ValueError(f"a photo array must be (H, W, 3) uint8, found {photo.shape} {photo.dtype}")
        return photo, None, {}
    shown, info = in_colour(photo)
    if photo.info.get("dpi"):
        info["dpi"] = photo.info["dpi"]
    return to_rgb(shown), np.asarray(shown.getchannel("A")) if shown.mode == "RGBA" else None, info


def _seen_through(alpha, opacity):
    """The alpha of what may have been transparent before; changes `alpha`."""
    if opacity is not None:
        cv2.multiply(alpha, opacity, alpha, scale=1 / 255, dtype=cv2.CV_32F)
    return alpha


def load_matter(weights=None, device=None, size=None):
    """Load a network that cuts people out of photos.

    Parameters
    ----------
    weights : path, optional
        A weight file: a checkpoint of this project with any network, .safetensors, .onnx, the published checkpoint, or
        the original u2net.pth, u2netp.pth and u2net_human_seg.pth. The checkpoint, or the weights themselves, tell
        which network to build. By default `saved_models/final_model_ckpt.pth` if you have put your own training's
        result there, else the weights that come with the project, `saved_models/portrait_lite.safetensors`. Other files
        in that folder are taken by name only.
    device : str, optional
        A name such as `"cpu"`, `"cuda"` or `"mps"`; by default the fastest there is.
    size : int, optional
        Side of the network's input in pixels, 32 or more; by default what the network was trained at.

    Returns
    -------
    Matter
        The network, with the methods `alpha`, `alphas` and `cutout`.

    Raises
    ------
    FileNotFoundError
        If the file is missing, or no file is named and saved_models/ holds none.
    ValueError
        For a file that holds no weights of a known network, for an .onnx file where onnxruntime is not installed, and
        for a size below 32 or one that an .onnx file does not compute at.

    Examples
    --------
    >>> import numpy as np
    >>> matter = load_matter(device="cpu", size=64)
    >>> matter.alpha(np.zeros((90, 60, 3), np.uint8)).shape
    (90, 60)
    """
    if size is not None and size < STEP:
        raise ValueError(f"size={size}: the network needs {STEP} pixels at least")
    path = Path(weights or _default_weights())
    if path.suffix.lower() == ".onnx":
        predict = OnnxPredictor(path, device)
        return Matter(predict, predict.size_for(size))
    predict, trained = _fastest(path, device)
    return Matter(predict, size or trained)


def _fastest(path, device):
    """The fastest predictor of a weight file, and the size it was trained at.

    ONNX Runtime on a CPU that is slow in bfloat16, if it is installed; torch, which takes two seconds to import,
    anywhere else. The file converted to ONNX is kept for the next time.
    """
    onnx, key = all(map(find_spec, ("onnx", "onnxruntime"))), None
    if onnx and path.is_file() and (device == "cpu" or device is None and not may_have_gpu()):
        key = key_of(path)
        if kept := find_conversion(key):
            predict = OnnxPredictor(kept, "cpu")
            return predict, predict.trained
    from helpers.devices import best_runtime
    from helpers.networks.fuse import name_of
    from helpers.networks.registry import read_network

    (model, notes), runtime = read_network(path), best_runtime(device)
    if runtime.device.type != "cpu" or runtime.amp_dtype or not onnx:
        return TorchPredictor(model, runtime), trained_size(notes)
    from helpers.networks.onnx_export import to_onnx

    contents = to_onnx(model, {"network": name_of(model)} | notes).SerializeToString()
    if key and key == key_of(path):  # else another network has been written there in the meantime
        keep_conversion(key, contents)
    return OnnxPredictor(contents, "cpu"), trained_size(notes)


def _default_weights():
    """The weights in saved_models/ that are taken without a name; raises FileNotFoundError if there are none."""
    from helpers.networks.pretrained import FOLDER, find_shipped

    trained = FOLDER / FINAL
    found = trained if trained.is_file() else find_shipped("u2net_lite", FOLDER)
    if found is None:
        raise FileNotFoundError(f"{FOLDER}: this project's own weights are not there; name a weight file, or fetch the "
                                "project anew")  # fmt: skip
    return found
