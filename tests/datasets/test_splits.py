"""A validation split carved from train, and what was left out in words."""

from pathlib import Path

import pytest

from helpers.datasets.pairs import Pair
from helpers.datasets.splits import Found, person_of, user_ids, users_of, with_validation


def found(*stems):
    return Found([Pair(Path(f"{stem}.jpg"), Path(f"{stem}.png")) for stem in sorted(stems)], [], [], [], [])


def carved(stems, users=None):
    """The stems in train and in val."""
    splits = with_validation({"train": found(*stems)}, users)
    return tuple({pair.image.stem for pair in splits[split].pairs} for split in ("train", "val"))


def numbers(count, prefix=""):
    return {f"{prefix}{i}" for i in range(count)}


def test_a_tenth_of_train_becomes_val():
    train, val = carved(numbers(1000))
    assert not train & val
    assert train | val == numbers(1000)
    assert len(val) == pytest.approx(100, abs=30)


def test_added_pictures_move_none_of_the_others():
    train, val = carved(numbers(100))
    more_train, more_val = carved(numbers(100) | numbers(100, "new-"))
    assert train < more_train
    assert val < more_val


def test_which_ones_never_changes():
    """A run that is resumed on another machine, or by a later version, must not validate on what it has trained on."""
    chosen = {"photo-4", "photo-25", "photo-29"}  # their sha1 begins below 0x1999999a
    assert carved(numbers(30, "photo-")) == (numbers(30, "photo-") - chosen, chosen)


def test_persons_stay_together():
    users = {f"{i}": f"user-{i // 4}" for i in range(200)}
    train, val = carved(numbers(200), users)
    assert not {users[stem] for stem in train} & {users[stem] for stem in val}
    assert len(val) % 4 == 0


@pytest.mark.parametrize("count", [1, 2, 3])
def test_tiny_sets_have_one_of_both(count):
    """Whatever the hashes are; one picture alone is for training."""
    for name in "abcdefghij":
        splits = with_validation({"train": found(*numbers(count, name))})
        assert list(splits) == (["train"] if count == 1 else ["train", "val"])
        assert all(part.pairs for part in splits.values())
        assert sum(len(part.pairs) for part in splits.values()) == count


def test_other_splits_stay_as_they_are():
    train, val, test = found("a", "b"), found("c"), found("d", "e")
    assert list(with_validation({"test": test, "val": val, "train": train}).items()) == [
        ("train", train), ("val", val), ("test", test)
    ]  # fmt: skip
    assert with_validation({"test": test}) == {"test": test}
    broken = Found([], [Path("f.jpg")], [], [], [])
    assert with_validation({"train": train, "val": broken}) == {"train": train, "val": broken}
    assert with_validation({"train": broken}) == {"train": broken}


def test_what_is_left_out_stays_with_train():
    left = found(*numbers(20))._replace(photos_alone=[Path("p.jpg")], ambiguous=[Path("a.jpg"), Path("a.png")])
    splits = with_validation({"train": left})
    assert splits["train"][1:] == left[1:]
    assert splits["val"][1:] == ([], [], [], [])


def test_what_is_left_out_in_words():
    files = [[Path(f"{kind}{i}.png") for i in range(count)] for kind, count in (("p", 1), ("t", 2), ("a", 4), ("m", 1))]
    assert Found([], *files).left_out() == (
        "photos without a ground truth: 1 (p0.png); ground truths without a photo: 2 (t0.png, t1.png); "
        "files that share a name: 4 (a0.png, a1.png, a2.png, …); listed files that are not there: 1 (m0.png)"
    )
    assert found("a").left_out() == ""


def test_names_with_line_ends_stay_in_one_line():
    assert Found([], [Path("a\x0cb.png"), Path("é.png")], [], [], []).left_out() == (
        "photos without a ground truth: 2 ('a\\x0cb.png', é.png)"
    )


@pytest.mark.parametrize("count", [2, 3, 5])
def test_few_pictures_of_one_stem_are_told_apart_by_their_folders(count, tmp_path):
    pairs = [Pair(tmp_path / f"person {i}" / "photo.jpg", tmp_path / f"person {i}" / "photo.png") for i in range(count)]
    splits = with_validation({"train": Found(pairs, [], [], [], [])})
    assert sorted(pair for part in splits.values() for pair in part.pairs) == pairs
    assert all(part.pairs for part in splits.values()) and list(splits) == ["train", "val"]
    moved = [Pair(Path("elsewhere") / pair.image.relative_to(tmp_path), pair.truth) for pair in pairs]
    again = with_validation({"train": Found(moved, [], [], [], [])})
    assert [pair.image.parent.name for pair in again["val"].pairs] == [
        pair.image.parent.name for pair in splits["val"].pairs
    ]


def test_folders_that_name_their_pictures_alike_are_not_torn_apart():
    """As where each folder holds the frames of a film: neighbours are nearly the same picture."""
    pairs = [Pair(Path(f"images/{folder:03}/{i}.jpg"), Path(f"masks/{folder:03}/{i}.png"))
             for folder in range(100) for i in range(3)]  # fmt: skip
    splits = with_validation({"train": Found(pairs, [], [], [], [])})
    train, val = ({pair.image.parent for pair in splits[split].pairs} for split in ("train", "val"))
    assert len(train) + len(val) == 100 and 3 <= len(val) <= 20


# -------------------------------------------------------------------------------------------------------------- persons


def numbered_alike(folder):
    """Pairs of three splits whose pictures have the same names."""
    return {split: [Pair(folder / split / "images" / f"{i:04d}.jpg", folder / split / "masks" / f"{i:04d}.png")
                    for i in range(3)] for split in ("train", "val", "test")}  # fmt: skip


def test_splits_that_number_their_pictures_alike_do_not_show_the_same_persons(tmp_path):
    persons = [user_ids(tmp_path, pairs) for pairs in numbered_alike(tmp_path).values()]
    assert list(map(len, persons)) == [3, 3, 3]
    assert len(set.union(*persons)) == 9


def test_nor_do_they_where_the_files_lie_elsewhere(tmp_path):
    persons = [
        user_ids(tmp_path / "lists" / "all.csv", pairs) for pairs in numbered_alike(tmp_path / "photos").values()
    ]
    assert len(set.union(*persons)) == 9


@pytest.mark.parametrize("separator", ["/", "\\"])
def test_a_table_of_persons_may_name_the_folders(separator, tmp_path):
    rows = ["train/images/0000.jpg,anna", "val/images/0000.jpg,ben", "0001.jpg,carl"]
    table = "\n".join(["image_name,user_id", *rows]).replace("/", separator)
    (tmp_path / "meta.csv").write_text(table, encoding="utf-8")
    users, pairs = users_of(tmp_path), numbered_alike(tmp_path)
    assert [person_of(pairs[split][0], users) for split in pairs] == ["anna", "ben", None]
    assert [person_of(pairs[split][1], users) for split in pairs] == ["carl"] * 3
    assert not user_ids(tmp_path, pairs["train"][:1]) & user_ids(tmp_path, pairs["val"][:1])


def test_a_name_listed_with_two_persons_is_of_nobody_known(tmp_path):
    """As where one table lists the pictures of splits that number them alike."""
    (tmp_path / "meta.csv").write_text(
        "image_name,user_id\n0000.jpg,anna\n0000.jpg,ben\n0001.jpg,carl\n0001.jpg,carl\n"
    )
    assert users_of(tmp_path) == {"0001": "carl"}


def test_persons_are_found_by_names_in_another_unicode_form(tmp_path):
    (tmp_path / "meta.csv").write_text("image_name,user_id\nZoe\u0308.jpg,zoe\n", encoding="utf-8")
    assert user_ids(tmp_path, [Pair(tmp_path / "Zo\u00eb.jpg", tmp_path / "Zo\u00eb.png")]) == {"zoe"}


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_persons_are_read_as_spreadsheets_write_them(separator, tmp_path):
    table = "Image_Name,User_ID\na.jpg,anna\nb.jpg,ben\n".replace(",", separator)
    (tmp_path / "meta.csv").write_text(table, encoding="utf-8-sig")
    assert users_of(tmp_path) == {"a": "anna", "b": "ben"}


@pytest.mark.parametrize("suffix", ["", ".jpg"])
def test_names_with_dots_and_without_a_suffix_are_names(suffix, tmp_path):
    (tmp_path / "meta.csv").write_text(f"image_name,user_id\n2021-03-05 12.30.45{suffix},anna\n")
    pair = Pair(tmp_path / "2021-03-05 12.30.45.jpg", tmp_path / "2021-03-05 12.30.45.png")
    assert person_of(pair, users_of(tmp_path)) == "anna"


def test_persons_without_pictures_are_refused(tmp_path):
    (tmp_path / "meta.csv").write_text("file,user_id\na.jpg,anna\n")
    with pytest.raises(
        ValueError, match=r"meta.csv: names persons .* found 'file, user_id'; call the column .* image_name"
    ):
        users_of(tmp_path)
    (tmp_path / "meta.csv").write_text("file,size\na.jpg,7\n")
    assert users_of(tmp_path) == {}
