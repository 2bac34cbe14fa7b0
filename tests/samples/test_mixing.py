"""Data sets named on the command line, and several of them mixed into one."""

import shutil
import warnings

import numpy as np
import pytest
from PIL import Image

from helpers.datasets.layouts import LAYOUTS, find_splits
from helpers.datasets.manifests import write_manifest
from helpers.datasets.pairs import Pair
from helpers.datasets.splits import VALIDATED, rank_of
from helpers.samples import composites
from helpers.samples.composites import CompositeDataset
from helpers.samples.loading import make_loader
from helpers.samples.mixing import Source, mix, parse_source
from helpers.samples.samples import PortraitDataset

# ------------------------------------------------------------------------------------------------------------- by words


@pytest.mark.parametrize("text, source", [
    ("data", Source("data")),
    ("data/my portraits,weight=2", Source("data/my portraits", weight=2.0)),
    ("a.csv,weight=.1,rough=true", Source("a.csv", weight=0.1, rough=True)),
    ("data,rough=false,layout=p3m", Source("data", "p3m")),
    ("data,backgrounds=other/photos,weight=1e-2", Source("data", weight=0.01, backgrounds="other/photos")),
    ("C:\\data,layout=manifest", Source("C:\\data", "manifest")),
])  # fmt: skip
def test_a_source_is_told_by_a_folder_and_settings(text, source):
    assert parse_source(text) == source


def test_every_layout_can_be_named():
    assert [parse_source(f"data,layout={name}").layout for name in LAYOUTS] == list(LAYOUTS)


@pytest.mark.parametrize(
    "setting", ["", "weight", "weight=", "speed=2", "folder=b", "Weight=2", "weight=1,weight=2", " rough=true"]
)
def test_unknown_and_repeated_settings_are_refused_with_the_known_ones(setting):
    with pytest.raises(ValueError, match="layout, weight, rough, backgrounds") as caught:
        parse_source(f"data,{setting}")
    assert f"'data,{setting}'" in str(caught.value)


NO_WEIGHTS = ("0", "-1", "nan", "inf", "much")


@pytest.mark.parametrize("setting, message", [
    *((f"weight={value}", "weight must be a positive number, such as weight=2") for value in NO_WEIGHTS),
    *((f"rough={value}", "rough must be true or false") for value in ("yes", "1", "True")),
    ("layout=zip", f"known layouts are {', '.join(LAYOUTS)}"),
])  # fmt: skip
def test_impossible_values_are_refused_by_what_they_must_be(setting, message):
    with pytest.raises(ValueError, match=f"^'data,{setting}': {message}$"):
        parse_source(f"data,{setting}")


@pytest.mark.parametrize("name", ["Studio, June 2026", "a,b,c", "a,weight=2", ",", "a, weight=3,b"])
@pytest.mark.parametrize("settings", ["", ",weight=3,layout=pairs"])
def test_a_folder_with_a_comma_in_its_name(name, settings, tmp_path):
    (tmp_path / name).mkdir()
    expected = Source(f"{tmp_path}/{name}", *(("pairs", 3.0) if settings else ()))
    assert parse_source(f"{tmp_path}/{name}{settings}") == expected


def test_backgrounds_with_a_comma_in_their_name(tmp_path):
    (tmp_path / "walls, old").mkdir()
    source = parse_source(f"data,backgrounds={tmp_path}/walls, old,weight=2")
    assert source == Source("data", weight=2.0, backgrounds=f"{tmp_path}/walls, old")


def test_a_comma_in_a_path_that_is_not_there_is_named_as_the_trouble(tmp_path):
    with pytest.raises(ValueError, match="A comma ends the folder's name, unless a folder with the comma"):
        parse_source(f"{tmp_path}/Studio, June 2062")


# --------------------------------------------------------------------------------------------------------------- mixing


class Untouched:
    """A transform that leaves photo and alpha as they are."""

    def set_random_state(self, *_):
        pass

    def __call__(self, **pictures):
        return pictures

    def to_dict(self):
        return {}


TRANSFORMS = {"train": Untouched(), "val": Untouched()}


def write_pairs(folder, seed, **counts):
    """A data set in the layout "pairs": so many pictures of 8 × 8 pixels in each split."""
    numbers = np.random.default_rng(seed)
    for split, count in counts.items():
        for kind, shape in (("images", (8, 8, 3)), ("masks", (8, 8))):
            (folder / kind / split).mkdir(parents=True)
            for i in range(count):
                picture = Image.fromarray(numbers.integers(0, 256, shape, np.uint8))
                picture.save(folder / kind / split / f"{i}.png")
    return folder


def keys(dataset):
    return [(0, index) for index in range(len(dataset))]


def test_a_single_source_is_its_splits(tmp_path):
    folder = write_pairs(tmp_path / "a", 0, train=3, val=2, test=1)
    train, val = mix([Source(folder)], TRANSFORMS, seed=7, least=5)
    assert [pair.image for pair in train.pairs] == [folder / "images" / "train" / f"{i}.png" for i in range(3)]
    assert [pair.truth for pair in val.pairs] == [folder / "masks" / "val" / f"{i}.png" for i in range(2)]
    for dataset in (train, val):
        [part] = dataset.parts
        assert type(part) is PortraitDataset
        assert (dataset.seed, part.seed, part.least, dataset.weights) == (7, 7, 5, [1.0])
    assert np.array_equal(train[0, 1].image.transpose(1, 2, 0), np.array(Image.open(folder / "images/train/1.png")))
    assert np.array_equal(val[0, 0].alpha[0], np.array(Image.open(folder / "masks/val/0.png")))


def test_each_data_set_has_its_own_transforms(tmp_path):
    folder, other = write_pairs(tmp_path / "a", 0, train=3, val=2), {"train": Untouched(), "val": Untouched()}
    train, val = mix([Source(folder)], other)
    assert train.parts[0].transform is other["train"]
    assert val.parts[0].transform is other["val"]


def test_weights_decide_how_often_pictures_are_shown(tmp_path):
    often = write_pairs(tmp_path / "often", 0, train=2, val=1)
    seldom = write_pairs(tmp_path / "seldom", 1, train=4, val=2)
    train, val = mix([Source(often, weight=3), Source(seldom, weight=0.5)], TRANSFORMS)
    assert (train.counts, train.weights) == ([2, 4], [3.0, 0.5])
    shown = []
    for epoch in range(2):
        batches = make_loader(train, 1, shuffle=True).batch_sampler
        batches.seek(epoch)
        shown += [index for [(_, index)] in batches]
    assert [shown.count(index) for index in range(6)] == [6, 6, 1, 1, 1, 1]
    assert [key for batch in make_loader(val, 2, shuffle=False).batch_sampler for key in batch] == keys(val)
    assert len(val) == 3  # each once, whatever the weights


def test_rough_masks_are_told_sample_by_sample(tmp_path):
    refined, rough = (write_pairs(tmp_path / name, i, train=2, val=1) for i, name in enumerate(("refined", "rough")))
    train, _ = mix([Source(refined), Source(rough, rough=True)], TRANSFORMS)
    assert [train[key].rough for key in keys(train)] == [False, False, True, True]
    batch = next(iter(make_loader(train, 4, shuffle=False)))
    assert (batch.rough.tolist(), batch.index.tolist()) == ([False, False, True, True], [0, 1, 2, 3])


def test_rough_masks_do_not_validate_beside_refined_ones(tmp_path):
    refined, rough = (write_pairs(tmp_path / name, i, train=2, val=2) for i, name in enumerate(("refined", "rough")))
    _, val = mix([Source(rough, rough=True), Source(refined)], TRANSFORMS)
    assert {pair.image.parents[2] for pair in val.pairs} == {refined}
    _, val = mix([Source(rough, rough=True)], TRANSFORMS)
    assert [val[key].rough for key in keys(val)] == [True, True]


def test_what_the_manifest_calls_rough_is_rough(tmp_path):
    folder = write_pairs(tmp_path / "a", 0, train=2, val=2)
    rows = [f"images/{split}/{i}.png,masks/{split}/{i}.png,{split},{i}" for split in ("train", "val") for i in range(2)]
    (folder / "manifest.csv").write_text("\n".join(["image,mask,split,rough", *rows]), encoding="utf-8")
    train, val = mix([Source(folder)], TRANSFORMS)
    assert [train[key].rough for key in keys(train)] == [False, True]
    assert [(pair.image.name, pair.rough) for pair in val.pairs] == [("0.png", False)]
    train, val = mix([Source(folder, rough=True)], TRANSFORMS)
    assert [train[key].rough for key in keys(train)] == [True, True]
    assert [val[key].rough for key in keys(val)] == [True, True]


# ---------------------------------------------------------------------------------------------------------------- leaks


@pytest.mark.parametrize("split", ["val", "test"])
def test_a_training_photo_that_another_source_holds_out_is_left_out_and_named(split, tmp_path):
    ours = write_pairs(tmp_path / "ours", 0, train=4, val=1)
    theirs = write_pairs(tmp_path / "theirs", 1, train=2, val=1, test=1)
    shutil.copy(ours / "images" / "train" / "2.png", theirs / "images" / split / "0.png")
    leaked = ours / "images" / "train" / "2.png"
    with pytest.warns(UserWarning, match="^1 training photos are held-out photos, too, and left out: ") as caught:
        train, val = mix([Source(ours), Source(theirs)], TRANSFORMS)
    assert str(caught[0].message).endswith(str(leaked))
    assert len(caught) == 1
    assert train.counts == [3, 2]
    assert leaked not in [pair.image for pair in train.pairs]
    assert len(val) == 2


def test_a_training_photo_that_its_own_source_holds_out_is_left_out_too(tmp_path):
    folder = write_pairs(tmp_path / "a", 0, train=5, val=4)
    for i in range(4):
        shutil.copy(folder / "images" / "val" / f"{i}.png", folder / "images" / "train" / f"{i}.png")
    with pytest.warns(UserWarning, match="^4 training photos are held-out") as caught:
        train, val = mix([Source(folder)], TRANSFORMS)
    assert [pair.image.name for pair in train.pairs] == ["4.png"]
    assert str(caught[0].message).count(".png") == 3  # the first three are named
    assert len(val) == 4


def test_the_same_photo_in_two_training_sets_is_no_leak(tmp_path):
    first = write_pairs(tmp_path / "first", 0, train=2, val=1)
    second = shutil.copytree(first, tmp_path / "second")
    write_pairs(tmp_path / "other", 1, val=1)
    shutil.copytree(tmp_path / "other", second, dirs_exist_ok=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        train, _ = mix([Source(first), Source(second)], TRANSFORMS)
    assert train.counts == [2, 2]


# ---------------------------------------------------------------------------------------------- cutouts and backgrounds


def write_cutouts(folder, **counts):
    """Cutouts in each split: an opaque white square of 8 × 8 pixels in the middle of 16 × 16 transparent ones."""
    pixels = np.zeros((16, 16, 4), np.uint8)
    pixels[4:12, 4:12] = 255
    for split, count in counts.items():
        (folder / "cutouts" / split).mkdir(parents=True)
        for i in range(count):
            pixels[0, 0, 0] += 1  # no two files are the same
            Image.fromarray(pixels).save(folder / "cutouts" / split / f"{i}.png")
    return folder


def write_backgrounds(folder, colour):
    folder.mkdir(parents=True)
    Image.new("RGB", (24, 20), colour).save(folder / "plain.png")
    return folder


def test_cutouts_become_composites_on_the_backgrounds_beside_them(monkeypatch, tmp_path):
    for kind in ("NOBODY", "FAR", "WALL"):
        monkeypatch.setattr(composites, kind, 0)
    folder = write_cutouts(tmp_path / "a", train=2, val=1)
    write_backgrounds(folder / "backgrounds", "blue")
    portraits = write_pairs(tmp_path / "b", 0, train=1, val=1)
    train, val = mix([Source(folder), Source(portraits)], TRANSFORMS, seed=3)
    assert [type(part) for part in (*train.parts, *val.parts)] == [CompositeDataset, PortraitDataset] * 2
    assert train.parts[0].backgrounds == [folder / "backgrounds" / "plain.png"]
    sample = train[0, 0]
    assert sample.image.shape == (3, 16, 16)
    assert 0 < (sample.alpha > 0).mean() < 1
    behind = sample.image[:, sample.alpha[0] == 0]
    assert (behind[2] > behind[:2].max(axis=0)).all()  # blue, in whatever light


def test_cutouts_take_their_backgrounds_from_elsewhere(tmp_path):
    folder = write_cutouts(tmp_path / "a", train=1, val=1)
    elsewhere = write_backgrounds(tmp_path / "photos", "red")
    train, val = mix([Source(folder, layout="cutouts", backgrounds=elsewhere)], TRANSFORMS)
    assert train.parts[0].backgrounds == val.parts[0].backgrounds == [elsewhere / "plain.png"]


def test_a_tenth_of_the_backgrounds_is_kept_for_validation(tmp_path):
    folder = write_cutouts(tmp_path / "a", train=1, val=1)
    places = tmp_path / "places"
    places.mkdir()
    for number in range(100):
        Image.new("RGB", (24, 20)).save(places / f"{number}.png")
    train, val = (
        part.parts[0].backgrounds for part in mix([Source(folder, "cutouts", backgrounds=places)], TRANSFORMS)
    )
    assert 3 <= len(val) <= 20 and sorted([*train, *val]) == sorted(places.iterdir())
    assert all(rank_of(path.stem) < VALIDATED for path in val)


def test_backgrounds_for_what_is_no_cutout_are_refused_with_the_way_out(tmp_path):
    folder = write_pairs(tmp_path / "a", 0, train=1, val=1)
    with pytest.raises(ValueError, match=r"backgrounds are for cutouts, and there are none; make some by python -m"):
        mix([Source(folder, backgrounds=tmp_path / "nowhere")], TRANSFORMS)


def test_the_backgrounds_of_a_manifest_lie_beside_it(tmp_path):
    folder = write_cutouts(tmp_path / "a", train=1, val=1)
    splits = find_splits(folder, layout="cutouts")
    write_manifest(folder / "list.csv", {split: found.pairs for split, found in splits.items()})
    with pytest.raises(FileNotFoundError, match="a/backgrounds: no photos there.*or name their folder: ,backgrounds="):
        mix([Source(folder / "list.csv")], TRANSFORMS)
    (folder / "cutouts").rename(folder / "people")  # a listed folder has no rule for its names
    write_manifest(folder / "list.csv", {
        split: [Pair(place, place, "opacity") for place in sorted((folder / "people" / split).iterdir())]
        for split in splits
    })  # fmt: skip
    with pytest.raises(FileNotFoundError, match="name their folder: ,backgrounds="):
        mix([Source(folder / "list.csv")], TRANSFORMS)  # not one cutout on another
    place = write_backgrounds(folder / "backgrounds", "blue") / "plain.png"
    train, _ = mix([Source(folder / "list.csv")], TRANSFORMS)
    assert train.parts[0].backgrounds == [place]


def test_cutouts_without_backgrounds_are_refused_by_what_is_missing(tmp_path):
    folder = write_cutouts(tmp_path / "a", train=1, val=1)
    with pytest.raises(FileNotFoundError, match="backgrounds: no photos there"):
        mix([Source(folder, layout="cutouts")], TRANSFORMS)


# ------------------------------------------------------------------------------------------------------ nothing is left


def test_a_missing_folder_is_named_beside_good_ones(tmp_path):
    good = write_pairs(tmp_path / "a", 0, train=2, val=1)
    with pytest.raises(FileNotFoundError, match="nowhere: no such folder"):
        mix([Source(good), Source(tmp_path / "nowhere")], TRANSFORMS)


def test_a_folder_without_data_is_named_with_the_known_layouts(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match="empty: of no known layout") as caught:
        mix([Source(tmp_path / "empty")], TRANSFORMS)
    assert all(f"{name}: " in str(caught.value) for name in LAYOUTS)


@pytest.mark.parametrize("split, purpose", [("val", "train"), ("train", "validate")])
def test_folders_with_nothing_to_train_or_validate_on_are_named(split, purpose, tmp_path):
    """A single picture cannot be both: it trains, and nothing is left to validate on."""
    first, second = (write_pairs(tmp_path / name, i, **{split: 1}) for i, name in enumerate(("first", "second")))
    message = f"nothing there to {purpose} on; see python -m helpers.datasets"
    with pytest.raises(FileNotFoundError, match=message) as caught:
        mix([Source(first), Source(second)], TRANSFORMS)
    assert str(caught.value).startswith(f"{first}, {second}: ")


def test_a_set_whose_training_photos_are_all_held_out_has_nothing_to_train_on(tmp_path):
    folder = write_pairs(tmp_path / "a", 0, train=1, val=1)
    shutil.copy(folder / "images" / "val" / "0.png", folder / "images" / "train" / "0.png")
    nothing = pytest.raises(FileNotFoundError, match="nothing there to train on")
    with pytest.warns(UserWarning, match="held-out"), nothing:
        mix([Source(folder)], TRANSFORMS)


# --------------------------------------------------------------------------------------------------------- exact alphas


def test_exact_alphas_are_taken_where_a_set_has_them(portrait_folder, tmp_path):
    made = shutil.copytree(portrait_folder, tmp_path / "made")
    shutil.copytree(made / "annotations", made / "mattes")
    for path in (made / "mattes").rglob("*.png"):
        Image.fromarray(np.where(np.array(Image.open(path)), 255, 0).astype(np.uint8)).save(path)
    train, val = mix([Source(made), Source(portrait_folder)], TRANSFORMS, truth="mattes")
    kinds = [pair.truth.parts[-3] for dataset in (train, val) for pair in dataset.pairs]
    assert kinds == ["mattes"] * 12 + ["annotations"] * 12 + ["mattes"] * 4 + ["annotations"] * 4


# ---------------------------------------------------------------------------------------------------------- named twice


def test_a_data_set_that_is_named_twice_is_refused_with_the_way_to_weigh_it(tmp_path, monkeypatch):
    folder = write_pairs(tmp_path / "a", 0, train=3, val=1)
    monkeypatch.chdir(tmp_path)
    for second in (Source(folder), Source("a"), Source("./a/../a", weight=2.0)):
        with pytest.raises(ValueError, match=r"a: this data set is named twice\. .*: .*a,weight=2$"):
            mix([Source(folder), second], TRANSFORMS)


def test_the_same_files_under_another_name_are_refused_and_a_part_of_them_is_not(tmp_path):
    folder = write_pairs(tmp_path / "a", 0, train=3, val=1)
    pairs = {split: found.pairs for split, found in find_splits(folder).items()}
    write_manifest(tmp_path / "all.csv", pairs)
    write_manifest(tmp_path / "some.csv", {split: found[:1] for split, found in pairs.items()})
    for second in (Source(folder, "pairs"), Source(tmp_path / "all.csv")):
        with pytest.raises(ValueError, match=r"a and .*: the same files, named twice\..*,weight=2"):
            mix([Source(folder), second], TRANSFORMS)
    train, _ = mix([Source(folder), Source(tmp_path / "some.csv")], TRANSFORMS)  # the hard ones more often
    assert len(train.pairs) == 4


def test_one_folder_may_hold_data_sets_in_two_layouts(tmp_path):
    folder = write_pairs(tmp_path / "a", 0, train=3, val=1)
    transparent = np.dstack([np.full((8, 8, 3), 99), np.arange(0, 256, 4).reshape(8, 8)]).astype(np.uint8)
    for place in ("cutouts/train/x.png", "cutouts/val/y.png", "backgrounds/z.png"):
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(transparent).convert("RGB" if "back" in place else "RGBA").save(folder / place)
        transparent[..., 0] += 1
    train, val = mix([Source(folder, "pairs"), Source(folder, "cutouts")], TRANSFORMS)
    assert (len(train.pairs), len(val.pairs)) == (4, 2)
