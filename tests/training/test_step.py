"""One step of training: what it does with a batch, in parts or whole; and the loss and metrics of whole sets."""

from contextlib import contextmanager
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from helpers.config import DEVIATION, MEAN
from helpers.devices import Runtime
from helpers.losses import LOSSES, matting_loss
from helpers.samples.loading import make_loader
from helpers.samples.samples import Sample
from helpers.training.step import evaluate, train_step
from helpers.u2net import normalise


class Flat(nn.Module):
    """Answers with seven constant maps: a sigmoid of one number, whatever it is shown."""

    def __init__(self, logit=0.0):
        super().__init__()
        self.logit, self.seen = nn.Parameter(torch.tensor(logit)), []

    def forward(self, x):
        self.seen.append(x)
        return [torch.sigmoid(self.logit).expand(len(x), 1, *x.shape[2:])] * 7


class Filter(nn.Module):
    """A single convolution, seven times its map: images of a batch do not see each other, as there is no batch norm."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.seen = nn.Conv2d(3, 1, 3, padding=1), []

    def forward(self, x):
        self.seen.append(len(x))
        return [torch.sigmoid(self.conv(x))] * 7


def batch_of(run):
    run.loader.batch_sampler.seek(0)
    return next(iter(run.loader))


def random_batch(count, size=8, rough=None):
    numbers = torch.Generator().manual_seed(1)
    images = torch.randint(0, 256, (count, 3, size, size), dtype=torch.uint8, generator=numbers)
    alphas = torch.randint(0, 256, (count, 1, size, size), dtype=torch.uint8, generator=numbers)
    return Sample(images, alphas, rough if rough is None else torch.tensor(rough))


# ----------------------------------------------------------------------------------------------------------------- step


def test_a_step_is_one_step_of_the_optimiser_on_normalised_images_and_alphas_from_0_to_1(float32):
    model, images = Flat(), torch.randint(0, 256, (2, 3, 4, 4), dtype=torch.uint8)
    alphas = torch.tensor([0, 51, 102, 255], dtype=torch.uint8).repeat(2, 1, 4, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    terms = train_step(model, optimizer, (images, alphas), partial(matting_loss, edge_weight=0), float32)
    # the maps are .5: d = .5, .3, .1, −.5; ∂rmse/∂p = mean(d) / rmse, ∂p/∂logit = .25, seven maps
    rmse = np.sqrt((0.25 + 0.09 + 0.01 + 0.25) / 4)
    assert terms["total"].item() == pytest.approx(7 * rmse, abs=1e-5)
    assert model.logit.item() == pytest.approx(-0.1 * 7 * 0.25 * 0.1 / rmse, abs=1e-6)
    assert torch.equal(model.seen[0], normalise(images))
    assert not any(term.requires_grad for term in terms.values())
    assert [*terms] == ["fused", *(f"side{i}" for i in range(1, 7)), "edge", "total"]


def test_gradients_of_the_step_before_are_forgotten(float32):
    batch = torch.zeros(1, 3, 4, 4, dtype=torch.uint8), torch.zeros(1, 1, 4, 4, dtype=torch.uint8)
    model = Flat()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    gradients = []
    for _ in range(2):
        train_step(model, optimizer, batch, matting_loss, float32)
        gradients.append(model.logit.grad.item())
    assert gradients[0] == gradients[1] != 0


@pytest.mark.parametrize("amp", [None, torch.bfloat16])
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("loss", LOSSES)
def test_training_lowers_the_loss_in_every_precision_and_layout(amp, memory_format, loss, make_run):
    run, _ = make_run(runtime=Runtime(torch.device("cpu"), amp, memory_format), max_lr=0.01, loss=loss)
    batch = batch_of(run)
    losses = [train_step(run.model, run.optimizer, batch, run.loss, run.runtime)["total"].item() for _ in range(6)]
    assert np.isfinite(losses).all()
    assert losses[-1] < losses[0]


# -------------------------------------------------------------------------------------------------------- micro-batches


def stepped(batch, runtime, **options):
    """Model, loss terms and gradients after one step of plain gradient descent on a batch."""
    model = Filter()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    terms = train_step(model, optimizer, batch, matting_loss, runtime, **options)
    return model, terms, [parameter.grad.clone() for parameter in model.parameters()]


@pytest.mark.parametrize("micro_batch, parts", [(1, [1] * 5), (2, [2, 2, 1]), (3, [3, 2]), (9, [5]), (0, [5])])
@pytest.mark.parametrize("rough", [None, [True, False, False, False, True]])
def test_micro_batches_add_up_to_the_whole_batch(micro_batch, parts, rough, float32):
    batch = random_batch(5, rough=rough)
    whole, whole_terms, whole_gradients = stepped(batch, float32)
    split, terms, gradients = stepped(batch, float32, micro_batch=micro_batch)
    assert (whole.seen, split.seen) == ([5], parts)
    assert {name: term.item() for name, term in terms.items()} == pytest.approx(
        {name: term.item() for name, term in whole_terms.items()}, abs=1e-6
    )
    for ours, theirs in zip(gradients, whole_gradients, strict=True):
        assert torch.allclose(ours, theirs, atol=1e-6)
    for ours, theirs in zip(split.parameters(), whole.parameters(), strict=True):
        assert torch.allclose(ours, theirs, atol=1e-6)
    assert not any(term.requires_grad for term in terms.values())


def test_processes_exchange_gradients_once_a_step_with_the_last_part(float32):
    """`no_sync` of a network that several processes train holds the exchange back."""
    model, silent = Filter(), []

    @contextmanager
    def no_sync():
        before = len(model.seen)
        yield
        silent.append(model.seen[before:])

    model.no_sync = no_sync
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    train_step(model, optimizer, random_batch(5), matting_loss, float32, micro_batch=2)
    assert model.seen == [2, 2, 1]
    assert silent == [[2], [2]]


# ------------------------------------------------------------------------------------------------------------- clipping


def flat(tensors):
    return torch.cat([tensor.detach().flatten() for tensor in tensors])


@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize("micro_batch", [0, 2])
def test_a_longer_gradient_is_shortened_to_the_given_length(micro_batch, scaled, float32):
    _, _, free = stepped(random_batch(5), float32, micro_batch=micro_batch)
    clip = flat(free).norm().item() / 10
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0) if scaled else None
    model, _, clipped = stepped(random_batch(5), float32, micro_batch=micro_batch, scaler=scaler, clip=clip)
    assert flat(clipped).norm().item() == pytest.approx(clip, rel=1e-4)
    assert torch.allclose(flat(clipped), flat(free) / 10, rtol=1e-4, atol=1e-7)  # the direction stays
    moved = flat(model.parameters()) - flat(Filter().parameters())
    assert moved.norm().item() == pytest.approx(0.5 * clip, rel=1e-4)


def test_a_shorter_gradient_is_left_as_it_is(float32):
    _, _, free = stepped(random_batch(3), float32)
    _, _, clipped = stepped(random_batch(3), float32, clip=100.0)
    assert all(map(torch.equal, free, clipped))


# ---------------------------------------------------------------------------------------------------------- rough masks


@pytest.mark.parametrize("rough", [None, [False, False, False]])
def test_a_loss_without_rough_will_do_where_no_mask_is_rough(rough, float32):
    def plain(outputs, alphas):
        return matting_loss(outputs, alphas)

    model = Filter()
    terms = train_step(model, torch.optim.SGD(model.parameters(), lr=0.1), random_batch(3, rough=rough), plain, float32)
    assert terms["total"].item() > 0


def test_rough_masks_are_told_to_the_loss_part_by_part(float32):
    given = []

    def listening(outputs, alphas, rough=None):
        given.append(rough if rough is None else rough.tolist())
        return matting_loss(outputs, alphas, rough=rough)

    model, batch = Filter(), random_batch(4, rough=[False, True, False, False])
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    train_step(model, optimizer, batch, listening, float32)
    train_step(model, optimizer, batch, listening, float32, micro_batch=2)
    assert given == [[False, True, False, False], [False, True], None]


def test_a_rough_mask_costs_less_than_the_same_refined(float32):
    _, refined, _ = stepped(random_batch(2, rough=[False, False]), float32)
    _, rough, _ = stepped(random_batch(2, rough=[True, True]), float32)
    assert rough["total"].item() < refined["total"].item()
    assert rough["edge"].item() == 0


# ----------------------------------------------------------------------------------------------------------- evaluation


@pytest.mark.parametrize("loss", [matting_loss, partial(matting_loss, edge_weight=4, edge_width=3), LOSSES["notebook"]])
def test_validation_loss_is_the_training_loss(loss, make_run, float32):
    """The same batch costs the same, term by term, edge term included."""
    run, val_loader = make_run()
    val_loader.batch_sampler.batch_size = 4  # one batch
    images, alphas, *_ = next(iter(val_loader))
    with torch.inference_mode():
        expected = loss(run.model.eval()(normalise(images)), alphas / 255)
    found = evaluate(run.model, val_loader, loss, float32)
    metrics = {name: found.pop(name) for name in ("mse", "mad", "iou")}
    assert found == pytest.approx({name: term.item() for name, term in expected.items()}, abs=1e-6)
    assert all(0 < value < 1 for value in metrics.values())
    run.model.forward = lambda x: [torch.full_like(x[:, :1], 0.3, requires_grad=True)] * 7
    trained = train_step(run.model, run.optimizer, (images, alphas), loss, float32)
    found = evaluate(run.model, val_loader, loss, float32)
    assert {name: found[name] for name in trained} == pytest.approx({k: v.item() for k, v in trained.items()})


def test_validation_is_the_mean_over_images_not_over_batches(make_run, float32):
    run, val_loader = make_run()
    assert [len(batch) for batch in val_loader.batch_sampler] == [3, 1]
    singles = make_loader(val_loader.dataset, 1, shuffle=False)
    run.model.eval()
    each = [matting_loss(run.model(normalise(images)), alphas / 255)["total"].item() for images, alphas, *_ in singles]
    found = evaluate(run.model, val_loader, matting_loss, float32)["total"]
    assert found == pytest.approx(np.mean(each), abs=1e-6)
    assert found != pytest.approx((np.mean(each[:3]) + each[3]) / 2, abs=1e-6)


class Still:
    """A dataset of given pictures: images (N, 3, S, S) and alphas (N, 1, S, S), both uint8."""

    def __init__(self, images, alphas, rough=None):
        self.images, self.alphas, self.rough = images, alphas, rough or [False] * len(images)
        self.counts, self.weights, self.seed = [len(images)], [1.0], 0

    def __len__(self):
        return len(self.images)

    def __getitem__(self, key):
        _, index = key
        return Sample(self.images[index], self.alphas[index], self.rough[index], index)


class Echo(nn.Module):
    """Answers with the red channel of the image, from 0 to 1."""

    def forward(self, x):
        return [(x[:, :1] * DEVIATION[0] + MEAN[0]).clamp(0, 1)] * 7


@pytest.fixture(scope="module")
def still():
    """Five pictures of random values; in the third neither prediction nor truth reach a half, so there is no union."""
    numbers = np.random.default_rng(0)
    images, alphas = (numbers.integers(0, 256, (5, channels, 6, 6), np.uint8) for channels in (3, 1))
    images[2], alphas[2] = images[2] // 3, alphas[2] // 3
    images[4, 0], alphas[4] = alphas[4, 0], alphas[4]  # exactly right
    return Still(images, alphas)


@pytest.mark.parametrize("batch_size", [1, 2, 3, 5])
def test_metrics_are_those_worked_out_by_hand_however_the_images_are_batched(batch_size, still, float32):
    pred, true = still.images[:, :1] / 255, still.alphas / 255
    overlap = ((pred >= 0.5) & (true >= 0.5)).sum((1, 2, 3))
    union = ((pred >= 0.5) | (true >= 0.5)).sum((1, 2, 3))
    assert union[2] == 0
    ious = [o / u if u else 1.0 for o, u in zip(overlap, union, strict=True)]
    loader = make_loader(still, batch_size, shuffle=False)
    found = evaluate(Echo(), loader, lambda outputs, alphas: {"total": (outputs[0] + alphas).mean()}, float32)
    assert found == {
        "total": pytest.approx((pred + true).mean(), abs=1e-6),
        "mse": pytest.approx(((pred - true) ** 2).mean(), abs=1e-6),
        "mad": pytest.approx(np.abs(pred - true).mean(), abs=1e-6),
        "iou": pytest.approx(np.mean(ious), abs=1e-6),
    }
    assert ious[2] == ious[4] == 1 and 0 < ious[0] < 1


def test_loss_terms_of_uneven_batches_weigh_by_their_images(still, float32):
    """A batch counts as often as it has images: 2, 2 and 1."""
    counts = iter([10.0, 20.0, 40.0])
    loader = make_loader(still, 2, shuffle=False)
    found = evaluate(Echo(), loader, lambda outputs, alphas: {"total": torch.tensor(next(counts))}, float32)
    assert found["total"] == (2 * 10 + 2 * 20 + 40) / 5


def test_rough_masks_are_told_to_the_loss_in_validation_too(still, float32):
    given = []

    def listening(outputs, alphas, rough=None):
        given.append(rough if rough is None else rough.tolist())
        return {"total": alphas.mean()}

    rough = Still(still.images, still.alphas, [False, False, True, False, False])
    evaluate(Echo(), make_loader(rough, 2, shuffle=False), listening, float32)
    assert given == [None, [True, False], None]


def test_several_processes_add_up_their_shares(still, float32):
    def loss(outputs, alphas):
        return {"total": (outputs[0] - alphas).abs().mean()}

    whole = evaluate(Echo(), make_loader(still, 4, shuffle=False), loss, float32)
    sums = []
    for process in range(2):
        loader = make_loader(still, 4, shuffle=False, process=process, processes=2)
        evaluate(Echo(), loader, loss, float32, reduce=lambda totals: (sums.append(totals), totals)[1])
    assert [total[-1].item() for total in sums] == [2, 3]  # images
    loader = make_loader(still, 4, shuffle=False, process=0, processes=2)
    assert evaluate(Echo(), loader, loss, float32, reduce=lambda totals: totals + sums[1]) == pytest.approx(whole)


def test_evaluation_leaves_nothing_to_differentiate_and_the_model_in_evaluation_mode(still, float32):
    model, outputs = Filter().train(), []

    def loss(maps, alphas):
        outputs.append(maps[0])
        return {"total": maps[0].mean()}

    result = evaluate(model, make_loader(still, 5, shuffle=False), loss, float32)
    assert not model.training
    assert not outputs[0].requires_grad
    assert all(type(value) is float for value in result.values())
