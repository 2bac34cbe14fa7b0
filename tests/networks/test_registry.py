import pytest
import torch

from helpers.networks.registry import (
    NETWORKS,
    build,
    network_in,
    network_of,
    read_network,
    start_from,
    weights_in,
    weights_out,
)
from helpers.networks.resnet_unet import ResNetUNet
from helpers.u2net import FULL, LITE, TABLES, U2Net, to_official


@pytest.fixture(scope="module")
def resnet():
    torch.manual_seed(0)
    return ResNetUNet()


def equal(first, second):
    return first.keys() == second.keys() and all(torch.equal(first[key], second[key]) for key in first)


def test_networks_are_built_by_name():
    assert NETWORKS == ("u2net", "u2net_lite", "u2net_knet", "resnet50_unet")
    with torch.device("meta"):
        assert build("u2net").table == FULL
        assert build("u2net_lite").table == LITE
        assert isinstance(build("resnet50_unet"), ResNetUNet)
    with pytest.raises(ValueError, match="'resnet'.*u2net, u2net_lite, u2net_knet, resnet50_unet"):
        build("resnet")


def test_a_table_that_was_changed_is_the_one_that_is_built(tiny, monkeypatch):
    monkeypatch.setitem(TABLES, "u2net_lite", tiny)
    assert build("u2net_lite").table == tiny


@pytest.mark.parametrize("network", NETWORKS)
def test_the_network_is_told_by_its_weights(network):
    with torch.device("meta"):
        assert network_of(weights_out(build(network))) == network


@pytest.mark.parametrize("weights", [
    {}, {"stage1.rebnconv1.conv_s1.weight": torch.zeros(5, 3, 3, 3)}, {"conv1.weight": torch.zeros(64, 3, 7, 7)},
], ids=["empty", "another width", "ImageNet's ResNet"])  # fmt: skip
def test_weights_of_no_known_network_are_refused(weights):
    with pytest.raises(ValueError, match="stage1.rebnconv1.conv_s1.weight.*encoder.conv1.weight"):
        network_of(weights)


@pytest.mark.parametrize("network", NETWORKS)
def test_every_network_names_its_encoder(network):
    """What is frozen for a small data set: all that sees the image before the first enlargement, and no more."""
    with torch.device("meta"):
        model = build(network)
    within = {name.removeprefix("body.").split(".")[0] for name, parameter in model.named_parameters()
              if any(parameter is own for own in model.encoder.parameters())}  # fmt: skip
    assert within == {"encoder"}


def test_a_u2nets_weights_are_stored_under_the_original_names(tiny):
    model, other = U2Net(tiny), U2Net(tiny)
    assert equal(weights_out(model), to_official(model))
    weights_in(other, weights_out(model))
    assert equal(other.state_dict(), model.state_dict())


def test_a_resnet_u_net_comes_back_from_its_checkpoint(resnet):
    for state in ({}, {"table": []}):
        assert equal(network_in(state, weights_out(resnet)).state_dict(), resnet.state_dict())


def test_a_network_of_ones_own_comes_back_from_its_table(tiny):
    model = U2Net(tiny)
    again = network_in({"table": [list(stage) for stage in tiny]}, weights_out(model))
    assert again.table == tiny
    assert equal(again.state_dict(), model.state_dict())


@pytest.mark.parametrize("field, value", [
    ("mid", 10**9), ("height", 10**9), ("out", 4), ("height", 7.0), ("dilated", None), ("name", 1),
])  # fmt: skip
def test_a_table_that_does_not_tell_of_the_weights_is_refused_before_it_is_built(field, value, tiny, tmp_path):
    state = {"model_state_dict": weights_out(U2Net(tiny))}
    for table in ([*tiny[:3], tiny[3]._replace(**{field: value}), *tiny[4:]], tiny[:5], [*tiny, tiny[0]], 3, "abc"):
        torch.save(state | {"table": [list(row) if row in tiny else row for row in table]}
                   if isinstance(table, list) else state | {"table": table}, tmp_path / "odd.pth")  # fmt: skip
        with pytest.raises(ValueError, match=r"odd\.pth: "):
            read_network(tmp_path / "odd.pth")


@pytest.mark.parametrize("config", [[], {"image_size": "64"}, {"image_size": 10**9}, {"image_size": True}])
def test_a_config_that_cannot_be_is_refused_by_name(config, tiny, tmp_path):
    table = [list(stage) for stage in tiny]
    torch.save({"model_state_dict": weights_out(U2Net(tiny)), "table": table, "config": config}, tmp_path / "odd.pth")
    with pytest.raises(ValueError, match=r"odd\.pth: its config tells no image_size"):
        read_network(tmp_path / "odd.pth")


def test_weights_that_do_not_fit_are_named(resnet):
    before = {key: tensor.clone() for key, tensor in resnet.state_dict().items()}
    wrong = {key: tensor + 1 for key, tensor in before.items()}
    wrong["sides.4.weight"] = wrong.pop("sides.0.weight")
    wrong["sides.1.bias"] = torch.zeros(2)
    with pytest.raises(ValueError) as caught:
        weights_in(resnet, wrong)
    for problem in ("missing: sides.0.weight", "unknown: sides.4.weight", "sides.1.bias: (2,) instead of (1,)"):
        assert problem in str(caught.value)
    assert equal(resnet.state_dict(), before)
    with pytest.raises(ValueError, match="missing: bridge.branches.0.conv.bias.*; and [0-9]+ more"):
        weights_in(resnet, {})


def test_training_starts_from_whole_weights_or_from_imagenets(resnet, tiny):
    published = {key: tensor + 1 for key, tensor in resnet.encoder.state_dict().items()}
    model = ResNetUNet()
    start_from(model, resnet.state_dict())
    assert equal(model.state_dict(), resnet.state_dict())
    start_from(model, published | {"fc.weight": torch.zeros(1000, 2048)})
    assert equal(model.encoder.state_dict(), published)
    assert equal(model.decoder.state_dict(), resnet.decoder.state_dict())
    with pytest.raises(ValueError, match="unknown: bn1.bias"):
        start_from(U2Net(tiny), {"bn1.bias": torch.zeros(64), **to_official(U2Net(tiny))})
