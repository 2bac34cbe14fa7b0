"""What a data set holds, split by split, and a validation split for the sets that come without one."""

import csv
import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

from helpers.datasets.pairs import Pair
from helpers.files.csv_file import open_csv
from helpers.files.folders import composed, folder_of, is_photo, parts_below
from helpers.files.text import shown

SPLITS = ("train", "val", "test")

VALIDATED = 0.1
"""The share that becomes the validation split of a set without one: pictures whose `rank_of` is below it."""


class Found(NamedTuple):
    """The files of one split. Everything but `pairs` is left out.

    Attributes:
        pairs: photos with their ground truths, sorted.
        photos_alone: photos without a ground truth of the same name. truths_alone: ground truths without a photo.
        ambiguous: files that share a name, such as `a.jpg` beside `a.png`. None of them is chosen by guessing.
        missing: photos that a manifest lists, where neither they nor their ground truths are there.
    """

    pairs: list[Pair]
    photos_alone: list[Path]
    truths_alone: list[Path]
    ambiguous: list[Path]
    missing: list[Path]

    def in_order(self) -> "Found":
        """The same, sorted."""
        pairs, *left_out = self
        return Found(sorted(pairs), *map(sorted, left_out))

    def left_out(self) -> str:
        """A text that counts the files left out, with the first three names of each kind; empty if there are none."""
        kinds = (
            ("photos without a ground truth", self.photos_alone),
            ("ground truths without a photo", self.truths_alone),
            ("files that share a name", self.ambiguous),
            ("listed files that are not there", self.missing),
        )
        return "; ".join(f"{kind}: {len(files)} ({_first_names(files)})" for kind, files in kinds if files)


def _first_names(files: list[Path]) -> str:
    return ", ".join(shown(path.name) for path in files[:3]) + (", …" if len(files) > 3 else "")


def lines_left_out(splits: Mapping[str, Found]) -> list[str]:
    """A line for each of the splits {name: `Found`} that has files which belong to no pair."""
    return [f"left out of {split}: {text}" for split, found in splits.items() if (text := found.left_out())]


def with_validation(splits: Mapping[str, Found], users: Mapping[str, str] | None = None) -> dict[str, Found]:
    """The splits {name: `Found`} in the order of `SPLITS`; if they have a train and no val, val is a tenth of train.

    A hash of the file stem decides the split, or a hash of the person id where `users`, as from `users_of`, knows it.
    So no person is in both splits, and pictures that are added later move no other picture. In a small set the hashes
    may put all pictures or none into the tenth; then each of the two splits keeps one stem. If all pictures have the
    same stem, the names of their folders are hashed with it. If the same stems come in many folders, as where each is
    of one person or one film, the folders' names alone are hashed: a folder is in one of the two splits.
    """
    splits, users = dict(splits), users or {}
    if "train" in splits and "val" not in splits:
        train = splits["train"]
        named = [(pair, person_of(pair, users) or composed(pair.image.stem)) for pair in train.pairs]
        stems = {name for _, name in named}
        if not users and len(stems) == 1:
            named = [(pair, composed("/".join(pair.image.with_suffix("").parts[-2:]))) for pair in train.pairs]
        elif not users and 2 * len(stems) <= len(named):
            folders = [(pair, composed(pair.image.parent.name)) for pair in train.pairs]
            named = folders if len({name for _, name in folders}) > 1 else named
        ranked = sorted((rank_of(name), name) for name in {name for _, name in named})
        count = min(max(sum(rank < VALIDATED for rank, _ in ranked), 1), len(ranked) - 1)
        if count > 0:
            chosen = {name for _, name in ranked[:count]}
            splits["train"] = train._replace(pairs=[pair for pair, name in named if name not in chosen])
            splits["val"] = Found([pair for pair, name in named if name in chosen], [], [], [], [])
    return {split: splits[split] for split in SPLITS if split in splits}


def rank_of(name: str) -> float:
    """A number in [0, 1) that depends on the name alone, evenly spread."""
    digest = hashlib.sha1(os.fsencode(name), usedforsecurity=False).digest()
    return int.from_bytes(digest[:4], "big") / 2**32


def users_of(folder: Path | str) -> dict[str, str]:
    """{name of a picture: person id} by the `user_id` column of a data set's meta.csv; empty without one.

    The names are as in the column `image_name` or `attachment_id`, without suffix; a name may have folders before it.
    A name that is listed with several persons belongs to none of them, since it can be of several pictures.
    Raises ValueError naming a meta.csv that cannot be understood, or that has persons but no names of pictures.
    """
    users: dict[str, str] = {}
    several = set()
    for place in ("", "annotations", "meta"):
        path = folder_of(folder) / place / "meta.csv"
        if path.is_file():
            reader = open_csv(path)
            columns = reader.fieldnames or []
            if "user_id" in columns and not {"image_name", "attachment_id"} & set(columns):
                raise ValueError(
                    f"{path}: names persons (user_id), but no pictures, found {', '.join(columns)!r}; call the column "
                    "of the pictures image_name, or remove the column user_id"
                )
            try:
                for row in reader:
                    name = row.get("image_name") or row.get("attachment_id") or ""
                    name = composed(name).replace("\\", "/")
                    name = os.path.splitext(name)[0] if is_photo(name) else name  # 12.30.45 is a name, too
                    if row.get("user_id") and users.setdefault(name, row["user_id"]) != row["user_id"]:
                        several.add(name)
            except csv.Error as error:
                raise ValueError(f"{path}: {error}; correct or remove the file") from error
            break
    return {name: user for name, user in users.items() if name not in several}


def person_of(pair: Pair, users: Mapping[str, str]) -> str | None:
    """The person id of a pair by `users`, as from `users_of`; None if they do not know it.

    A name with folders counts before a bare one: pictures of different splits may have the same bare name.
    """
    parts = [composed(part) for part in pair.image.with_suffix("").parts[-4:]]
    return next(filter(None, (users.get("/".join(parts[i:])) for i in range(len(parts)))), None)


def user_ids(folder: Path | str, pairs: Iterable[Pair]) -> set[str]:
    """The set of person ids in `pairs`; a picture that is not in meta.csv counts as a person of its own."""
    users = users_of(folder)
    return {person_of(pair, users) or _path_below(pair.image, folder) for pair in pairs}


def shared_persons(folder: Path | str, splits: Mapping[str, Sequence[Pair]]) -> dict[tuple[str, str], set[str]]:
    """{(split, other split): person ids that are in both}, only where there are any; `splits` maps a split to pairs.

    Persons are known from meta.csv only. Without it, or for a file name that several splits use, nothing is known.
    Splits that number their photos alike do not share persons because of that.
    """
    users = users_of(folder)
    uses = Counter(stem for pairs in splits.values() for stem in {pair.image.stem for pair in pairs})
    persons = {
        split: {person for pair in pairs if uses[pair.image.stem] == 1 and (person := person_of(pair, users))}
        for split, pairs in splits.items()
    }
    both = {(a, b): persons[a] & persons[b] for a, b in combinations(persons, 2)}
    return {names: common for names, common in both.items() if common}


def _path_below(path: Path, folder: Path | str) -> str:
    """A file's path below a folder, without suffix; its whole path if it lies elsewhere."""
    return "/".join(parts_below(path, folder)) if path.is_relative_to(folder) else str(path)
