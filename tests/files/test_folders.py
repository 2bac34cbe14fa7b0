"""Which files are photos, which are hidden, and how folders are walked: the same for all commands."""

import os
import unicodedata

import pytest
from PIL import Image

from helpers.cutout.batch import plan
from helpers.datasets.check import Kind, check
from helpers.datasets.layouts import find_splits
from helpers.files.folders import as_on_disk, find_pictures, in_words, is_hidden, is_photo, pictures_below, walk
from helpers.files.photos import photo_extensions
from helpers.metrics.ground_truth import find_truths

needs_links = pytest.mark.skipif(os.name == "nt", reason="links need rights there")


def grow(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def found(folder):
    """The photos below a folder as paths from it, with forward slashes."""
    return [path.relative_to(folder).as_posix() for path in find_pictures(folder).photos]


# --------------------------------------------------------------------------------------------- photos and other files


@pytest.mark.parametrize(
    "name", ["a.jpg", "a.b.JPEG", "a.JFIF", "a.heic", "a.avif", "a.gif", "a.jp2", "a.tif", " .png"]
)
def test_a_photo_is_known_by_its_extension(name):
    assert is_photo(name)


@pytest.mark.parametrize("name", ["a", "jpg", "a.jpg.part", "a.txt", "a.mp4", "a.eps", "a.cr2", "a.jpg ", ""])
def test_other_files_are_no_photos(name):
    assert not is_photo(name)


@pytest.mark.parametrize(
    "name", [".a.jpg", "._a.jpg", ".DS_Store", "__MACOSX", "Thumbs.db", "ehthumbs.db", "Desktop.ini", "@eaDir",
             "#recycle", "$RECYCLE.BIN", "System Volume Information", "lost+found", ".git"],
)  # fmt: skip
def test_what_systems_put_beside_photos_is_hidden(name):
    assert is_hidden(name)


@pytest.mark.parametrize("name", ["a.jpg", "_a.jpg", "@a.jpg", "#1.jpg", "$5.png", "eaDir", "thumbs.jpg"])
def test_odd_names_are_not_hidden(name):
    assert not is_hidden(name)


def test_photos_and_the_files_passed_over_come_sorted_and_hidden_ones_not_at_all(tmp_path):
    grow(tmp_path, "b.JPG", "a.b.jpeg", "c/d.jfif", "notes.txt", "c/x.CR2", "._b.JPG", "Thumbs.db", "@eaDir/b.JPG",
         "__MACOSX/._b.JPG", ".cache/e.jpg", "e.png.part")  # fmt: skip
    assert found(tmp_path) == ["a.b.jpeg", "b.JPG", "c/d.jfif"]
    assert find_pictures(tmp_path).passed_over == [tmp_path / name for name in ("e.png.part", "notes.txt", "c/x.CR2")]


def test_the_folder_itself_may_be_hidden(tmp_path):
    grow(tmp_path / ".photos", "a.jpg")
    assert found(tmp_path / ".photos") == ["a.jpg"]


def test_passed_over_files_are_counted_by_kind_and_named(tmp_path):
    odd = ("x\n.txt", "y.to\r")
    paths = [tmp_path / name for name in ("a.CR2", "b.cr2", "c.txt", "LICENSE", *(f"{i}.mov" for i in range(5)), *odd)]
    assert in_words(paths) == (
        "1 '.to\\r' ('y.to\\r'), 2 .cr2 (a.CR2, b.cr2), 5 .mov (0.mov, 1.mov, 2.mov, …), "
        "2 .txt (c.txt, 'x\\n.txt'), 1 without extension (LICENSE)"
    )


def test_pictures_by_their_names(tmp_path):
    grow(tmp_path, "a.png", "a.jpg", "s/t/b.PNG", "c.txt")
    assert pictures_below(tmp_path) == {
        "a": [tmp_path / "a.jpg", tmp_path / "a.png"],
        "s/t/b": [tmp_path / "s" / "t" / "b.PNG"],
    }


def test_a_folder_without_photos_is_named_with_what_is_there(tmp_path):
    grow(tmp_path, "photos/raw.cr2", "c.txt")
    with pytest.raises(FileNotFoundError, match=r"photos: no photos there \(.*\.jpg.*\); found 1 \.cr2 \(raw\.cr2\)"):
        pictures_below(tmp_path / "photos")
    for wrong in (tmp_path / "nowhere", tmp_path / "c.txt"):
        for find in (pictures_below, find_pictures):
            with pytest.raises(FileNotFoundError, match="no such folder"):
                find(wrong)


# ------------------------------------------------------------------------------------------------------ links and loops


@needs_links
def test_links_to_folders_are_followed_but_never_back(tmp_path):
    grow(tmp_path, "set/a.jpg", "elsewhere/b.jpg")
    (tmp_path / "set" / "link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "set" / "up").symlink_to(tmp_path)
    (tmp_path / "set" / "self").symlink_to(tmp_path / "set" / "self")
    (tmp_path / "elsewhere" / "back").symlink_to(tmp_path / "set")  # two folders that link to each other
    assert found(tmp_path / "set") == ["a.jpg", "link/b.jpg"]


@needs_links
def test_a_folder_that_two_links_name_is_there_twice(tmp_path):
    grow(tmp_path, "masks/a.png")
    for split in ("train", "val"):
        (tmp_path / "set" / split).mkdir(parents=True)
        (tmp_path / "set" / split / "masks").symlink_to(tmp_path / "masks")
    assert found(tmp_path / "set") == ["train/masks/a.png", "val/masks/a.png"]


@needs_links
def test_a_link_to_a_photo_that_is_gone_is_no_secret_and_a_pipe_is_never_opened(tmp_path):
    (tmp_path / "gone.jpg").symlink_to(tmp_path / "nowhere.jpg")
    os.mkfifo(tmp_path / "pipe.jpg")
    assert found(tmp_path) == ["gone.jpg"]


def test_an_unreadable_folder_is_raised_or_told(tmp_path, monkeypatch):
    grow(tmp_path, "a/x.jpg", "b/y.jpg")
    scan = os.scandir

    def refused(place):
        if place == tmp_path / "a":
            raise PermissionError(13, "Permission denied", str(place))
        return scan(place)

    monkeypatch.setattr(os, "scandir", refused)
    with pytest.raises(PermissionError):
        list(walk(tmp_path))
    errors = []
    assert [path.name for path in find_pictures(tmp_path, errors.append).photos] == ["y.jpg"]
    assert [error.filename for error in errors] == [str(tmp_path / "a")]


# --------------------------------------------------------------------------------------------------- names in two forms


def both_forms(text):
    return [unicodedata.normalize(form, text) for form in ("NFC", "NFD")]


@pytest.mark.parametrize("word", ["café", "が", "각", "Ångström"])
def test_composed_and_decomposed_names_pair_with_each_other(word, tmp_path):
    one, two = both_forms(word)
    assert one != two
    grow(tmp_path, f"images/{one}/{two} 1.jpg", f"masks/{two}/{one} 1.png", f"images/{two} 2.jpg", f"masks/{one} 2.png")
    splits = find_splits(tmp_path)
    assert sum(len(split.pairs) for split in splits.values()) == 2
    assert not any(split.left_out() for split in splits.values())


def test_predictions_and_trimaps_are_found_in_either_form(tmp_path):
    one, two = both_forms("Zoë/é")
    grow(tmp_path, f"true/{two}.png", f"true/trimap/{one}.png", f"pred/{one}.png")
    [truth] = find_truths(tmp_path / "true").truths
    assert truth.names[0] in pictures_below(tmp_path / "pred")
    assert truth.trimap == tmp_path / f"true/trimap/{one}.png"


def test_a_path_is_found_in_the_form_the_disk_has(tmp_path):
    one, two = both_forms("Zoë/é.png")
    grow(tmp_path, two)
    assert as_on_disk(tmp_path / one).is_file()
    assert as_on_disk(tmp_path / "no" / "such.png") == tmp_path / "no" / "such.png"


# -------------------------------------------------------------------------------------------- the same for all commands


def test_every_command_finds_the_same_photos(tmp_path):
    names = [f"photo{extension}" for extension in sorted(photo_extensions())]
    grow(
        tmp_path, *(f"set/images/{i}/{name}" for i, name in enumerate(names)), "set/images/._a.jpg", "set/images/b.txt"
    )
    grow(tmp_path, *(f"set/masks/{i}/photo.png" for i in range(len(names))))
    images = tmp_path / "set" / "images"
    photos = {images / str(i) / name for i, name in enumerate(names)}
    assert {pair.image for split in find_splits(tmp_path / "set").values() for pair in split.pairs} == photos
    assert set(find_pictures(images).photos) == photos
    assert {photo for photo, _ in plan([images], tmp_path / "out").outputs} == photos
    assert {truth.pair.truth for truth in find_truths(images).truths} == photos


def test_a_data_set_of_raw_photos_is_named_as_what_it_is(tmp_path):
    grow(tmp_path, *(f"images/{i}.NEF" for i in range(5)), *(f"masks/{i}.png" for i in range(5)))
    others = r"photos lie in .*/masks, beside 5 \.nef \(0\.NEF, 1\.NEF, 2\.NEF, …\)\. "
    with pytest.raises(FileNotFoundError, match=others):
        find_splits(tmp_path)


def test_a_check_counts_the_files_that_are_no_photos(tmp_path):
    grow(tmp_path, "images/a.jpg", "images/b.NEF", "images/.c.jpg", "masks/a.png", "masks/b.npy", "notes.txt")
    found = {finding.text for finding in check(tmp_path, workers=0).findings if finding.kind == Kind.PASSED_OVER}
    assert found == {str(tmp_path / "images" / "b.NEF"), str(tmp_path / "masks" / "b.npy")}


def test_photos_of_other_extensions_are_checked_and_read(tmp_path):
    for kind in ("images", "masks"):
        (tmp_path / kind).mkdir()
    for i, (extension, form) in enumerate((("jfif", "JPEG"), ("gif", "GIF"), ("jp2", "JPEG2000"), ("jpe", "JPEG"))):
        Image.effect_noise((16, 16), 90).convert("RGB").save(tmp_path / "images" / f"{i}.{extension}", form)
        mask = Image.new("L", (16, 16), 0)
        mask.paste(255, (4, 4, 12, 12))
        mask.save(tmp_path / "masks" / f"{i}.png")
    report = check(tmp_path, workers=0)
    assert sum(report.pairs.values()) == 4
    assert not any(finding.kind == Kind.UNREADABLE for finding in report.findings)
