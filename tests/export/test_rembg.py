"""The real rembg package computes with the exported file, unchanged, and its mask is ours."""

import numpy as np
import pytest
import torch
from PIL import Image

from helpers.config import DEVIATION, MEAN
from helpers.files.photos import sample_portraits
from helpers.networks.onnx_export import write_onnx
from helpers.networks.registry import read_network
from helpers.u2net import U2Net, to_official

rembg = pytest.importorskip("rembg", reason="rembg is not installed")


@pytest.fixture
def tiny_weights(tiny, tmp_path):
    """A file of random weights that tell the parts of a picture apart."""
    torch.manual_seed(6)
    model = U2Net(tiny)
    with torch.no_grad():
        for _ in range(20):
            model(torch.randn(4, 3, 32, 32))
    torch.save(
        {"model_state_dict": to_official(model), "table": [list(stage) for stage in tiny]}, tmp_path / "tiny.pth"
    )
    return tmp_path / "tiny.pth"


@pytest.fixture
def original_weights(shared):
    return shared / "weights" / "u2netp.pth"


@pytest.fixture
def photo():
    """A portrait whose brightest value is no 255: rembg divides by it."""
    with Image.open(sample_portraits()[0]) as picture:
        return picture.convert("RGB").point(lambda value: value * 0.7)


def rembgs_way(weights, photo):
    """The network in torch between rembg's own steps: the picture over its maximum, the map over its range."""
    model, _ = read_network(weights)
    small = np.array(photo.resize((320, 320), Image.Resampling.LANCZOS))
    x = (small / small.max() - MEAN) / DEVIATION
    with torch.inference_mode():
        alpha = model.eval()(torch.from_numpy(x).permute(2, 0, 1)[None].float())[0][0, 0].numpy()
    alpha = (alpha - alpha.min()) / (alpha.max() - alpha.min())
    return np.array(Image.fromarray((alpha * 255).astype(np.uint8)).resize(photo.size, Image.Resampling.LANCZOS))


@pytest.mark.parametrize("weights", ["tiny_weights", "original_weights"])
def test_the_mask_is_ours(weights, photo, request, tmp_path, monkeypatch):
    weights, home = request.getfixturevalue(weights), tmp_path / "models"
    monkeypatch.setenv("U2NET_HOME", str(home))
    write_onnx(weights, home / "portrait.onnx")
    session = rembg.new_session("u2net_custom", model_path=str(home / "portrait.onnx"))
    mask = np.array(rembg.remove(photo, session=session, only_mask=True), int)
    ours = rembgs_way(weights, photo)
    assert mask.shape == (600, 512)
    assert np.abs(mask - ours).max() <= 2  # both cut off, not rounded, to whole grey levels
    assert mask.std() > 10
    assert [path.name for path in home.iterdir()] == ["portrait.onnx"]  # it has fetched nothing
