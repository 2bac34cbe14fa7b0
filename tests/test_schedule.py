"""The one-cycle rates against their formula, the range test on toy models."""

import math

import pytest
import torch
from torch import nn

from helpers.schedule import annihilation_start, one_cycle, range_test, rates, steepest


def cosine(start, end, share):
    return end + (start - end) / 2 * (1 + math.cos(math.pi * share))


def formula(max_lr, total):
    """One-cycle from scratch: up for the first 30 % of the steps, down to the last; the peak lies at .3·total − 1."""
    peak, last = 0.3 * total - 1, total - 1
    return [
        cosine(max_lr / 25, max_lr, step / peak) if step <= peak
        else cosine(max_lr, max_lr / 250_000, (step - peak) / (last - peak))
        for step in range(total)
    ]  # fmt: skip


@pytest.mark.parametrize("total", [10, 17, 200])
def test_one_cycle_step_by_step(total):
    lrs = rates(lambda optimizer: one_cycle(optimizer, 1e-3, total), total)
    assert lrs == pytest.approx(formula(1e-3, total), rel=1e-9)
    assert lrs[0] == pytest.approx(1e-3 / 25)
    assert max(lrs) <= 1e-3
    assert lrs[-1] == pytest.approx(1e-3 / 250_000)


def test_ten_rates_by_hand():
    # peak at step 2, halfway up at 1; then seven steps of a cosine down
    lrs = rates(lambda optimizer: one_cycle(optimizer, 1.0, 10), 10)
    assert lrs[:4] == pytest.approx([0.04, 0.52, 1.0, 0.95048464], abs=1e-7)
    assert lrs[-1] == pytest.approx(4e-6, abs=1e-12)


def test_adams_betas_are_not_cycled():
    optimizer = torch.optim.Adam([torch.zeros(1, requires_grad=True)], lr=1e-3, betas=(0.9, 0.999))
    schedule, betas = one_cycle(optimizer, 1e-3, 10), []
    for _ in range(9):
        optimizer.step()
        schedule.step()
        betas.append(optimizer.param_groups[0]["betas"])
    assert betas == [(0.9, 0.999)] * 9


def test_rates_of_a_constant_schedule():
    assert rates(lambda optimizer: torch.optim.lr_scheduler.ConstantLR(optimizer, factor=1), 5, lr=0.3) == [0.3] * 5


def test_annihilation_begins_below_the_first_rate():
    assert annihilation_start([2, 3, 5, 4, 2, 1.9, 1]) == 5
    assert annihilation_start([2, 1, 5, 3, 1]) == 4  # before the peak does not count
    lrs = formula(1e-3, 100)
    start = annihilation_start(lrs)
    assert lrs[start - 1] >= lrs[0] > lrs[start]
    assert 85 < start < 95


def test_rates_that_stay_up_have_no_annihilation():
    with pytest.raises(ValueError, match="no annihilation"):
        annihilation_start([1, 2, 1])


# ----------------------------------------------------------------------------------------------------------- range test


def line(slope=3.0):
    """A model that learns y = slope·x, two batches, and the training step."""
    torch.manual_seed(0)
    x = torch.linspace(-1, 1, 16)[:, None]

    def step(model, optimizer, batch):
        loss = ((model(batch) - slope * batch) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    return nn.Linear(1, 1), [x[:8], x[8:]], step


def test_range_test_raises_the_rate_by_a_constant_factor():
    model, batches, step = line()
    seen = []

    def watched(model, optimizer, batch):
        seen.append(optimizer.param_groups[0]["lr"])
        return step(model, optimizer, batch)

    lrs, losses = range_test(model, batches, watched, low=1e-5, high=1e-2, count=31)
    assert lrs == seen
    assert lrs == pytest.approx([1e-5 * 10 ** (i / 10) for i in range(31)], rel=1e-9)
    assert len(losses) == 31


def test_range_test_leaves_the_model_alone():
    model, batches, step = line()
    before = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    _, losses = range_test(model, batches, step, low=1e-4, high=0.1, count=40)
    assert losses[-1] < losses[0]  # the copy did learn
    assert all(torch.equal(model.state_dict()[key], before[key]) for key in before)
    assert all(parameter.grad is None for parameter in model.parameters())


def scripted(losses):
    """A training step that reports these losses."""
    remaining = iter(losses)
    return lambda _model, _optimizer, _batch: next(remaining)


def test_range_test_smooths_without_bias():
    _, losses = range_test(nn.Linear(1, 1), [0], scripted([2.0, 1.0, 4.0]), count=3)
    second, third = (0.9 * 0.2 + 0.1) / 0.19, (0.9 * (0.9 * 0.2 + 0.1) + 0.4) / 0.271
    assert losses == pytest.approx([2.0, second, third])
    _, losses = range_test(nn.Linear(1, 1), [0], scripted([3.0] * 20), count=20)
    assert losses == pytest.approx([3.0] * 20)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), 1e9])
def test_range_test_stops_when_the_loss_explodes(bad):
    lrs, losses = range_test(nn.Linear(1, 1), [0, 1], scripted([1.0] * 10 + [bad] * 90))
    assert len(lrs) == len(losses) == 10
    assert range_test(nn.Linear(1, 1), [0], scripted([float("inf")] * 100)) == ([], [])


def test_range_test_stops_at_four_times_the_minimum():
    # the average after ten ones is 1; x on top: (.9·(1 − .9^10) + .1·x) / (1 − .9^11) = 4 for x = 21.59
    limit = (4 * (1 - 0.9**11) - 0.9 * (1 - 0.9**10)) / 0.1
    below, _ = range_test(nn.Linear(1, 1), [0], scripted([1.0] * 10 + [limit - 1e-6] + [1e9] * 89))
    above, _ = range_test(nn.Linear(1, 1), [0], scripted([1.0] * 10 + [limit + 1e-6] + [1.0] * 89))
    assert (len(below), len(above)) == (11, 10)


def logistic(middle):
    """A loss of 100 points that falls from 1 to 0, fastest in the middle."""
    return [1 / (1 + math.exp((i - middle) / 4)) for i in range(100)]


@pytest.mark.parametrize("middle", [25, 60])
def test_steepest_finds_the_fall_of_a_synthetic_curve(middle):
    lrs = [10 ** (-6 + 6 * i / 99) for i in range(100)]
    assert steepest(lrs, logistic(middle)) == lrs[middle]


def test_steepest_looks_past_a_single_jump():
    losses = logistic(60)
    losses[30] += 0.4
    assert steepest(list(range(100)), losses) == 60


def test_a_short_range_test_is_refused():
    with pytest.raises(ValueError, match="19 points"):
        steepest(list(range(19)), [1.0] * 19)
    # twenty points of an ever steeper fall: the last one with a tenth of the curve after it
    assert steepest(list(range(20)), [-(i**2) for i in range(20)]) == 17
