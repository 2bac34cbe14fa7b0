"""`python -m helpers.metrics`: what it prints, what it writes, what it leaves out, and its exit codes."""

import csv
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from helpers.metrics import folders as scoring
from helpers.metrics.__main__ import main
from helpers.metrics.errors import boundary_iou, matting_metrics, mean_metrics, transition_band, unknown_region
from helpers.metrics.folders import score_folders

ROOT = Path(__file__).resolve().parents[2]
NAMES = ("a", "b", "c")


def disc(seed, height=30, width=40):
    """A soft disc (H, W) uint8 that reaches 0 and 255, and lies a little elsewhere for every seed."""
    y, x = np.mgrid[:height, :width]
    alpha = np.clip((11 - np.hypot(y - 14 - seed % 3, x - 18 - seed % 4)) / 5, 0, 1)
    return (alpha * 255).round().astype(np.uint8)


def trimap_of(matte):
    return np.where((matte == 0) | (matte == 255), matte, 128).astype(np.uint8)


def save(folder, pictures, suffix=".png"):
    """Write {name: array or picture} into a folder."""
    for name, picture in pictures.items():
        path = Path(folder) / f"{name}{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        (picture if isinstance(picture, Image.Image) else Image.fromarray(picture)).save(path)


def run(*arguments):
    return main([*map(str, arguments), "--jobs", "1"])


def table(out):
    """{region: [cells]} of a printed table, and {key: [values]} of its header."""
    header, _, rows = out.partition("\n\n")
    keys = {}
    for line in header.splitlines():
        keys.setdefault(line[:12].strip(), []).append(line[13:])
    return {row.split()[0]: row.split()[1:] for row in rows.splitlines()}, keys


def read_csv(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


TRUTHS = {name: disc(seed) for seed, name in enumerate(NAMES)}
PREDICTIONS = {name: disc(seed + 1) for seed, name in enumerate(NAMES)}


def expected(region=None, convention="dim", truths=TRUTHS):
    """Mean of all figures over the three pictures; `region` is a function of the true matte from 0 to 255."""
    return mean_metrics([
        matting_metrics(PREDICTIONS[name] / 255, truth / 255, region and region(truth), convention)
        for name, truth in truths.items()
    ])  # fmt: skip


def cells(metrics, *more):
    """How a row prints these figures of three pictures."""
    digits = {"sad": 3, "mse": 5, "mad": 5, "grad": 3, "conn": 3, "iou": 4}
    return ["3", *(f"{metrics[key]:.{digits[key]}f}" for key in digits), *more]


def band(truth):
    return transition_band(truth / 255)


@pytest.fixture
def folders(tmp_path):
    """Three predictions and their truths in two plain folders."""
    save(tmp_path / "pred", PREDICTIONS)
    save(tmp_path / "true", TRUTHS)
    return tmp_path / "pred", tmp_path / "true"


# ------------------------------------------------------------------------------------------------------------ the table


def test_table_of_two_plain_folders(folders, capsys):
    pred, true = folders
    assert run(pred, true) == 0
    out, err = capsys.readouterr()
    rows, header = table(out)
    assert "measuring" in err  # the progress bar
    assert header["predictions"] == [str(pred)]
    assert header["ground truth"] == [f"{true} (plain folder)"]
    assert header["pictures"] == ["3 measured of 3 ground truths"]
    assert header["resolution"] == ["40×30 pixels (width × height), as the ground truths"]
    assert header["convention"] == ["dim: gradient and connectivity as in Deep Image Matting's evaluation code"]
    assert header["region"] == [
        "whole: all pixels",
        "band15: at most 7 pixels from a change in the ground truth (15×15 square)",
    ]
    assert "SAD /1000      MSE      MAD  grad /1000  conn /1000     IoU  boundary IoU" in out
    boundary = np.mean([boundary_iou(PREDICTIONS[name] / 255, TRUTHS[name] / 255) for name in NAMES])
    assert rows["whole"] == cells(expected(), f"{boundary:.4f}")
    assert rows["band15"] == cells(expected(band))  # and no boundary IoU


def test_truths_against_themselves(folders, capsys):
    assert run(folders[1], folders[1]) == 0
    rows, _ = table(capsys.readouterr().out)
    assert rows["whole"] == ["3", "0.000", "0.00000", "0.00000", "0.000", "0.000", "1.0000", "1.0000"]


def test_p3m_convention(folders, capsys):
    assert run(*folders, "--convention", "p3m", "--region", "whole") == 0
    out = capsys.readouterr().out
    rows, header = table(out)
    assert "SAD /1000      MSE      MAD  grad /10  conn /1000" in out
    assert header["convention"] == ["p3m: gradient and connectivity as in P3M-Net's and GFM's evaluation code"]
    assert rows["whole"][:-1] == cells(expected(convention="p3m"))
    assert list(rows) == ["region", "whole"]


def test_band_width(folders, capsys):
    assert run(*folders, "--region", "band", "--band-width", 5) == 0
    rows, header = table(capsys.readouterr().out)
    assert header["region"] == ["band5: at most 2 pixels from a change in the ground truth (5×5 square)"]
    assert rows["band5"] == cells(expected(lambda truth: transition_band(truth / 255, 5)))
    assert rows["band5"] != cells(expected(band))


def test_range_of_resolutions(folders, capsys):
    pred, true = folders
    for folder in folders:
        save(folder, {"small": disc(0, 20, 30), "middle": disc(0, 90, 22), "large": disc(0, 60, 50)})
    assert run(pred, true) == 0
    assert "resolution   30×20 to 50×60 pixels" in capsys.readouterr().out


def test_constant_truth_has_no_band(folders, capsys):
    pred, true = folders
    for folder in folders:
        save(folder, {"d": np.zeros((30, 40), np.uint8)})
    assert run(pred, true) == 0
    out = capsys.readouterr().out
    rows, _ = table(out)
    assert rows["whole"][0] == "4"
    assert rows["band15"][:-1] == cells(expected(band))[:-1]
    assert out.endswith("band15: 1 of the pictures without such a pixel\n")


# ---------------------------------------------------------------------------------------------------------- the layouts


def test_sub_folders_are_matched_by_path(tmp_path, capsys):
    for kind, pictures in (("pred", PREDICTIONS), ("true", TRUTHS)):
        save(tmp_path / kind, {f"{name}/same": picture for name, picture in pictures.items()})
    assert run(tmp_path / "pred", tmp_path / "true") == 0
    assert table(capsys.readouterr().out)[0]["whole"][:-1] == cells(expected())


@pytest.mark.parametrize("name", ["P3M-500-P", "portraits"])
@pytest.mark.parametrize("below", ["", "blurred_image"])
def test_p3m_500_and_its_trimaps(tmp_path, capsys, name, below):
    folder = tmp_path / name
    save(folder / "blurred_image", TRUTHS, ".jpg")
    save(folder / "mask", TRUTHS)
    save(folder / "trimap", {name: trimap_of(matte) for name, matte in TRUTHS.items()})
    save(tmp_path / "pred" / below, PREDICTIONS)
    assert run(tmp_path / "pred", folder) == 0
    rows, header = table(capsys.readouterr().out)
    assert header["region"][2:] == ["trimap: the unknown pixels of the trimaps beside the ground truths"]
    assert rows["whole"][:-1] == cells(expected())
    assert rows["band15"] == cells(expected(band))
    assert rows["trimap"] == cells(expected(lambda truth: unknown_region(trimap_of(truth))))


def test_ppm_100(tmp_path, capsys):
    save(tmp_path / "PPM-100" / "image", TRUTHS, ".jpg")
    save(tmp_path / "PPM-100" / "matte", TRUTHS)
    save(tmp_path / "pred", PREDICTIONS)
    assert run(tmp_path / "pred", tmp_path / "PPM-100") == 0
    rows, header = table(capsys.readouterr().out)
    assert header["ground truth"] == [f"{tmp_path / 'PPM-100'} (pairs)"]
    assert rows["whole"][:-1] == cells(expected())


def test_easyportrait_classes_are_the_person(tmp_path, capsys):
    classes = {f"val/{name}": (matte > 100).astype(np.uint8) * 3 for name, matte in TRUTHS.items()}
    save(tmp_path / "set" / "images", {name: ids * 60 for name, ids in classes.items()}, ".jpg")
    save(tmp_path / "set" / "annotations", classes)
    save(tmp_path / "pred" / "val", PREDICTIONS)
    assert run(tmp_path / "pred", tmp_path / "set") == 0
    masks = {name: (matte > 100).astype(np.uint8) * 255 for name, matte in TRUTHS.items()}
    assert table(capsys.readouterr().out)[0]["whole"][:-1] == cells(expected(truths=masks))
    # The same files without their folder's name would be alphas of 3/255.
    assert run(tmp_path / "pred", tmp_path / "set" / "annotations") == 1
    out, err = capsys.readouterr()
    assert table(out)[1]["pictures"] == ["0 measured of 3 ground truths"]
    assert "at most 3 of 255: class ids are read only in the folder of the whole data set" in err


def test_cutouts_count_by_their_alpha(tmp_path, capsys):
    save(tmp_path / "true", TRUTHS)
    colours = np.random.default_rng(0).integers(0, 256, (30, 40, 3), np.uint8)
    save(tmp_path / "pred", {"a": np.dstack([colours, PREDICTIONS["a"]])})
    save(tmp_path / "pred", {"b": np.dstack([colours, PREDICTIONS["b"]])}, ".webp")
    save(tmp_path / "pred", {"c": Image.fromarray(PREDICTIONS["c"]).convert("RGB")}, ".bmp")
    assert run(tmp_path / "pred", tmp_path / "true") == 0
    assert table(capsys.readouterr().out)[0]["whole"][:-1] == cells(expected())


def test_faint_predictions_are_not_stretched(tmp_path):
    save(tmp_path / "true", {"a": TRUTHS["a"]})
    save(tmp_path / "pred", {"a": np.ones((30, 40), np.uint8)})
    scores = score_folders(tmp_path / "pred", tmp_path / "true", workers=0)
    assert scores.scores[0].metrics["whole"]["mad"] == pytest.approx(np.abs(1 - TRUTHS["a"].astype(float)).mean() / 255)


# ---------------------------------------------------------------------------------------------------------- the regions


def test_given_trimaps(folders, capsys):
    pred, true = folders
    trimaps = true.parent / "trimaps"
    save(trimaps, {name: trimap_of(matte) for name, matte in TRUTHS.items()})
    assert run(pred, true, "--region", trimaps, "--region", "whole") == 0
    rows, header = table(capsys.readouterr().out)
    assert header["region"] == [f"{trimaps}: the unknown pixels of the trimaps there", "whole: all pixels"]
    assert rows[str(trimaps)] == cells(expected(lambda truth: unknown_region(trimap_of(truth))))
    assert rows["whole"][:-1] == cells(expected())


def test_trimaps_that_are_missing_or_wrong(folders, capsys):
    pred, true = folders
    save(true / "trimap", {"a": trimap_of(TRUTHS["a"]), "b": np.full((4, 5), 128, np.uint8)})
    assert run(pred, true) == 1
    out, err = capsys.readouterr()
    rows, _ = table(out)
    assert (rows["whole"][0], rows["band15"][0], rows["trimap"][0]) == ("3", "3", "1")
    assert "not measured: 2\n" in err
    assert f"b, trimap: {true / 'trimap' / 'b.png'}: 5×4 pixels, but its ground truth has 40×30" in err
    assert "c, trimap: no trimap of this name" in err


def test_a_trimap_folder_must_exist(folders, capsys):
    assert run(*folders, "--region", "trimaps/nowhere") == 2
    assert (
        "trimaps/nowhere: no such folder; correct the path; a region is whole, band, or a folder of"
        in capsys.readouterr().err
    )


# ------------------------------------------------------------------------------------------------------------- failures


def test_missing_predictions_are_named_and_counted(folders, capsys):
    pred, true = folders
    save(true, {f"more-{i:02}": TRUTHS["a"] for i in range(12)})
    assert run(pred, true) == 1
    out, err = capsys.readouterr()
    rows, header = table(out)
    assert "ground truths without a prediction: 12\n  more-00\n  more-01\n" in err
    assert err.rstrip().endswith("  … and 2 more")
    assert header["pictures"] == ["3 measured of 15 ground truths"]
    assert rows["whole"][:-1] == cells(expected())


def test_files_that_cannot_be_measured_are_named_and_left_out(folders, capsys):
    pred, true = folders
    save(true, dict.fromkeys(("broken", "size", "colours", "truth", "twice"), TRUTHS["a"]))
    save(pred, {"size": disc(0, 40, 30), "truth": TRUTHS["a"], "twice": TRUTHS["a"]})
    save(pred, {"twice": TRUTHS["a"]}, ".jpg")
    save(pred, {"colours": np.random.default_rng(0).integers(0, 256, (30, 40, 3), np.uint8)})
    (pred / "broken.png").write_bytes(b"not a picture")
    (true / "truth.png").write_bytes((true / "a.png").read_bytes()[:60])
    assert run(pred, true) == 1
    out, err = capsys.readouterr()
    rows, header = table(out)
    assert rows["whole"][:-1] == cells(expected())
    assert header["pictures"] == ["3 measured of 8 ground truths"]
    assert "not measured: 5\n" in err
    assert f"{pred / 'broken.png'}: not a readable picture" in err
    assert f"{true / 'truth.png'}: not a readable picture" in err
    assert f"{pred / 'size.png'}: 30×40 pixels, but {true / 'size.png'} has 40×30" in err
    assert f"{pred / 'colours.png'}: a mask must be one channel of 8 bits, found mode RGB" in err
    assert f"{pred / 'twice.jpg'} and {pred / 'twice.png'}: only one of them can be meant" in err


def test_truths_that_the_layout_leaves_out_are_told(tmp_path, capsys):
    save(tmp_path / "set" / "image", TRUTHS | {"d": TRUTHS["a"]}, ".jpg")
    save(tmp_path / "set" / "matte", TRUTHS)
    save(tmp_path / "pred", PREDICTIONS)
    assert run(tmp_path / "pred", tmp_path / "set") == 1
    out, err = capsys.readouterr()
    assert "photos without a ground truth: 1 (d.jpg)" in err
    assert table(out)[0]["whole"][:-1] == cells(expected())


def test_nothing_matches(folders, tmp_path, capsys):
    pred, true = folders
    save(tmp_path / "other", {"x": TRUTHS["a"], "y": TRUTHS["a"]})
    (tmp_path / "old.csv").write_text("old")
    assert run(tmp_path / "other", true, "--csv", tmp_path / "old.csv") == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert f"{tmp_path / 'other'}: none of the 2 pictures there has the name of one of the 3 ground truths in " in err
    assert f" ground truths in {true}" in err
    assert "Looked for a and so on, " in err
    assert "found x and so on" in err
    assert (tmp_path / "old.csv").read_text() == "old"


@pytest.mark.parametrize(
    ("pred", "true", "more", "message"),
    [
        ("nowhere", "true", [], "nowhere: no such folder"),
        ("pred", "nowhere", [], "nowhere: no such folder"),
        ("pred", "true", ["--band-width", "4"], "width is 4: give an odd positive whole number"),
    ],
)
def test_wrong_arguments(folders, capsys, pred, true, more, message):
    assert run(folders[0].with_name(pred), folders[0].with_name(true), *more) == 2
    assert message in capsys.readouterr().err


def test_ctrl_c(folders, monkeypatch, capsys):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(scoring, "in_parallel", interrupted)
    assert run(*folders) == 130
    assert "interrupted" in capsys.readouterr().err


# -------------------------------------------------------------------------------------------------------------- the CSV


def test_csv_holds_one_line_per_picture(folders, tmp_path):
    pred, true = folders
    save(true, {"missing": TRUTHS["a"]})
    save(true / "trimap", {"a": trimap_of(TRUTHS["a"])})
    assert run(pred, true, "--csv", tmp_path / "new" / "scores.csv") == 1
    rows = read_csv(tmp_path / "new" / "scores.csv")
    assert [row["picture"] for row in rows] == list(NAMES)
    figures = ["sad", "mse", "mad", "grad", "conn", "iou"]
    assert list(rows[0]) == [
        "picture", "width", "height", "convention", *(f"whole_{key}" for key in [*figures, "boundary_iou"]),
        *(f"{region}_{key}" for region in ("band15", "trimap") for key in figures),
    ]  # fmt: skip
    for row in rows:
        alphas = PREDICTIONS[row["picture"]] / 255, TRUTHS[row["picture"]] / 255
        assert (row["width"], row["height"], row["convention"]) == ("40", "30", "dim")
        assert {key: float(row[f"whole_{key}"]) for key in figures} == matting_metrics(*alphas)
        assert {key: float(row[f"band15_{key}"]) for key in figures} == matting_metrics(*alphas, band(alphas[1] * 255))
        assert float(row["whole_boundary_iou"]) == boundary_iou(*alphas)
    assert float(rows[0]["trimap_sad"]) > 0
    assert {row[f"trimap_{key}"] for row in rows[1:] for key in figures} == {""}
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["scores.csv"]


def test_the_table_is_printed_even_if_the_csv_cannot_be_written(folders, capsys):
    assert run(*folders, "--csv", folders[0]) == 2  # a folder
    out, err = capsys.readouterr()
    assert table(out)[0]["whole"][:-1] == cells(expected())
    assert err.rstrip().splitlines()[-1].startswith("error: ")


def test_as_a_command_and_in_several_processes(tmp_path):
    save(tmp_path / "true", {f"{i}": disc(i) for i in range(9)})
    save(tmp_path / "pred", {f"{i}": disc(i + 1) for i in range(9)})
    assert run(tmp_path / "pred", tmp_path / "true", "--csv", tmp_path / "one.csv") == 0
    command = [sys.executable, "-m", "helpers.metrics", tmp_path / "pred", tmp_path / "true", "--jobs", "2",
               "--csv", tmp_path / "two.csv"]  # fmt: skip
    done = subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8")
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{score_folders(tmp_path / 'pred', tmp_path / 'true', workers=1)}\n"
    assert (tmp_path / "one.csv").read_bytes() == (tmp_path / "two.csv").read_bytes()


def test_a_mask_that_is_saved_as_an_opaque_or_partly_transparent_picture_is_read_by_its_grey(tmp_path):
    """matplotlib saves grey as opaque RGBA; optimisers name a single grey as transparent."""
    grey = np.zeros((32, 32), np.uint8)
    grey[8:24, 8:24], grey[8, 8:24] = 255, 120
    mask = Image.fromarray(grey)
    for folder in ("true", "pred"):
        (tmp_path / folder).mkdir()
    for name, picture, options in (
        ("rgba", mask.convert("RGBA"), {}), ("la", mask.convert("LA"), {}), ("one", mask, {"transparency": 0}),
    ):  # fmt: skip
        mask.save(tmp_path / "true" / f"{name}.png")
        picture.save(tmp_path / "pred" / f"{name}.png", **options)
    scores = score_folders(tmp_path / "pred", tmp_path / "true", workers=1)
    assert [score.metrics["whole"]["mad"] for score in scores.scores] == [0, 0, 0]
    assert scores.remarks() == []


def test_a_photo_in_the_place_of_a_prediction_is_told(tmp_path):
    for folder in ("true", "pred"):
        (tmp_path / folder).mkdir()
    Image.fromarray(np.pad(np.full((16, 16), 255, np.uint8), 8)).save(tmp_path / "true" / "a.png")
    path = tmp_path / "pred" / "a.png"
    Image.new("RGBA", (32, 32), (200, 100, 50, 255)).save(path)
    scores = score_folders(tmp_path / "pred", tmp_path / "true", workers=1)
    assert scores.remarks() == [f"predictions without background: 1 ({path}: at least 255 of 255)"]


def test_indices_into_a_palette_of_colours_are_no_alphas(tmp_path):
    """A cutout on white, saved with 256 colours; another with the two entries 0 and 1."""
    colours = np.dstack([TRUTHS["a"], 255 - TRUTHS["a"], TRUTHS["a"] // 2])
    two = Image.fromarray((TRUTHS["c"] > 127).astype(np.uint8), "P")
    two.putpalette([0, 0, 0, 255, 0, 0])
    save(tmp_path / "true", TRUTHS)
    save(tmp_path / "pred", {"a": Image.fromarray(colours).quantize(256), "b": TRUTHS["b"], "c": two})
    found = score_folders(tmp_path / "pred", tmp_path / "true", workers=1)
    assert [len(score.faults) for score in found.scores] == [1, 0, 0]
    assert "a.png: has a palette of colours, and is no matte; save it as grey PNG" in found.scores[0].faults[0]
    assert [kind for kind, _ in found.scores[2].remarks] == [scoring.FAINT_PREDICTION]
    save(tmp_path / "pred", {"a": TRUTHS["a"]})
    save(tmp_path / "trimaps", {"a": Image.fromarray(colours).quantize(256), "b": trimap_of(TRUTHS["b"])})
    found = score_folders(tmp_path / "pred", tmp_path / "true", [tmp_path / "trimaps"], workers=1)
    assert "a.png: has a palette of colours" in found.scores[0].faults[0]


@pytest.mark.skipif(os.name == "nt", reason="names are Unicode there")
def test_names_that_are_not_in_utf_8_stand_in_the_csv_file(tmp_path):
    name = os.fsdecode(b"caf\xe9")
    save(tmp_path / "pred", {name: TRUTHS["a"]})
    save(tmp_path / "true", {name: TRUTHS["a"]})
    assert run(tmp_path / "pred", tmp_path / "true", "--csv", tmp_path / "table.csv") == 0
    assert [row["picture"] for row in read_csv(tmp_path / "table.csv")] == [r"caf\udce9"]


@pytest.mark.parametrize("codes", [(0, 1, 2), (1, 2, 3), (1, 128, 254), (0, 128, 254), (0, 85, 170)])
def test_trimaps_in_another_code_are_refused_by_name(codes, tmp_path):
    """Background, unknown, person: of Oxford-IIIT Pet, 1, 3 and 2. All of it would count as unknown."""
    matte = next(iter(TRUTHS.values()))
    for folder in ("true", "pred"):
        save(tmp_path / folder, {"a": matte})
    trimap = trimap_of(matte)
    coded = np.select([trimap == 0, trimap == 255], [codes[0], codes[2]], codes[1]).astype(np.uint8)
    save(tmp_path / "trimaps", {"a": coded})
    scores = score_folders(tmp_path / "pred", tmp_path / "true", [tmp_path / "trimaps"], workers=1).scores
    assert (
        f"a.png: no trimap of 0, 255 and one value between, but {', '.join(map(str, sorted(codes)))};"
        in (scores[0].faults[0])
    )
    (tmp_path / "trimaps" / "a.png").unlink()
    Image.fromarray(trimap).save(tmp_path / "trimaps" / "a.jpg", quality=85)
    scores = score_folders(tmp_path / "pred", tmp_path / "true", [tmp_path / "trimaps"], workers=1).scores
    assert "save it as PNG of 0, 128 where it is unknown, and 255" in scores[0].faults[0]
