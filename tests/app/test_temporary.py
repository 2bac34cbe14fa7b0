"""The page's folder of temporary files goes with its process, and with the next one if that was killed."""

import os
import subprocess
import sys
import tempfile

import pytest
from support import ROOT

from helpers.app.temporary import remove_abandoned

HOME = """
import sys
from helpers.app.temporary import temporary_home
print(temporary_home(), flush=True)
sys.stdin.read()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no locks of folders there")
def test_a_killed_process_leaves_its_folder_to_the_next_and_nothing_else_is_touched(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    (tmp_path / "portrait-of-somebody").mkdir()
    (tmp_path / "portrait-page-link").symlink_to(tmp_path / "portrait-of-somebody")
    environment = {key: value for key, value in os.environ.items() if key != "GRADIO_TEMP_DIR"}
    with subprocess.Popen([sys.executable, "-c", HOME], cwd=ROOT, env=environment | {"TMPDIR": str(tmp_path)},
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:  # fmt: skip
        home = tmp_path / process.stdout.readline().strip()
        assert home.parent == tmp_path
        assert home.stat().st_mode & 0o777 == 0o700
        (home / "photo.jpg").touch()
        remove_abandoned()
        assert (home / "photo.jpg").exists()
        process.kill()
        process.wait()
        assert (home / "photo.jpg").exists()
        remove_abandoned()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["portrait-of-somebody", "portrait-page-link"]
