"""What a data set holds, split by split, and a validation split for the sets that come without one."""

import csv
import hashlib
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

from helpers.datasets.pairs import Pair
from helpers.files.text import read_text, shown

SPLITS = ("train", "val", "test")

VALIDATED = 0.1
"""Share that becomes the validation split of what comes without one: whose `rank_of` lies below it."""


class Found(NamedTuple):
    """What was found of one split; everything but `pairs` was left out.

    Attributes:
        pairs: photos with their truths, sorted.
        photos_alone: photos without a truth of their name. truths_alone: truths without a photo.
        ambiguous: files of one name of which only one can be meant, such as `a.jpg` beside `a.png`: never guessed.
    """

    pairs: list[Pair]
    photos_alone: list[Path]
    truths_alone: list[Path]
    ambiguous: list[Path]

    def left_out(self):
        """What was left out in words, with the first three names of each kind; empty if that is nothing."""
        kinds = (("photos without a truth", self.photos_alone), ("truths without a photo", self.truths_alone),
                 ("files that share a name", self.ambiguous))  # fmt: skip
        return "; ".join(f"{kind}: {len(files)} ({_first_names(files)})" for kind, files in kinds if files)


def _first_names(files):
    return ", ".join(shown(path.name) for path in files[:3]) + (", …" if len(files) > 3 else "")


def with_validation(splits, users=None):
    """The splits {name: `Found`} in the order of `SPLITS`; if they have a train and no val, val is a tenth of train.

    Which pictures, a hash of their stems tells, or of their persons as far as `users` {stem: person} knows them; so no
    person is in both, and pictures that are added later move none of the others from one split to the other. Only sets
    so small that all hashes or none fall into the tenth are an exception: each of the two splits keeps one stem.
    """
    splits, users = dict(splits), users or {}
    if "train" in splits and "val" not in splits:
        train = splits["train"]
        named = [(pair, users.get(pair.image.stem, pair.image.stem)) for pair in train.pairs]
        ranked = sorted((rank_of(name), name) for name in {name for _, name in named})
        count = min(max(sum(rank < VALIDATED for rank, _ in ranked), 1), len(ranked) - 1)
        if count > 0:
            chosen = {name for _, name in ranked[:count]}
            splits["train"] = train._replace(pairs=[pair for pair, name in named if name not in chosen])
            splits["val"] = Found([pair for pair, name in named if name in chosen], [], [], [])
    return {split: splits[split] for split in SPLITS if split in splits}


def rank_of(name):
    """A number in [0, 1) that depends on the name alone, evenly spread."""
    digest = hashlib.sha1(os.fsencode(name), usedforsecurity=False).digest()
    return int.from_bytes(digest[:4], "big") / 2**32


def users_of(folder):
    """{stem of a picture: person} by the `user_id` column of a folder's meta.csv; empty without one.

    Raises ValueError naming a meta.csv that cannot be understood.
    """
    users = {}
    for place in ("", "annotations", "meta"):
        path = Path(folder) / place / "meta.csv"
        if path.is_file():
            lines = read_text(path).splitlines()
            try:
                for row in csv.DictReader(lines, delimiter="\t" if lines and "\t" in lines[0] else ","):
                    name = row.get("image_name") or row.get("attachment_id") or ""
                    users[os.path.splitext(name)[0]] = row.get("user_id") or name
            except csv.Error as error:
                raise ValueError(f"{path}: {error}; correct or remove the file") from error
            break
    return users


def user_ids(folder, pairs):
    """The set of persons in `pairs`; a picture that meta.csv doesn't tell about counts as a person of its own."""
    users = users_of(folder)
    return {users.get(pair.image.stem, pair.image.stem) for pair in pairs}


def shared_persons(folder, splits: Mapping[str, Sequence[Pair]]) -> dict[tuple[str, str], set[str]]:
    """{(split, other split): person ids that are in both}, only where there are any; `splits` maps a split to pairs.

    Only meta.csv knows persons. Without it, and for a file name that several splits use, nothing is known: splits that
    number their photos alike do not share persons for that.
    """
    users = users_of(folder)
    stems = {split: {pair.image.stem for pair in pairs} for split, pairs in splits.items()}
    uses = Counter(stem for found in stems.values() for stem in found)
    persons = {
        split: {users[stem] for stem in found if stem in users and uses[stem] == 1} for split, found in stems.items()
    }
    both = {(a, b): persons[a] & persons[b] for a, b in combinations(persons, 2)}
    return {names: common for names, common in both.items() if common}
