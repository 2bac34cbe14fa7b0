"""The losses against values worked out by hand, the edge mask against OpenCV's morphological gradient."""

import cv2
import numpy as np
import pytest
import torch

from helpers.losses import LOSSES, cross_entropy, edge_mask, l1, matting_loss, published_loss, rmse
from helpers.u2net import U2Net

DEVICES = ["cpu"] + ["cuda"] * torch.cuda.is_available() + ["mps"] * torch.backends.mps.is_available()


def maps(*rows):
    """One 1 × N image for each row: (B, 1, 1, N)."""
    return torch.tensor(rows)[:, None, None]


# ----------------------------------------------------------------------------------------------------------------- RMSE


def test_rmse_is_taken_per_image_and_then_averaged():
    # d = (.6, 0, 0, .8): √(1/4) = .5; d = (.1, .1, .1, .1): .1; a whole-batch RMSE would be √(.13) = .3606
    pred, true = maps([0.6, 0.5, 0.0, 1.0], [0.1, 0.2, 0.3, 1.0]), maps([0.0, 0.5, 0.0, 0.2], [0.0, 0.1, 0.2, 0.9])
    assert rmse(pred, true).item() == pytest.approx((0.5 + 0.1) / 2, abs=1e-7)
    assert rmse(pred[:1], true[:1]).item() == pytest.approx(0.5, abs=1e-7)


def test_masked_rmse_is_still_divided_by_all_pixels():
    pred, true = maps([0.6, 0.0, 0.0, 0.8]), maps([0.0, 0.0, 0.0, 0.0])
    assert rmse(pred, true, maps([1.0, 1.0, 0.0, 0.0])).item() == pytest.approx(np.sqrt(0.36 / 4), abs=1e-7)
    assert rmse(pred, true, maps([1.0, 1.0, 1.0, 1.0])).item() == pytest.approx(0.5, abs=1e-7)


def gradient(loss, pred):
    pred = pred.clone().requires_grad_()
    loss(pred).backward()
    return pred.grad


def test_a_perfect_image_costs_nothing_and_has_gradient_zero():
    true = torch.rand(2, 1, 4, 4)
    assert rmse(true, true).item() == 0
    assert torch.equal(gradient(lambda pred: rmse(pred, true), true), torch.zeros_like(true))


def test_an_empty_mask_costs_nothing_and_has_gradient_zero():
    pred, true = torch.rand(2, 1, 4, 4), torch.rand(2, 1, 4, 4)
    assert rmse(pred, true, torch.zeros_like(true)).item() == 0
    assert not gradient(lambda pred: rmse(pred, true, torch.zeros_like(true)), pred).any()


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_maps_that_are_not_numbers_cost_no_number(loss):
    """A loss of 0 would make the worst network the best checkpoint."""
    assert loss([torch.full((1, 1, 8, 8), torch.nan)] * 7, torch.rand(1, 1, 8, 8))["total"].isnan()


def test_a_perfect_image_leaves_the_others_gradient_alone():
    pred, true = maps([0.5, 0.5], [0.7, 0.1]), maps([0.5, 0.5], [0.4, 0.5])
    # d = (.3, −.4): √(.25/2) = .35355; ∂/∂p = d / (2 · .35355), halved by the batch
    slope = gradient(lambda pred: rmse(pred, true), pred)
    assert not slope[0].any()
    assert torch.allclose(slope[1].flatten(), torch.tensor([0.3, -0.4]) / (2 * 0.125**0.5) / 2, atol=1e-6)


@pytest.mark.parametrize("error", [1e-4, 1e-12, 1e-19, 1e-22])
def test_the_gradient_of_a_tiny_error_is_finite(error):
    slope = gradient(lambda pred: rmse(pred, torch.zeros(1, 1, 4, 4)), torch.full((1, 1, 4, 4), error))
    assert slope.isfinite().all()
    assert slope.abs().max() <= 1 / 16 + 1e-6


# ------------------------------------------------------------------------------------------------------------ edge mask


def shapes():
    """Alphas (H, W) uint8: hard and soft discs that touch the border, noise, all background, all foreground."""
    y, x = np.mgrid[:41, :53]
    disc = np.where(np.hypot(y - 8, x - 20) < 14, 255, 0).astype(np.uint8)
    numbers = np.random.default_rng(0)
    sparse = np.where(numbers.random((41, 53)) < 0.01, numbers.integers(1, 256, (41, 53)), 0)
    return [disc, cv2.GaussianBlur(disc, (0, 0), 3), numbers.integers(0, 256, (41, 53), np.uint8),
            sparse.astype(np.uint8), np.zeros_like(disc), np.full_like(disc, 255)]  # fmt: skip


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("width", [1, 3, 5, 7, 15])
def test_edge_mask_equals_opencvs_gradient(width, device):
    batch = torch.from_numpy(np.stack(shapes()))[:, None].to(device)
    masks = edge_mask(batch / 255, width)
    assert masks.device == batch.device
    assert masks.dtype == torch.float32
    kernel = np.ones((width, width), np.uint8)
    for alpha, mask in zip(shapes(), masks[:, 0].cpu().numpy(), strict=True):
        for exact in (alpha, alpha.astype(np.float32) / 255):
            expected = cv2.morphologyEx(exact, cv2.MORPH_GRADIENT, kernel) > 0
            assert np.array_equal(mask, expected.astype(np.float32))


def test_edge_mask_sees_the_smallest_difference():
    alpha = torch.full((1, 1, 9, 9), 0.25)  # whose float32 neighbour is 2⁻²⁵ away
    alpha[0, 0, 4, 4] += 2**-25
    mask = edge_mask(alpha)
    assert mask.sum() == 49
    assert mask[0, 0, 1:8, 1:8].all()


def test_edge_mask_is_seven_pixels_wide_unless_told():
    alpha = torch.zeros(1, 1, 20, 20)
    alpha[..., 10:] = 1
    assert edge_mask(alpha)[0, 0, 0].nonzero().flatten().tolist() == [7, 8, 9, 10, 11, 12]
    assert edge_mask(alpha, 3)[0, 0, 0].nonzero().flatten().tolist() == [9, 10]


def test_the_pictures_border_is_no_edge():
    assert not edge_mask(torch.ones(1, 1, 9, 9)).any()
    assert edge_mask(torch.eye(3)[None, None], 15).all()  # a square larger than the picture


@pytest.mark.parametrize("width", [0, 2, 6, -1, -3])
def test_an_even_width_is_refused(width):
    with pytest.raises(ValueError, match=f"edge width {width}: must be odd"):
        edge_mask(torch.zeros(1, 1, 8, 8), width)


# ----------------------------------------------------------------------------------------------------------- the losses


def case():
    """Seven maps over two alphas (1 × 8), the second of which has no edge; their errors per image."""
    alpha = maps([0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 1.0], [1.0] * 8)
    steps = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7]
    return [(alpha - step).abs() for step in steps], alpha, steps


@pytest.mark.parametrize("weight", [0, 1, 4])
def test_the_reports_loss_by_hand(weight):
    outputs, alpha, steps = case()
    # every pixel of map i is off by steps[i], so its RMSE is steps[i]; a 3-pixel edge covers 2 of 8 pixels, in one of
    # two images
    edge = (0.1 * np.sqrt(2 / 8) + 0) / 2
    terms = matting_loss(outputs, alpha, edge_weight=weight, edge_width=3)
    assert list(terms) == ["fused", *(f"side{i}" for i in range(1, 7)), "edge", "total"]
    assert [terms[name].item() for name in list(terms)[:7]] == pytest.approx(steps, abs=1e-6)
    assert terms["edge"].item() == pytest.approx(edge, abs=1e-7)
    assert terms["total"].item() == pytest.approx(2.8 + weight * edge, abs=1e-5)


@pytest.mark.parametrize("weight", [0, 1, 4])
def test_the_published_loss_by_hand(weight):
    outputs, alpha, steps = case()
    errors = [np.sqrt(step**2 + 1e-6) for step in steps]
    edges = [np.sqrt(step**2 * 2 / 16 + 1e-6) for step in steps]
    terms = published_loss(outputs, alpha, edge_weight=weight, edge_width=3)
    assert list(terms) == ["fused", *(f"side{i}" for i in range(1, 7)), "edge", "total"]
    assert [terms[name].item() for name in list(terms)[:7]] == pytest.approx(errors, abs=1e-6)
    assert terms["edge"].item() == pytest.approx(sum(edges) / 7, abs=1e-6)
    assert terms["total"].item() == pytest.approx((sum(errors) + weight * sum(edges)) / 7, abs=1e-5)


def test_the_published_rmse_runs_over_the_whole_batch():
    pred, true = maps([0.6, 0.0, 0.0, 0.8], [0.1, 0.1, 0.1, 0.1]), torch.zeros(2, 1, 1, 4)
    assert published_loss([pred], true)["fused"].item() == pytest.approx(np.sqrt(0.13 + 1e-6), abs=1e-6)


def test_the_defaults_are_the_reports_and_the_notebooks():
    outputs, alpha, _ = case()
    assert LOSSES["report"] is matting_loss and LOSSES["notebook"] is published_loss
    for loss, weight in ((matting_loss, 1), (published_loss, 4)):
        expected = loss(outputs, alpha, edge_weight=weight, edge_width=7)["total"]
        assert loss(outputs, alpha)["total"] == expected
        assert loss(outputs, alpha)["total"] != loss(outputs, alpha, edge_weight=2)["total"]


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0])
def test_alphas_without_an_edge_and_perfect_maps_give_no_nan(loss, alpha):
    true = torch.full((2, 1, 32, 32), alpha)
    perfect = [true.clone().requires_grad_() for _ in range(7)]
    terms = loss(perfect, true)
    terms["total"].backward()
    assert all(term.isfinite() for term in terms.values())
    assert all(torch.equal(output.grad, torch.zeros_like(true)) for output in perfect)


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_mixed_precision_gives_finite_losses_and_gradients(loss, tiny):
    torch.manual_seed(0)
    model, alpha = U2Net(tiny), torch.ones(2, 1, 32, 32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        outputs = model(torch.randn(2, 3, 32, 32))
    terms = loss(outputs, alpha)
    terms["total"].backward()
    assert all(term.isfinite() and term.dtype == torch.float32 for term in terms.values())
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters())
    assert loss([output.detach().bfloat16() for output in outputs], alpha)["total"].isfinite()


# ---------------------------------------------------------------------------------------------- rough and refined masks


def square(count=2):
    """Alphas (count, 1, 32, 32): a filled square, whose edge lies at 8 and 24."""
    alpha = torch.zeros(count, 1, 32, 32)
    alpha[:, :, 8:24, 8:24] = 1
    return alpha


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_rough_masks_do_not_count_in_their_unknown_band(loss):
    alpha, inside = square(), edge_mask(square(), 7).bool()
    wrong = torch.where(inside, 1 - alpha, alpha)  # as wrong as can be, in the band alone
    right, rough = alpha.clone(), torch.tensor([True, True])
    terms = loss([wrong] * 7, alpha, rough=rough, rough_width=7)
    assert terms["total"].item() == pytest.approx(
        loss([right] * 7, alpha, rough=rough, rough_width=7)["total"].item(), abs=1e-5
    )
    assert terms["edge"].item() == pytest.approx(loss([right] * 7, alpha)["edge"].item(), abs=1e-5)
    narrower = loss([wrong] * 7, alpha, rough=rough, rough_width=5)
    assert narrower["fused"] > terms["fused"] + 0.01  # the band's outer rows count


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_outside_the_band_rough_masks_count_as_others_do(loss):
    alpha, far = square(), torch.zeros(2, 1, 32, 32)
    far[:, :, 0, :] = 0.7
    outputs, rough = [alpha + far] * 7, torch.tensor([True, True])
    counted, all_of_it = loss(outputs, alpha, rough=rough), loss(outputs, alpha)
    assert counted["fused"].item() == pytest.approx(all_of_it["fused"].item(), abs=1e-6)


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
@pytest.mark.parametrize("rough", [[True, True], [False, False], [True, False]])
def test_batches_of_one_kind_or_both_are_finite_and_have_gradients(loss, rough):
    outputs = [torch.rand(2, 1, 32, 32, requires_grad=True) for _ in range(7)]
    terms = loss(outputs, square(), rough=torch.tensor(rough))
    terms["total"].backward()
    assert all(term.isfinite() for term in terms.values())
    assert all(output.grad.isfinite().all() and output.grad.any() for output in outputs)


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_refined_masks_lose_nothing_by_being_told_apart(loss):
    outputs = [torch.rand(2, 1, 32, 32) for _ in range(7)]
    named, unnamed = loss(outputs, square(), rough=torch.tensor([False, False])), loss(outputs, square())
    expected = {name: term.item() for name, term in unnamed.items()}
    assert {name: term.item() for name, term in named.items()} == pytest.approx(expected)


def test_a_mixed_batch_costs_the_mean_of_its_images():
    outputs, alpha = [torch.rand(2, 1, 32, 32) for _ in range(7)], square()
    rough = torch.tensor([True, False])
    each = [matting_loss([o[i : i + 1] for o in outputs], alpha[i : i + 1], rough=rough[i : i + 1]) for i in range(2)]
    assert matting_loss(outputs, alpha, rough=rough)["total"].item() == pytest.approx(
        sum(one["total"].item() for one in each) / 2, abs=1e-6
    )
    assert each[0]["edge"] == 0 < each[1]["edge"]


def test_cross_entropy_by_hand():
    pred, true = torch.tensor([0.25, 0.5]).view(1, 1, 1, 2), torch.tensor([1.0, 0.5]).view(1, 1, 1, 2)
    assert cross_entropy(pred, true).item() == pytest.approx((np.log(4) + np.log(2)) / 2)
    assert cross_entropy(pred, true, torch.tensor([1.0, 0.0]).view(1, 1, 1, 2)).item() == pytest.approx(np.log(4) / 2)


def test_l1_by_hand():
    pred, true = maps([0.6, 0.0, 0.0, 0.8], [0.5, 0.2, 0.3, 0.4]), maps([0.0, 0.0, 0.4, 1.0], [0.4, 0.2, 0.3, 0.0])
    assert l1(pred, true).item() == pytest.approx((0.6 + 0.4 + 0.2 + 0.1 + 0.4) / 8)
    assert l1(pred, true, maps([1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0])).item() == pytest.approx((0.6 + 0.4) / 8)
    assert gradient(lambda pred: l1(pred, true), pred).flatten().tolist() == [
        1 / 8,
        0,
        -1 / 8,
        -1 / 8,
        1 / 8,
        0,
        0,
        1 / 8,
    ]


@pytest.mark.parametrize("error", [rmse, l1, cross_entropy])
@pytest.mark.parametrize("weight", [0, 1, 4])
def test_the_edge_term_on_all_maps_is_their_sum(error, weight):
    outputs, alpha, _ = case()
    terms = matting_loss(outputs, alpha, edge_weight=weight, edge_width=3, error=error, edge_on="all")
    mask = edge_mask(alpha, 3)
    edge = sum(error(output, alpha, mask) for output in outputs).item()
    fused = matting_loss(outputs, alpha, edge_weight=weight, edge_width=3, error=error)
    assert terms["edge"].item() == pytest.approx(edge)
    assert terms["total"].item() == pytest.approx((fused["total"] + weight * (edge - fused["edge"])).item(), rel=1e-5)
    assert fused["edge"] == error(outputs[0], alpha, mask) < edge


def test_the_edge_term_on_all_maps_by_hand():
    outputs, alpha, steps = case()
    terms = matting_loss(outputs, alpha, edge_weight=2, edge_width=3, edge_on="all")
    edge = sum(steps) * np.sqrt(2 / 8) / 2  # in one of two images 2 of 8 pixels lie at the edge
    assert terms["edge"].item() == pytest.approx(edge, abs=1e-6)
    assert terms["total"].item() == pytest.approx(2.8 + 2 * edge, abs=1e-5)


def test_an_unknown_place_for_the_edge_term_is_refused():
    outputs, alpha, _ = case()
    with pytest.raises(ValueError, match="edge_on='sides': known are fused, all"):
        matting_loss(outputs, alpha, edge_on="sides")
