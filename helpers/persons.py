"""Who is in the pictures: the persons of a data set, which its splits must not share."""

import csv
import os
from pathlib import Path

from helpers.texts import read_text


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
