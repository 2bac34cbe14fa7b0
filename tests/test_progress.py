import nbformat
import pytest

from helpers.config import PRESETS
from helpers.notebook import TABLE_MARK, TIME_MARK, fill_in_times, time_table
from helpers.progress import Progress, in_words, read_times, write_times

TITLES = ["1 Data", "2 Training", "3 Measuring"]


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def row(section, seconds, preset="smoke"):
    return {"preset": preset, "section": section, "seconds": seconds, "megabytes": 900}


def begun(times, monkeypatch):
    """A run of the preset smoke that took twice as long for its first section as an earlier one."""
    monkeypatch.setenv("PORTRAIT_PRESET", "smoke")
    clock = Clock()
    progress = Progress(TITLES, times, clock)
    lines = [progress.begin(TITLES[0])]
    clock.now = 20
    lines.append(progress.begin(TITLES[1]))
    return progress, clock, lines


def test_the_time_left_follows_the_pace_of_this_machine(monkeypatch):
    _, _, lines = begun([row(title, seconds) for title, seconds in zip(TITLES, (10, 60, 5))], monkeypatch)
    assert lines[0].startswith("[ 1/3] 1 Data ") and lines[0].endswith(" 0:00 so far, about 1:15 left")
    assert lines[1].startswith("[ 2/3] 2 Training ") and lines[1].endswith(" 0:20 so far, about 2:10 left")


def test_without_an_earlier_run_of_these_sections_only_the_time_so_far_is_told(monkeypatch):
    for times in ([], [row("1 Data", 10)], [row(title, 10, "quick") for title in TITLES]):
        assert begun(times, monkeypatch)[2][1].endswith(" 0:20 so far")


def test_what_was_measured_replaces_only_the_rows_of_its_preset(tmp_path, monkeypatch):
    path = tmp_path / "times.csv"
    progress, clock, _ = begun([], monkeypatch)
    clock.now, progress.memory = 50, 1234
    progress.end()
    write_times(progress, path)
    progress.preset = "quick"
    write_times(progress, path)
    write_times(progress, path)
    rows = read_times(path)
    assert [(r["preset"], r["section"], r["seconds"], r["megabytes"]) for r in rows] == [
        (preset, section, seconds, 1234)
        for preset in ("smoke", "quick")
        for section, seconds in (("1 Data", 20.0), ("2 Training", 30.0))
    ]


def test_the_table_gives_minutes_as_measured_and_says_what_was_not(tmp_path, monkeypatch):
    path = tmp_path / "times.csv"
    progress, clock, _ = begun([], monkeypatch)
    clock.now, progress.memory = 80, 1234
    progress.end()
    write_times(progress, path)
    first, second = time_table(("smoke", "paper"), path).splitlines()[2:]
    assert first.startswith("| `smoke` |") and first.endswith("| 1.3 min | 1234 MB |")
    assert f"| {PRESETS['paper'].image_size}² |" in second and second.endswith("| not measured | not measured |")


@pytest.mark.parametrize(
    "seconds, words", [(3, "seconds"), (20, "half a minute"), (70, "about a minute"), (200, "about 3 minutes")]
)
def test_durations_in_words(seconds, words):
    assert in_words(seconds) == words


def test_the_texts_take_over_what_was_measured(tmp_path, monkeypatch):
    path, new = tmp_path / "times.csv", nbformat.v4
    progress, clock, _ = begun([], monkeypatch)
    progress.preset = "quick"
    clock.now = 220
    progress.end()
    write_times(progress, path)
    texts = [f"# Lesson\n{TABLE_MARK}\nold", f"## 2 Training\n\n{TIME_MARK} old.*\n\nMore.", "## 3 Measuring\n\nNone."]
    book = new.new_notebook(cells=[new.new_markdown_cell(text) for text in texts])
    fill_in_times(book, path)
    assert book.cells[0].source == f"# Lesson\n{TABLE_MARK}\n{time_table(path=path)}"
    assert book.cells[1].source == f"## 2 Training\n\n{TIME_MARK} about 3 minutes.*\n\nMore."
    assert book.cells[2].source == texts[2]
