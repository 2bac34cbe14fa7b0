"""The running average of the weights against its closed form."""

import pytest
import torch
from torch import nn

from helpers.training.ema import EMA


def scalar(value):
    """A model that is a single number."""
    model = nn.Linear(1, 1, bias=False)
    with torch.no_grad():
        model.weight.fill_(value)
    return model


def averages(decay, values):
    """What the average of a scalar is after each of `values`, the first of which it starts from."""
    model, found = scalar(values[0]), []
    ema = EMA(model, decay)
    for step, value in enumerate(values[1:], start=1):
        with torch.no_grad():
            model.weight.fill_(value)
        ema.update(model, step)
        found.append(ema.model.weight.item())
    return found


def test_the_average_begins_with_a_short_memory():
    # 2/11, 3/12, 4/13 of the old; always below the decay of .999
    first = 2 / 11 * 1.0 + 9 / 11 * 2.0
    second = 3 / 12 * first + 9 / 12 * -1.0
    third = 4 / 13 * second + 9 / 13 * 5.0
    assert averages(0.999, [1.0, 2.0, -1.0, 5.0]) == pytest.approx([first, second, third], abs=1e-6)


def test_the_memory_grows_up_to_the_decay():
    # 2/11 < .2 < 3/12: from the second step on .2
    first = 2 / 11 * 1.0 + 9 / 11 * 2.0
    second = 0.2 * first + 0.8 * -1.0
    third = 0.2 * second + 0.8 * 5.0
    assert averages(0.2, [1.0, 2.0, -1.0, 5.0]) == pytest.approx([first, second, third], abs=1e-6)


def test_late_in_training_the_decay_rules():
    model = scalar(1.0)
    ema = EMA(model, 0.999)
    with torch.no_grad():
        model.weight.fill_(2.0)
    ema.update(model, 1_000_000)
    assert ema.model.weight.item() == pytest.approx(1.001, abs=1e-6)
    ema.update(model, 89)  # (1 + 89) / (10 + 89) = 10 / 11
    assert ema.model.weight.item() == pytest.approx(10 / 11 * 1.001 + 1 / 11 * 2.0, abs=1e-6)


def test_constant_weights_are_their_own_average():
    assert averages(0.9, [0.7] * 20) == [pytest.approx(0.7, abs=1e-6)] * 19


def test_statistics_of_batch_norm_are_taken_over_as_they_are():
    model = nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2))
    ema = EMA(model, 0.999)
    for step in range(1, 4):
        model(torch.rand(4, 1, 3, 3))
        ema.update(model, step)
        for averaged, trained in zip(ema.model.buffers(), model.buffers(), strict=True):
            assert torch.equal(averaged, trained)
    assert ema.model[1].num_batches_tracked == 3


def test_the_average_is_a_model_of_its_own_that_is_never_trained():
    model = nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2))
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    ema = EMA(model, 0.999)
    with torch.no_grad():
        for tensor in ema.model.state_dict().values():
            tensor.add_(1)
    ema.update(model, 1)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert model.training and all(parameter.requires_grad for parameter in model.parameters())
    assert not ema.model.training
    assert not any(tensor.requires_grad for tensor in ema.model.parameters())
    model(torch.rand(4, 1, 3, 3)).sum().backward()  # an update in between does not disturb the training
    ema.update(model, 2)
    assert all(parameter.grad is None for parameter in ema.model.parameters())
    assert all(parameter.grad is not None for parameter in model.parameters())
