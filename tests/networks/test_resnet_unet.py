"""The ResNet50 U-Net against an independent reading of its design, and ImageNet's weights for its encoder."""

from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torchvision.models import resnet50

from helpers.networks.resnet_unet import ResNetUNet, load_imagenet


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    model = ResNetUNet()
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, torch.nn.BatchNorm2d):  # statistics and slopes that matter
                module.running_mean.normal_(0, 0.1)
                module.running_var.uniform_(0.5, 1.5)
                module.weight.uniform_(0.5, 1.0)
                module.bias.normal_(0, 0.1)
    return model


@pytest.fixture(scope="module")
def imagenet():
    """A state dict with the keys and shapes of torchvision's ResNet50, classifier and last stage included."""
    torch.manual_seed(1)
    return resnet50().state_dict()


@pytest.fixture
def untouched(model):
    """The model, whose weights are put back after the test."""
    before = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    yield model
    model.load_state_dict(before)


# ----------------------------------------------------------------------------------------------------------- the design


def conv(weights, convolution, norm, x, **options):
    weight, bias = weights[f"{convolution}.weight"], weights[f"{convolution}.bias"]
    statistics = (weights[f"{norm}.{part}"] for part in ("running_mean", "running_var", "weight", "bias"))
    return F.batch_norm(F.conv2d(x, weight, bias, **options), *statistics, eps=1e-5)


def features(encoder, x):
    """What torchvision's own ResNet50 computes on its way: after its first ReLU and its stages 1, 2 and 3."""
    network = resnet50().eval()
    network.load_state_dict(encoder, strict=False)  # the last stage and the classifier stay as they are
    found = []
    for part in (network.layer1, network.layer2, network.layer3):
        part.register_forward_hook(lambda _module, inputs, output: found.append(output.clone()))
    # its pooling sees what the ReLU, which works in place, made of the first batch norm
    network.maxpool.register_forward_hook(lambda _module, inputs, _output: found.append(inputs[0].clone()))
    network(x)
    return found


@torch.inference_mode()
def reference(weights, x):
    """The four maps in eval mode, for a size that 16 divides."""
    encoder = {key.removeprefix("encoder."): value for key, value in weights.items() if key.startswith("encoder.")}
    half, quarter, eighth, x16 = features(encoder, x)
    branches = []
    for i, rate in enumerate((3, 6, 9)):
        name = f"bridge.branches.{i}"
        branches.append(conv(weights, f"{name}.conv", f"{name}.norm", x16, padding=rate, dilation=rate).relu())
    below, maps = conv(weights, "bridge.join.0", "bridge.join.1", torch.cat(branches, 1)).relu(), []
    for i, skip in enumerate((eighth, quarter, half, x)):
        name = f"decoder.{i}"
        both = torch.cat((F.interpolate(below, scale_factor=2, mode="bilinear"), skip), 1)
        below = conv(weights, f"{name}.first.conv", f"{name}.first.norm", both, padding=1).relu()
        below = conv(weights, f"{name}.second.0", f"{name}.second.1", below, padding=1)
        below = (below + conv(weights, f"{name}.shortcut.0", f"{name}.shortcut.1", both)).relu()
        side = F.conv2d(below, weights[f"sides.{3 - i}.weight"], weights[f"sides.{3 - i}.bias"])
        maps.append(torch.sigmoid(F.interpolate(side, size=x.shape[2:], mode="bilinear")))
    return maps[::-1]


def test_the_maps_are_those_of_the_design(model):
    x = torch.randn(1, 3, 32, 48)
    with torch.inference_mode():
        outputs = model.eval()(x)
    for ours, theirs in zip(outputs, reference(model.state_dict(), x), strict=True):
        assert torch.allclose(ours, theirs, atol=1e-5)
        assert ours.std() > 1e-3


def test_parameter_count_by_hand():
    with torch.device("meta"):
        model = ResNetUNet()

    def norm_conv(channels, out, size):  # kernel and bias, then slope and offset of the batch norm
        return channels * out * size**2 + out + 2 * out

    # published: 25,557,032, less the classifier (2048·1000 + 1000) and stage 4
    unused = 2_049_000 + 14_964_736
    bridge = 3 * norm_conv(1024, 1024, 3) + norm_conv(3072, 1024, 1)
    blocks = ((1024 + 512, 512), (512 + 256, 256), (256 + 64, 128), (128 + 3, 64))
    decoder = sum(norm_conv(c, out, 3) + norm_conv(out, out, 3) + norm_conv(c, out, 1) for c, out in blocks)
    sides = 512 + 256 + 128 + 64 + 4
    assert sum(p.numel() for p in model.encoder.parameters()) == 25_557_032 - unused == 8_543_296
    assert sum(p.numel() for p in model.parameters()) == 8_543_296 + bridge + decoder + sides == 53_479_748


def test_the_bridges_rates(model):
    assert [branch.conv.dilation for branch in model.bridge.branches] == [(3, 3), (6, 6), (9, 9)]


@pytest.mark.parametrize("height, width, sizes", [
    (64, 32, [(64, 32), (32, 16), (16, 8), (8, 4)]), (37, 17, [(37, 17), (19, 9), (10, 5), (5, 3)]),
])  # fmt: skip
def test_the_maps_come_from_full_half_quarter_and_eighth_size(model, height, width, sizes):
    seen = []
    hooks = [side.register_forward_hook(lambda _module, inputs, _output: seen.append(inputs[0].shape))
             for side in model.sides]  # fmt: skip
    with torch.no_grad():
        model.eval()(torch.randn(1, 3, height, width))
    for hook in hooks:
        hook.remove()
    assert seen == [(1, channels, *size) for channels, size in zip((64, 128, 256, 512), sizes, strict=True)]


# --------------------------------------------------------------------------------------------------------- the contract


@pytest.mark.parametrize("training", [False, True], ids=["eval", "train"])
@pytest.mark.parametrize("batch, height, width", [(1, 16, 16), (2, 16, 16), (1, 17, 31), (2, 33, 47)])
def test_four_maps_at_the_inputs_size(untouched, batch, height, width, training):
    untouched.train(training)
    with torch.no_grad():
        outputs = untouched(torch.randn(batch, 3, height, width))
    assert len(outputs) == 4
    for output in outputs:
        assert output.shape == (batch, 1, height, width)
        assert output.dtype == torch.float32
        assert output.min() >= 0
        assert output.max() <= 1
        assert output.isfinite().all()


def test_mixed_precision_ends_in_float32(model):
    with torch.autocast("cpu", dtype=torch.bfloat16), torch.no_grad():
        outputs = model.eval()(torch.randn(1, 3, 32, 32))
    assert all(output.dtype == torch.float32 for output in outputs)
    assert any((output != output.bfloat16()).any() for output in outputs)


def test_gradient_reaches_every_parameter(model):
    model.eval()  # a bias before a batch norm in training has none: the mean is taken off again
    sum(output.mean() for output in model(torch.randn(1, 3, 48, 48))).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.any(), name
    model.zero_grad()


def train(size, optimizer, steps):
    """Losses of a new network that learns a square from its noisy picture, and the network."""
    torch.manual_seed(0)
    model = ResNetUNet()
    alpha = F.pad(torch.ones(2, 1, size // 2, size // 2), [size // 4] * 4)
    x, losses = alpha + 0.3 * torch.randn(2, 3, size, size), []
    optimizer = optimizer(model.parameters())
    for _ in range(steps):
        loss = sum(F.binary_cross_entropy(output, alpha) for output in model(x))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses, model


def test_training_lowers_the_loss():
    losses, _ = train(32, partial(torch.optim.SGD, lr=0.02), 3)
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < 0.7 * losses[0]


def test_rmbgs_sample_setting_stays_finite():
    """Two images of 16 pixels leave two values per channel to normalise at the bridge: gradients get huge there."""
    _, model = train(16, partial(torch.optim.Adam, lr=0.01), 2)
    assert all(tensor.isfinite().all() for tensor in model.state_dict().values())


# --------------------------------------------------------------------------------------------------- ImageNet's weights


def test_imagenets_weights_fill_the_encoder_and_nothing_else(untouched, imagenet):
    others = {key: value.clone() for key, value in untouched.state_dict().items() if not key.startswith("encoder.")}
    load_imagenet(untouched, imagenet)
    state = untouched.state_dict()
    assert all(torch.equal(value, imagenet[key]) for key, value in untouched.encoder.state_dict().items())
    assert all(torch.equal(state[key], value) for key, value in others.items())
    unused = imagenet.keys() - untouched.encoder.state_dict().keys()
    assert {key.split(".")[0] for key in unused} == {"layer4", "fc"}


def test_files_without_what_is_unused_or_without_counters_are_whole(untouched, imagenet):
    load_imagenet(untouched, {key: value for key, value in imagenet.items()
                              if not key.startswith(("layer4.", "fc.")) and "num_batches" not in key})  # fmt: skip
    assert torch.equal(untouched.encoder.bn1.weight, imagenet["bn1.weight"])


def test_other_weights_are_refused_by_name(untouched, imagenet):
    before = {key: tensor.clone() for key, tensor in untouched.state_dict().items()}
    wrong = imagenet | {"layer3.6.conv1.weight": torch.zeros(1), "conv1.weight": torch.zeros(64, 1, 7, 7)}
    del wrong["layer1.0.bn1.bias"]
    with pytest.raises(ValueError) as caught:
        load_imagenet(untouched, wrong)
    for problem in ("missing: layer1.0.bn1.bias", "unknown: layer3.6.conv1.weight",
                    "conv1.weight: (64, 1, 7, 7) instead of (64, 3, 7, 7)"):  # fmt: skip
        assert problem in str(caught.value)
    assert all(torch.equal(tensor, before[key]) for key, tensor in untouched.state_dict().items())
