"""Finding pairs in every layout, on small trees of their real shapes; persons."""

import csv
import os
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from helpers.datasets.layouts import (
    CLASSES,
    LAYOUTS,
    SPLITS,
    backgrounds_in,
    find_pairs,
    find_splits,
    recognise,
    splits_in,
)
from helpers.datasets.pairs import Pair, read_pair
from helpers.datasets.splits import shared_persons, user_ids, users_of


def grow(folder, *paths):
    """Empty files: finding opens none."""
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).touch()
    return folder


def names(folder, **options):
    """{split: ([pairs], [photos alone], [truths alone], [ambiguous])} with paths relative to the folder."""

    def name(path):
        return path.relative_to(folder).as_posix()

    def all_names(found):
        return [(name(pair.image), name(pair.truth)) for pair in found.pairs], *(list(map(name, f)) for f in found[1:])

    return {split: all_names(found) for split, found in find_splits(folder, **options).items()}


def pairs_of(folder, **options):
    return {split: found[0] for split, found in names(folder, **options).items()}


def numbered(pattern, count=40):
    return [pattern.format(i) for i in range(count)]


# ------------------------------------------------------------------------------------------- the layouts of real sets

EASYPORTRAIT = ("images/train/a.jpg", "images/val/b.jpg", "images/test/c.jpg",
                "annotations/train/a.png", "annotations/val/b.png", "annotations/test/c.png", "meta.csv")  # fmt: skip
P3M = ("train/blurred_image/p_1.jpg", "train/mask/p_1.png", "train/blurred_image/p_2.jpg", "train/mask/p_2.png",
       "validation/P3M-500-P/blurred_image/p_3.jpg", "validation/P3M-500-P/mask/p_3.png",
       "validation/P3M-500-P/trimap/p_3.png", "validation/P3M-500-NP/original_image/p_4.jpg",
       "validation/P3M-500-NP/mask/p_4.png", "validation/P3M-500-NP/trimap/p_4.png")  # fmt: skip
AISEGMENT = ("clip_img/1803151818/clip_00000000/1803151818-00000003.jpg",
             "matting/1803151818/matting_00000000/1803151818-00000003.png",
             "clip_img/1803241125/clip_00000001/1803241125-00000045.jpg",
             "matting/1803241125/matting_00000001/1803241125-00000045.png",
             "matting/1803241125/matting_00000001/._1803241125-00000045.png")  # fmt: skip
PEOPLE = ("images/a.jpg", "masks/a.png", "images/b.jpg", "masks/b.png", "images/c.d.jpg", "masks/c.d.png",
          "segmentation/train.txt", "segmentation/trainval.txt", "segmentation/val.txt")  # fmt: skip
COD10K = ("Train/Image/COD10K-CAM-1-Aquatic-1-BatFish-2.jpg", "Train/GT_Object/COD10K-CAM-1-Aquatic-1-BatFish-2.png",
          "Train/GT_Edge/COD10K-CAM-1-Aquatic-1-BatFish-2.png", "Train/CAM_Instance_Train.json",
          "Train/Image/COD10K-NonCAM-5-Background-6-Sky-3.jpg",
          "Train/GT_Object/COD10K-NonCAM-5-Background-6-Sky-3.png",
          "Test/Image/COD10K-CAM-3-Flying-53-Bird-3024.jpg",
          "Test/GT_Object/COD10K-CAM-3-Flying-53-Bird-3024.png")  # fmt: skip
CUTOUTS = ("cutouts/a.png", "cutouts/anna/b.webp", "cutouts/c.jpg", "backgrounds/wall.jpg", "backgrounds/out/tree.png")
PAIRS = ("images/a.jpg", "masks/a.png", "images/b.jpg", "masks/b.png")

SHAPES = {
    "easyportrait": (EASYPORTRAIT, {"train": ["a"], "val": ["b"], "test": ["c"]}, {"easyportrait"}),
    "p3m": (P3M, {"train": ["p_1"], "val": ["p_2"], "test": ["p_4", "p_3"]}, {"p3m", "p3m-500-p", "p3m-500-np"}),
    "aisegment": (AISEGMENT, {"train": ["1803151818-00000003"], "val": ["1803241125-00000045"]}, {"aisegment"}),
    "people": (PEOPLE, {"train": ["a", "c.d"], "val": ["b"]}, {"people"}),
    "cod10k": (COD10K, {"train": ["COD10K-NonCAM-5-Background-6-Sky-3"], "val": ["COD10K-CAM-1-Aquatic-1-BatFish-2"],
                        "test": ["COD10K-CAM-3-Flying-53-Bird-3024"]},
               {"cod10k-aquatic", "cod10k-flying", "cod10k-noncam"}),
    "cutouts": (CUTOUTS, {"train": ["b"], "val": ["a"]}, {"cutouts"}),
    "pairs": (PAIRS, {"train": ["b"], "val": ["a"]}, {"photos"}),
}  # fmt: skip


@pytest.fixture(params=[name for name in LAYOUTS if name != "manifest"])
def shape(request):
    """Name, files, expected stems and categories of every layout that is a tree."""
    return request.param, *SHAPES[request.param]


def plant(folder, files):
    grow(folder, *files)
    for path in map(folder.joinpath, files):
        if path.suffix == ".txt":
            path.write_text({"train": "a\nc.d\n", "val": "images/b.jpg\n", "trainval": "a\nb\nc.d\n"}[path.stem])


def test_sub_folders_may_have_any_name(tmp_path):
    names = ["a b", "a'b", 'a"b', "a,b", "a\nb", "é"]
    grow(tmp_path, *(f"{kind}/{name}/{i}.png" for kind in ("images", "masks") for i, name in enumerate(names)))
    pairs = [pair for split in find_splits(tmp_path).values() for pair in split.pairs]
    assert sorted(pair.image.parent.name for pair in pairs) == sorted(names)


def test_the_layouts():
    assert list(LAYOUTS) == ["manifest", "easyportrait", "p3m", "aisegment", "people", "cod10k", "cutouts", "pairs"]


@pytest.mark.parametrize("top", ["", "archive"])
def test_each_layout_is_recognised_and_paired(top, shape, tmp_path):
    """Its splits in order, its categories, every truth with its photo; also one folder deeper."""
    name, files, stems, categories = shape
    folder = tmp_path / "data"
    plant(folder / top, files)
    assert recognise(folder) == name
    found = find_splits(folder)
    assert list(found) == [split for split in SPLITS if split in stems]
    assert {split: sorted(pair.image.stem for pair in found[split].pairs) for split in found} == {
        split: sorted(stems[split]) for split in stems
    }
    pairs = [pair for split in found.values() for pair in split.pairs]
    assert all(isinstance(pair, Pair) and pair.image.is_file() and pair.truth.is_file() for pair in pairs)
    assert all(pair.image.stem == pair.truth.stem for pair in pairs)
    assert {pair.category for pair in pairs} == (categories if name != "pairs" or not top else {"archive"})
    assert not any(pair.rough for pair in pairs)
    assert {pair.reading for pair in pairs} == {
        {"easyportrait": "classes", "aisegment": "opacity", "cutouts": "opacity"}.get(name, "grey")
    }


def test_folders_and_extensions_in_capitals(shape, tmp_path):
    name, files, stems, _ = shape
    plant(tmp_path, files)
    folder = tmp_path / "capitals"
    for path in files:
        place, _, file = path.rpartition("/")
        stem, extension = os.path.splitext(file)
        if not path.endswith((".txt", ".csv", ".json")):
            grow(folder, f"{place.upper()}/{stem}{extension.upper()}")
    if name == "people":  # its lists are text, not pictures
        grow(folder, "SEGMENTATION/notes")
    assert recognise(folder) == name
    found = find_splits(folder)
    stems_found = [pair.image.stem for split in found.values() for pair in split.pairs]
    assert sorted(stems_found) == sorted(sum(stems.values(), []))


def test_the_name_of_a_layout_spares_recognising_it(tmp_path):
    grow(tmp_path, *PAIRS, "segmentation/val.txt", "cutouts/c.png")
    grow(tmp_path, "clip_img/1/clip_0/d.jpg", "matting/1/matting_0/d.png")
    with pytest.raises(ValueError, match="looks like aisegment and people; give the folder of one .*name the layout"):
        recognise(tmp_path)
    for name, stems in (("pairs", "ab"), ("people", "ab"), ("cutouts", "c"), ("aisegment", "d")):
        splits = find_splits(tmp_path, layout=name)
        assert sorted(pair.image.stem for found in splits.values() for pair in found.pairs) == list(stems)


def test_an_unknown_layout_is_refused_with_the_known_ones(tmp_path):
    for find in (lambda: find_splits(tmp_path, layout="coco"), lambda: find_pairs(tmp_path, "val", layout="coco")):
        with pytest.raises(ValueError, match="unknown layout 'coco'; known are manifest, easyportrait, p3m"):
            find()


def test_a_folder_of_no_layout_is_told_what_there_is_and_what_could_be(tmp_path):
    grow(tmp_path, "faces/a.jpg", "faces/old/b.jpg", "notes/c.txt")
    with pytest.raises(FileNotFoundError) as caught:
        recognise(tmp_path)
    message = str(caught.value)
    assert message.startswith(f"{tmp_path}: of no known layout; photos lie in {tmp_path.name}/faces, ")
    for name, layout in LAYOUTS.items():
        assert f"\n  {name}: {layout.tree}" in message
    assert splits_in(tmp_path) == []


@pytest.mark.parametrize("find", [recognise, find_splits, lambda folder: find_pairs(folder, "train"), backgrounds_in])
def test_a_missing_folder_is_named(find, tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere: no such folder; unpack the data set into it, or correct"):
        find(tmp_path / "nowhere")
    assert splits_in(tmp_path / "nowhere") == []


def test_a_named_layout_that_is_not_there_is_described(tmp_path):
    grow(tmp_path, *PAIRS)
    with pytest.raises(FileNotFoundError, match=r"nothing of the layout p3m there: train/blurred_image/\*\.jpg with"):
        find_splits(tmp_path, layout="p3m")


# --------------------------------------------------------------------------------------------------------- easyportrait


@pytest.fixture(params=["images/train", "train/images"])
def kind_folder(request, tmp_path):
    """`kind_folder("images")` → path of that kind of files in the split "train", in both of EasyPortrait's layouts."""
    first, _ = request.param.split("/")
    return lambda kind: f"{kind}/train" if first == "images" else f"train/{kind}"


def test_the_classes_of_easyportrait():
    assert [CLASSES.index(name) for name in ("BACKGROUND", "PERSON", "SKIN", "LIPS", "TEETH")] == [0, 1, 2, 7, 8]
    assert len(CLASSES) == 9


def test_pairs_are_matched_by_name_and_sorted_by_it(portrait_folder):
    for split, count in (("train", 12), ("val", 4), ("test", 4)):
        pairs = find_pairs(portrait_folder, split)
        assert len(pairs) == count
        assert pairs == sorted(pairs)
        for pair in pairs:
            assert pair.image.parent == portrait_folder / "images" / split
            assert pair.truth == portrait_folder / "annotations" / split / f"{pair.image.stem}.png"
            assert pair[2:] == ("classes", "easyportrait", False)


def test_both_layouts_of_easyportrait_are_understood(kind_folder, tmp_path):
    images, annotations = map(kind_folder, ("images", "annotations"))
    grow(tmp_path, *(f"{images}/{name}" for name in ("b.jpg", "a.b.JPEG", "c.png", "notes.txt")))
    grow(tmp_path, *(f"{annotations}/{name}" for name in ("b.png", "a.b.PNG", "c.png", "without-a-photo.png")))
    found = names(tmp_path, layout="easyportrait")
    assert {pair for split in found.values() for pair in split[0]} == {
        (f"{images}/b.jpg", f"{annotations}/b.png"), (f"{images}/a.b.JPEG", f"{annotations}/a.b.PNG"),
        (f"{images}/c.png", f"{annotations}/c.png"),
    }  # fmt: skip
    assert found["train"][1:] == ([], [f"{annotations}/without-a-photo.png"], [], [])


def test_sorting_two_folders_would_pair_the_wrong_files(kind_folder, tmp_path):
    grow(tmp_path, *(f"{kind_folder('annotations')}/{name}.png" for name in "1234"), "images/val/v.jpg",
         "annotations/val/v.png", *(f"{kind_folder('images')}/{name}.jpg" for name in "234"))  # fmt: skip
    pairs = find_splits(tmp_path)["train"].pairs
    assert [(pair.image.stem, pair.truth.stem) for pair in pairs] == [("2", "2"), ("3", "3"), ("4", "4")]


def test_mattes_instead_of_annotations(kind_folder, tmp_path):
    images, annotations, mattes = map(kind_folder, ("images", "annotations", "mattes"))
    grow(tmp_path, f"{images}/a.jpg", f"{annotations}/a.png", f"{mattes}/a.png")
    matte = Pair(tmp_path / images / "a.jpg", tmp_path / mattes / "a.png", "grey", "easyportrait")
    assert find_pairs(tmp_path, "train", "mattes") == [matte]
    assert find_pairs(tmp_path, "train") == [matte._replace(truth=tmp_path / annotations / "a.png", reading="classes")]


def test_whether_there_are_mattes(portrait_folder, shape, tmp_path):
    """Where there is only one kind of truth, it is the best there is and stands for both."""
    assert splits_in(portrait_folder) == list(SPLITS) == ["train", "val", "test"]
    assert splits_in(portrait_folder, "mattes") == []
    with pytest.raises(FileNotFoundError, match=r"no photo of the split 'train' has a ground truth \(mattes\) of"):
        find_pairs(portrait_folder, "train", "mattes")
    name, files, stems, _ = shape
    plant(tmp_path, files)
    if name != "easyportrait":
        assert find_splits(tmp_path, "mattes") == find_splits(tmp_path)
        assert splits_in(tmp_path, "mattes") == splits_in(tmp_path) == [split for split in SPLITS if split in stems]


def test_a_part_of_easyportrait_without_splits_is_read_by_its_classes(tmp_path):
    grow(tmp_path, *numbered("images/{}.jpg", 3), *numbered("annotations/{}.png", 3))
    assert recognise(tmp_path) == "easyportrait"
    assert {pair.reading for found in find_splits(tmp_path).values() for pair in found.pairs} == {"classes"}


def test_real_portraits_are_read(shared):
    folder = shared / "data" / "ccp"
    if not folder.is_dir():
        pytest.skip("../shared/data/ccp is not there")
    assert recognise(folder) == "easyportrait"
    for split in splits_in(folder):
        image, alpha = read_pair(find_pairs(folder, split)[0])
        assert image.shape == (*alpha.shape, 3)
        assert set(np.unique(alpha)) == {0, 255}


# -------------------------------------------------------------------------------------------- what is special in others


@pytest.mark.parametrize("given", ["", "P3M-10k", "P3M-10k/validation", "P3M-10k/validation/P3M-500-NP"])
def test_benchmarks_are_never_trained_or_validated_on(given, tmp_path):
    """However much of the path the data folder leaves out."""
    grow(tmp_path / "P3M-10k", *P3M)
    found = find_splits(tmp_path / given)
    benchmarks = {pair.image.stem for pair in found["test"].pairs}
    assert benchmarks == ({"p_4"} if given.endswith("NP") else {"p_3", "p_4"})
    assert {pair.category for pair in found["test"].pairs} <= {"p3m-500-p", "p3m-500-np"}
    others = {pair.image.stem for split in found if split != "test" for pair in found[split].pairs}
    assert others == (set() if "validation" in given else {"p_1", "p_2"})
    assert list(found) == (["test"] if "validation" in given else ["train", "val", "test"])


def test_of_blurred_and_original_faces_the_original_ones_count(tmp_path):
    grow(tmp_path, "train/blurred_image/a.jpg", "train/original_image/a.jpg", "train/mask/a.png", "train/mask/b.png",
         "train/blurred_image/b.jpg")  # fmt: skip
    found = find_splits(tmp_path)
    assert {pair.image.parent.name for split in found.values() for pair in split.pairs if pair.image.stem == "a"} == {
        "original_image"
    }
    assert not any(split.ambiguous for split in found.values())


def test_the_copy_inside_aisegment_counts_once(tmp_path):
    grow(tmp_path, *AISEGMENT)
    once = pairs_of(tmp_path)
    grow(tmp_path / "matting_human_half", *AISEGMENT)
    assert pairs_of(tmp_path) == once


def test_equal_numbers_of_different_clips_are_different_photos(tmp_path):
    grow(tmp_path, "clip_img/1/clip_0/a.jpg", "clip_img/1/clip_1/a.jpg", "clip_img/2/clip_0/b.jpg",
         "matting/1/matting_0/a.png", "matting/1/matting_1/a.png", "matting/2/matting_1/b.png")  # fmt: skip
    found = names(tmp_path)
    assert sorted(pair for split in found.values() for pair in split[0]) == [
        ("clip_img/1/clip_0/a.jpg", "matting/1/matting_0/a.png"),
        ("clip_img/1/clip_1/a.jpg", "matting/1/matting_1/a.png"),
    ]
    assert found["train"][1:] == (["clip_img/2/clip_0/b.jpg"], ["matting/2/matting_1/b.png"], [], [])


@pytest.mark.parametrize("files", [
    ("Imgs/x.jpg", "GT_Object/x.png"), ("Train/Imgs/x.jpg", "Train/GT_Object/x.png"),
    ("TRAIN/images/x.jpg", "TRAIN/GT_objects/x.png"), ("TrainDataset/Imgs/x.jpg", "TrainDataset/GT/x.png"),
    ("TestDataset/COD10K/Imgs/x.jpg", "TestDataset/COD10K/GT/x.png"),
    ("COD10K-v3/Test/Img/x.jpg", "COD10K-v3/Test/GT_Object/x.png"),
])  # fmt: skip
def test_the_shapes_of_cod10k(files, tmp_path):
    grow(tmp_path, *files)
    assert recognise(tmp_path) == "cod10k"
    assert pairs_of(tmp_path) == {"test" if "Test" in files[0] else "train": [files]}
    assert [pair.category for found in find_splits(tmp_path).values() for pair in found.pairs] == ["cod10k"]


def test_a_plain_set_with_gt_keeps_its_validation_split(tmp_path):
    grow(tmp_path, *(f"{split}/{kind}" for split in ("train", "val") for kind in ("images/x.jpg", "gt/x.png")))
    assert recognise(tmp_path) == "pairs"
    assert pairs_of(tmp_path)["val"] == [("val/images/x.jpg", "val/gt/x.png")]


def test_cutouts_are_their_own_truths(tmp_path):
    grow(tmp_path, *CUTOUTS)
    found = find_splits(tmp_path)
    assert all(pair.image == pair.truth for split in found.values() for pair in split.pairs)
    assert [path.name for path in found["train"].photos_alone] == ["c.jpg"]  # no JPEG is transparent


@pytest.mark.parametrize("given", ["", "set", "set/backgrounds"])
def test_backgrounds(given, tmp_path):
    grow(tmp_path / "set", *CUTOUTS, "backgrounds/notes.txt", "backgrounds/._wall.jpg")
    inside = tmp_path / "set" / "backgrounds"
    assert backgrounds_in(tmp_path / given) == [inside / "out" / "tree.png", inside / "wall.jpg"]


def test_cutouts_are_not_put_on_cutouts(tmp_path):
    grow(tmp_path, "cutouts/a.png")
    with pytest.raises(FileNotFoundError, match="backgrounds: no photos there"):
        backgrounds_in(tmp_path)
    assert list(find_splits(tmp_path, layout="cutouts")) == ["train"]
    with pytest.raises(FileNotFoundError, match="of no known layout"):
        recognise(tmp_path)


@pytest.mark.parametrize("photos, truths", [
    ("images", "masks"), ("image", "mask"), ("photos", "alphas"), ("Imgs", "mattes"), ("img", "gt"),
    ("original", "matte"), ("pictures", "annotations"),
])  # fmt: skip
@pytest.mark.parametrize("place", ["{0}/train/x", "train/{0}/x", "training/{0}/x", "{0}/valid/deep/x", "TEST/{0}/x",
                                   "{0}/x", "set/{0}/anna/b/x"])  # fmt: skip
def test_plain_pairs_of_folders(photos, truths, place, tmp_path):
    files = f"{place.format(photos)}.jpg", f"{place.format(truths)}.png"
    grow(tmp_path, *files)
    split = next((split for split in SPLITS if split in place.lower()), "train")
    assert recognise(tmp_path) == "pairs"
    assert pairs_of(tmp_path) == {split: [files]}
    category = "deep" if "deep" in place else "anna" if "anna" in place else "photos"
    assert find_splits(tmp_path)[split].pairs[0].category == category


def test_equal_stems_in_sub_folders_are_different_photos(tmp_path):
    grow(tmp_path, "images/train/anna/1.jpg", "images/train/ben/1.jpg", "images/train/1.jpg", "images/train/carl/1.jpg",
         "masks/train/anna/1.png", "masks/train/ben/1.png", "masks/train/1.png")  # fmt: skip
    found = names(tmp_path)
    assert sorted(pair for split in found.values() for pair in split[0]) == [
        (f"images/train/{place}1.jpg", f"masks/train/{place}1.png") for place in ("", "anna/", "ben/")
    ]
    assert list(map(len, (found["train"][0], found["val"][0]))) == [2, 1]  # though all have one stem
    assert found["train"][1:] == (["images/train/carl/1.jpg"], [], [], [])


# ------------------------------------------------------------------------------------------------------------ left out


def test_files_of_one_name_are_left_out_and_named(tmp_path):
    grow(tmp_path, *EASYPORTRAIT, "images/train/d.jpg", "images/train/d.png", "annotations/train/d.png",
         "images/train/e.jpg", "annotations/train/e.png", "annotations/train/e.bmp", "images/train/f.jpg",
         "annotations/train/g.png")  # fmt: skip
    assert names(tmp_path)["train"] == (
        [("images/train/a.jpg", "annotations/train/a.png")],
        ["images/train/f.jpg"],
        ["annotations/train/g.png"],
        ["annotations/train/d.png", "annotations/train/e.bmp", "annotations/train/e.png", "images/train/d.jpg",
         "images/train/d.png", "images/train/e.jpg"],
        [],
    )  # fmt: skip


def test_two_kinds_of_truths_are_not_chosen_between(tmp_path):
    grow(tmp_path, *PAIRS, "mattes/a.png")
    found = find_splits(tmp_path)["train"]
    assert {path.parent.name for path in found.ambiguous} == {"images", "masks", "mattes"}


@pytest.mark.parametrize("count, named", [(1, "f-0.jpg"), (3, "f-0.jpg, f-1.jpg, f-2.jpg"),
                                          (5, "f-0.jpg, f-1.jpg, f-2.jpg, …")])  # fmt: skip
def test_what_is_left_out_is_counted_and_named_once(count, named, kind_folder, tmp_path):
    images, annotations = map(kind_folder, ("images", "annotations"))
    grow(tmp_path, f"{images}/whole.jpg", f"{annotations}/whole.png", *numbered(images + "/f-{}.jpg", count))
    with pytest.warns(UserWarning) as caught:
        pairs = find_pairs(tmp_path, "train")
    assert [pair.image.name for pair in pairs] == ["whole.jpg"]
    assert len(caught) == 1
    assert str(caught[0].message) == f"{tmp_path}: left out of train: photos without a ground truth: {count} ({named})"
    assert caught[0].filename == __file__


def test_a_whole_set_warns_of_nothing(portrait_folder):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(find_pairs(portrait_folder, "train")) == 12


@pytest.mark.parametrize("missing", ["images", "annotations"])
def test_a_missing_half_is_told_with_what_is_expected(missing, kind_folder, tmp_path):
    there = kind_folder(*({"images", "annotations"} - {missing}))
    grow(tmp_path, f"{there}/a.png")
    with pytest.raises(FileNotFoundError) as caught:
        find_pairs(tmp_path, "train")
    assert f"photos lie in {tmp_path.name}/{there}" in str(caught.value)
    assert "images/{train,val,test}/*.jpg with annotations/{train,val,test}/*.png" in str(caught.value)


def test_folders_without_a_pair_are_named(kind_folder, tmp_path):
    grow(tmp_path, f"{kind_folder('images')}/a.jpg", f"{kind_folder('annotations')}/b.png")
    with pytest.raises(FileNotFoundError, match="no photo of the split 'train' has a ground truth") as caught:
        find_pairs(tmp_path, "train")
    left_out = "photos without a ground truth: 1 (a.jpg); ground truths without a photo: 1 (b.png)"
    for part in (str(tmp_path), left_out, "easyportrait"):
        assert part in str(caught.value)
    assert splits_in(tmp_path) == []
    assert list(find_splits(tmp_path)) == ["train"]


def test_a_missing_split_is_told_with_those_that_are_there(tmp_path):
    grow(tmp_path, *PAIRS)
    with pytest.raises(FileNotFoundError, match=r"split 'test' .* Found: train: 1 pairs, val: 1 pairs\. Expected"):
        find_pairs(tmp_path, "test")


def test_hidden_files_are_passed_over(tmp_path):
    grow(tmp_path, *EASYPORTRAIT)
    whole = names(tmp_path)
    grow(tmp_path, "images/train/._a.jpg", "images/train/.DS_Store", "images/train/Thumbs.db",
         ".cache/images/train/x.jpg", "__MACOSX/images/train/y.jpg", "annotations/train/._a.png")  # fmt: skip
    assert names(tmp_path) == whole


def test_linked_folders_are_followed_but_not_in_circles(tmp_path):
    grow(tmp_path / "elsewhere", "a.jpg", "b.jpg")
    grow(tmp_path / "data", *numbered("masks/{}.png", 1), "masks/a.png", "masks/b.png")
    try:
        (tmp_path / "data" / "images").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
        (tmp_path / "data" / "masks" / "again").symlink_to(tmp_path / "data", target_is_directory=True)
    except OSError:
        pytest.skip("no links on this file system")
    found = find_splits(tmp_path / "data")
    assert sorted(pair.image.stem for split in found.values() for pair in split.pairs) == ["a", "b"]
    assert len(found["train"].truths_alone) == 1


def test_a_relative_path_and_the_folder_one_is_in(tmp_path, monkeypatch):
    grow(tmp_path / "set", *EASYPORTRAIT)
    monkeypatch.chdir(tmp_path)
    assert [str(pair.image) for pair in find_pairs("set", "train")] == [os.path.join("set", "images", "train", "a.jpg")]
    monkeypatch.chdir(tmp_path / "set")
    assert [str(pair.image) for pair in find_pairs(".", "train")] == [os.path.join("images", "train", "a.jpg")]


# ------------------------------------------------------------------------------------------------- carving a validation


def test_a_validation_split_is_carved_from_train(tmp_path):
    grow(tmp_path, *numbered("images/photo-{}.jpg", 30), *numbered("masks/photo-{}.png", 30))
    assert splits_in(tmp_path) == ["train", "val"]
    assert {pair.image.stem for pair in find_pairs(tmp_path, "val")} == {"photo-4", "photo-25", "photo-29"}
    assert len(find_pairs(tmp_path, "train")) == 27


def test_a_validation_split_that_is_there_stays(tmp_path):
    grow(tmp_path, *numbered("images/train/{}.jpg"), *numbered("masks/train/{}.png"))
    grow(tmp_path, "images/val/x.jpg", "masks/val/x.png")
    assert [len(find_pairs(tmp_path, split)) for split in ("train", "val")] == [40, 1]


def test_persons_are_not_shared_between_train_and_carved_val(tmp_path):
    grow(tmp_path, *numbered("images/train/{}.jpg", 90), *numbered("annotations/train/{}.png", 90))
    rows = [f"{i}.jpg,user-{i // 3}" for i in range(90)]
    (tmp_path / "meta.csv").write_text("\n".join(["image_name,user_id", *rows]), encoding="utf-8")
    persons = [user_ids(tmp_path, find_pairs(tmp_path, split)) for split in ("train", "val")]
    assert not persons[0] & persons[1]
    assert len(persons[0] | persons[1]) == 30
    assert persons[1]


# -------------------------------------------------------------------------------------------------------------- persons


def test_persons_of_the_splits_are_disjoint(portrait_folder):
    persons = {split: user_ids(portrait_folder, find_pairs(portrait_folder, split)) for split in SPLITS}
    assert persons["val"] == {"val-user-0", "val-user-1"}
    assert [len(persons[split]) for split in SPLITS] == [6, 2, 2]
    assert len(set.union(*persons.values())) == 10


@pytest.mark.parametrize("place", ["", "annotations", "meta"])
@pytest.mark.parametrize("delimiter", [",", "\t"])
@pytest.mark.parametrize("column", ["image_name", "attachment_id"])
def test_persons_by_commas_and_by_tabs(place, delimiter, column, tmp_path):
    pairs = [Pair(tmp_path / f"{name}.jpg", tmp_path / f"{name}.png") for name in ("a", "b", "c.d", "unknown")]
    (tmp_path / place).mkdir(exist_ok=True)
    with open(tmp_path / place / "meta.csv", "w", newline="", encoding="utf-8") as file:
        rows = [[column, "user_id", "set"], ["a.jpg", "anna", "train"], ["b.jpg", "anna", "train"],
                ["c.d.jpg", "carl, the second", "train"], ["e.jpg", "eve", "val"]]  # fmt: skip
        csv.writer(file, delimiter=delimiter).writerows(rows)
    assert user_ids(tmp_path, pairs) == {"anna", "carl, the second", "unknown"}


def test_without_meta_every_picture_is_a_person_of_its_own(tmp_path):
    pairs = [Pair(tmp_path / f"{name}.jpg", tmp_path / f"{name}.png") for name in "abc"]
    assert user_ids(tmp_path, pairs) == {"a", "b", "c"}


def in_splits(**stems):
    return {split: [Pair(Path(split, f"{stem}.jpg"), Path(f"{stem}.png")) for stem in names]
            for split, names in stems.items()}  # fmt: skip


def test_splits_that_number_their_photos_alike_share_nobody(tmp_path):
    splits = in_splits(train=["0000", "0001"], val=["0000"], test=["0000"])
    assert shared_persons(tmp_path, splits) == {}
    (tmp_path / "meta.csv").write_text("image_name,user_id\n0000.jpg,anna\n0001.jpg,bert\n", encoding="utf-8")
    assert shared_persons(tmp_path, splits) == {}  # whose photo 0000 is, nobody knows


def test_persons_that_two_splits_share_are_named(tmp_path):
    (tmp_path / "meta.csv").write_text("image_name,user_id\na.jpg,anna\nb.jpg,bert\nc.jpg,anna\n", encoding="utf-8")
    splits = in_splits(train=["a", "b"], val=["c"], test=["d"])
    assert shared_persons(tmp_path, splits) == {("train", "val"): {"anna"}}


# --------------------------------------------------------------------------------------------------------- reading them


def paint(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(array, np.uint8)).save(path)


@pytest.mark.parametrize("name, photo, truth, stored, alpha", [
    ("easyportrait", "images/train/a.jpg", "annotations/train/a.png", [[0, 1], [4, 8]], [[0, 255], [255, 255]]),
    ("p3m", "train/blurred_image/a.jpg", "train/mask/a.png", [[0, 77], [200, 255]], [[0, 77], [200, 255]]),
    ("people", "images/a.jpg", "masks/a.png", [[0, 1], [1, 0]], [[0, 255], [255, 0]]),
    ("cod10k", "Train/Imgs/a.jpg", "Train/GT_Object/a.png", [[0, 255], [255, 0]], [[0, 255], [255, 0]]),
    ("aisegment", "clip_img/1/clip_0/a.jpg", "matting/1/matting_0/a.png", [[0, 77], [200, 255]], [[0, 77], [200, 255]]),
])  # fmt: skip
def test_truths_are_read_as_each_set_means_them(name, photo, truth, stored, alpha, tmp_path):
    stored = np.array(stored)
    if name == "people":
        grow(tmp_path, "segmentation/train.txt")
    if name == "aisegment":  # a transparent picture
        stored = np.dstack([np.full((2, 2, 3), 99), stored])
    paint(tmp_path / photo, np.zeros((2, 2, 3)))
    paint(tmp_path / truth, stored)
    assert recognise(tmp_path) == name
    assert read_pair(find_pairs(tmp_path, "train")[0])[1].tolist() == alpha


@pytest.mark.parametrize("damage, complaint", [
    ("Zoë,anna".encode("latin-1"), "not in UTF-8"), (b"a.jpg," + b"x" * 200_000, "field larger than field limit"),
])  # fmt: skip
def test_a_table_of_persons_that_cannot_be_read_is_named(damage, complaint, tmp_path):
    (tmp_path / "meta.csv").write_bytes(b"image_name,user_id\n" + damage + b"\n")
    with pytest.raises(ValueError, match=rf"meta\.csv: {complaint}"):
        users_of(tmp_path)


def test_a_list_in_another_encoding_is_named(tmp_path):
    grow(tmp_path, *PEOPLE)
    (tmp_path / "segmentation" / "val.txt").write_bytes("Zoë\n".encode("latin-1"))
    with pytest.raises(ValueError, match=r"val\.txt: not in UTF-8"):
        find_splits(tmp_path)


def test_finding_imports_neither_torch_nor_albumentations():
    heavy = "any(name in sys.modules for name in ('torch', 'albumentations'))"
    script = f"import sys, helpers.datasets.layouts; sys.exit({heavy})"
    assert subprocess.run([sys.executable, "-c", script]).returncode == 0
