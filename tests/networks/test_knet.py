"""K-Net's head on the lite U²-Net: its parts by hand, its maps at every size, what it can start from and learn."""

import pytest
import torch
from support import arguments
from torch import nn

from helpers.config import FINAL
from helpers.cutout import load_matter
from helpers.export.__main__ import main as export
from helpers.files.photos import read_photo
from helpers.losses import matting_loss
from helpers.networks.knet import (
    ROUNDS,
    AdaptiveUpdate,
    Interaction,
    U2NetKNet,
    apply_kernels,
    gather_features,
    person_logits,
)
from helpers.networks.onnx_export import to_onnx
from helpers.networks.registry import build, network_of, start_from, weights_in, weights_out
from helpers.training.__main__ import main as train
from helpers.u2net import LITE, U2Net, load_official, to_official


@pytest.fixture
def model(tiny):
    torch.manual_seed(0)
    return U2NetKNet(tiny)


def test_a_kernels_map_is_its_product_with_every_pixels_features():
    kernels = torch.tensor([[[1.0, 2.0], [0.0, -1.0]]])  # (1, 2, 2)
    features = torch.tensor([[[[3.0, 4.0]], [[5.0, 6.0]]]])  # (1, 2, 1, 2): pixels (3, 5) and (4, 6)
    assert apply_kernels(kernels, features).tolist() == [[[[13.0, 16.0]], [[-5.0, -6.0]]]]


def test_gathering_is_the_mean_over_pixels_of_what_a_mask_covers():
    masks = torch.tensor([[[[1.0, 0.0]], [[0.5, 0.5]]]])
    features = torch.tensor([[[[3.0, 4.0]], [[5.0, 6.0]]]])
    assert gather_features(masks, features).tolist() == [[[1.5, 2.5], [1.75, 2.75]]]


def test_gathering_does_not_depend_on_the_pictures_size():
    masks, features = torch.rand(2, 2, 4, 6), torch.randn(2, 3, 4, 6)
    large = [each.repeat_interleave(3, 2).repeat_interleave(3, 3) for each in (masks, features)]
    torch.testing.assert_close(gather_features(*large), gather_features(masks, features))


def test_the_persons_sigmoid_is_the_softmax_of_both():
    logits = torch.randn(2, 2, 3, 3)
    torch.testing.assert_close(torch.sigmoid(person_logits(logits)), torch.softmax(logits, 1)[:, :1])


def test_gates_decide_between_old_kernels_and_new_features():
    update = AdaptiveUpdate(4)
    for gate, bias in ((update.new_gate, -40.0), (update.old_gate, 40.0)):  # all of the old, nothing of the new
        nn.init.zeros_(gate[1].weight)
        nn.init.constant_(gate[1].bias, bias)
    kernels = torch.randn(1, 2, 4)
    first, second = (update(kernels, torch.randn(1, 2, 4)) for _ in range(2))
    torch.testing.assert_close(first, second)
    assert not torch.allclose(first, update(kernels + torch.randn(1, 2, 4), torch.randn(1, 2, 4)))


def test_attention_lets_each_kernel_see_the_other():
    interact, kernels = Interaction(4), torch.randn(1, 2, 4)
    changed = kernels.clone()
    changed[0, 1] += 1.0
    assert not torch.allclose(interact(kernels)[0, 0], interact(changed)[0, 0])
    swapped = interact(kernels.flip(1)).flip(1)  # and has no order of its own
    torch.testing.assert_close(swapped, interact(kernels))


@pytest.mark.parametrize("shape", [(2, 97, 131), (1, 32, 32), (2, 64, 40)], ids=str)
def test_a_map_of_every_round_at_the_inputs_size(model, shape):
    batch, height, width = shape
    maps = model(torch.randn(batch, 3, height, width))
    assert len(maps) == ROUNDS + 1
    for found in maps:
        assert found.shape == (batch, 1, height, width)
        assert found.dtype == torch.float32
        assert found.min() >= 0 and found.max() <= 1


def test_every_parameter_gets_a_gradient(model):
    maps = model(torch.randn(3, 3, 32, 32))
    matting_loss(maps, (torch.rand(3, 1, 32, 32) > 0.5).float())["total"].backward()
    still = [name for name, parameter in model.named_parameters() if parameter.grad is None]
    assert not still


def test_its_real_size():
    count = sum(parameter.numel() for parameter in build("u2net_knet").parameters())
    assert count == 1_392_416


def test_it_learns_a_toy():
    """Bright discs on dark noise: after 60 steps its answer is a tenth as wrong as at the start."""
    torch.manual_seed(0)
    model = U2NetKNet(tuple(stage._replace(mid=8, out=8) for stage in LITE))
    numbers = torch.Generator().manual_seed(1)
    y, x = torch.meshgrid(torch.arange(32.0), torch.arange(32.0), indexing="ij")

    def batch():
        centres = 8 + 16 * torch.rand(4, 2, 1, 1, generator=numbers)
        discs = ((y - centres[:, 0]) ** 2 + (x - centres[:, 1]) ** 2 < 36).float()[:, None]
        return discs + 0.3 * torch.randn(4, 3, 32, 32, generator=numbers), discs

    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    errors = []
    for _ in range(60):
        images, alphas = batch()
        maps = model(images)
        errors.append((maps[0] - alphas).abs().mean().item())
        optimizer.zero_grad()
        matting_loss(maps, alphas)["total"].backward()
        optimizer.step()
    assert sum(errors[-5:]) < sum(errors[:5]) / 10


def test_it_starts_from_the_lite_networks_encoder_and_decoder():
    lite, model = U2Net.lite(), build("u2net_knet")
    head = {key: value.clone() for key, value in model.state_dict().items() if not key.startswith("body.")}
    start_from(model, to_official(lite))
    for key, value in lite.state_dict().items():
        if not key.startswith(("sides.", "fuse.")):
            assert torch.equal(model.state_dict()[f"body.{key}"], value)
    assert all(torch.equal(model.state_dict()[key], value) for key, value in head.items())


def test_weights_of_another_width_are_refused():
    with pytest.raises(ValueError, match="do not fit the network"):
        start_from(build("u2net_knet"), to_official(U2Net([stage._replace(mid=4, out=8) for stage in LITE])))


def test_its_weights_go_out_and_in_and_tell_the_network():
    first, second = build("u2net_knet"), build("u2net_knet")
    weights = weights_out(first)
    assert network_of(weights) == "u2net_knet"
    weights_in(second, weights)
    assert all(torch.equal(value, second.state_dict()[key]) for key, value in first.state_dict().items())


def test_the_features_are_those_under_u2nets_own_side_outputs(tiny):
    network, x = U2Net(tiny).eval(), torch.randn(1, 3, 40, 36)
    features = network.features(x)
    assert [tuple(each.shape[2:]) for each in features] == [(2, 2), (3, 3), (5, 5), (10, 9), (20, 18), (40, 36)]
    side = network.sides[0](features[-1])
    torch.testing.assert_close(torch.sigmoid(side), network(x)[1])


@pytest.mark.parametrize("shape", [(2, 97, 131), (1, 32, 32)], ids=str)
def test_onnx_runtime_answers_as_torch_does(model, shape):
    onnxruntime = pytest.importorskip("onnxruntime")
    batch, height, width = shape
    x = torch.randn(batch, 3, height, width)
    session = onnxruntime.InferenceSession(to_onnx(model.eval()).SerializeToString())
    with torch.inference_mode():
        wanted = model(x)
    for one, other in zip(wanted, session.run(None, {"input": x.numpy()}), strict=True):
        assert abs(one.numpy() - other).max() < 1e-4


def test_the_body_loads_exactly(model, tiny):
    weights = to_official(U2Net(tiny))
    del weights["stage1.rebnconvin.conv_s1.weight"]
    with pytest.raises(ValueError, match=r"missing: stage1\.rebnconvin\.conv_s1\.weight"):
        load_official(model.body, {key: value for key, value in weights.items() if "side" not in key})


def test_it_trains_cuts_out_and_is_exported_by_the_same_commands(portrait_folder, tmp_path, capsys):
    out = tmp_path / "run"
    assert train(arguments(portrait_folder, out, "network=u2net_knet", "epochs=1")) == 0
    photo = portrait_folder / "images" / "test" / "test-0.jpg"
    weights = [str(tmp_path / name) for name in ("knet.safetensors", "knet.onnx")]
    for path in weights:
        assert export([str(out / FINAL), path]) == 0
    alphas = [load_matter(path, "cpu").alpha(read_photo(photo)) for path in (out / FINAL, *weights)]
    assert alphas[0].std() > 0
    for other in alphas[1:]:  # half precision rounds the weights
        assert abs(other - alphas[0]).max() < 0.02
