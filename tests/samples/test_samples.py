"""Samples that depend on their key alone, data sets mixed by weight, and the order of the batches."""

import shutil
from collections import Counter

import albumentations as A
import numpy as np
import pytest
import torch
from PIL import Image

from helpers.augment import crop_group, geometric_group, training_transform, validation_transform, visual_group
from helpers.datasets.layouts import find_pairs
from helpers.datasets.pairs import Pair, read_pair
from helpers.samples.loading import make_loader
from helpers.samples.samples import EpochBatches, MixedDataset, PortraitDataset, Sample


def save(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(array, np.uint8)).save(path)
    return path


def black(height=8, width=8):
    return np.zeros((height, width), np.uint8)


@pytest.fixture
def dataset(portrait_folder):
    return PortraitDataset(find_pairs(portrait_folder, "train"), training_transform(32), seed=5)


def equal(first, second):
    return all(np.array_equal(one, two) for one, two in zip(first, second, strict=True))


# -------------------------------------------------------------------------------------------------------------- samples


def test_samples_have_channels_first(dataset):
    sample = dataset[0, 3]
    assert isinstance(sample, Sample)
    assert sample.image.shape == (3, 32, 32)
    assert sample.alpha.shape == (1, 32, 32)
    assert sample.image.dtype == sample.alpha.dtype == np.uint8
    assert sample.image.flags.c_contiguous
    assert (sample.rough, sample.index) == (False, 3)
    assert len(dataset) == 12


def test_rough_masks_are_marked(dataset):
    dataset.pairs[2] = dataset.pairs[2]._replace(rough=True)
    assert [dataset[0, index].rough for index in (1, 2, 3)] == [False, True, False]


def test_a_sample_depends_on_its_key_alone(dataset, portrait_folder):
    keys = [(visit, index) for visit in range(3) for index in range(12)]
    forwards = [dataset[key] for key in keys]
    np.random.seed(1)
    other = PortraitDataset(find_pairs(portrait_folder, "train"), training_transform(32), seed=5)
    backwards = [other[key] for key in reversed(keys)]
    assert all(equal(one, two) for one, two in zip(forwards, reversed(backwards), strict=True))


def test_visits_indices_and_seeds_are_drawn_differently(dataset):
    one_photo = PortraitDataset(dataset.pairs[:1] * 12, dataset.transform, seed=5)
    samples = {one_photo[visit, index].image.tobytes() for visit in range(4) for index in range(12)}
    assert len(samples) > 36  # of 48: one in six was neither cropped nor changed in its colours
    reseeded = PortraitDataset(dataset.pairs, dataset.transform, seed=6)
    assert sum(equal(dataset[0, i], reseeded[0, i]) for i in range(12)) <= 3


def test_each_transform_is_drawn_independently_of_the_others(tmp_path):
    """Not all or none: a quarter of the photos is both cropped and mirrored, 3 in 50 get a new colour and blur."""
    ruler = np.zeros((100, 100, 3))
    ruler[..., 0] = np.arange(100)
    pair = Pair(save(tmp_path / "ruler.png", ruler), save(tmp_path / "mask.png", black(100, 100)))
    geometry = PortraitDataset([pair] * 1000, A.Compose([*crop_group(), *geometric_group()]))
    rows = [geometry[0, index].image[0, 0].astype(int) for index in range(1000)]
    cropped, mirrored = np.array([(len(row) < 100, row[0] > row[-1]) for row in rows]).T
    assert [cropped.mean(), mirrored.mean(), (cropped & mirrored).mean()] == pytest.approx([0.5, 0.5, 0.25], abs=0.05)
    pair = Pair(save(tmp_path / "noise.png", np.random.default_rng(0).integers(0, 256, (9, 9, 3))), pair.truth)
    pair.truth.write_bytes(save(tmp_path / "small.png", black(9, 9)).read_bytes())
    colour, _, _, blur = visual_group()
    visual = PortraitDataset([pair] * 1000, A.Compose([colour, blur]))
    plain = read_pair(pair)[0].transpose(2, 0, 1)
    unchanged = [np.array_equal(visual[0, index].image, plain) for index in range(1000)]
    assert np.mean(unchanged) == pytest.approx(0.7 * 0.8, abs=0.05)


def test_photo_and_alpha_are_changed_alike(tmp_path):
    """A photo that shows its own alpha shows it after cropping, mirroring and resizing, too."""
    alpha = np.zeros((64, 48), np.uint8)
    alpha[20:50, 5:30] = 255
    pair = Pair(save(tmp_path / "photo.png", np.dstack([alpha] * 3)), save(tmp_path / "mask.png", alpha), "grey")
    changes = PortraitDataset([pair] * 50, A.Compose([*crop_group(), *geometric_group(), *validation_transform(32)]))
    samples = [changes[0, index] for index in range(50)]
    assert all(np.array_equal(sample.image[:1], sample.alpha) for sample in samples)
    assert len({sample.alpha.tobytes() for sample in samples}) > 20


def test_a_copied_set_gives_the_same_samples(dataset, portrait_folder, tmp_path):
    shutil.copytree(portrait_folder, tmp_path / "copy")
    copy = PortraitDataset(find_pairs(tmp_path / "copy", "train"), training_transform(32), seed=5)
    assert all(equal(dataset[1, index], copy[1, index]) for index in range(12))
    assert dataset.recipe() == copy.recipe()


def test_photos_are_decoded_no_smaller_than_needed(tmp_path):
    photo, mask = save(tmp_path / "photo.jpg", np.zeros((80, 120, 3))), save(tmp_path / "mask.png", black(80, 120))
    pair = Pair(photo, mask, "grey")
    plain = A.Compose([])
    assert [PortraitDataset([pair], plain, least=least)[0, 0].alpha.shape for least in (None, 41, 40, 20)] == [
        (1, 80, 120), (1, 80, 120), (1, 40, 60), (1, 20, 30)
    ]  # fmt: skip


def test_the_recipe_tells_what_determines_the_samples(dataset):
    others = [
        PortraitDataset(dataset.pairs[1:], dataset.transform, 5),
        PortraitDataset(dataset.pairs, training_transform(48), 5),
        PortraitDataset(dataset.pairs, dataset.transform, 5, least=64),
        PortraitDataset([pair._replace(rough=True) for pair in dataset.pairs], dataset.transform, 5),
        PortraitDataset([pair._replace(reading="grey") for pair in dataset.pairs], dataset.transform, 5),
    ]
    recipes = [dataset.recipe(), *(other.recipe() for other in others)]
    assert all(first != second for i, first in enumerate(recipes) for second in recipes[:i])
    assert PortraitDataset(dataset.pairs, training_transform(32), 5).recipe() == dataset.recipe()


def test_spawned_workers_read_the_same_batches(dataset):
    """Two workers, two epochs, the second from its middle on; compared with no worker at all."""
    seen = []
    mixed = MixedDataset([dataset, PortraitDataset(dataset.pairs[:3], validation_transform(32), seed=5)], [1, 0.5])
    for workers in (0, 2):
        loader = make_loader(mixed, 3, shuffle=True, workers=workers)
        batches = []
        for start in ((0, 0), (1, 2)):
            loader.batch_sampler.seek(*start)
            batches += [Sample(*batch) for batch in loader]
        seen.append(batches)
    assert len(seen[0]) == len(seen[1]) == 6
    for alone, spawned in zip(*seen, strict=True):
        assert all(torch.equal(one, two) for one, two in zip(alone, spawned, strict=True))


# ----------------------------------------------------------------------------------------------------- order of batches


class Counted:
    """What a batch sampler asks of a dataset: as many pictures and weights of several sets."""

    def __init__(self, *counts, weights=None, seed=0):
        self.counts, self.weights, self.seed = counts, weights or [1.0] * len(counts), seed


def order(batches):
    return [[index for _, index in batch] for batch in batches]


def epochs(batches, count):
    """The keys of each of the first epochs."""
    result = []
    for epoch in range(count):
        batches.seek(epoch)
        result.append([key for batch in batches for key in batch])
    return result


@pytest.mark.parametrize("count, size, expected", [
    (7, 3, [[0, 1, 2], [3, 4, 5], [6]]), (6, 3, [[0, 1, 2], [3, 4, 5]]), (2, 5, [[0, 1]]), (3, 1, [[0], [1], [2]]),
])  # fmt: skip
def test_unshuffled_all_images_come_in_order(count, size, expected):
    batches = EpochBatches(Counted(count), size, shuffle=False)
    assert order(batches) == expected
    assert len(batches) == len(expected)


@pytest.mark.parametrize("count, size, length", [(7, 3, 2), (6, 3, 2), (2, 5, 1), (3, 1, 3)])
def test_shuffled_batches_are_full_and_repeat_nothing(count, size, length):
    batches = EpochBatches(Counted(count), size, shuffle=True)
    assert len(batches) == len(list(batches)) == length
    assert {len(batch) for batch in batches} == {min(size, count)}
    indices = sum(order(batches), [])
    assert len(set(indices)) == len(indices)
    assert set(indices) <= set(range(count))


def test_the_order_depends_on_seed_and_epoch_alone():
    def orders(seed):
        batches = EpochBatches(Counted(20, seed=seed), 4, shuffle=True)
        result = epochs(batches, 3)
        assert [{visit for visit, _ in keys} for keys in result] == [{0}, {1}, {2}]
        return [[index for _, index in keys] for keys in result]

    np.random.seed(0)
    first = orders(1)
    assert first == orders(1)
    assert len({str(epoch) for epoch in first}) == 3
    assert first[0] != orders(2)[0]
    assert sorted(first[0]) == list(range(20))


def test_every_image_has_its_turn_although_the_remainder_is_dropped():
    seen = epochs(EpochBatches(Counted(7), 3, shuffle=True), 10)
    assert {index for keys in seen for _, index in keys} == set(range(7))


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("weights", [[1.0, 1.0], [2.0, 0.5]])
def test_seeking_gives_the_tail_of_the_whole_epoch(weights, shuffle):
    batches = EpochBatches(Counted(7, 4, weights=weights, seed=3), 2, shuffle)
    batches.seek(4)
    whole = list(batches)
    for first in range(len(whole) + 1):
        batches.seek(4, first)
        assert list(batches) == whole[first:]
        assert len(batches) == len(whole)
    batches.seek(4)
    assert list(batches) == whole


def test_keys_are_plain_numbers():
    for batch in EpochBatches(Counted(4, 2), 2, shuffle=True):
        assert all(type(part) is int for key in batch for part in key)


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("processes", [2, 3])
def test_processes_share_every_batch(processes, shuffle):
    """Nothing twice, nothing left out, and together what one process alone would have read."""
    dataset = Counted(10, 3, weights=[1.0, 2.0], seed=1)
    shares = [list(EpochBatches(dataset, 6, shuffle, process, processes)) for process in range(processes)]
    whole = list(EpochBatches(dataset, 6, shuffle))
    for batch, parts in zip(whole, zip(*shares, strict=shuffle), strict=shuffle):
        assert sum(parts, []) == batch
        assert len({len(part) for part in parts}) == 1 or not shuffle
    assert sorted(key for share in shares for batch in share for key in batch) == sorted(sum(whole, []))


def test_a_last_batch_that_does_not_do_for_all_processes():
    """One process has nothing to do then; an empty batch would end its loader with an error."""
    shares = [list(EpochBatches(Counted(5), 4, False, process, 2)) for process in range(2)]
    assert [order(share) for share in shares] == [[[0, 1]], [[2, 3], [4]]]


def test_few_pictures_make_a_batch_of_equal_shares():
    shares = [list(EpochBatches(Counted(7), 8, shuffle=True, process=process, processes=3)) for process in range(3)]
    assert [[len(batch) for batch in share] for share in shares] == [[2], [2], [2]]


@pytest.mark.parametrize("shuffle", [True, False])
def test_fewer_pictures_than_processes_are_refused(shuffle):
    with pytest.raises(ValueError, match="3 samples cannot be shared by 4 processes"):
        EpochBatches(Counted(3), 8, shuffle, processes=4)


# ------------------------------------------------------------------------------------------------------ mixed by weight


@pytest.mark.parametrize("weights, period", [
    ([1.0, 1.0], 1), ([2.0, 1.0], 1), ([3.0, 0.5], 2), ([0.25, 1.0], 4), ([1.5, 0.25], 4), ([0.1, 1.0], 10),
])  # fmt: skip
def test_weights_are_kept_exactly(weights, period):
    """Over enough epochs every picture of a set with weight w was shown exactly w times an epoch, each time anew."""
    counts = (20, 40)
    batches = EpochBatches(Counted(*counts, weights=weights, seed=4), 1, shuffle=True)
    seen = epochs(batches, 2 * period)
    assert {len(keys) for keys in seen} == {sum(int(w * n) for w, n in zip(weights, counts, strict=True))}
    for half in (seen[:period], seen[period:]):
        shown = Counter(index for keys in half for _, index in keys)
        assert shown == {index: weights[index >= 20] * period for index in range(60)}
    keys = [key for keys in seen for key in keys]
    assert len(set(keys)) == len(keys)


def test_a_weight_of_a_half_shows_each_picture_once_in_two_epochs():
    first, second = epochs(EpochBatches(Counted(10, weights=[0.5]), 1, shuffle=True), 2)
    assert len(first) == len(second) == 5
    assert sorted(first + second) == [(0, index) for index in range(10)]


def test_the_sets_are_shuffled_into_each_other():
    (keys,) = epochs(EpochBatches(Counted(100, 100), 20, shuffle=True), 1)
    batches = [sum(index >= 100 for _, index in keys[start : start + 20]) for start in range(0, 200, 20)]
    assert min(batches) > 2
    assert max(batches) < 18


def test_even_the_smallest_weight_shows_a_picture():
    assert len(EpochBatches(Counted(20, 3, weights=[1.0, 0.01]), 1, shuffle=True)) == 21


def test_validation_shows_every_picture_once_whatever_the_weights():
    batches = EpochBatches(Counted(3, 2, weights=[5.0, 0.1]), 2, shuffle=False)
    assert [key for batch in batches for key in batch] == [(0, index) for index in range(5)]


@pytest.fixture
def mixed(dataset):
    """Eight augmented pictures shown twice an epoch, and four plain ones that are shown every second."""
    first = PortraitDataset(dataset.pairs[:8], training_transform(32), seed=5)
    return MixedDataset([first, PortraitDataset(dataset.pairs[8:], validation_transform(32), seed=5)], [2, 0.5])


def test_each_set_keeps_its_own_transforms(mixed):
    first, second = mixed.parts
    assert len(mixed) == 12
    assert mixed.pairs == first.pairs + second.pairs
    for index in range(12):
        part, own = (first, index) if index < 8 else (second, index - 8)
        assert equal(mixed[3, index], part[3, own]._replace(index=index))
    assert equal(mixed[0, 9], mixed[7, 9])  # plain ones look the same at every visit


def test_indices_lead_to_their_pairs(mixed):
    for batch in EpochBatches(mixed, 3, shuffle=True):
        for key in batch:
            sample = mixed[key]
            assert sample.index == key[1]
            if key[1] >= 8:
                photo = read_pair(mixed.pairs[sample.index])[0]
                assert np.array_equal(validation_transform(32)(image=photo)["image"].transpose(2, 0, 1), sample.image)


def test_a_picture_that_comes_twice_an_epoch_is_augmented_anew(mixed):
    (keys,) = epochs(EpochBatches(mixed, 1, shuffle=True), 1)
    looks = {}
    for key in keys:
        looks.setdefault(key[1], []).append(mixed[key].image.tobytes())
    assert [len(looks[index]) for index in range(8)] == [2] * 8
    assert sum(len(index) for i, index in looks.items() if i >= 8) == 2
    assert sum(one != two for one, two in (looks[index] for index in range(8))) >= 5  # one in six is not changed at all


def test_the_recipe_of_a_mixture(mixed, dataset):
    assert mixed.recipe() == MixedDataset(mixed.parts, [2, 0.5]).recipe()
    assert mixed.recipe() != MixedDataset(mixed.parts, [1, 0.5]).recipe()
    assert mixed.recipe() != MixedDataset(mixed.parts[::-1], [2, 0.5]).recipe()
    assert mixed.recipe()["images"] == [part.recipe()["images"] for part in mixed.parts]


@pytest.mark.parametrize("weights", [[1], [1, 1, 1], [1, 0], [1, -1], [1, float("nan")], [1, float("inf")]])
def test_impossible_weights_are_refused(weights, mixed):
    with pytest.raises(ValueError, match="2 datasets need as many positive weights, found"):
        MixedDataset(mixed.parts, weights)
