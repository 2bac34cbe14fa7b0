"""RMSE per map plus the edge term: the loss of the report (section 3.3) and the variant of its published notebook.

Everywhere: predictions and alphas are (B, 1, H, W) float in [0, 1].
"""

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


def matting_loss(outputs, alpha, edge_weight=1.0, edge_width=7):
    """The report's loss: L = Σ l_side + l_fuse + λ l_transition, all on RMSE per image.

    `outputs` is what the network returns, `[fused, side1, …]`; `edge_weight` is λ; the transition term looks at the
    fused map. Returns a dict of scalars: `fused`, `side1` …, `edge` (without λ) and `total`.
    """
    terms = _map_terms(outputs, alpha, rmse)
    terms["edge"] = rmse(outputs[0], alpha, edge_mask(alpha, edge_width))
    total = sum(terms[name] for name in terms if name != "edge") + edge_weight * terms["edge"]
    return terms | {"total": total}


def published_loss(outputs, alpha, edge_weight=4.0, edge_width=7):
    """The loss of the published notebook: mean over the maps of l + λ l_edge, a transition term on each map.

    Its RMSE is one root over the whole batch with 1e-6 inside. Same arguments and result as `matting_loss`; `edge` is
    the mean over the maps.
    """

    def batch_rmse(pred, true, mask=1.0):
        return (((pred - true) ** 2 * mask).mean() + 1e-6).sqrt()

    terms = _map_terms(outputs, alpha, batch_rmse)
    edges = edge_mask(alpha, edge_width)
    edge = sum(batch_rmse(output, alpha, edges) for output in outputs) / len(outputs)
    total = sum(terms.values()) / len(outputs) + edge_weight * edge
    return terms | {"edge": edge, "total": total}


def _map_terms(outputs, alpha, error):
    """`{"fused": …, "side1": …}`: the error of every map."""
    names = ["fused"] + [f"side{i}" for i in range(1, len(outputs))]
    return {name: error(output, alpha) for name, output in zip(names, outputs, strict=True)}


LOSSES = {"report": matting_loss, "notebook": published_loss}
