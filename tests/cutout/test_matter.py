"""From a photo to its alpha and its cutout: any size, shape and mode, many at a time, by any weight file."""

import dataclasses
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import cv2
import numpy as np
import pytest
import torch
from PIL import Image, ImageCms
from support import ROOT
from torch import nn

from helpers.cutout import over
from helpers.cutout.matter import BATCH, Matter, alpha_of, load_matter, shrink
from helpers.cutout.predictors import TorchPredictor
from helpers.cutout.refine import PLAIN
from helpers.export.__main__ import write_safetensors
from helpers.files.photos import open_photo, open_picture, sample_portraits
from helpers.u2net import LITE, U2Net, normalise, to_official


def always(value):
    """A predictor that sees the same everywhere."""
    return lambda images: np.full((len(images), *images.shape[2:]), value, np.float32)


class Redness(nn.Module):
    """Sees people in what is red: normalised, and squeezed into 0–1."""

    def forward(self, x):
        return [torch.sigmoid(x[:, :1])]


class Recorder:
    """A predictor that sees people in what is red, and remembers the shapes it was called with."""

    def __init__(self):
        self.shapes = []

    def __call__(self, images):
        self.shapes.append(images.shape)
        return images[:, 0].astype(np.float32) / 255


def noise(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


# ------------------------------------------------------------------------------------------------ what the network sees


@pytest.mark.parametrize("photo, seen", [
    ((600, 600), (320, 320)), ((1600, 1200), (384, 288)), ((1080, 1920), (256, 416)), ((40, 40), (320, 320)),
    ((1, 1), (320, 320)), ((1, 90), (32, 3040)), ((9000, 1), (3200, 32)),
], ids=str)  # fmt: skip
def test_the_network_sees_the_photo_in_its_own_aspect(photo, seen):
    assert shrink(np.zeros((*photo, 3), np.uint8), 320).shape == (*seen, 3)


@pytest.mark.parametrize("size", [16, 32, 100, 720])
def test_the_network_sees_at_least_32_pixels_and_whole_multiples(size):
    for height, width in ((50, 50), (10, 400), (300, 200)):
        *sides, channels = shrink(np.zeros((height, width, 3), np.uint8), size).shape
        assert channels == 3 and min(sides) >= 32 and not any(side % 32 for side in sides)


def test_the_predictor_gets_the_photo_itself():
    photo = noise(64, 32)  # as the network sees it: nothing is resized
    seen = []
    alpha_of(lambda images: seen.append(images) or always(0.5)(images), photo, 45)
    assert np.array_equal(seen[0], photo.transpose(2, 0, 1)[None])


# ------------------------------------------------------------------------------------------------- alphas and cutouts


@pytest.mark.parametrize("constant", [0.0, 0.0015, 0.4, 1.0])
@pytest.mark.parametrize("size", [(40, 30), (200, 90)])
def test_a_constant_prediction_is_never_stretched(constant, size):
    alpha = alpha_of(always(constant), noise(*size), 32)
    assert alpha.dtype == np.float32
    assert np.ptp(alpha) <= 1e-6
    assert np.allclose(alpha, 0 if constant < PLAIN else constant, atol=1e-6)


def test_a_black_photo_is_scaled_by_255_like_any_other(float32):
    alpha = alpha_of(TorchPredictor(Redness(), float32), np.zeros((33, 47, 3), np.uint8), 32)
    black = torch.sigmoid(normalise(torch.zeros(1, 3, 1, 1, dtype=torch.uint8))[0, 0]).item()
    assert alpha.shape == (33, 47)
    assert np.allclose(alpha, black, atol=1e-6)


@pytest.mark.parametrize("height, width", [(1, 1), (1, 90), (501, 333)])
def test_the_alpha_has_the_photos_own_size(height, width):
    matter = Matter(always(0.5), 32)
    photo = np.full((height, width, 3), 80, np.uint8)
    assert matter.alpha(photo).shape == (height, width)
    assert matter.cutout(photo).size == (width, height)


def test_a_picture_without_a_person_gives_an_empty_cutout():
    assert not np.asarray(Matter(always(0.9 * PLAIN), 32).cutout(noise(200, 90)))[..., 3].any()


@pytest.mark.parametrize("mode", ["RGB", "L", "LA", "P", "RGBA", "CMYK", "1", "I;16"])
def test_photos_of_every_mode_give_an_rgba_cutout(mode):
    photo = Image.new(mode, (20, 30)) if mode == "I;16" else Image.new("RGB", (20, 30), "teal").convert(mode)
    cutout = Matter(always(1.0), 32).cutout(photo)
    assert cutout.mode == "RGBA"
    assert cutout.size == (20, 30)


def test_what_was_transparent_stays_transparent():
    opacity = np.tile(np.array([0, 51, 255], np.uint8), (8, 4))
    photo = Image.fromarray(np.dstack([np.full((8, 12, 3), 90, np.uint8), opacity]))
    matter = Matter(always(1.0), 32)
    assert np.array_equal(np.asarray(matter.cutout(photo))[..., 3], opacity)
    for alpha in (matter.alpha(photo), *matter.alphas([photo])):
        assert np.allclose(alpha, opacity / 255)
    assert np.allclose(Matter(always(0.5), 32).alpha(photo), opacity / 510)


def test_a_cutout_holds_the_persons_own_colours():
    """Red hair over green, a third of it transparent: the network sees how much, and what is kept is red."""
    photo = np.full((64, 64, 3), [0, 255, 0], np.uint8)
    photo[:, 20:] = [170, 85, 0]
    photo[:, 40:] = [255, 0, 0]
    cutout = np.asarray(Matter(Recorder(), 64).cutout(photo))
    assert np.array_equal(cutout[..., 3], photo[..., 0])
    assert np.abs(cutout[:, 22:, :3].astype(int) - [255, 0, 0]).mean() < 8


def test_an_array_that_is_no_photo_is_refused():
    matter = Matter(always(1.0), 32)
    for wrong in (np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3)), np.zeros((4, 4, 4), np.uint8)):
        with pytest.raises(ValueError, match="uint8"):
            matter.alpha(wrong)
        with pytest.raises(ValueError, match="uint8"):
            matter.alphas([wrong])


# ------------------------------------------------------------------------------------------------------ many at a time


def test_batches_hold_the_photos_that_the_network_sees_at_one_size():
    predict = Recorder()
    photos = [noise(100, 100, i) if i % 3 else noise(200, 100, i) for i in range(3 * BATCH)]
    alphas = Matter(predict, 64).alphas([Image.fromarray(photo) for photo in photos])
    expected = [(BATCH, 3, 64, 64)] * 2 + [(BATCH, 3, 96, 32)]
    assert sorted(predict.shapes) == sorted(expected)
    for photo, alpha in zip(photos, alphas, strict=True):
        assert np.array_equal(alpha, alpha_of(predict, photo, 64))
    assert Matter(predict, 64).alphas([]) == []


def test_eight_threads_get_what_one_would(tiny, float32):
    torch.manual_seed(0)
    matter, together = Matter(TorchPredictor(U2Net(tiny), float32), 64), Barrier(8)
    photos = [noise(80 + 20 * i, 150 - 10 * i, i) for i in range(8)]

    def cut(photo):
        together.wait(timeout=60)
        return [np.asarray(matter.cutout(photo)) for _ in range(3)]

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(cut, photos))
    for photo, cutouts in zip(photos, found, strict=True):
        alone = np.asarray(matter.cutout(photo))
        assert alone[..., 3].any()
        # to a grey level: libraries that share the cores may split a sum in another way, which moves its last bit
        assert max(cv2.norm(cutout, alone, cv2.NORM_INF) for cutout in cutouts) <= 1


def test_twelve_megapixels_need_a_quarter_of_what_fifty_may():
    """A photo of 4000 × 3000: less than 360 MB above what was there, as 50 megapixels may need 1.5 GB."""
    pytest.importorskip("resource")
    code = """
import resource, numpy as np
from helpers.cutout import over
from helpers.cutout.matter import Matter

def predict(images):
    y, x = np.mgrid[-1 : 1 : images.shape[2] * 1j, -1 : 1 : images.shape[3] * 1j]
    return np.clip(4 - 6 * np.hypot(x, y), 0, 1, dtype=np.float32)[None]

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

photo = np.random.default_rng(0).integers(0, 256, (3000, 4000, 3), np.uint8)
matter = Matter(predict, 320)
matter.cutout(photo[:300, :400])
before = peak()
alpha = np.asarray(matter.cutout(photo))[..., 3]
assert ((alpha > 0) & (alpha < 255)).mean() > 0.1
assert peak() - before < 360, peak() - before
"""
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], cwd=ROOT, check=True)


def test_importing_it_is_quick():
    heavy = "{'torch', 'onnxruntime', 'pymatting', 'numba', 'scipy'}"
    code = f"import sys, helpers.cutout.matter, helpers.cutout.predictors\nassert not {heavy} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


# -------------------------------------------------------------------------------------------------------- weight files


def same_maps(matter, model):
    """Whether a `Matter` computes what the network does."""
    images = noise(64, 64).transpose(2, 0, 1)[None]
    with torch.inference_mode():
        expected = model.eval()(normalise(torch.from_numpy(images)))[0][:, 0].numpy()
    return np.allclose(matter.predict(images), expected, atol=1e-5)


@pytest.fixture
def exactly(monkeypatch, float32):
    """Weights are loaded to compute in float32, on every machine."""
    monkeypatch.setattr("helpers.devices.best_runtime", lambda device: float32)


@pytest.mark.parametrize("wrap", [
    lambda weights: weights,
    lambda weights: {key: value for key, value in weights.items() if not key.endswith("num_batches_tracked")},
    lambda weights: {"model_state_dict": weights, "epoch": 15},
    lambda weights: {"model_state_dict": weights, "config": {"image_size": 96}},
], ids=["as u2net_human_seg.pth", "as u2net.pth", "published checkpoint", "our checkpoint"])  # fmt: skip
def test_every_kind_of_weight_file_loads(wrap, tmp_path, exactly):
    torch.manual_seed(0)
    model = U2Net.lite()
    state = wrap(to_official(model))
    torch.save(state, tmp_path / "weights.pth")
    matter = load_matter(tmp_path / "weights.pth", "cpu")
    assert matter.size == state.get("config", {"image_size": 320})["image_size"]
    assert matter.name.startswith("u2net_lite, ")
    assert same_maps(matter, model)


@pytest.mark.parametrize("installed, precision, name", [
    (True, None, "u2net_lite, onnxruntime, cpu"), (False, None, "u2net_lite, torch, cpu float32"),
    (True, torch.bfloat16, "u2net_lite, torch, cpu bfloat16"),
], ids=["float32", "without ONNX Runtime", "bfloat16"])  # fmt: skip
def test_onnx_runtime_computes_where_torch_is_slower(installed, precision, name, tmp_path, monkeypatch, float32):
    for module in ("onnx", "onnxruntime"):
        pytest.importorskip(module)
    runtime = dataclasses.replace(float32, amp_dtype=precision)
    monkeypatch.setattr("helpers.devices.best_runtime", lambda device: runtime)
    monkeypatch.setattr("helpers.cutout.matter.find_spec", lambda module: installed or None)
    torch.save(to_official(U2Net.lite()), tmp_path / "weights.pth")
    assert load_matter(tmp_path / "weights.pth", "cpu").name == name


def test_a_network_of_ones_own_comes_back_from_its_checkpoint(tmp_path, exactly):
    table = [stage._replace(mid=3, out=5) for stage in LITE]
    table[0] = table[0]._replace(height=5)
    model = U2Net(table)
    state = {"model_state_dict": to_official(model), "table": [list(stage) for stage in table]}
    torch.save(state, tmp_path / "own.pth")
    assert same_maps(load_matter(tmp_path / "own.pth", "cpu"), model)


def test_the_side_of_the_input_can_be_chosen(tmp_path):
    torch.save(to_official(U2Net.lite()), tmp_path / "weights.pth")
    assert load_matter(tmp_path / "weights.pth", "cpu", size=64).size == 64
    assert load_matter(str(tmp_path / "weights.pth"), "cpu", 32).size == 32
    for wrong in (31, 0, -320):
        with pytest.raises(ValueError, match=f"size={wrong}: the network needs 32 pixels"):
            load_matter(tmp_path / "weights.pth", "cpu", size=wrong)


def test_missing_or_foreign_weights_are_refused_by_name(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere.pth"):
        load_matter(tmp_path / "nowhere.pth")
    torch.save({"layer.weight": torch.zeros(3)}, tmp_path / "foreign.pth")
    with pytest.raises(ValueError, match="foreign.pth.*no U²-Net weights"):
        load_matter(tmp_path / "foreign.pth")
    (tmp_path / "broken.safetensors").write_bytes(b"nothing")
    with pytest.raises(ValueError, match="broken.safetensors"):
        load_matter(tmp_path / "broken.safetensors")


def test_without_weights_the_error_says_where_they_belong(tmp_path, monkeypatch):
    monkeypatch.setattr("helpers.networks.pretrained.FOLDER", tmp_path)
    with pytest.raises(FileNotFoundError, match="own weights are not there; name a weight file"):
        load_matter()


def test_without_a_name_the_projects_own_weights_are_taken_and_before_them_ones_own(tmp_path, monkeypatch):
    """Each is told by the size it was trained at. The original ones lie there for training, or to be named."""
    monkeypatch.setattr("helpers.networks.pretrained.FOLDER", tmp_path)
    lite = to_official(U2Net.lite())
    for name in ("u2netp.pth", "u2net.pth"):
        torch.save(lite, tmp_path / name)
    with pytest.raises(FileNotFoundError, match="name a weight file"):
        load_matter(device="cpu")
    torch.save({"model_state_dict": lite, "config": {"image_size": 64}}, tmp_path / "run.pth")
    write_safetensors(tmp_path / "run.pth", tmp_path / "portrait_lite.safetensors")
    assert load_matter(device="cpu").size == 64
    torch.save({"model_state_dict": lite, "config": {"image_size": 96}}, tmp_path / "final_model_ckpt.pth")
    assert load_matter(device="cpu").size == 96
    assert load_matter(tmp_path / "u2net.pth", device="cpu").size == 320


def test_the_original_weights_find_the_person_in_a_real_photo(shared):
    matter = load_matter(shared / "weights" / "u2netp.pth", "cpu")
    alpha = matter.alpha(open_picture(sample_portraits()[0]))
    assert alpha.shape == (600, 512)
    assert alpha[250:330, 230:300].min() > 0.9  # the face
    assert not alpha[:80, 420:].any()  # the sky beside the cap


def test_the_cutout_of_a_photo_is_saved_with_its_colours_and_resolution(tmp_path):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.fromarray(noise(40, 30)).save(tmp_path / "photo.jpg", icc_profile=profile, dpi=(300, 300))
    matter = Matter(always(1.0), 32)
    for read in (open_photo, open_picture):
        cutout = matter.cutout(read(tmp_path / "photo.jpg"))
        assert cutout.info == {"icc_profile": profile, "dpi": (300, 300)}
        over(cutout, "white").save(tmp_path / "white.png")
        with Image.open(tmp_path / "white.png") as saved:
            assert saved.info["icc_profile"] == profile
    assert matter.cutout(noise(40, 30)).info == {}
