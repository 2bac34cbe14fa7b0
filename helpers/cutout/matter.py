"""A loaded network that cuts people out of photos: from a photo to its alpha and its cutout, at its own size."""

from collections import defaultdict
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from helpers.cutout.foreground import foreground_colours
from helpers.cutout.onnx_cache import find_conversion, keep_conversion, key_of, may_have_gpu
from helpers.cutout.predictors import OnnxPredictor, Predictor, TorchPredictor
from helpers.cutout.refine import refine
from helpers.files.colour_profiles import in_colour
from helpers.files.photos import to_rgb
from helpers.network_input import trained_size

STEP = 32
"""A U²-Net halves its picture five times: if 32 does not divide a side, its maps do not fit on each other."""

BATCH = 8
"""Photos that the network sees at a time; more are no faster and need more memory."""


def alpha_of(predict: Predictor, photo: NDArray[np.uint8], size: int) -> NDArray[np.float32]:
    """The alpha matte (H, W) float32 in [0, 1] of a photo (H, W, 3) uint8 RGB, at the photo's own size.

    The network sees the photo made small, with its aspect kept; `predict` is one of `helpers.cutout.predictors`. Its
    map is neither thresholded nor stretched: values between 0 and 1 become the soft edge (report, section 1), and the
    photo itself gives the details.
    """
    small = shrink(photo, size)
    rough = predict(small.transpose(2, 0, 1)[None])[0]
    return refine(rough, small, photo)


def shrink(photo: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """A photo (H, W, 3) uint8 as the network sees it: (h, w, 3), with about `size` × `size` pixels.

    The aspect is kept, but both sides are rounded to multiples of `STEP`, and no side is smaller than `STEP`.
    """
    ratio = (photo.shape[0] / photo.shape[1]) ** 0.5
    height, width = (
        round(np.clip(side, STEP, max(size * size / STEP, STEP)) / STEP) * STEP for side in (size * ratio, size / ratio)
    )
    return cv2.resize(photo, (width, height), interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)


Photo: TypeAlias = "Image.Image | NDArray[np.uint8]"
"""A `PIL.Image` of any mode, or an (H, W, 3) uint8 array of RGB."""


class Matter:
    """A loaded network that cuts people out of photos, from any number of threads at a time.

    Photos are `PIL.Image` of any mode, as `helpers.files.photos.open_photo` returns them, or (H, W, 3) uint8 arrays of
    RGB.

    Attributes
    ----------
    predict : TorchPredictor or OnnxPredictor
        Computes the network's map.
    size : int
        The network's input has about `size` × `size` pixels.
    """

    def __init__(self, predict: Predictor, size: int):
        self.predict, self.size = predict, size

    @property
    def name(self) -> str:
        """What computes, in a few words, such as "u2net_lite, torch, cpu float32"."""
        return self.predict.name

    def alpha(self, photo: Photo) -> NDArray[np.float32]:
        """Compute the alpha matte of a photo.

        Parameters
        ----------
        photo : PIL.Image of any mode, or (H, W, 3) uint8 array of RGB

        Returns
        -------
        (H, W) float32 array
            In [0, 1], at the photo's size. Transparent parts of the photo stay transparent.

        Raises
        ------
        ValueError
            For an array of another shape or type, and for a picture whose numbers cannot be brought to 8 bits.
        """
        pixels, opacity, _ = _pixels(photo)
        return _seen_through(alpha_of(self.predict, pixels, self.size), opacity)

    def alphas(self, photos: Iterable[Photo]) -> list[NDArray[np.float32]]:
        """The alpha mattes of several photos, as a list; the network computes those of one shape together."""
        read = [_pixels(photo) for photo in photos]
        small = [shrink(pixels, self.size) for pixels, *_ in read]
        groups, mattes = defaultdict(list), {}
        for number, each in enumerate(small):
            groups[each.shape].append(number)
        for group in groups.values():
            for numbers in (group[start : start + BATCH] for start in range(0, len(group), BATCH)):
                maps = self.predict(np.stack([small[number].transpose(2, 0, 1) for number in numbers]))
                for number, rough in zip(numbers, maps, strict=True):
                    pixels, opacity, _ = read[number]
                    mattes[number] = _seen_through(refine(rough, small[number], pixels), opacity)
        return [mattes[number] for number in range(len(read))]

    def cutout(self, photo: Photo) -> Image.Image:
        """Cut the person out of a photo.

        Parameters
        ----------
        photo : PIL.Image of any mode, or (H, W, 3) uint8 array of RGB

        Returns
        -------
        PIL.Image
            RGBA with straight alpha and the person's own colours (see `foreground_colours`), at the photo's size.
            Transparent parts of the photo stay transparent. `info` holds the photo's colour profile ("icc_profile")
            and resolution ("dpi"). Pillow's `save` writes the profile into PNG and TIFF; all else it has to be told:
            `save("a.webp", icc_profile=cutout.info.get("icc_profile"))`.

        Raises
        ------
        ValueError
            As `alpha` does.
        """
        pixels, opacity, info = _pixels(photo)
        alpha = alpha_of(self.predict, pixels, self.size)
        colours = foreground_colours(pixels, alpha)
        grey = cv2.convertScaleAbs(_seen_through(alpha, opacity), alpha=255)
        del pixels, alpha  # of a large photo, half of the memory
        channels = cv2.cvtColor(colours, cv2.COLOR_RGB2RGBA)
        channels[..., 3] = grey
        cutout = Image.fromarray(channels)
        cutout.info = info
        return cutout


def _pixels(photo: Photo) -> tuple[NDArray[np.uint8], NDArray[np.uint8] | None, dict[Any, Any]]:
    """RGB (H, W, 3) uint8 of a photo; its own opacity, None or (H, W) uint8; and the `info` that its cutout keeps."""
    if isinstance(photo, np.ndarray):
        if photo.ndim != 3 or photo.shape[2] != 3 or photo.dtype != np.uint8:
            raise ValueError(f"a photo array must be (H, W, 3) uint8, found {photo.shape} {photo.dtype}")
        return photo, None, {}
    shown, info = in_colour(photo)
    if photo.info.get("dpi"):
        info["dpi"] = photo.info["dpi"]
    return to_rgb(shown), np.asarray(shown.getchannel("A")) if shown.mode == "RGBA" else None, info


def _seen_through(alpha: NDArray[np.float32], opacity: NDArray[np.uint8] | None) -> NDArray[np.float32]:
    """`alpha` where the photo itself was opaque, less where it was transparent; changes `alpha`."""
    if opacity is not None:
        cv2.multiply(alpha, opacity, alpha, scale=1 / 255, dtype=cv2.CV_32F)
    return alpha


def load_matter(weights: Path | str | None = None, device: str | None = None, size: int | None = None) -> Matter:
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
        file = OnnxPredictor(path, device)
        return Matter(file, file.size_for(size))
    predict, trained = _fastest(path, device)
    return Matter(predict, size or trained)


def _fastest(path: Path, device: str | None) -> tuple[Predictor, int]:
    """The fastest predictor of a weight file, and the size it was trained at.

    That is ONNX Runtime, if it is installed, on a CPU without fast bfloat16. Anywhere else it is torch, which takes two
    seconds to import. The file converted to ONNX is kept for the next time.
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
        return TorchPredictor(model, runtime, path), trained_size(notes)
    from helpers.networks.onnx_export import to_onnx

    contents = to_onnx(model, {"network": name_of(model)} | notes).SerializeToString()
    if key and key == key_of(path):  # else another network has been written there in the meantime
        keep_conversion(key, contents)
    return OnnxPredictor(contents, "cpu"), trained_size(notes)


def _default_weights() -> Path:
    """The weights in saved_models/ that are taken without a name; raises FileNotFoundError if there are none."""
    from helpers.config import FINAL  # a cutout starts faster without the rest of the configuration
    from helpers.networks.pretrained import FOLDER, find_shipped

    trained = FOLDER / FINAL
    found = trained if trained.is_file() else find_shipped("u2net_lite", FOLDER)
    if found is None:
        raise FileNotFoundError(f"{FOLDER}: this project's own weights are not there; name a weight file, or fetch the "
                                "project anew")  # fmt: skip
    return found
