"""From a photo to its alpha and its cutout, at the photo's own size."""

import cv2
import numpy as np
import torch
from PIL import Image, ImageColor

from helpers.checkpoints import FINAL, read_checkpoint, weights_of
from helpers.devices import best_runtime
from helpers.networks import network_in
from helpers.photos import to_rgb
from helpers.pretrained import FOLDER, find_pretrained, find_shipped
from helpers.u2net import outputs_of


def alpha_of(model, photo, size, runtime):
    """The alpha matte (H, W) float32 in [0, 1] of a photo (H, W, 3) uint8 RGB, at the photo's own size.

    The network sees the photo at size × size, as in training. Its fused map is enlarged bilinearly, neither thresholded
    nor stretched: what it leaves between 0 and 1 becomes the soft edge (report, section 1).
    """
    small = cv2.resize(photo, (size, size), interpolation=cv2.INTER_AREA)
    with torch.inference_mode():
        fused = outputs_of(model, torch.from_numpy(small).permute(2, 0, 1)[None], runtime)[0]
    alpha = fused[0, 0].float().cpu().numpy()
    height, width = photo.shape[:2]
    return cv2.resize(alpha, (width, height), interpolation=cv2.INTER_LINEAR)


def foreground_colours(photo, alpha):
    """The person's own colours (H, W, 3) uint8: what each pixel would be without the background shining through.

    Germer et al., "Fast Multi-Level Foreground Estimation", ICPR 2020, by pymatting. Without it, hair on a new
    background keeps a rim of the old one.
    """
    from pymatting.foreground.estimate_foreground_ml import estimate_foreground_ml  # compiles for a while at first

    if alpha.size == 1:  # pymatting has no level to start from; one pixel has no neighbour to learn from either
        return photo.copy()
    colours = estimate_foreground_ml(photo / 255.0, alpha.astype(np.float64))
    return (np.clip(colours, 0, 1) * 255).round().astype(np.uint8)


def over(cutout, background):
    """Composite an RGBA cutout over a colour (`"white"`, `"#rrggbb"`) or a picture, which is resized to fit.

    Returns an RGB `PIL.Image` of the cutout's size. Raises ValueError for an unknown colour.
    """
    if isinstance(background, str):
        background = Image.new("RGB", cutout.size, ImageColor.getrgb(background))
    else:
        background = background.convert("RGB").resize(cutout.size, Image.Resampling.LANCZOS)
    return Image.alpha_composite(background.convert("RGBA"), cutout).convert("RGB")


class Matter:
    """A loaded network that cuts people out of photos.

    Photos are `PIL.Image` of any mode, as `helpers.photos.open_picture` returns them, or (H, W, 3) uint8 RGB arrays.
    """

    def __init__(self, model, size, runtime):
        self.model = model.to(runtime.device, memory_format=runtime.memory_format).eval()
        self.size, self.runtime = size, runtime

    def alpha(self, photo):
        """The alpha matte (H, W) float32 in [0, 1] at the photo's size."""
        return self._matte(photo)[1]

    def cutout(self, photo):
        """An RGBA `PIL.Image` with straight alpha and clean foreground colours, at the photo's size.

        What was transparent in the photo stays so.
        """
        pixels, alpha = self._matte(photo)
        colours = foreground_colours(pixels, alpha)
        return Image.fromarray(np.dstack([colours, (alpha * 255).round().astype(np.uint8)]))

    def _matte(self, photo):
        pixels, opacity = _pixels(photo)
        return pixels, alpha_of(self.model, pixels, self.size, self.runtime) * opacity


def _pixels(photo):
    """RGB (H, W, 3) uint8 of a photo, and its own opacity: 1, or (H, W) float32 in [0, 1]."""
    if isinstance(photo, np.ndarray):
        if photo.ndim != 3 or photo.shape[2] != 3 or photo.dtype != np.uint8:
            raise ValueError(f"a photo array must be (H, W, 3) uint8, found {photo.shape} {photo.dtype}")
        return photo, np.float32(1)
    if photo.has_transparency_data:
        return to_rgb(photo), np.asarray(photo.convert("RGBA").getchannel("A"), np.float32) / 255
    return to_rgb(photo), np.float32(1)


def _best_lying():
    """The best weight file in saved_models/, or None."""
    trained = FOLDER / FINAL
    if trained.is_file():
        return trained
    full, lite = (find_pretrained(network, FOLDER) for network in ("u2net", "u2net_lite"))
    return full or find_shipped("u2net_lite", FOLDER) or lite


def load_matter(weights=None, device=None):
    """A `Matter` from a weight file, or from the best one in saved_models/.

    Accepts our checkpoints of any network, .safetensors, the published one and the original u2net.pth and u2netp.pth;
    the network is built from the table in the checkpoint, or told from the weights. Looked for in saved_models/:
    final_model_ckpt.pth, u2net.pth, portrait_lite.safetensors (which comes with the project), u2netp.pth.
    Raises FileNotFoundError saying where weights belong, ValueError for a file that holds none.
    """
    path = weights or _best_lying()
    if path is None:
        raise FileNotFoundError(f"{FOLDER}: no weights there; train some, or put the original u2net.pth into it")
    state = read_checkpoint(path)
    held = weights_of(state, path)
    try:
        model = network_in(state, held)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    size = state["config"]["image_size"] if "config" in state else 320  # what U²-Net and the report trained at
    return Matter(model, size, best_runtime(device))
