"""The benchmarks' table and clock; what they measure is no test."""

import pytest

from benchmarks import timing
from benchmarks.__main__ import main
from benchmarks.timing import Row, alternate, machine, table


def test_the_table_tells_ratios_and_what_was_not_measured():
    rows = [Row("a", 2.0, 9.0, 3), Row("b", 4.0, 10.0, 2, "pairs/s", (2.25, 2.75)), Row("c", None, None, 0.5)]
    assert table(rows).splitlines() == [
        "| what | plain | ours | ratio | at least |",
        "|---|---|---|---|---|",
        "| a | 2 images/s | 9 images/s | 4.5 | 3 |",
        "| b | 4 pairs/s | 10 pairs/s | 2.5 (2.2 to 2.8) | 2 |",
        "| c | not measured | not measured | – | 0.5 |",
    ]


def test_both_ways_take_turns_and_the_first_call_of_each_does_not_count(monkeypatch):
    calls, clock = [], iter(range(0, 10**6, 10))
    monkeypatch.setattr(timing, "seconds", lambda work: work() or next(clock))
    plain, ours = alternate(lambda: calls.append("plain"), lambda: calls.append("ours"), repeats=3)
    assert calls == ["plain", "ours"] * 4
    assert (plain, ours) == (20, 30)  # medians of 0, 20, 40 and of 10, 30, 50


def test_the_machine_is_named():
    assert " × " in machine()
    assert "\n" not in machine()


def test_help_tells_the_parts_and_measures_nothing(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    printed = capsys.readouterr().out
    assert "Measured on" not in printed
    for part in ("input", "steps", "loading", "memory", "networks", "command"):
        assert f"\n  {part} " in printed


def test_an_unknown_part_is_refused_with_the_known_ones(capsys):
    assert main(["speed"]) == 2
    assert "known are input, steps, loading, memory" in capsys.readouterr().err
