"""The command, in this process with alphas known beforehand, and as users start it."""

import io
import os
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from fake_matter import LeftHalf
from PIL import Image
from support import ROOT, start

import helpers.cutout.__main__
from helpers.cutout import load_matter
from helpers.cutout.__main__ import main
from helpers.files.photos import open_picture
from helpers.networks.registry import weights_out
from helpers.u2net import U2Net


@pytest.fixture
def loaded(monkeypatch):
    """Whatever is loaded takes the left half for a person; returns the list of what was asked for."""
    asked = []

    def load(weights, size):
        asked.append((weights and str(weights), size))
        return LeftHalf()

    monkeypatch.setattr("helpers.cutout.__main__.load_matter", load)
    return asked


@pytest.fixture
def photo(tmp_path):
    """A red photo of 20 × 10 pixels."""
    Image.new("RGB", (20, 10), (200, 0, 0)).save(tmp_path / "photo.webp", lossless=True)
    return tmp_path / "photo.webp"


def test_the_names_for_scripts_are_here():
    assert {*helpers.cutout.__all__} == {"Matter", "load_matter", "over", "foreground_colours", "checkerboard"}
    assert all(callable(getattr(helpers.cutout, name)) for name in helpers.cutout.__all__)


# ---------------------------------------------------------------------------------------------------------- one process


def test_a_photo_becomes_a_cutout_beside_it(loaded, photo, capsys):
    assert main([str(photo)]) == 0
    assert open_picture(photo.with_name("photo_cutout.png")).getpixel((0, 0)) == (200, 0, 0, 255)
    assert loaded == [(None, None)]
    assert capsys.readouterr().out.startswith("1 done, 0 skipped, ")


def test_the_network_is_loaded_as_told(loaded, photo):
    assert main([str(photo), "--weights", "mine.pth", "--size", "512"]) == 0
    assert loaded == [("mine.pth", 512)]


@pytest.mark.parametrize("options, mode, left, right", [
    ([], "RGBA", (200, 0, 0, 255), (0, 0, 0, 0)),
    (["--background", "none"], "RGBA", (200, 0, 0, 255), (0, 0, 0, 0)),
    (["--background", "white"], "RGB", (200, 0, 0), (255, 255, 255)),
    (["--background", "#00ff00"], "RGB", (200, 0, 0), (0, 255, 0)),
    (["--background", "blur"], "RGB", (200, 0, 0), (200, 0, 0)),
    (["--background", "blue.png"], "RGB", (200, 0, 0), (0, 0, 255)),
    (["--mask-only"], "L", 255, 0),
    (["--trimap"], "L", 255, 0),
    (["--side-by-side"], "RGB", (200, 0, 0), (204, 204, 204)),
    (["--side-by-side", "--background", "blue.png"], "RGB", (200, 0, 0), (0, 0, 255)),
])  # fmt: skip
def test_every_look(options, mode, left, right, loaded, photo, monkeypatch):
    monkeypatch.chdir(photo.parent)
    Image.new("RGBA", (3, 3), (0, 0, 255, 255)).save("blue.png")
    assert main(["photo.webp", "-o", "out.png", *options]) == 0
    shown = open_picture("out.png")
    assert shown.mode == mode
    assert shown.getpixel((0, 0)) == left
    assert shown.getpixel((shown.width - 1, 0)) == right


@pytest.mark.parametrize("arguments, reason", [
    ([], "required: PATH"), (["photo.webp", "--jobs", "0"], "at least 1 photo"),
    (["photo.webp", "--size", "31"], "needs 32 pixels"), (["photo.webp", "--mask-only", "--trimap"], "not allowed"),
    (["photo.webp", "--mask-only", "--background", "white"], "changes nothing in a mask"),
    (["photo.webp", "-", "-o", "out"], "stands alone"), (["-", "-o", "out"], "stands alone"),
    (["photo.webp", "--colour", "white"], "unrecognized"), ([""], "the path is empty"),
    (["photo.webp", "-o", ""], "the path is empty"), (["photo.webp", "-o", "-"], "< photo.jpg"),
])  # fmt: skip
def test_wrong_arguments_end_it_with_2(arguments, reason, loaded, photo, monkeypatch, capsys):
    monkeypatch.chdir(photo.parent)
    with pytest.raises(SystemExit) as end:
        main(arguments)
    assert end.value.code == 2
    assert reason in capsys.readouterr().err
    assert loaded == []


@pytest.mark.parametrize("arguments, reason", [
    (["nowhere.jpg"], "nowhere.jpg: no such file"),
    (["photo.webp", "--background", "no such colour"], "no such colour: neither an opaque colour"),
    (["photo.webp", "--background", "#00ff0080"], "neither an opaque colour"),
    (["photo.webp", "--background", "notes.txt"], "notes.txt: not a readable picture"),
    (["photo.webp", "-o", "notes.txt"], "notes.txt: must be a folder"),
])  # fmt: skip
def test_what_cannot_be_begun_ends_it_with_2(arguments, reason, loaded, photo, monkeypatch, capsys):
    monkeypatch.chdir(photo.parent)
    (photo.parent / "notes.txt").write_text("notes")
    assert main(arguments) == 2
    assert reason in capsys.readouterr().err
    assert loaded == []
    assert sorted(path.name for path in photo.parent.iterdir()) == ["notes.txt", "photo.webp"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_named_pipe_is_not_waited_for(loaded, photo, capsys):
    os.mkfifo(photo.parent / "pipe.jpg")
    assert main([str(photo.parent / "pipe.jpg")]) == 2
    assert "pipe.jpg: neither a file nor a folder; give a pipe's photo to the standard input" in capsys.readouterr().err
    assert loaded == []


@pytest.mark.parametrize("path", ["photo.webp", "-"])
def test_missing_and_foreign_weights_end_it_with_2(path, photo, monkeypatch, capsys):
    monkeypatch.chdir(photo.parent)
    torch.save({"layer.weight": torch.zeros(3)}, "foreign.pth")
    for weights in ("nowhere.pth", "foreign.pth"):
        assert main([path, "--weights", weights]) == 2
        printed = capsys.readouterr()
        assert printed.err.startswith("error: ") and weights in printed.err
        assert printed.out == ""


def test_a_folder_that_cannot_be_read_counts_as_skipped(loaded, photo, monkeypatch, capsys):
    plan = helpers.cutout.__main__.plan
    monkeypatch.setattr(
        "helpers.cutout.__main__.plan", lambda *words: plan(*words)._replace(skipped=["skipped: locked"])
    )
    assert main([str(photo)]) == 1
    printed = capsys.readouterr()
    assert "skipped: locked\n" in printed.err
    assert printed.out.startswith("1 done, 1 skipped")


def piped(monkeypatch, data, *options):
    """The exit code and the standard output, bytes, of the command with `data` on its standard input."""
    stdout = io.BytesIO()
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(data)))
    monkeypatch.setattr("sys.stdout", SimpleNamespace(buffer=stdout))
    return main(["-", *options]), stdout.getvalue()


def test_a_pipe_gets_the_picture_and_nothing_else(loaded, photo, monkeypatch):
    code, encoded = piped(monkeypatch, photo.read_bytes(), "--background", "white")
    assert code == 0
    with Image.open(io.BytesIO(encoded)) as shown:
        assert shown.getpixel((19, 9)) == (255, 255, 255)


@pytest.mark.parametrize("data", [b"", b"<html>", b"\xff\xd8\xff\xe0\0\x10JFIF"])
def test_a_pipe_without_a_photo_gives_nothing_and_the_reason(data, loaded, monkeypatch, capsys):
    assert piped(monkeypatch, data) == (1, b"")
    assert capsys.readouterr().err.startswith("skipped: standard input: not a readable picture (")


# ---------------------------------------------------------------------------------------------------- as users start it


def test_help_is_shown_without_loading_what_takes_long():
    script = (
        "import sys\n"
        "from helpers.cutout.__main__ import main\n"
        "try:\n"
        "    main(['--help'])\n"
        "finally:\n"
        "    heavy = 'torch torchvision onnxruntime albumentations pymatting numba scipy matplotlib skimage'\n"
        "    print('loaded:', *set(heavy.split()) & set(sys.modules))\n"
    )
    process = start("-c", script)
    out, error = process.communicate(timeout=60)
    assert process.returncode == 0, error.decode()
    assert b"--background COLOUR" in out
    assert out.splitlines()[-1] == b"loaded:"


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A file of random weights of the lite network."""
    path = tmp_path_factory.mktemp("weights") / "random.pth"
    torch.manual_seed(0)
    torch.save(weights_out(U2Net.lite()), path)
    return path


def test_a_folder_of_all_kinds_of_pictures(tmp_path, weights):
    photos = tmp_path / "my photos"
    (photos / "más.fotos").mkdir(parents=True)
    numbers = np.random.default_rng(0)
    picture = Image.fromarray(numbers.integers(0, 256, (40, 60, 3), np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6
    picture.save(photos / "turned.jpeg", exif=exif, dpi=(300, 300))
    picture.convert("CMYK").save(photos / "más.fotos" / "print.b.jpg")
    picture.convert("L").save(photos / "más.fotos" / "grey.png")
    picture.quantize(7).save(photos / "palette.png")
    picture.resize((1, 90)).save(photos / "narrow.webp")
    picture.convert("RGBA").save(photos / "layers.tif", save_all=True, append_images=[picture.convert("RGBA")])
    (photos / "broken.jpg").write_bytes((photos / "turned.jpeg").read_bytes()[:900])
    (photos / "empty.png").touch()
    (photos / "notes.txt").touch()

    process = start("-m", "helpers.cutout", str(photos), "--weights", str(weights), "--size", "32", "--jobs", "2")
    out, error = process.communicate(timeout=120)
    error = error.decode()
    assert process.returncode == 1, error
    assert out.decode().startswith("6 done, 2 skipped, ")
    for broken in ("broken.jpg", "empty.png"):
        assert f"skipped: {photos / broken}: not a readable picture" in error
    assert f"{photos / 'layers.tif'}: has several frames or pages" in error
    assert "Traceback" not in error
    cutouts = tmp_path / "my photos_cutouts"
    sizes = {str(path.relative_to(cutouts)): open_picture(path).size for path in cutouts.rglob("*.*") if path.is_file()}
    assert sizes == {
        "turned.png": (40, 60), "palette.png": (60, 40), "narrow.png": (1, 90), "layers.png": (60, 40),
        os.path.join("más.fotos", "print.b.png"): (60, 40), os.path.join("más.fotos", "grey.png"): (60, 40),
    }  # fmt: skip
    assert {open_picture(path).mode for path in cutouts.rglob("*.png")} == {"RGBA"}


def test_the_command_in_a_pipe_gives_what_the_script_gives(tmp_path, weights):
    photo = Image.fromarray(np.random.default_rng(0).integers(0, 256, (50, 70, 3), np.uint8))
    photo.save(tmp_path / "photo.png")
    words = ["-m", "helpers.cutout", "-", "--mask-only", "--weights", str(weights), "--size", "64"]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    result = subprocess.run([sys.executable, *words], cwd=ROOT, env=environment, capture_output=True, check=True,
                            input=(tmp_path / "photo.png").read_bytes(), timeout=120)  # fmt: skip
    with Image.open(io.BytesIO(result.stdout)) as mask:
        ours = load_matter(weights, "cpu", 64).alpha(photo) * 255
        assert np.abs(np.asarray(mask, np.float32) - ours).max() <= 1
    assert result.stderr == b""


@pytest.mark.skipif(os.name == "nt", reason="no such signal there")
def test_ctrl_c_leaves_whole_files_only(tmp_path):
    script = (
        "import sys, time\n"
        "sys.path.insert(0, 'tests')\n"
        "from fake_matter import LeftHalf\n"
        "from helpers.cutout import __main__ as cutout\n"
        "class Slow(LeftHalf):\n"
        "    def alpha(self, photo):\n"
        "        time.sleep(0.1)\n"
        "        return super().alpha(photo)\n"
        "cutout.load_matter = lambda weights, size: Slow()\n"
        "sys.exit(cutout.main(sys.argv[1:]))\n"
    )
    (tmp_path / "in").mkdir()
    for number in range(300):
        Image.new("RGB", (80, 60), (number % 256, 0, 0)).save(tmp_path / "in" / f"{number}.png")
    process = start("-c", script, str(tmp_path / "in"), "-o", str(tmp_path / "out"), "--jobs", "2")
    end = time.monotonic() + 60
    while not any(tmp_path.glob("out/*.png")) and time.monotonic() < end:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    out, error = process.communicate(timeout=60)
    assert process.returncode == 130, error.decode()
    assert (out, b"interrupted" in error, b"Traceback" in error) == (b"", True, False)
    written = list((tmp_path / "out").iterdir())
    assert 0 < len(written) < 300
    assert {(path.suffix, open_picture(path).size) for path in written} == {(".png", (80, 60))}
