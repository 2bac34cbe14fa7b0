"""The first step: which photos there are, and which of them cannot be used."""

from collections.abc import Container
from itertools import chain, count
from pathlib import Path
from typing import NamedTuple

import numpy as np

from helpers.cutout.batch import plan
from helpers.datasets.duplicates import digest, first_alike
from helpers.datasets.duplicates import look as look_of
from helpers.datasets.layouts import find_splits, recognise
from helpers.datasets.pairs import Pair, read_alpha
from helpers.datasets.splits import VALIDATED, Found, person_of, rank_of, users_of, with_validation
from helpers.files.folders import parts_below
from helpers.files.parallel import in_parallel
from helpers.files.photos import picture_size, read_reduced
from helpers.files.text import check_utf8, fault_of, shown
from helpers.mine.correct import Corrections
from helpers.mine.measure import FEWEST
from helpers.mine.project import Photo, Project, stamp_of

SMALLEST = 32
"""Pixels that the shorter side of a photo needs: the network halves a picture five times."""

SMALL = 200
"""Pixels of the shorter side below which a photo is called small: hair cannot be seen in it."""

MANY = 64
"""Photos from which on several processes read them: starting these takes seconds."""

CHANGED = "its file has changed: what was corrected on the earlier one no longer counts, and the photo waits again"

_LEAST = 256  # a JPEG is decoded down to this for its look


class PhotoFile(NamedTuple):
    """A photo file that was found: its name, its file, its owner's mask as a `Pair`, the split its layout tells."""

    name: str
    file: Path
    mask: Pair | None = None
    split: str = ""


class _Seen(NamedTuple):
    """What was seen of a file: why it cannot be used, or its size, bytes and look; and what is wrong with its mask."""

    fault: str = ""
    size: tuple[int, int] = (0, 0)
    digest: bytes = b""
    look: np.ndarray | None = None
    mask_fault: str = ""


def look(project: Project, workers: int | None = None) -> None:
    """Find the photos of a project, and leave out what is unreadable, too small or there twice; writes its state.

    A folder in one of the layouts of `helpers.datasets.layouts` brings its own masks, which are taken over, and its own
    validation split. What earlier steps did for a photo stays, unless its file has changed: then it waits again, and a
    note tells its owner. Of two photos that are the same the one with a mask stays, else the one that was there before,
    else the first by name. Raises FileNotFoundError if there is no photo at all, and ValueError for a folder of several
    layouts or a damaged list of corrections.
    """
    found, left_out = _find(project)
    before = {photo.file: photo for photo in project.photos.values()}
    if workers is None and len(found) < MANY:
        workers = 0
    seen = list(in_parallel(_look_at, found, workers, "looking at photos"))
    photos, notes, readable = {}, {}, []
    for each, what in zip(found, seen, strict=True):
        file = each.file.relative_to(project.folder).as_posix()
        if what.fault:
            left_out[shown(file)] = what.fault
            continue
        if what.mask_fault:
            notes[file] = f"its mask is not used: {what.mask_fault}"
        elif min(what.size) < SMALL:
            notes[file] = f"small: {what.size[1]}×{what.size[0]} pixels"
        mask = each.mask if each.mask and not what.mask_fault else None
        photo = Photo(
            each.name, file, what.size, stamp_of(each.file), reading=mask.reading if mask else "",
            mask=mask.truth.relative_to(project.folder).as_posix() if mask else "",
        )  # fmt: skip
        earlier = before.get(file)
        if earlier and earlier.stamp == photo.stamp and earlier.name == photo.name:
            photos[photo.name] = Photo(
                photo.name, file, photo.size, photo.stamp, earlier.kept_out, photo.mask, photo.reading,
                earlier.proposed_by, earlier.doubt, earlier.sure,
            )  # fmt: skip
        else:
            photos[photo.name] = photo
            if earlier:
                project.proposal(earlier.name).unlink(missing_ok=True)  # it is of the earlier file
        readable.append((photo, each.split, what))
    left_out |= _twice(readable, before.keys())
    photos = {name: photo for name, photo in sorted(photos.items()) if photo.file not in left_out}
    splits = {photo.name: split for photo, split, _ in readable}
    project.photos, project.left_out, project.notes = photos, left_out, notes
    _keep_out(
        project, splits, {name: before[photo.file].kept_out for name, photo in photos.items() if photo.file in before}
    )
    for name in Corrections(project).forget_changed():
        file = photos[name].file
        notes[file] = "; ".join([*filter(None, [notes.get(file)]), CHANGED])
    project.save()


def _find(project: Project) -> tuple[list[PhotoFile], dict[str, str]]:
    """The photo files of a project with the masks that lie beside them, and the files that are left out."""
    left_out: dict[str, str] = {}
    try:
        recognise(project.folder)
    except FileNotFoundError:
        planned = plan([project.folder], project.work / "proposals")
        left_out |= {line.removeprefix("skipped: "): "cannot be read" for line in planned.skipped}
        root, work = project.work / "proposals", project.work.resolve()
        found = [
            PhotoFile(target.relative_to(root).with_suffix("").as_posix(), file)
            for file, target in planned.outputs
            if not file.resolve().is_relative_to(work)
        ]
        if not found:
            raise FileNotFoundError(f"{project.folder}: no photos there") from None
        return _with_earlier_names(project, found), left_out
    found = []
    for split, there in find_splits(project.folder).items():
        for pair in there.pairs:
            found.append(PhotoFile(_name(project, pair.image), pair.image, None if pair.is_cutout else pair, split))
        found += [PhotoFile(_name(project, path), path, None, split) for path in there.photos_alone]
        for path in there.ambiguous:
            left_out[path.relative_to(project.folder).as_posix()] = "shares its name with another file"
    return found, left_out


def _with_earlier_names(project: Project, found: list[PhotoFile]) -> list[PhotoFile]:
    """The photos by the names that they had before: corrections go by names, which a new file may not take or change.

    `p1.jpg` stays `p1` where `p1.png` has come beside it, also after the state was deleted, or `p1.jpg` was gone for a
    while: the corrected photos are in a list of their own.
    """
    lines = Corrections(project).lines()
    earlier = {project.photo_file(photo): photo.name for photo in project.photos.values()}
    for each in found:
        short = each.file.relative_to(project.folder).with_suffix("").as_posix()
        corrected = [name for name in (short, each.name) if name in lines and name not in earlier.values()]
        own = [name for name in corrected if Path(lines[name].image).suffix == each.file.suffix.lower()]
        if own and each.file not in earlier:
            earlier[each.file] = own[0]
    taken = {name.casefold() for name in (*lines, *(earlier[each.file] for each in found if each.file in earlier))}
    named = []
    for each in found:
        name = earlier.get(each.file)
        if name is None:
            longer = (f"{each.name}-{number}" for number in count(2))
            name = next(one for one in chain([each.name], longer) if one.casefold() not in taken)
            taken.add(name.casefold())
        named.append(each._replace(name=name))
    return named


def _name(project: Project, path: Path) -> str:
    return "/".join(parts_below(path, project.folder))


def _look_at(found: PhotoFile) -> _Seen:
    """What is seen of a photo and its mask; whatever is wrong with the files becomes a fault."""
    try:
        check_utf8(found.file)
        photo, size = read_reduced(found.file, _LEAST)
        if min(size) < SMALLEST:
            return _Seen(f"too small: {size[1]}×{size[0]} pixels")
        fingerprint = digest(found.file)
    except Exception as error:  # a decoder may raise anything on a broken file
        return _Seen(fault_of(found.file, error))
    return _Seen("", size, fingerprint, look_of(photo), _mask_fault(found.mask, size))


def _mask_fault(mask: Pair | None, size: tuple[int, int]) -> str:
    if mask is None:
        return ""
    try:
        there = picture_size(mask.truth)
        if there != size:
            return f"{mask.truth.name} has {there[1]}×{there[0]} pixels"
        return "" if read_alpha(mask).any() else f"{mask.truth.name} shows nobody"
    except Exception as error:
        return fault_of(mask.truth, error)


def _twice(readable: list[tuple[Photo, str, _Seen]], known: Container[str]) -> dict[str, str]:
    """{file: reason} for the photos that show what another one shows.

    Those with masks come first, then the `known` files, which may be corrected already, then those by name.
    """
    ordered = sorted(readable, key=lambda each: (not each[0].mask, each[0].file not in known, each[0].name))
    alike = first_alike([seen.look for _, _, seen in ordered if seen.look is not None])
    first_of_bytes: dict[bytes, int] = {}
    reasons: dict[str, str] = {}
    for i, (photo, _, seen) in enumerate(ordered):
        before = [j for j in (first_of_bytes.setdefault(seen.digest, i), int(alike[i])) if 0 <= j < i]
        if before:
            other, _, twin = ordered[min(before)]
            how = "the same file as" if twin.digest == seen.digest else "looks like"
            reasons[photo.file] = f"{how} {other.file}"
    return reasons


def _keep_out(project: Project, splits: dict[str, str], decided: dict[str, bool]) -> None:
    """Decide which photos are only measured on: those of a validation split, else a tenth of the persons.

    In a small folder there are more of these persons: until `FEWEST` photos are kept out, or a third of all. What was
    decided before stays, and holds for all photos of the same person.
    """
    users = users_of(project.folder)
    person = {name: _person(photo, users) for name, photo in project.photos.items()}
    earlier = {person[name]: kept_out for name, kept_out in decided.items()}
    if any(splits[name] not in ("", "train") for name in project.photos):
        chosen = {name for name in project.photos if splits[name] != "train" or _alone_kept(project, name, person)}
    else:
        names = list(project.photos)  # numbers stand for them: their last parts may be the same
        pairs = [Pair(Path(str(number)), Path()) for number in range(len(names))]
        by_number = {str(number): person[name] for number, name in enumerate(names)}
        fresh = with_validation({"train": Found(pairs, [], [], [], [])}, by_number)
        chosen = {names[int(pair.image.name)] for pair in fresh["val"].pairs} if "val" in fresh else set()
        decided_now = {name for name in project.photos if earlier.get(person[name], name in chosen)}
        chosen |= _more_kept_out(
            {name: one for name, one in person.items() if one not in earlier}, decided_now, len(person)
        )
    for name in project.photos:
        project.set(name, kept_out=earlier.get(person[name], name in chosen))


def _more_kept_out(person: dict[str, str], chosen: set[str], photos: int) -> set[str]:
    """Photos to keep out beside the `chosen` ones, of so many photos in all, whole persons.

    `person` is {name: person id} of the photos that nothing was decided about before: others may have been trained on.
    """
    third, count = photos // 3, len(chosen)
    photos_of: dict[str, list[str]] = {}
    for name in set(person) - chosen:
        photos_of.setdefault(person[name], []).append(name)
    more: set[str] = set()
    for one in sorted(photos_of, key=rank_of):
        if count + len(more) < FEWEST and count + len(more) + len(photos_of[one]) <= third:
            more.update(photos_of[one])
    return more


def _alone_kept(project: Project, name: str, person: dict[str, str]) -> bool:
    """Whether a photo without a mask is kept out where those with masks have their split."""
    return not project.photos[name].mask and rank_of(person[name]) < VALIDATED


def _person(photo: Photo, users: dict[str, str]) -> str:
    """The person id of a photo; its own name where meta.csv says nothing."""
    return person_of(Pair(Path(photo.file), Path()), users) or photo.name
