"""Finding pairs in both layouts, reading them, and samples that depend on their key alone."""

import csv
import re
import shutil
import warnings

import albumentations as A
import numpy as np
import pytest
import torch
from PIL import Image

from helpers.augment import crop_group, geometric_group, training_transform, visual_group
from helpers.datasets import (
    CLASSES,
    SPLITS,
    EpochBatches,
    Pair,
    PortraitDataset,
    find_pairs,
    read_alpha,
    read_pair,
    splits_in,
    user_ids,
)  # fmt: skip
from helpers.training import make_loader


def save(path, array, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(array, np.uint8)).save(path, **options)
    return path


def black(height=8, width=8):
    return np.zeros((height, width), np.uint8)


@pytest.fixture(params=["images/train", "train/images"])
def layout(request, tmp_path):
    """`layout("images")` → the folder of that kind in the split "train", in both layouts; and the data set's folder."""
    first, second = request.param.split("/")
    return lambda kind: tmp_path / (f"{kind}/train" if first == "images" else f"train/{kind}")


# -------------------------------------------------------------------------------------------------------- finding pairs


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
            assert pair.is_matte is False


def test_both_layouts_are_understood(layout, tmp_path):
    for name in ("b.jpg", "a.b.JPEG", "c.png"):
        save(layout("images") / name, black(), format="JPEG")
        save(layout("annotations") / name.replace(".jpg", ".png").replace(".JPEG", ".PNG"), black(), format="PNG")
    (layout("images") / "notes.txt").touch()
    save(layout("annotations") / "without-a-photo.png", black())
    assert [pair.image.name for pair in find_pairs(tmp_path, "train")] == ["a.b.JPEG", "b.jpg", "c.png"]
    assert [pair.truth.name for pair in find_pairs(tmp_path, "train")] == ["a.b.PNG", "b.png", "c.png"]


def test_sorting_two_folders_would_pair_the_wrong_files(layout, tmp_path):
    for name in ("1", "2", "3"):
        save(layout("annotations") / f"{name}.png", black())
    for name in ("2", "3"):
        save(layout("images") / f"{name}.jpg", black())
    assert [(pair.image.stem, pair.truth.stem) for pair in find_pairs(tmp_path, "train")] == [("2", "2"), ("3", "3")]


def test_mattes_instead_of_annotations(layout, tmp_path):
    save(layout("images") / "a.jpg", black())
    save(layout("annotations") / "a.png", black())
    save(layout("mattes") / "a.png", black())
    matte = Pair(layout("images") / "a.jpg", layout("mattes") / "a.png", is_matte=True)
    assert find_pairs(tmp_path, "train", "mattes") == [matte]
    assert find_pairs(tmp_path, "train")[0].truth == layout("annotations") / "a.png"


@pytest.mark.parametrize("count, named", [(1, "photo-0.jpg"), (3, "photo-0.jpg, photo-1.jpg, photo-2.jpg"),
                                          (5, "photo-0.jpg, photo-1.jpg, photo-2.jpg, …")])  # fmt: skip
def test_images_without_a_mask_are_counted_and_named_once(count, named, layout, tmp_path):
    save(layout("images") / "whole.jpg", black())
    save(layout("annotations") / "whole.png", black())
    for i in range(count):
        save(layout("images") / f"photo-{i}.jpg", black())
    with pytest.warns(UserWarning) as caught:
        pairs = find_pairs(tmp_path, "train")
    assert [pair.image.name for pair in pairs] == ["whole.jpg"]
    assert len(caught) == 1
    message = str(caught[0].message)
    assert message.startswith(f"{layout('images')}: {count} images without a mask in {layout('annotations')}")
    assert message.endswith(f": {named}")
    assert caught[0].filename == __file__


def test_a_whole_set_warns_of_nothing(portrait_folder):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(find_pairs(portrait_folder, "train")) == 12


@pytest.mark.parametrize("missing", ["images", "annotations"])
def test_a_missing_folder_is_named_with_what_is_expected(missing, layout, tmp_path):
    for kind in {"images", "annotations"} - {missing}:
        layout(kind).mkdir(parents=True)
    with pytest.raises(FileNotFoundError) as caught:
        find_pairs(tmp_path, "train")
    assert str(caught.value).startswith(f"{tmp_path / missing / 'train'}: no such folder")
    assert "images/{train,val,test}/*.jpg with annotations/{train,val,test}/*.png" in str(caught.value)


def test_folders_without_a_pair_are_named(layout, tmp_path):
    save(layout("images") / "a.jpg", black())
    save(layout("annotations") / "b.png", black())
    with pytest.raises(FileNotFoundError, match="no image has a mask of the same name") as caught:
        find_pairs(tmp_path, "train")
    assert str(layout("images")) in str(caught.value)
    assert str(layout("annotations")) in str(caught.value)


def test_splits_that_are_there(portrait_folder, layout, tmp_path):
    assert splits_in(portrait_folder) == list(SPLITS) == ["train", "val", "test"]
    assert splits_in(portrait_folder, "mattes") == []
    layout("images").mkdir(parents=True)
    assert splits_in(tmp_path) == []
    layout("annotations").mkdir(parents=True)
    assert splits_in(tmp_path) == ["train"]
    assert splits_in(tmp_path / "nowhere") == []


# -------------------------------------------------------------------------------------------------------------- reading


def test_every_class_but_the_background_is_foreground(tmp_path):
    path = save(tmp_path / "ids.png", np.arange(9).reshape(3, 3))
    alpha = read_alpha(Pair(tmp_path / "photo.jpg", path))
    assert alpha.tolist() == [[0, 255, 255], [255, 255, 255], [255, 255, 255]]
    assert alpha.dtype == np.uint8


def test_soft_mattes_stay_as_they_are(tmp_path):
    matte = np.arange(256).reshape(16, 16)
    path = save(tmp_path / "matte.png", matte)
    assert np.array_equal(read_alpha(Pair(tmp_path / "photo.jpg", path, is_matte=True)), matte)


def test_a_pair_is_photo_and_alpha_of_one_size(portrait_folder):
    pair = find_pairs(portrait_folder, "train")[0]
    image, alpha = read_pair(pair)
    assert image.shape == (*alpha.shape, 3)
    assert image.dtype == alpha.dtype == np.uint8
    assert set(np.unique(alpha)) == {0, 255}


@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_a_turned_photo_is_paired_as_it_is_shown(orientation, tmp_path):
    """The mask belongs to the photo as it is seen; the file's pixels lie on their side."""
    shown = np.zeros((20, 30), np.uint8)
    shown[:5, :10] = 255
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = np.rot90(shown, {3: 2, 6: 1, 8: 3}[orientation])
    photo = save(tmp_path / "photo.png", stored, exif=exif)
    image, alpha = read_pair(Pair(photo, save(tmp_path / "mask.png", shown // 255)))
    assert image.shape == (20, 30, 3)
    assert np.array_equal(image[..., 0], alpha)


def test_a_mask_of_another_size_is_refused_with_both_files_and_sizes(tmp_path):
    pair = Pair(save(tmp_path / "photo.jpg", black(8, 10)), save(tmp_path / "mask.png", black(10, 8)))
    with pytest.raises(ValueError, match="replace or remove the pair") as caught:
        read_pair(pair)
    for part in (str(pair.image), str(pair.truth), "8×10", "10×8"):
        assert part in str(caught.value)


@pytest.mark.parametrize("damage", ["empty", "half", "text"])
@pytest.mark.parametrize("which", ["image", "truth"])
def test_an_unreadable_file_of_a_pair_is_named(which, damage, tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (40, 40))
    pair = Pair(save(tmp_path / "photo.jpg", noise), save(tmp_path / "mask.png", noise))
    path = getattr(pair, which)
    whole = path.read_bytes()
    path.write_bytes({"empty": b"", "half": whole[: len(whole) // 2], "text": b"moved"}[damage])
    with pytest.raises(ValueError, match=re.escape(str(path))):
        read_pair(pair)


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


# -------------------------------------------------------------------------------------------------------------- samples


@pytest.fixture
def dataset(portrait_folder):
    return PortraitDataset(find_pairs(portrait_folder, "train"), training_transform(32), seed=5)


def equal(first, second):
    return all(np.array_equal(one, two) for one, two in zip(first, second, strict=True))


def test_samples_have_channels_first(dataset):
    image, alpha = dataset[0, 3]
    assert image.shape == (3, 32, 32)
    assert alpha.shape == (1, 32, 32)
    assert image.dtype == alpha.dtype == np.uint8
    assert image.flags.c_contiguous
    assert len(dataset) == 12


def test_a_sample_depends_on_its_key_alone(dataset, portrait_folder):
    keys = [(epoch, index) for epoch in range(3) for index in range(12)]
    forwards = [dataset[key] for key in keys]
    np.random.seed(1)
    other = PortraitDataset(find_pairs(portrait_folder, "train"), training_transform(32), seed=5)
    backwards = [other[key] for key in reversed(keys)]
    assert all(equal(one, two) for one, two in zip(forwards, reversed(backwards), strict=True))


def test_epochs_indices_and_seeds_are_drawn_differently(dataset):
    one_photo = PortraitDataset(dataset.pairs[:1] * 12, dataset.transform, seed=5)
    samples = {one_photo[epoch, index][0].tobytes() for epoch in range(4) for index in range(12)}
    assert len(samples) > 36  # of 48: one in six was neither cropped nor changed in its colours
    reseeded = PortraitDataset(dataset.pairs, dataset.transform, seed=6)
    assert sum(equal(dataset[0, i], reseeded[0, i]) for i in range(12)) <= 3


def test_each_transform_is_drawn_independently_of_the_others(tmp_path):
    """Not all or none: a quarter of the photos is both cropped and mirrored, 3 in 50 get a new colour and blur."""
    ruler = np.zeros((100, 100, 3))
    ruler[..., 0] = np.arange(100)
    pair = Pair(save(tmp_path / "ruler.png", ruler), save(tmp_path / "mask.png", black(100, 100)))
    geometry = PortraitDataset([pair] * 1000, A.Compose([*crop_group(), *geometric_group()]))
    rows = [geometry[0, index][0][0, 0].astype(int) for index in range(1000)]
    cropped, mirrored = np.array([(len(row) < 100, row[0] > row[-1]) for row in rows]).T
    assert [cropped.mean(), mirrored.mean(), (cropped & mirrored).mean()] == pytest.approx([0.5, 0.5, 0.25], abs=0.05)
    pair = Pair(save(tmp_path / "noise.png", np.random.default_rng(0).integers(0, 256, (9, 9, 3))), pair.truth)
    pair.truth.write_bytes(save(tmp_path / "small.png", black(9, 9)).read_bytes())
    colour, _, _, blur = visual_group()
    visual = PortraitDataset([pair] * 1000, A.Compose([colour, blur]))
    plain = read_pair(pair)[0].transpose(2, 0, 1)
    unchanged = [np.array_equal(visual[0, index][0], plain) for index in range(1000)]
    assert np.mean(unchanged) == pytest.approx(0.7 * 0.8, abs=0.05)


def test_spawned_workers_read_the_same_batches(dataset):
    """Two workers, two epochs, the second from its middle on; compared with no worker at all."""
    seen = []
    for workers in (0, 2):
        loader = make_loader(dataset, 3, shuffle=True, workers=workers)
        batches = []
        for start in ((0, 0), (1, 2)):
            loader.batch_sampler.seek(*start)
            batches += list(loader)
        seen.append(batches)
    assert len(seen[0]) == len(seen[1]) == 6
    for alone, spawned in zip(*seen, strict=True):
        assert torch.equal(alone[0], spawned[0])
        assert torch.equal(alone[1], spawned[1])


# ----------------------------------------------------------------------------------------------------- order of batches


def order(batches):
    return [[index for _, index in batch] for batch in batches]


@pytest.mark.parametrize("count, size, expected", [
    (7, 3, [[0, 1, 2], [3, 4, 5], [6]]), (6, 3, [[0, 1, 2], [3, 4, 5]]), (2, 5, [[0, 1]]), (3, 1, [[0], [1], [2]]),
])  # fmt: skip
def test_unshuffled_all_images_come_in_order(count, size, expected):
    batches = EpochBatches(count, size, shuffle=False)
    assert order(batches) == expected
    assert len(batches) == len(expected)


@pytest.mark.parametrize("count, size, length", [(7, 3, 2), (6, 3, 2), (2, 5, 1), (3, 1, 3)])
def test_shuffled_batches_are_full_and_repeat_nothing(count, size, length):
    batches = EpochBatches(count, size, shuffle=True)
    assert len(batches) == len(list(batches)) == length
    assert {len(batch) for batch in batches} == {min(size, count)}
    indices = sum(order(batches), [])
    assert len(set(indices)) == len(indices)
    assert set(indices) <= set(range(count))


def test_the_order_depends_on_seed_and_epoch_alone():
    def orders(seed):
        batches = EpochBatches(20, 4, shuffle=True, seed=seed)
        result = []
        for epoch in range(3):
            batches.seek(epoch)
            keys = list(batches)
            assert {key[0] for batch in keys for key in batch} == {epoch}
            result.append(order(keys))
        return result

    np.random.seed(0)
    first = orders(1)
    assert first == orders(1)
    assert len({str(epoch) for epoch in first}) == 3
    assert first[0] != orders(2)[0]
    assert sorted(sum(first[0], [])) == list(range(20))


def test_every_image_has_its_turn_although_the_remainder_is_dropped():
    batches, seen = EpochBatches(7, 3, shuffle=True), set()
    for epoch in range(10):
        batches.seek(epoch)
        seen |= set(sum(order(batches), []))
    assert seen == set(range(7))


@pytest.mark.parametrize("shuffle", [True, False])
def test_seeking_gives_the_tail_of_the_whole_epoch(shuffle):
    batches = EpochBatches(11, 2, shuffle, seed=3)
    batches.seek(4)
    whole = list(batches)
    for first in range(len(whole) + 1):
        batches.seek(4, first)
        assert list(batches) == whole[first:]
        assert len(batches) == len(whole)
    batches.seek(4)
    assert list(batches) == whole


def test_keys_are_plain_numbers():
    for batch in EpochBatches(4, 2, shuffle=True):
        assert all(type(part) is int for key in batch for part in key)


def test_real_portraits_are_read(shared):
    folder = shared / "data" / "ccp"
    if not folder.is_dir():
        pytest.skip("../shared/data/ccp is not there")
    assert splits_in(folder)
    for split in splits_in(folder):
        image, alpha = read_pair(find_pairs(folder, split)[0])
        assert image.shape == (*alpha.shape, 3)
        assert set(np.unique(alpha)) == {0, 255}


def test_a_copied_set_gives_the_same_samples(dataset, portrait_folder, tmp_path):
    shutil.copytree(portrait_folder, tmp_path / "copy")
    copy = PortraitDataset(find_pairs(tmp_path / "copy", "train"), training_transform(32), seed=5)
    assert all(equal(dataset[1, index], copy[1, index]) for index in range(12))
