"""What is fuzzed: one function for each kind of input. It gives the project's own code any bytes, and lets through
nothing but what the docstrings promise: a result of its shape and range, or an error of one line that names the file.
"""

import io
import json
import os
import resource
import shutil
import struct
import warnings
import zipfile
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageCms

from helpers.config import PRESETS, Config, field_rules, load_config, parse_setting
from helpers.datasets.ground_truth import Remark, read_ground_truth
from helpers.datasets.layout_table import LAYOUTS
from helpers.datasets.layouts import find_splits
from helpers.datasets.manifests import MANIFEST, read_manifest
from helpers.datasets.pairs import READINGS, Pair, read_pair
from helpers.datasets.splits import SPLITS, user_ids, users_of
from helpers.files.photos import (
    FORMATS,
    look_inside,
    open_photo,
    picture_size,
    read_grey,
    read_photo,
    read_reduced,
    to_rgb,
)
from helpers.files.png import encode_png
from helpers.metrics.ground_truth import find_truths

MEMORY = 256 * 1024
"""KiB that one small input may add to the process's peak."""
LARGE = 2**20
"""Pixels, above which a picture is only looked into: a few bytes of WebP are 100 million pixels, and may be."""
_peak = 0


@contextmanager
def refusal(name, lines=1):
    """Out of the block may come a ValueError or FileNotFoundError with this name, of so many lines at most."""
    try:
        yield
    except (ValueError, FileNotFoundError) as error:
        text = str(error)
        promised = type(error) in (ValueError, FileNotFoundError)
        if not promised or str(name) not in text or len(text.splitlines()) > lines:
            raise AssertionError(f"no error for a person to read: {error!r}") from error


def _memory():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def attack(target, data, folder):
    """One execution: `data` for the `TARGETS` of this name, in an empty folder of its own.

    Fails for a warning, for more memory than `MEMORY`, and for a file that nobody asked for.
    """
    global _peak
    before = set(os.listdir(folder))
    _peak = _peak or _memory()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", module=r"PIL\.")  # as the command does
        TARGETS[target].run(data, Path(folder))
    earlier, _peak = _peak, _memory()
    assert _peak - earlier < MEMORY, "too much memory"
    assert set(os.listdir(folder)) <= before | {"input", *TARGETS[target].files}, "something was written"


# --------------------------------------------------------------------------------------------------------------- photos


def photo(data, _folder):
    """A photo as the command and the page get it: looked into, opened, and what it became written as PNG and read."""
    with refusal("a photo"):
        pixels, note = look_inside(data, "a photo")
        assert pixels > 0 and isinstance(note, str)
        if pixels > LARGE:
            return
    with refusal("a photo"):
        shown = open_photo(data, "a photo")
        assert shown.mode in ("RGB", "RGBA") and set(shown.info) <= {"icc_profile", "colour_chunks", "dpi"}
        _same_as_png(shown)
        _same_as_png(shown.getchannel(0))


def _same_as_png(picture):
    again = open_photo(encode_png(picture))
    assert np.array_equal(to_rgb(again), to_rgb(picture))
    assert picture.mode == "L" or again.info.get("icc_profile") == picture.info.get("icc_profile")
    # in whole dots a metre; a resolution of less than one is none
    resolution = [round(dots / 0.0254) for dots in picture.info.get("dpi", (0, 0))]
    kept = [round(dots / 0.0254) for dots in again.info.get("dpi", (0, 0))]
    assert kept == resolution or not all(resolution), (kept, resolution)


def mask(data, folder):
    """A photo and its truth in one file, as training reads them, however the truth is meant."""
    path = folder / "input"
    path.write_bytes(data)
    with refusal(path):
        if look_inside(path)[0] > LARGE:
            return
    shape = None
    with refusal(path):
        rgb, (small, size) = read_photo(path), read_reduced(path, 2)
        assert rgb.dtype == np.uint8 and rgb.shape == (*size, 3) == (*picture_size(path), 3)
        shape = rgb.shape[:2]
        assert small.dtype == np.uint8 and all(side >= 2 or side == whole for side, whole in zip(small.shape, size))
    with refusal(path):
        grey = read_grey(path)
        assert grey.dtype == np.uint8 and grey.shape == (shape or grey.shape)
    for reading in READINGS:
        with refusal(path):
            alpha, remarks = read_ground_truth(path, reading)
            assert alpha.dtype == np.uint8 and alpha.shape == (shape or alpha.shape)
            read_as_grey = any(kind == Remark.NOT_CLASSES for kind, _ in remarks)
            assert reading != "classes" or read_as_grey or set(np.unique(alpha)) <= {0, 255}
        with refusal(path):
            image, alpha = read_pair(Pair(path, path, reading), 2)
            assert image.shape == (*alpha.shape, 3)


def small_pictures():
    """Files of a few pixels, in all formats that photos come in and several modes, with profile, EXIF and frames."""
    Image.init()
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "a camera"
    more = {"exif": exif, "icc_profile": ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()}
    rgba = Image.fromarray(np.random.default_rng(0).integers(0, 256, (6, 5, 4), np.uint8))
    rgb, grey, bits, palette = rgba.convert("RGB"), rgba.convert("L"), rgba.convert("1"), rgba.convert("P")
    deep = Image.fromarray(np.asarray(grey, np.uint16) * 257)
    frames = {"save_all": True, "append_images": [rgb.rotate(180)]}
    for form, picture, options in [
        ("PNG", grey, {}), ("PNG", rgba, {"dpi": (300, 300)}), ("PNG", rgb, {"exif": exif}), ("PNG", bits, {}),
        ("PNG", palette, {"transparency": 3}), ("PNG", deep, {}), ("PNG", rgba.convert("LA"), {}),
        ("PNG", rgba, frames),
        ("PNG", grey, {"exif": exif}), ("JPEG", rgb, {"dpi": (300, 300), **more}), ("JPEG", grey, {}),
        ("JPEG", rgb, {"progressive": True}), ("JPEG", rgb.convert("CMYK"), {}), ("MPO", rgb, frames),
        ("WEBP", rgba, {"lossless": True}), ("WEBP", rgb, more), ("WEBP", rgb, frames), ("GIF", palette, {}),
        ("GIF", rgb, frames), ("TIFF", rgba, {"exif": exif, "dpi": (72, 72)}),
        ("TIFF", deep, {"compression": "tiff_lzw"}),
        ("TIFF", grey.convert("F"), {}), ("BMP", rgb, {}), ("BMP", bits, {}), ("PPM", rgb, {}),
        ("PPM", grey, {}), ("JPEG2000", rgb, {}), ("AVIF", rgba, {}),
    ]:  # fmt: skip
        if form in FORMATS and form in Image.SAVE:
            stream = io.BytesIO()
            picture.save(stream, form, **options)
            yield stream.getvalue()


# ----------------------------------------------------------------------------------------------------- lists and trees


def _is_whole(splits, folder):
    """Asserts of {split: Found} that no photo is in two of them, and every file is there."""
    assert set(splits) <= set(SPLITS)
    images = [pair.image for found in splits.values() for pair in found.pairs]
    assert len(set(images)) == len(images)
    for found in splits.values():
        assert all(path.is_file() for pair in found.pairs for path in pair[:2])
        assert len(found.photos_alone) == len(set(found.photos_alone))
        assert len(found.left_out().splitlines()) <= 1


def _grown(folder, *names):
    for name in names:
        path = folder / name
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()


def manifest(data, folder):
    """A manifest beside four files that it may list."""
    path = folder / MANIFEST
    _grown(folder, "a.jpg", "b.jpg", "a.png", "b.png")
    path.write_bytes(data)
    with refusal(path):
        splits = read_manifest(path)
        _is_whole(splits, folder)
        assert all(pair.reading in READINGS and pair.rough in (True, False)
                   for found in splits.values() for pair in found.pairs)  # fmt: skip


MANIFESTS = [
    b"image,mask\na.jpg,a.png\nb.jpg,b.png\n",
    b"\xef\xbb\xbfimage;mask;category;split;width;height;reading;rough\r\na.jpg;a.png;p3m;train;1;1;grey;0\r\n",
    b'split\tmask\timage\trough\nval\t"a.png"\ta.jpg\tyes\ntest\tb.png\tb.jpg\t\n',
    b"image,mask,reading\na.png,a.png,opacity\ngone.jpg,a.png,classes\nb.jpg,gone.png,\n,,\n",
]


def persons(data, folder):
    """The meta.csv of a data set in EasyPortrait's layout."""
    path = folder / "meta.csv"
    _grown(
        folder,
        *(
            f"{kind}/train/{name}"
            for name in "ab"
            for kind, name in (("images", f"{name}.jpg"), ("annotations", f"{name}.png"))
        ),
    )
    path.write_bytes(data)
    with refusal(path):
        users = users_of(folder)
        assert all(isinstance(each, str) for pair in users.items() for each in pair)
    with refusal(path):
        splits = find_splits(folder)
        _is_whole(splits, folder)
        assert sum(len(found.pairs) for found in splits.values()) == 2
        train, val = (user_ids(folder, splits[name].pairs) if name in splits else set() for name in ("train", "val"))
        assert not train & val


PERSONS = [
    b"image_name,user_id,set\na.jpg,anna,train\nb.jpg,bert,train\n", b"attachment_id\tuser_id\na\tanna\nb\tanna\n",
    b"\xef\xbb\xbfimage_name,user_id\r\n\"a.jpg\",\"an\r\nna\"\r\nb.jpg,\r\n",
]  # fmt: skip


def lists(data, folder):
    """The list of a split in the layout `people`."""
    path = folder / "segmentation" / "val.txt"
    _grown(folder, "segmentation/train.txt", *(f"{kind}/{name}.png" for kind in ("images", "masks") for name in "abc"))
    path.write_bytes(data)
    with refusal(path):
        splits = find_splits(folder)
        _is_whole(splits, folder)
        assert sum(len(found.pairs) for found in splits.values()) == 3


LISTS = [b"a\nb\n", b"\xef\xbb\xbfimages/a.png\r\nc\r\n", b"", b"a.b.png\n/b\n"]


def tree(data, folder):
    """A folder whose files have any names: a line each. Truths are looked for in it as well."""
    folder = folder / "set"
    for line in data.split(b"\n")[:12]:
        path = os.path.normpath(os.path.join(os.fsencode(folder), line.lstrip(b"/").replace(b"\0", b"")))
        # what is told of a name of several lines has several lines
        if path.startswith(os.fsencode(folder) + b"/") and len(os.fsdecode(path).splitlines()) == 1:
            try:
                os.makedirs(os.path.dirname(path), exist_ok=True)
                with open(path, "wb"):
                    pass
            except OSError:
                pass  # no name for a file
    table = len(LAYOUTS) + 1  # lines of what is told of a folder that has no layout
    with refusal("set", table):
        for find in (find_splits, partial(find_splits, truth="mattes"), partial(find_splits, layout="pairs")):
            with refusal("set", table):
                _is_whole(find(folder), folder)
        truths = find_truths(folder)
        names = [name for truth in truths.truths for name in truth.names]
        assert len(names) == len(set(names))
    shutil.rmtree(folder, ignore_errors=True)


TREES = [
    b"images/train/a.jpg\nannotations/train/a.png\nimages/val/b.jpg\nannotations/val/b.png",
    b"train/blurred_image/p_1.jpg\ntrain/mask/p_1.png\nvalidation/P3M-500-NP/original_image/a.jpg",
    b"clip_img/18/clip_0/a.jpg\nmatting/18/matting_0/a.png\nset/clip_img/18/clip_0/a.jpg",
    b"Train/Imgs/COD10K-CAM-1-Aquatic-1-BatFish-2.jpg\nTrain/GT_Object/COD10K-CAM-1-Aquatic-1-BatFish-2.png",
    b"cutouts/a.png\ncutouts/anna/b.webp\nbackgrounds/wall.jpg\nbackgrounds/.hidden.jpg",
    b"photos/training/x/a.jpg\nalphas/training/x/a.png\ntrimap/a.png\nalphas/training/x/a.tif",
    b"images/a.jpg\nmasks/a.png\nsegmentation/train.txt\n__MACOSX/images/a.jpg",
]


# -------------------------------------------------------------------------------------------------------- configuration


def setting(data, _folder):
    """A preset, and settings as `--set` takes them: one a line."""
    preset, *texts = data.decode(errors="surrogateescape").split("\n")
    fields = {}
    for text in texts:
        try:
            key, value = parse_setting(text)
        except ValueError as error:
            assert type(error) is ValueError and str(error).startswith(repr(text)), repr(error)
        else:
            assert isinstance(value, (bool, int, float, str)) and key != "name"
            fields[key] = value
    try:
        config = load_config(preset, **fields)
    except ValueError as error:
        assert type(error) is ValueError and len(str(error).splitlines()) == 1, repr(error)
    else:
        assert isinstance(config, Config) and all(getattr(config, key) == value for key, value in fields.items())
        assert json.loads(json.dumps(vars(config))) == vars(config)  # as checkpoints and exports hold it


def settings():
    """Each preset with half of the fields, set to what they are."""
    for i, (name, preset) in enumerate(PRESETS.items()):
        yield "\n".join(
            [name, *(f"{field}={getattr(preset, field)}" for field in list(field_rules())[i % 2 :: 2])]
        ).encode()


def parse_source(text):
    """`helpers.samples.mixing.parse_source`, which imports torch."""
    from helpers.samples import mixing

    return mixing.parse_source(text)


def source(data, _folder):
    """A data set as `--data` names it."""
    text = data.decode(errors="surrogateescape")
    try:
        parsed = parse_source(text)
    except ValueError as error:
        assert type(error) is ValueError and str(error).startswith(repr(text)), repr(error)
    else:
        assert 0 < parsed.weight < float("inf") and parsed.rough in (True, False)
        assert parsed.layout is None or parsed.layout in LAYOUTS


SOURCES = [b"data,weight=2,rough=true", b"data,layout=p3m", b"data,layout=cutouts,backgrounds=walls,weight=.5", b""]


# ---------------------------------------------------------------------------------------------------------- checkpoints


def checkpoint(data, folder):
    """A checkpoint of any bytes: .safetensors if they look like it, otherwise .pth."""
    _read_checkpoint(data, folder, ".safetensors" if data[8:9] == b"{" else ".pth")


def pickled(data, folder):
    """A checkpoint whose outside is whole: any bytes as the pickle in it, or as the head of a .safetensors file."""
    if data.startswith(b"{"):
        return _read_checkpoint(struct.pack("<Q", len(data)) + data + bytes(24), folder, ".safetensors")
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in (("data.pkl", data), ("byteorder", b"little"), ("data/0", bytes(24)), ("version", b"3\n")):
            archive.writestr(f"archive/{name}", content)
    return _read_checkpoint(stream.getvalue(), folder, ".pth")


def _read_checkpoint(data, folder, extension):
    import torch

    from helpers.networks.registry import read_network
    from helpers.networks.weights import read_checkpoint, read_weights

    path = folder / f"input{extension}"
    path.write_bytes(data)
    with refusal(path):
        assert isinstance(read_checkpoint(path), dict)
    with refusal(path):
        weights = read_weights(path)
        assert all(isinstance(key, str) and isinstance(value, torch.Tensor) for key, value in weights.items())
    with refusal(path):
        model, notes = read_network(path)
        assert isinstance(model, torch.nn.Module) and isinstance(notes.get("config", {}), dict)
    path.unlink()


class Malicious:
    """Makes a folder when it is unpickled without care."""

    def __reduce__(self):
        return os.mkdir, ("run",)


@cache
def small_checkpoints():
    """Checkpoints of a few numbers: as torch writes them now and wrote them before, with code in them, and exports."""
    import torch
    from safetensors.torch import save

    import helpers.networks  # noqa: F401 (before the fuzzer begins, which watches what it saw imported)

    weights = {"stage1.rebnconv1.conv_s1.weight": torch.ones(3, 1, 1, 1), "side1.bias": torch.ones(2)}
    notes = {"config": vars(PRESETS["smoke"]), "table": [["En_1", 2, 3, 3, False]] * 11, "network": "u2net_lite"}
    found = []
    for state in ({"model_state_dict": weights, **notes}, weights, {"weights": Malicious()}):
        for zipped in (True, False):
            stream = io.BytesIO()
            torch.save(state, stream, _use_new_zipfile_serialization=zipped)
            found.append(stream.getvalue())
    return [*found, save(weights, {key: json.dumps(value) for key, value in notes.items()}), save(weights)]


def pickles():
    """The pickles and heads in `small_checkpoints`."""
    for data in small_checkpoints():
        if data[8:9] == b"{":
            yield data[8 : 8 + int.from_bytes(data[:8], "little")]
        elif data.startswith(b"PK"):
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                yield archive.read("archive/data.pkl")


# ---------------------------------------------------------------------------------------------------------------- ONNX

NAME = "the exported network"  # what errors call a model that comes as bytes


@cache
def small_model(batch="batch", height="height", width="width"):
    """The bytes of an ONNX model whose map is the mean of the channels, for these sizes."""
    from onnx import TensorProto, helper

    nodes = [helper.make_node("ReduceMean", ["input"], ["grey"], axes=[1]),
             helper.make_node("Sigmoid", ["grey"], ["map"])]  # fmt: skip
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
            for name, shape in (("input", [batch, 3, height, width]), ("map", None))]  # fmt: skip
    graph = helper.make_graph(nodes, "mean", ends[:1], ends[1:])
    opsets = [helper.make_opsetid("", 17)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=9).SerializeToString()


def with_notes(model, notes):
    """The bytes of an ONNX model with more metadata, {key: value} of bytes: as protobuf has it, appended."""

    def field(number, content):
        size, length = len(content), b""
        while size > 127:
            length, size = length + bytes([size % 128 + 128]), size // 128
        return bytes([number * 8 + 2]) + length + bytes([size]) + content

    return model + b"".join(field(14, field(1, key) + field(2, value)) for key, value in notes.items())


def metadata(data, _folder):
    """A good model with any metadata: config, network, and a key of its own, a line each."""
    config, network, other = [*data.split(b"\n", 2), b"", b""][:3]
    _predict(with_notes(small_model(), {b"config": config, b"network": network, b"\xff": other}))


METADATA = [
    b'{"image_size": 64, "name": "smoke"}\n"u2net_lite"', b"{}\nnull", b'[1, {"image_size": 1e3}]\n"a"\nmore',
    b'{"image_size": "64"}\n["a", NaN, true]',
]  # fmt: skip


def model(data, _folder):
    """An ONNX model of any bytes."""
    _predict(data)


def _predict(data):
    from helpers.cutout.predictors import OnnxPredictor

    with refusal(NAME):
        predictor = OnnxPredictor(data, "cpu")
        assert isinstance(predictor.size_for(), int) and predictor.size_for() > 0
        assert len(predictor.name.splitlines()) == 1
        maps = predictor(np.full((2, 3, 4, 6), 128, np.uint8))
        assert maps.shape == (2, 4, 6) and maps.dtype == np.float32 and 0 <= maps.min() <= maps.max() <= 1


def models():
    """Models for any size, for one picture of one, and one with metadata."""
    import helpers.cutout.predictors  # noqa: F401

    return [small_model(), small_model(1, 4, 4), with_notes(small_model(), {b"network": b'"u2net"', b"config": b"{}"})]


class Target(NamedTuple):
    """A kind of input.

    Attributes:
        run: gives `data` to the code, with a folder for files.
        seeds: good inputs to begin with.
        runs: executions of the short version.
        files: what stands in the folder besides `input`.
    """

    run: callable
    seeds: callable
    runs: int
    files: tuple[str, ...] = ()


TARGETS = {
    "photo": Target(photo, lambda: list(small_pictures()), 2_000),
    "mask": Target(mask, lambda: list(small_pictures()), 2_000),
    "manifest": Target(manifest, lambda: MANIFESTS, 6_000, (MANIFEST, "a.jpg", "b.jpg", "a.png", "b.png")),
    "persons": Target(persons, lambda: PERSONS, 2_000, ("meta.csv", "images", "annotations")),
    "lists": Target(lists, lambda: LISTS, 2_000, ("segmentation", "images", "masks")),
    "tree": Target(tree, lambda: TREES, 2_000),
    "setting": Target(setting, lambda: list(settings()), 50_000),
    "source": Target(source, lambda: parse_source("data") and SOURCES, 36_000),
    "checkpoint": Target(checkpoint, small_checkpoints, 2_000),
    "pickled": Target(pickled, lambda: list(pickles()), 2_000),
    "metadata": Target(metadata, lambda: models() and METADATA, 2_000),
    "model": Target(model, models, 2_000),
}
"""By name."""
