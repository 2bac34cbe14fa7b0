"""The matte solved from the photo where nobody knows it, such as in hair.

Levin, Lischinski and Weiss, "A closed-form solution to natural image matting" (TPAMI 2008), by pymatting: in every
small window of the photo the alpha is a linear function of the colour; the alphas around the band are the known ones.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from helpers.cutout.refine import refine

MARGIN = 12
"""Pixels around the band, at the size that is solved, whose alphas it is solved from."""

MOST = 200_000
"""Pixels of the rectangle around a band that is solved as it is, in a second or two; a larger one is solved smaller and
enlarged along the photo's edges."""

TOLERANCE = 1e-4
"""Relative residual at which the solver stops: a mean error of a tenth of a grey level, in a third of the time."""


def solve_alpha(alpha: NDArray[np.float32], unsure: NDArray[np.bool_], photo: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The matte (H, W) in [0, 1] with its pixels in `unsure` (H, W) solved from the photo (H, W, 3) uint8.

    All other pixels stay exactly as they are. Where nothing is known, as everything is unsure, nothing changes.
    """
    rows, columns = _around(unsure)
    scale = min(1.0, (MOST / ((rows.stop - rows.start) * (columns.stop - columns.start))) ** 0.5)
    margin = round(MARGIN / scale)
    place = tuple(
        slice(max(part.start - margin, 0), min(part.stop + margin, side))
        for part, side in zip((rows, columns), alpha.shape, strict=True)
    )
    known, band, colours = alpha[place], unsure[place], photo[place]
    if band.all():
        return alpha
    result = alpha.copy()
    if scale == 1:
        solved = _closed_form(known, band, colours)
    else:
        height, width = (max(2, round(side * scale)) for side in band.shape)
        small = cv2.resize(colours, (width, height), interpolation=cv2.INTER_AREA)
        rough = cv2.resize(known, (width, height), interpolation=cv2.INTER_AREA)
        inside = cv2.resize(band.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST) > 0
        if inside.all() or not inside.any():
            return alpha
        solved = refine(_closed_form(rough, inside, small), small, colours)
    result[place][band] = solved[band]
    return result


def _around(mask: NDArray[np.bool_]) -> tuple[slice, slice]:
    """The smallest rectangle around a mask that is not empty."""
    y, x = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return slice(y[0], y[-1] + 1), slice(x[0], x[-1] + 1)


def _closed_form(alpha: NDArray, band: NDArray[np.bool_], photo: NDArray) -> NDArray:
    """`alpha` with its `band` solved; as `pymatting.estimate_alpha_cf`, whose known alphas can only be 0 and 1."""
    from pymatting import cf_laplacian, cg, jacobi  # numba takes seconds to import: only whoever solves waits for it

    inside = band.ravel()
    laplacian = cf_laplacian(photo / 255.0, is_known=~inside)
    unknown = laplacian[inside]
    matrix, right = unknown[:, inside], -unknown[:, ~inside] @ alpha.ravel()[~inside].astype(np.float64)
    solved = alpha.copy().ravel()
    solved[inside] = np.clip(cg(matrix, right, rtol=TOLERANCE, M=jacobi(matrix)), 0, 1)
    return solved.reshape(alpha.shape)


def warm_up() -> None:
    """Compile pymatting's kernels, which are kept: the first correction does not have to wait for it."""
    ramp = np.linspace(0, 255, 16 * 16 * 3).reshape(16, 16, 3).astype(np.uint8)
    band = np.zeros((16, 16), bool)
    band[:, 6:10] = True
    _closed_form(np.linspace(0, 1, 256, dtype=np.float32).reshape(16, 16), band, ramp)
