import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from helpers.cutout import Matter, alpha_of, foreground_colours, load_matter, over
from helpers.devices import Runtime
from helpers.export import write_safetensors
from helpers.u2net import LITE, U2Net, normalise, to_official

FLOAT32 = Runtime(torch.device("cpu"), None, torch.contiguous_format)


class Brightness(nn.Module):
    """Answers with a fixed map, or with the normalised red channel squeezed into 0–1."""

    def __init__(self, answer=None):
        super().__init__()
        self.answer = answer

    def forward(self, x):
        fused = torch.sigmoid(x[:, :1]) if self.answer is None else torch.full_like(x[:, :1], self.answer)
        return [fused] + [torch.zeros_like(fused)] * 6


@pytest.mark.parametrize("constant", [0.0, 0.0015, 0.4, 1.0])
def test_a_constant_prediction_is_never_stretched(constant):
    photo = np.random.default_rng(0).integers(0, 256, (40, 30, 3), np.uint8)
    alpha = alpha_of(Brightness(constant), photo, 32, FLOAT32)
    assert alpha.dtype == np.float32
    assert np.allclose(alpha, constant, atol=1e-7)


def test_a_black_photo_is_scaled_by_255_like_any_other():
    alpha = alpha_of(Brightness(), np.zeros((33, 47, 3), np.uint8), 32, FLOAT32)
    black = torch.sigmoid(normalise(torch.zeros(1, 3, 1, 1, dtype=torch.uint8))[0, 0]).item()
    assert alpha.shape == (33, 47)
    assert np.allclose(alpha, black, atol=1e-6)


@pytest.mark.parametrize("height, width", [(1, 1), (1, 90), (501, 333)])
def test_the_alpha_has_the_photos_own_size(height, width):
    matter = Matter(Brightness(0.5), 32, FLOAT32)
    photo = np.full((height, width, 3), 80, np.uint8)
    assert matter.alpha(photo).shape == (height, width)
    assert matter.cutout(photo).size == (width, height)


@pytest.mark.parametrize("mode", ["RGB", "L", "LA", "P", "RGBA", "CMYK", "1", "I;16"])
def test_photos_of_every_mode_give_an_rgba_cutout(mode):
    photo = Image.new(mode, (20, 30)) if mode == "I;16" else Image.new("RGB", (20, 30), "teal").convert(mode)
    cutout = Matter(Brightness(1.0), 32, FLOAT32).cutout(photo)
    assert cutout.mode == "RGBA"
    assert cutout.size == (20, 30)


def test_what_was_transparent_stays_transparent():
    opacity = np.tile(np.array([0, 51, 255], np.uint8), (8, 4))
    photo = Image.fromarray(np.dstack([np.full((8, 12, 3), 90, np.uint8), opacity]))
    cutout = np.asarray(Matter(Brightness(1.0), 32, FLOAT32).cutout(photo))
    assert np.array_equal(cutout[..., 3], opacity)


def test_an_array_that_is_no_photo_is_refused():
    matter = Matter(Brightness(1.0), 32, FLOAT32)
    for wrong in (np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3)), np.zeros((4, 4, 4), np.uint8)):
        with pytest.raises(ValueError, match="uint8"):
            matter.alpha(wrong)


def test_foreground_colours_lose_the_old_background():
    """A grey person with a soft edge over loud green: the estimated colours are grey again, the photo's are not."""
    ramp = np.clip(np.abs(np.linspace(-1.5, 1.5, 64)) * -2 + 2, 0, 1)
    alpha = np.tile(ramp, (64, 1)).astype(np.float32)
    grey, green = np.array([120.0, 120, 120]), np.array([0.0, 255, 0])
    photo = (alpha[..., None] * grey + (1 - alpha[..., None]) * green).round().astype(np.uint8)
    soft = (alpha > 0.3) & (alpha < 0.9)
    estimated = np.abs(foreground_colours(photo, alpha)[soft] - grey).mean()
    assert estimated < 10
    assert np.abs(photo[soft] - grey).mean() > 4 * estimated


def test_compositing_uses_straight_alpha():
    cutout = Image.new("RGBA", (2, 1), (200, 100, 0, 128))
    assert over(cutout, "white").getpixel((0, 0)) == (227, 177, 127)
    assert over(cutout, "#0000ff").getpixel((1, 0)) == (100, 50, 127)
    assert over(cutout, Image.new("L", (9, 9), 255)).getpixel((0, 0)) == (227, 177, 127)
    with pytest.raises(ValueError):
        over(cutout, "no such colour")


@pytest.mark.parametrize("wrap", [
    lambda weights: weights,
    lambda weights: {"model_state_dict": weights, "epoch": 15},
    lambda weights: {"model_state_dict": weights, "config": {"image_size": 96}},
], ids=["plain state dict", "published checkpoint", "our checkpoint"])  # fmt: skip
def test_every_kind_of_weight_file_loads(wrap, tmp_path):
    torch.manual_seed(0)
    model = U2Net.lite().eval()
    state = wrap(to_official(model))
    torch.save(state, tmp_path / "weights.pth")
    matter = load_matter(tmp_path / "weights.pth", "cpu")
    assert matter.size == state.get("config", {"image_size": 320})["image_size"]
    x = torch.rand(1, 3, 64, 64)
    with torch.inference_mode():
        assert torch.allclose(matter.model(x)[0], model(x)[0], atol=1e-6)


def test_a_network_of_ones_own_comes_back_from_its_checkpoint(tmp_path):
    table = [stage._replace(mid=3, out=5) for stage in LITE]
    table[0] = table[0]._replace(height=5)
    model = U2Net(table).eval()
    state = {"model_state_dict": to_official(model), "table": [list(stage) for stage in table]}
    torch.save(state, tmp_path / "own.pth")
    matter = load_matter(tmp_path / "own.pth", "cpu")
    x = torch.rand(1, 3, 48, 48)
    with torch.inference_mode():
        assert torch.allclose(matter.model(x)[0], model(x)[0], atol=1e-6)


def test_missing_or_foreign_weights_are_refused_by_name(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere.pth"):
        load_matter(tmp_path / "nowhere.pth")
    torch.save({"layer.weight": torch.zeros(3)}, tmp_path / "foreign.pth")
    with pytest.raises(ValueError, match="foreign.pth.*no U²-Net weights"):
        load_matter(tmp_path / "foreign.pth")


def test_without_weights_the_error_says_where_they_belong(tmp_path, monkeypatch):
    monkeypatch.setattr("helpers.cutout.FOLDER", tmp_path)
    with pytest.raises(FileNotFoundError, match="put the original u2net.pth"):
        load_matter()


def test_the_best_weights_that_lie_there_are_taken(tmp_path, monkeypatch):
    """From the worst to the best: each is told by the size it was trained at, the original ones by their width."""
    monkeypatch.setattr("helpers.cutout.FOLDER", tmp_path)
    lite = to_official(U2Net.lite())
    torch.save(lite, tmp_path / "u2netp.pth")
    assert load_matter(device="cpu").size == 320
    torch.save({"model_state_dict": lite, "config": {"image_size": 64}}, tmp_path / "run.pth")
    write_safetensors(tmp_path / "run.pth", tmp_path / "portrait_lite.safetensors")
    assert load_matter(device="cpu").size == 64
    torch.save(lite, tmp_path / "u2net.pth")
    assert load_matter(device="cpu").size == 320
    torch.save({"model_state_dict": lite, "config": {"image_size": 96}}, tmp_path / "final_model_ckpt.pth")
    assert load_matter(device="cpu").size == 96


def test_the_original_weights_find_the_person_in_a_real_photo(shared):
    from helpers.photos import open_picture, sample_portraits

    matter = load_matter(shared / "weights" / "u2netp.pth", "cpu")
    alpha = matter.alpha(open_picture(sample_portraits()[0]))
    assert alpha.shape == (600, 512)
    assert alpha[250:330, 230:300].min() > 0.9  # the face
    assert alpha[:80, 420:].max() < 0.1  # the sky beside the cap
