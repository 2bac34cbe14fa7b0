"""The layouts that real data sets come in: a table of patterns for their folders.

A row of the table decides by a folder's path whether it holds photos or ground truths, and of which split.
`helpers.datasets.layouts` reads the table.
"""

import re
from collections.abc import Mapping
from typing import NamedTuple

from helpers.datasets.manifests import MANIFEST


class Layout(NamedTuple):
    """How the files of a data set lie.

    The patterns are matched with the path from the data set's own folder on, such as `portraits/images/train`, in
    capitals or not. A photo and a ground truth belong together if their stems and all named groups are the same. If
    several photos fit, the one whose folder matches the earliest pattern counts. The same is true of ground truths.

    Attributes:
        tree: the layout in words, for messages.
        photos: patterns of the folders that hold them. truths: the same for ground truths.
        reading: what the ground truths mean, one of `helpers.datasets.ground_truth.READINGS`.
        beside: pattern of another folder by which the layout is known.
    """

    tree: str
    photos: list[str]
    truths: list[str]
    reading: str = "grey"
    beside: str = ""


TOP = r"(?P<top>[^/]+(?:/[^/]+)??)/"  # the data set's own folder, and perhaps another one in it, as archives have it
ANY = r"(?P<top>(?:[^/]+/)*?)"  # any folders: here the data set's own name may hold the split, as in P3M-500-NP/
SPLIT = r"(?P<split>train|val|test)"
SPLIT_WORD = r"(?P<split>train(?:ing)?|val(?:id|idation)?|test(?:ing)?)"
P3M_PLACES = (r"(?P<split>train)", r"(?P<benchmark>p3m-500-n?p)")
TRAIN_TEST = r"(?P<split>train|test)"
ONE, SUB = r"(?:/(?P<sub>[^/]+))?", r"(?:/(?P<sub>.+))?"  # one sub-folder or none; as many as there are


def _layout(tree: str, photos: str, truths: str, *shapes: str, reading: str = "grey", beside: str = "") -> Layout:
    """A layout in which photos and ground truths have the same paths except for the name of one folder."""
    of_photos, of_truths = ([shape.replace("KIND", f"(?:{kind})") for shape in shapes] for kind in (photos, truths))
    return Layout(tree, of_photos, of_truths, reading, beside)


def easyportrait(truth: str = "annotations") -> Layout:
    """EasyPortrait v1, v2 and the synthetic data set, whose `mattes/` hold exact alphas."""
    tree = ("images/{train,val,test}/*.jpg with annotations/{train,val,test}/*.png, or {train,val,test}/images/*.jpg "
            "with {train,val,test}/annotations/*.png")  # fmt: skip
    shapes = (f"{TOP}KIND/{SPLIT}", f"{TOP}{SPLIT}/KIND", f"{TOP}KIND")
    return _layout(tree, "images", truth, *shapes, reading="grey" if truth == "mattes" else "classes")


LAYOUTS = {
    "manifest": Layout(f"{MANIFEST} with the columns image, mask and more, or such a file itself", [], []),
    "easyportrait": easyportrait(),
    "p3m": Layout(
        "train/blurred_image/*.jpg with train/mask/*.png; validation/P3M-500-{P,NP}/ alike, always the test split",
        [f"{ANY}{place}/{kind}" for kind in ("original_image", "blurred_image") for place in P3M_PLACES],
        [f"{ANY}{place}/mask" for place in P3M_PLACES],
    ),
    "aisegment": Layout(
        "clip_img/*/clip_*/*.jpg with matting/*/matting_*/*.png",
        # not TOP: the archive holds everything twice, and what lies deeper is the copy
        [rf"{top}/clip_img/(?P<sub>[^/]+)/clip_(?P<clip>[^/]+)" for top in ("[^/]+", "[^/]+/[^/]+")],
        [rf"{top}/matting/(?P<sub>[^/]+)/matting_(?P<clip>[^/]+)" for top in ("[^/]+", "[^/]+/[^/]+")],
        reading="opacity",
    ),
    "people": _layout(
        "images/*.jpg with masks/*.png, and segmentation/{train,val}.txt that list their stems",
        "images", "masks", f"{TOP}KIND", beside=f"{TOP}segmentation",
    ),
    "cod10k": Layout(
        "{Train,Test}/Imgs/*.jpg with {Train,Test}/GT_Object/*.png, {Train,Test}Dataset/Imgs/ with GT/, or Imgs/ with "
        "GT_Object/",
        [f"{ANY}{TRAIN_TEST}(?:dataset)?{ONE}/(?:imgs?|images?)", f"{TOP}(?:imgs?|images?)"],
        [f"{ANY}{TRAIN_TEST}(?:dataset)?{ONE}/gt_objects?", f"{ANY}{TRAIN_TEST}dataset{ONE}/gt", f"{TOP}gt_objects?"],
    ),
    "cutouts": _layout(
        "cutouts/*.png, transparent, beside backgrounds/*.jpg",
        "cutouts", "cutouts", f"{TOP}KIND/{SPLIT}{SUB}", f"{TOP}KIND{SUB}",
        reading="opacity", beside=f"{TOP}backgrounds{SUB}",
    ),
    "pairs": _layout(
        "images/*.jpg with masks/*.png (or photos, imgs, originals … with alphas, mattes, gt …), with or without "
        "train/, val/ and test/ below or above, sub-folders alike on both sides",
        "images?|photos?|imgs?|originals?|pictures?", "masks?|alphas?|mattes?|gts?|annotations?",
        f"{TOP}KIND/{SPLIT_WORD}{SUB}", f"{TOP}{SPLIT_WORD}/KIND{SUB}", f"{TOP}KIND{SUB}",
    ),
}  # fmt: skip
"""The layouts by name, in the order in which they are tried."""


def category_of(name: str, groups: Mapping[str, str], stem: str) -> str:
    """The name of a picture's category."""
    if cod10k := re.match(r"COD10K-(?:CAM-\d+-([A-Za-z]+)|NonCAM)", stem):
        return f"cod10k-{cod10k[1] or 'noncam'}".lower()
    if name == "pairs":  # by the sub-folder, or the data set's own inside the given one
        return (groups["sub"] or "/".join(groups["top"].split("/")[1:]) or "photos").split("/")[0]
    return groups.get("benchmark", name).lower()
