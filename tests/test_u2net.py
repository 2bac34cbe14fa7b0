"""The network against an independent reading of the paper, and the original weights in and out."""

import pytest
import torch
import torch.nn.functional as F

from helpers.files.photos import read_photo, sample_portraits
from helpers.u2net import RSU, U2Net, load_official, normalise, resize_like, to_official


@pytest.fixture(scope="module")
def lite():
    torch.manual_seed(0)
    return U2Net.lite()


@pytest.fixture
def small(tiny):
    torch.manual_seed(0)
    return U2Net(tiny)


def state_of(model):
    return {key: tensor.clone() for key, tensor in model.state_dict().items()}


def same(first, second):
    """Whether two state dicts hold the same keys and, bit by bit, the same values."""
    return first.keys() == second.keys() and all(torch.equal(first[key], second[key]) for key in first)


# ------------------------------------------------------------------------------------------------- the original network


def conv(weights, name, x, dilation=1):
    """The original code's REBNCONV: convolution, batch norm with its running statistics, ReLU."""
    weight, bias = weights[f"{name}.conv_s1.weight"], weights[f"{name}.conv_s1.bias"]
    x = F.conv2d(x, weight, bias, padding=dilation, dilation=dilation)
    statistics = (weights[f"{name}.bn_s1.{part}"] for part in ("running_mean", "running_var", "weight", "bias"))
    return torch.relu(F.batch_norm(x, *statistics, eps=1e-5))


def half(x):
    return F.max_pool2d(x, 2, 2, ceil_mode=True)


def upsample(x, like):
    return F.interpolate(x, size=like.shape[-2:], mode="bilinear", align_corners=False)


def rsu(weights, name, height, x):
    """RSU-7, -6, -5 and -4: poolings between all levels but the last two, whose lower one is dilated by 2."""
    entry = conv(weights, f"{name}.rebnconvin", x)
    levels = [conv(weights, f"{name}.rebnconv1", entry)]
    for level in range(2, height):
        levels.append(conv(weights, f"{name}.rebnconv{level}", half(levels[-1])))
    inner = conv(weights, f"{name}.rebnconv{height}", levels[-1], dilation=2)
    for level in range(height - 1, 0, -1):
        inner = conv(weights, f"{name}.rebnconv{level}d", torch.cat((inner, levels[level - 1]), 1))
        if level > 1:
            inner = upsample(inner, levels[level - 2])
    return inner + entry


def rsu_4f(weights, name, x):
    """RSU-4F: dilation 1, 2, 4, 8 on the way down, 4, 2, 1 on the way up."""
    entry = conv(weights, f"{name}.rebnconvin", x)
    first = conv(weights, f"{name}.rebnconv1", entry)
    second = conv(weights, f"{name}.rebnconv2", first, dilation=2)
    third = conv(weights, f"{name}.rebnconv3", second, dilation=4)
    fourth = conv(weights, f"{name}.rebnconv4", third, dilation=8)
    third = conv(weights, f"{name}.rebnconv3d", torch.cat((fourth, third), 1), dilation=4)
    second = conv(weights, f"{name}.rebnconv2d", torch.cat((third, second), 1), dilation=2)
    return conv(weights, f"{name}.rebnconv1d", torch.cat((second, first), 1)) + entry


@torch.inference_mode()
def original(weights, x):
    """U²-Net by the names of the original state dict, in eval mode: `[fused, side1, …, side6]`."""
    first = rsu(weights, "stage1", 7, x)
    second = rsu(weights, "stage2", 6, half(first))
    third = rsu(weights, "stage3", 5, half(second))
    fourth = rsu(weights, "stage4", 4, half(third))
    fifth = rsu_4f(weights, "stage5", half(fourth))
    sixth = rsu_4f(weights, "stage6", half(fifth))
    fifth = rsu_4f(weights, "stage5d", torch.cat((upsample(sixth, fifth), fifth), 1))
    fourth = rsu(weights, "stage4d", 4, torch.cat((upsample(fifth, fourth), fourth), 1))
    third = rsu(weights, "stage3d", 5, torch.cat((upsample(fourth, third), third), 1))
    second = rsu(weights, "stage2d", 6, torch.cat((upsample(third, second), second), 1))
    first = rsu(weights, "stage1d", 7, torch.cat((upsample(second, first), first), 1))
    sides = []
    for number, maps in enumerate((first, second, third, fourth, fifth, sixth), start=1):
        side = F.conv2d(maps, weights[f"side{number}.weight"], weights[f"side{number}.bias"], padding=1)
        sides.append(upsample(side, x))
    fused = F.conv2d(torch.cat(sides, 1), weights["outconv.weight"], weights["outconv.bias"])
    return [torch.sigmoid(maps) for maps in (fused, *sides)]


def differences(model, weights, x):
    with torch.inference_mode():
        outputs = model.eval()(x)
    return [(ours - theirs).abs().max().item() for ours, theirs in zip(outputs, original(weights, x), strict=True)]


@pytest.fixture(scope="module")
def real(shared):
    """The real weights of the original lite network."""
    return torch.load(shared / "weights" / "u2netp.pth", map_location="cpu", weights_only=True)


@pytest.fixture(scope="module")
def hopper():
    photo = torch.from_numpy(read_photo(sample_portraits()[0])).permute(2, 0, 1)[None]
    return F.interpolate(normalise(photo), size=(320, 320), mode="area")


def test_real_weights_compute_what_the_original_network_computes(lite, real, hopper):
    load_official(lite, real)
    assert max(differences(lite, real, hopper)) < 1e-5
    noise = torch.randn(2, 3, 61, 93, generator=torch.Generator().manual_seed(0))
    assert max(differences(lite, real, noise)) < 1e-5


def test_real_weights_find_the_person(lite, real, hopper):
    load_official(lite, real)
    with torch.inference_mode():
        fused = lite.eval()(hopper)[0][0, 0]
    assert fused[80:140, 140:180].min() > 0.9  # her face
    assert fused[260:310, 80:240].mean() > 0.9  # her uniform
    assert fused[:40, :40].max() < 0.1
    assert fused[:40, -40:].max() < 0.1


def test_random_weights_of_the_full_network_compute_what_the_original_computes():
    torch.manual_seed(0)
    model = U2Net.full()
    x = torch.randn(1, 3, 33, 47)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, torch.nn.BatchNorm2d):  # statistics and slopes that matter
                module.running_mean.normal_(0, 0.1)
                module.running_var.uniform_(0.5, 1.5)
                module.weight.uniform_(0.5, 1.5)
                module.bias.normal_(0, 0.1)
    assert max(differences(model, to_official(model), x)) < 1e-5


# ----------------------------------------------------------------------------------------------------- the architecture


def test_parameter_counts_are_the_originals(lite):
    with torch.device("meta"):
        full = U2Net.full()
    assert sum(parameter.numel() for parameter in full.parameters()) == 44_009_869
    assert sum(parameter.numel() for parameter in lite.parameters()) == 1_131_181


@pytest.mark.parametrize("training", [False, True], ids=["eval", "train"])
@pytest.mark.parametrize("batch, height, width", [(1, 32, 32), (2, 33, 33), (1, 47, 61), (1, 32, 65), (2, 64, 64)])
def test_seven_maps_at_the_inputs_size(small, batch, height, width, training):
    small.train(training)
    outputs = small(torch.randn(batch, 3, height, width))
    assert len(outputs) == 7
    for output in outputs:
        assert output.shape == (batch, 1, height, width)
        assert output.dtype == torch.float32
        assert output.min() >= 0
        assert output.max() <= 1
        assert output.isfinite().all()


@pytest.mark.parametrize("training", [False, True], ids=["eval", "train"])
def test_the_papers_size(lite, training):
    lite.train(training)
    with torch.no_grad():
        outputs = lite(torch.randn(1, 3, 320, 320))
    assert [output.shape for output in outputs] == [(1, 1, 320, 320)] * 7


def test_the_fused_map_comes_first_and_is_made_of_the_sides_in_order(small):
    small.eval()
    x = torch.randn(1, 3, 48, 48)
    for number in range(6):
        with torch.no_grad():
            small.fuse.bias.zero_()
            small.fuse.weight.zero_()
            small.fuse.weight[0, number] = 1
            fused, *sides = small(x)
        assert torch.equal(fused, sides[number])
        assert sum(torch.equal(fused, side) for side in sides) == 1


def test_the_maps_come_from_ever_deeper_stages(small):
    sizes = []
    for side in small.sides:
        side.register_forward_hook(lambda _module, inputs, _output: sizes.append(inputs[0].shape[-1]))
    small(torch.randn(1, 3, 64, 64))
    assert sizes == [64, 32, 16, 8, 4, 2]


@pytest.mark.parametrize("size, batch", [(32, 1), (48, 2)])
def test_gradient_reaches_every_parameter(lite, size, batch):
    lite.zero_grad()
    sum(output.mean() for output in lite.train()(torch.randn(batch, 3, size, size))).backward()
    for name, parameter in lite.named_parameters():
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.any(), name


def test_a_single_value_per_channel_is_normalised_by_the_running_statistics(small):
    norm = small.encoder[5].down[0].norm.train()
    norm.running_mean.fill_(2.0)
    norm.running_var.fill_(4.0)
    assert torch.allclose(norm(torch.full((1, 3, 1, 1), 6.0)), torch.full((1, 3, 1, 1), 2.0), atol=1e-4)
    assert norm.num_batches_tracked == 0
    norm(torch.randn(2, 3, 1, 1))
    assert norm.num_batches_tracked == 1


def test_mixed_precision_ends_in_float32(small):
    with torch.autocast("cpu", dtype=torch.bfloat16):
        outputs = small(torch.randn(2, 3, 32, 32))
    assert all(output.dtype == torch.float32 for output in outputs)
    assert any((output != output.bfloat16()).any() for output in outputs)  # finer than bfloat16's 128 steps to 1


def test_the_receptive_field_of_a_dilated_block_needs_no_pooling():
    block = RSU(3, 4, 4, 5, dilated=True)
    assert [unit.conv.dilation[0] for unit in block.down] == [1, 2, 4, 8]
    assert [unit.conv.dilation[0] for unit in block.up] == [1, 2, 4]
    assert block(torch.randn(2, 3, 7, 5)).shape == (2, 5, 7, 5)


def test_resizing_to_the_same_size_changes_nothing():
    x = torch.randn(1, 2, 5, 7)
    assert resize_like(x, x) is x


# -------------------------------------------------------------------------------------------------------- normalisation


def test_normalisation_by_hand():
    images = torch.tensor([0, 128, 255], dtype=torch.uint8).view(1, 3, 1, 1)
    expected = torch.tensor([(0 - 0.485) / 0.229, (128 / 255 - 0.456) / 0.224, (1 - 0.406) / 0.225])
    assert normalise(images).dtype == torch.float32
    assert torch.allclose(normalise(images).flatten(), expected, atol=1e-6)


def test_a_dark_photo_stays_dark():
    dark = torch.full((1, 3, 4, 4), 5, dtype=torch.uint8)
    beside_white = torch.cat([dark, torch.full_like(dark, 255)])
    assert torch.equal(normalise(dark)[0], normalise(beside_white)[0])
    assert normalise(torch.zeros_like(dark)).isfinite().all()


# ----------------------------------------------------------------------------------------------------- official weights


def test_official_names_out_and_in_are_exact(small, tiny):
    official = to_official(small)
    other = U2Net(tiny)
    assert not same(state_of(other), state_of(small))
    load_official(other, official)
    assert same(state_of(other), state_of(small))
    assert same(to_official(other), official)


def test_the_real_file_goes_in_and_out_unchanged(lite, real):
    load_official(lite, real)
    written = to_official(lite)
    assert {key: written[key] for key in real}.keys() == real.keys()
    assert all(torch.equal(written[key], real[key]) for key in real)
    assert {key.rpartition(".")[2] for key in written.keys() - real.keys()} <= {"num_batches_tracked"}


def test_some_official_names(small):
    official = to_official(small)
    for name in (
        "stage1.rebnconvin.conv_s1.weight", "stage1.rebnconv7.bn_s1.running_var", "stage2.rebnconv1d.bn_s1.bias",
        "stage6.rebnconv4.conv_s1.bias", "stage5d.rebnconv3d.conv_s1.weight", "stage1d.rebnconv6d.conv_s1.weight",
        "stage4d.rebnconv1.bn_s1.num_batches_tracked", "side1.weight", "side6.bias", "outconv.weight", "outconv.bias",
    ):  # fmt: skip
        assert name in official
    assert torch.equal(official["stage1d.rebnconvin.conv_s1.weight"], small.decoder[4].entry.conv.weight)
    assert torch.equal(official["side2.weight"], small.sides[1].weight)


def counters(state):
    return [key for key in state if key.endswith("num_batches_tracked")]


def test_files_without_any_counter_are_whole(small, tiny):
    other, official, ours = U2Net(tiny), to_official(small), state_of(small)
    other.encoder[0].entry.norm.num_batches_tracked.fill_(7)
    for key in counters(official):
        del official[key]
    load_official(other, official)
    assert other.encoder[0].entry.norm.num_batches_tracked == 7
    loaded = state_of(other)
    for key in counters(ours):
        del ours[key], loaded[key]
    assert same(loaded, ours)


def refused(model, state, *names):
    """The error names all of `names`, and the model is as it was."""
    before = state_of(model)
    with pytest.raises(ValueError) as caught:
        load_official(model, state)
    assert all(name in str(caught.value) for name in names)
    assert same(state_of(model), before)


def test_a_part_of_the_counters_is_refused(small, tiny):
    official = to_official(U2Net(tiny))
    first, last = counters(official)[0], counters(official)[-1]
    refused(small, {key: value for key, value in official.items() if key not in (first, last)}, first, last)


def test_missing_unknown_and_misshaped_keys_are_named_together(small, tiny):
    official = to_official(U2Net(tiny))
    del official["side3.bias"]
    official["stage7.weight"] = torch.zeros(1)
    official["outconv.weight"] = torch.zeros(1, 5, 1, 1)
    refused(small, official, "missing: side3.bias", "unknown: stage7.weight",
            "outconv.weight: (1, 5, 1, 1) instead of (1, 6, 1, 1)")  # fmt: skip


@pytest.mark.parametrize("state", [{}, {"encoder.0.entry.conv.weight": torch.zeros(3, 3, 3, 3)}], ids=["empty", "ours"])
def test_other_state_dicts_are_refused(small, state):
    refused(small, state, "missing: outconv.bias", "and ")


def test_weights_of_the_other_network_are_refused(lite, tiny):
    refused(lite, to_official(U2Net(tiny)), "stage1.rebnconvin.conv_s1.weight: (3, 3, 3, 3) instead of (64, 3, 3, 3)")
