"""Training the coarse stages alone: which maps are answered, what is learnt, and what stays as it was."""

import numpy as np
import pytest
import torch
from support import arguments

from helpers.config import FINAL, load_config
from helpers.cutout import load_matter
from helpers.networks.coarse import CoarseU2Net
from helpers.networks.weights import read_weights
from helpers.training.__main__ import main as train
from helpers.training.checkpoints import resume, write_checkpoint
from helpers.training.loop import train_epoch
from helpers.u2net import U2Net, load_official, to_official

COARSE = {f"{part}.{i}" for part, numbers in
          {"encoder": (2, 3, 4, 5), "decoder": (0, 1, 2), "sides": (2, 3, 4, 5)}.items() for i in numbers}  # fmt: skip
"""The parts of a U²-Net at a quarter of the size and below: encoder 3 to 6, decoder 5 to 3, side outputs 3 to 6."""


@pytest.fixture
def model(tiny):
    torch.manual_seed(0)
    return CoarseU2Net(tiny)


def parts(names):
    return {".".join(name.split(".")[:2]) for name in names}


@pytest.mark.parametrize("size", [(64, 64), (33, 70)])
def test_in_training_it_answers_with_the_four_coarse_maps_at_input_size(size, model):
    images = torch.randn(2, 3, *size)
    whole = model.eval()(images)
    model.train()
    for part in model.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            part.eval()  # with the same statistics the maps are the same
    maps = model(images)
    assert (len(whole), len(maps)) == (7, 4)
    for found, expected in zip(maps, whole[3:], strict=True):
        torch.testing.assert_close(found, expected)


def test_in_training_the_fine_decoder_stages_cost_nothing(model):
    def asked(*_):
        raise AssertionError("a fine stage was asked")

    for part in (*model.decoder[3:], *model.sides[:2], model.fuse):
        part.register_forward_hook(asked)
    model.train()(torch.randn(2, 3, 64, 64))
    with pytest.raises(AssertionError, match="a fine stage was asked"):
        model.eval()(torch.randn(2, 3, 64, 64))


def test_in_evaluation_it_is_the_whole_network(model, tiny):
    plain = U2Net(tiny).eval()
    load_official(plain, to_official(model))
    images = torch.randn(1, 3, 64, 64)
    for found, expected in zip(model.eval()(images), plain(images), strict=True):
        assert torch.equal(found, expected)


def test_the_coarse_stages_learn_and_the_others_stay_bit_by_bit(trained_weights, make_run):
    run, _ = make_run(weights=trained_weights, coarse=True, max_lr=0.01)
    before = {name: tensor.clone() for name, tensor in run.model.state_dict().items()}
    train_epoch(run)
    changed = {name for name, tensor in run.model.state_dict().items() if not torch.equal(tensor, before[name])}
    assert parts(changed) == COARSE
    statistics = {name for name in before if name.endswith(("running_mean", "running_var", "num_batches_tracked"))}
    assert {name for name in statistics if parts([name]) <= COARSE} <= changed
    held = {id(parameter) for group in run.optimizer.param_groups for parameter in group["params"]}
    named = run.model.named_parameters()
    assert held == {id(parameter) for name, parameter in named if parts([name]) <= COARSE}


def test_it_resumes_exactly(trained_weights, make_run, tmp_path):
    straight, _ = make_run(weights=trained_weights, coarse=True, ema=0.9)
    stopped, _ = make_run(weights=trained_weights, coarse=True, ema=0.9)
    train_epoch(straight)
    train_epoch(stopped)
    write_checkpoint(tmp_path / "latest.pth", stopped.state_dict())
    again, _ = make_run(weights=trained_weights, coarse=True, ema=0.9)
    assert resume(again, tmp_path)
    train_epoch(straight)
    train_epoch(again)
    assert again.history == straight.history
    for found, expected in zip(again.kept.state_dict().values(), straight.kept.state_dict().values(), strict=True):
        assert torch.equal(found, expected)


def test_the_command_leaves_a_whole_network(headless, portrait_folder, trained_weights, tmp_path):
    options = arguments(portrait_folder, tmp_path, "network=u2net_lite", "epochs=1", "coarse=true")
    assert train([*options, "--weights", str(trained_weights)]) == 0
    before, after = read_weights(trained_weights), read_weights(tmp_path / FINAL)
    assert before.keys() == after.keys()
    differing = {name for name, tensor in after.items() if not torch.equal(tensor, before[name])}
    assert {name.split(".")[0] for name in differing} == {
        "stage3", "stage4", "stage5", "stage6", "stage5d", "stage4d", "stage3d", "side3", "side4", "side5", "side6",
    }  # fmt: skip
    assert load_matter(tmp_path / FINAL, "cpu").alpha(np.zeros((40, 50, 3), np.uint8)).shape == (40, 50)


def test_it_needs_weights_to_start_from(make_run):
    with pytest.raises(ValueError, match="coarse=true keeps random weights .* by --weights, or set coarse=false"):
        make_run(coarse=True)


@pytest.mark.parametrize(("settings", "message"), [
    ({"network": "u2net_knet"}, "coarse=true contradicts network=u2net_knet: take u2net_lite or u2net"),
    ({"network": "resnet50_unet"}, "coarse=true contradicts network=resnet50_unet"),
    ({"freeze_encoder": True}, "coarse=true contradicts freeze_encoder=true, .*: set one of them"),
])  # fmt: skip
def test_what_contradicts_it_is_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        load_config("paper", coarse=True, **settings)
