"""RMSE per map plus the edge term: the loss of the report (section 3.3), and its variants.

Everywhere: predictions and alphas are (B, 1, H, W) float in [0, 1]. `rough` (B,) tells which alphas are rough masks:
their unknown band, `rough_width` pixels across the edge, counts for nothing, and they have no edge term. So a rough
image has a smaller loss of its own. The mean is over all images of the batch, so no mixture of kinds divides by zero.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import partial, reduce

import torch
import torch.nn.functional as F
from torch import Tensor


def rmse(pred: Tensor, true: Tensor, mask: Tensor | None = None) -> Tensor:
    """Root mean squared error of each image, averaged over the batch (report, section 3.3).

    Parameters
    ----------
    pred, true : Tensor (B, 1, H, W) in [0, 1]
    mask : Tensor (B, 1, H, W), optional
        Each squared error is multiplied by it, and their sum is still divided by H · W, as the report does.

    Returns
    -------
    Tensor
        A scalar. A perfect image costs 0 and has gradient 0, where the derivative of the root is infinite.
        NaN stays NaN.

    Examples
    --------
    >>> rmse(torch.full((1, 1, 2, 2), 0.5), torch.zeros(1, 1, 2, 2))
    tensor(0.5000)
    """
    squares = (pred - true) ** 2
    if mask is not None:
        squares = squares * mask
    mse = squares.mean(dim=(1, 2, 3))
    return torch.where(mse == 0, 0.0, mse.clamp_min(torch.finfo(mse.dtype).tiny).sqrt()).mean()


def edge_mask(alpha: Tensor, width: int = 7) -> Tensor:
    """The transition region m_d: 1 where dilating and eroding `alpha` by a square differ (report, section 3.3).

    Parameters
    ----------
    alpha : Tensor (B, 1, H, W) in [0, 1]
    width : int
        Side of the square in pixels, odd.

    Returns
    -------
    Tensor (B, 1, H, W)
        0 or 1, type and device of `alpha`. Equals OpenCV's morphological gradient > 0; the border adds nothing.

    Raises
    ------
    ValueError
        For an even width.

    Examples
    --------
    >>> edge_mask(torch.tensor([[[[0.0, 0, 0, 1, 1]]]]), width=3)
    tensor([[[[0., 0., 1., 1., 0.]]]])
    """
    if width < 1 or width % 2 == 0:
        raise ValueError(f"edge width {width}: must be odd and positive")
    dilated, shrunk_background = _dilate(alpha, width), _dilate(-alpha, width)
    return (dilated + shrunk_background > 0).to(alpha.dtype)


def _dilate(x: Tensor, width: int) -> Tensor:
    """Maximum over a width × width square, rows first and columns then: 2·width comparisons instead of width²."""
    x = F.max_pool2d(x, (1, width), stride=1, padding=(0, width // 2))
    return F.max_pool2d(x, (width, 1), stride=1, padding=(width // 2, 0))


def cross_entropy(pred: Tensor, true: Tensor, mask: Tensor | None = None) -> Tensor:
    """Binary cross-entropy, averaged over pixels and batch: a scalar. Soft alphas are allowed; `mask` as in `rmse`.

    Predictions are kept 1e-7 away from 0 and 1, where a logarithm would be infinite. A NaN stays one.
    """
    pred = pred.float().clamp(1e-7, 1 - 1e-7)
    entropy = -(true * pred.log() + (1 - true) * (1 - pred).log())
    return (entropy if mask is None else entropy * mask).mean()


def l1(pred: Tensor, true: Tensor, mask: Tensor | None = None) -> Tensor:
    """Mean absolute error, averaged over pixels and batch: a scalar; `mask` as in `rmse`."""
    distance = (pred - true).abs()
    return (distance if mask is None else distance * mask).mean()


def matting_loss(
    outputs: Sequence[Tensor],
    alpha: Tensor,
    edge_weight: float = 1.0,
    edge_width: int = 7,
    rough: Tensor | None = None,
    rough_width: int = 15,
    error: Callable[..., Tensor] = rmse,
    edge_on: str = "fused",
) -> dict[str, Tensor]:
    """The report's loss: L = Σ l_side + l_fuse + λ l_transition.

    Parameters
    ----------
    outputs : sequence of Tensor (B, 1, H, W) in [0, 1]
        What the network returns: `[fused, side1, …]`.
    alpha : Tensor (B, 1, H, W) in [0, 1]
        The ground truth.
    edge_weight, edge_width : float, int
        λ, and the side of the square of `edge_mask` in pixels.
    rough, rough_width : Tensor (B,) of bool, int
        Which alphas are rough masks, and the width in pixels of their unknown band.
    error : callable
        `error(pred, true, mask)` → scalar, in the place of `rmse`.
    edge_on : str
        `fused`: the transition term looks at the fused map. `all`: at every map, and is the sum.

    Returns
    -------
    dict of str to scalar Tensor
        `fused`, `side1` …, `edge` (without λ) and `total`.

    Raises
    ------
    ValueError
        For another `edge_on`, and for an even width.

    Notes
    -----
    Report, section 3.3. Deep supervision by the side outputs is U²-Net's (section 3.3 of its paper).
    """
    if edge_on not in ("fused", "all"):
        raise ValueError(f"edge_on={edge_on!r}: known are fused, all")
    known, edges = _counted(alpha, edge_width, rough, rough_width)
    terms = _map_terms(outputs, alpha, partial(error, mask=known))
    edge = _sum(error(output, alpha, edges) for output in (outputs if edge_on == "all" else outputs[:1]))
    return terms | {"edge": edge, "total": _sum(terms.values()) + edge_weight * edge}


def published_loss(
    outputs: Sequence[Tensor],
    alpha: Tensor,
    edge_weight: float = 4.0,
    edge_width: int = 7,
    rough: Tensor | None = None,
    rough_width: int = 15,
) -> dict[str, Tensor]:
    """The loss of the published notebook: mean over the maps of l + λ l_edge, a transition term on each map.

    Its RMSE is one root over the whole batch with 1e-6 inside, so it depends on how a batch is split. Same arguments
    and result as `matting_loss`; `edge` is the mean over the maps.
    """

    def batch_rmse(pred: Tensor, true: Tensor, mask: Tensor | None = None) -> Tensor:
        squares = (pred - true) ** 2
        return ((squares if mask is None else squares * mask).mean() + 1e-6).sqrt()

    known, edges = _counted(alpha, edge_width, rough, rough_width)
    terms = _map_terms(outputs, alpha, partial(batch_rmse, mask=known))
    edge = _sum(batch_rmse(output, alpha, edges) for output in outputs) / len(outputs)
    total = _sum(terms.values()) / len(outputs) + edge_weight * edge
    return terms | {"edge": edge, "total": total}


def _counted(alpha: Tensor, edge_width: int, rough: Tensor | None, rough_width: int) -> tuple[Tensor | None, Tensor]:
    """Where the map terms count (None: everywhere) and where the edge term does: masks (B, 1, H, W)."""
    edges = edge_mask(alpha, edge_width)
    if rough is None:
        return None, edges
    rough = rough.to(alpha).view(-1, 1, 1, 1)
    return 1 - rough * edge_mask(alpha, rough_width), edges * (1 - rough)


def _map_terms(outputs: Sequence[Tensor], alpha: Tensor, error: Callable[..., Tensor]) -> dict[str, Tensor]:
    """`{"fused": …, "side1": …}`: the error of every map."""
    names = ["fused"] + [f"side{i}" for i in range(1, len(outputs))]
    return {name: error(output, alpha) for name, output in zip(names, outputs, strict=True)}


def _sum(terms: Iterable[Tensor]) -> Tensor:
    return reduce(torch.add, terms)


LOSSES: dict[str, Callable[..., dict[str, Tensor]]] = {
    "report": matting_loss,
    "notebook": published_loss,
    "cross_entropy": partial(matting_loss, error=cross_entropy),
    "l1": partial(matting_loss, error=l1),
}
