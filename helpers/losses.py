"""RMSE per map plus the edge term: the loss of the report (section 3.3), and its variants.

Everywhere: predictions and alphas are (B, 1, H, W) float in [0, 1]. `rough` (B,) tells which alphas are rough masks:
their unknown band, `rough_width` pixels across the edge, counts for nothing, and they have no edge term. A rough image
thus has a smaller loss of its own; the mean is over all images of the batch, so no mixture of kinds divides by zero.
"""

from functools import partial

import torch
import torch.nn.functional as F


def rmse(pred, true, mask=None):
    """Root mean squared error of each image, averaged over the batch: a scalar.

    With a `mask` (B, 1, H, W) each squared error is multiplied by it, and still divided by H·W, as the report does.
    A perfect image costs exactly 0 and has gradient 0 (the derivative of the root alone would be infinite there).
    """
    squares = (pred - true) ** 2
    if mask is not None:
        squares = squares * mask
    mse = squares.mean(dim=(1, 2, 3))
    return torch.where(mse > 0, mse.clamp_min(torch.finfo(mse.dtype).tiny).sqrt(), 0.0).mean()


def edge_mask(alpha, width=7):
    """The transition region m_d: 1 where dilating and eroding `alpha` by a width × width square differ, else 0.

    (B, 1, H, W) → (B, 1, H, W), same type and device. Equals OpenCV's morphological gradient > 0: the maximum over the
    square minus the minimum, the picture's border adding nothing. Raises ValueError for an even width.
    """
    if width < 1 or width % 2 == 0:
        raise ValueError(f"edge width {width}: must be odd and positive")
    dilated, shrunk_background = _dilate(alpha, width), _dilate(-alpha, width)
    return (dilated + shrunk_background > 0).to(alpha.dtype)


def _dilate(x, width):
    """Maximum over a width × width square, rows first and columns then: 2·width comparisons instead of width²."""
    x = F.max_pool2d(x, (1, width), stride=1, padding=(0, width // 2))
    return F.max_pool2d(x, (width, 1), stride=1, padding=(width // 2, 0))


def cross_entropy(pred, true, mask=None):
    """Binary cross-entropy, averaged over pixels and batch: a scalar. Soft alphas are allowed; `mask` as in `rmse`.

    Predictions are kept 1e-7 away from 0 and 1, where a logarithm would be infinite. A NaN stays one.
    """
    pred = pred.float().clamp(1e-7, 1 - 1e-7)
    entropy = -(true * pred.log() + (1 - true) * (1 - pred).log())
    return (entropy if mask is None else entropy * mask).mean()


def l1(pred, true, mask=None):
    """Mean absolute error, averaged over pixels and batch: a scalar; `mask` as in `rmse`."""
    distance = (pred - true).abs()
    return (distance if mask is None else distance * mask).mean()


def matting_loss(
    outputs, alpha, edge_weight=1.0, edge_width=7, rough=None, rough_width=15, error=rmse, edge_on="fused"
):
    """The report's loss: L = Σ l_side + l_fuse + λ l_transition, all on RMSE per image.

    `outputs` is what the network returns, `[fused, side1, …]`; `edge_weight` is λ. The transition term looks at the
    fused map, with `edge_on="all"` at every map, and is the sum over those. `error(pred, true, mask)` may stand for
    the RMSE. Returns a dict of scalars: `fused`, `side1` …, `edge` (without λ) and `total`. Raises ValueError for
    another `edge_on`.
    """
    if edge_on not in ("fused", "all"):
        raise ValueError(f"edge_on={edge_on!r}: known are fused, all")
    known, edges = _counted(alpha, edge_width, rough, rough_width)
    terms = _map_terms(outputs, alpha, partial(error, mask=known))
    terms["edge"] = sum(error(output, alpha, edges) for output in (outputs if edge_on == "all" else outputs[:1]))
    total = sum(terms[name] for name in terms if name != "edge") + edge_weight * terms["edge"]
    return terms | {"total": total}


def published_loss(outputs, alpha, edge_weight=4.0, edge_width=7, rough=None, rough_width=15):
    """The loss of the published notebook: mean over the maps of l + λ l_edge, a transition term on each map.

    Its RMSE is one root over the whole batch with 1e-6 inside, so it depends on how a batch is split. Same arguments
    and result as `matting_loss`; `edge` is the mean over the maps.
    """

    def batch_rmse(pred, true, mask=None):
        squares = (pred - true) ** 2
        return ((squares if mask is None else squares * mask).mean() + 1e-6).sqrt()

    known, edges = _counted(alpha, edge_width, rough, rough_width)
    terms = _map_terms(outputs, alpha, partial(batch_rmse, mask=known))
    edge = sum(batch_rmse(output, alpha, edges) for output in outputs) / len(outputs)
    total = sum(terms.values()) / len(outputs) + edge_weight * edge
    return terms | {"edge": edge, "total": total}


def _counted(alpha, edge_width, rough, rough_width):
    """Where the map terms count (None: everywhere) and where the edge term does: masks (B, 1, H, W)."""
    edges = edge_mask(alpha, edge_width)
    if rough is None:
        return None, edges
    rough = rough.to(alpha).view(-1, 1, 1, 1)
    return 1 - rough * edge_mask(alpha, rough_width), edges * (1 - rough)


def _map_terms(outputs, alpha, error):
    """`{"fused": …, "side1": …}`: the error of every map."""
    names = ["fused"] + [f"side{i}" for i in range(1, len(outputs))]
    return {name: error(output, alpha) for name, output in zip(names, outputs, strict=True)}


LOSSES = {
    "report": matting_loss,
    "notebook": published_loss,
    "cross_entropy": partial(matting_loss, error=cross_entropy),
    "l1": partial(matting_loss, error=l1),
}
