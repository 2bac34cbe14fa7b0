"""What programs do first: no output stops them, whatever the encoding; and no environment, whatever is in it."""

import os
import platform
import subprocess
import sys

import pytest
from support import ROOT, arguments

from helpers import startup

ENCODINGS = ("cp1251", "cp932", "gbk", "latin-1", "ascii")


def python(*words, **changed):
    """A Python process in the repository with these environment variables; None removes one."""
    environment = {key: value for key, value in (os.environ | changed).items() if value is not None}
    return subprocess.run([sys.executable, *map(str, words)], cwd=ROOT, env=environment, capture_output=True)


# -------------------------------------------------------------------------------------------------------------- outputs


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_any_character_can_be_written_in_any_encoding(encoding):
    text = "320² – 4 × 5 → Łódź 東京 🙂 \udcff"
    code = f"from helpers.startup import write_any_character as w; w(); print({text!a}); print('after')"
    done = python("-c", code, PYTHONIOENCODING=encoding, PYTHONUTF8="0")
    assert done.returncode == 0, done.stderr
    line, after = done.stdout.decode(encoding).split("\n")[:2]
    assert line.rstrip() == text.encode(encoding, "backslashreplace").decode(encoding)
    assert after.rstrip() == "after"


@pytest.mark.parametrize("encoding", ["cp932", "ascii"])
def test_a_command_reports_in_any_encoding(portrait_folder, encoding):
    utf8, other = (
        python("-m", "helpers.datasets", "check", portrait_folder, "--workers", 0, PYTHONIOENCODING=name)
        for name in ("utf-8", encoding)
    )
    assert other.returncode == utf8.returncode
    assert other.stdout.decode(encoding) == utf8.stdout.decode().encode(encoding, "backslashreplace").decode(encoding)
    assert len(other.stdout.splitlines()) == len(utf8.stdout.splitlines()) > 1


def test_training_tells_of_itself_in_any_encoding(portrait_folder, tmp_path):
    command = ["-m", "helpers.training", *arguments(portrait_folder, tmp_path, "epochs=1")]
    done = python(*command, PYTHONIOENCODING="cp1251")
    assert done.returncode == 0, done.stderr
    assert b"u2net_lite at 32\\xb2 from random weights on " in done.stdout
    assert b"trained 1 epochs" in done.stdout


def test_a_program_without_an_error_output_does_its_work():
    """As under pythonw, in a service, and after 2>&- in a shell."""
    lines = "from helpers.startup import begin", "from tqdm import tqdm", "begin()", "print(sum(tqdm([1, 2])))"
    code = "import sys; sys.stderr = None\n" + "\n".join(lines)
    done = python("-c", code)
    assert (done.returncode, done.stdout.split()) == (0, [b"3"])


@pytest.mark.parametrize("module", sorted(ROOT.glob("helpers/*/__main__.py")), ids=lambda path: path.parent.name)
def test_every_program_begins_with_begin(module):
    body = module.read_text(encoding="utf-8").split("def main(")[1]
    assert "\n    begin()\n" in body.split("parser", 1)[0].split("options", 1)[0]


# -------------------------------------------------------------------------------------------------------------- threads


@pytest.fixture
def machine(monkeypatch):
    """`machine(cores, affinity, limit, asked)` pretends a machine, a container and a value of OMP_NUM_THREADS."""

    def pretend(cores=8, affinity=8, limit=None, asked=None):
        monkeypatch.setattr(os, "cpu_count", lambda: cores)
        monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(affinity)), raising=False)
        monkeypatch.setattr(startup, "CPU_LIMIT", limit if limit else ROOT / "no such file")
        monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
        if asked is not None:
            monkeypatch.setenv("OMP_NUM_THREADS", asked)

    return pretend


@pytest.mark.parametrize("asked, limit", [
    (None, None), ("", None), ("abc", None), ("all", None), ("0", None), ("-1", None), ("3500m", None), ("1.0", None),
    ("²", None), ("٣", None), ("4,2", 4), (" 2 ", 2), ("1", 1), ("100000", 8), (",2", None),
])  # fmt: skip
def test_omp_num_threads_with_anything_in_it(machine, asked, limit):
    machine(asked=asked)
    assert startup.thread_limit() == limit


@pytest.mark.parametrize("text, cores", [
    ("max 100000\n", 8), ("350000 100000\n", 3), ("50000 100000\n", 1), ("9900000 100000\n", 8), ("", 8), ("1 0", 8),
])  # fmt: skip
def test_a_containers_limit_counts(machine, tmp_path, text, cores):
    (tmp_path / "cpu.max").write_text(text)
    machine(limit=tmp_path / "cpu.max")
    assert startup.usable_cores() == cores
    assert startup.thread_limit() == (cores if cores < 8 else None)


def test_cores_that_are_for_others_are_not_used(machine):
    machine(affinity=2)
    assert startup.usable_cores() == startup.thread_limit() == 2


@pytest.mark.parametrize("side, batch, threads", [(32, 3, 1), (64, 4, 1), (160, 8, 3), (320, 8, 12)])
def test_a_small_batch_gets_few_threads(machine, side, batch, threads):
    machine()
    assert startup.thread_limit(batch * side**2) == threads
    machine(asked="2")
    assert startup.thread_limit(batch * side**2) == min(threads, 2)


def test_torch_gets_its_limit_now_or_when_it_is_imported(monkeypatch):
    code = (
        "import os, sys\n"
        "from helpers.startup import limit_threads\n"
        "if sys.argv[1] == 'now': import torch\n"
        "limit_threads(1)\n"
        "import torch\n"
        "one = torch.get_num_threads()\n"
        "limit_threads(None)\n"
        "print(one, torch.get_num_threads())\n"
    )
    plain = int(python("-c", "import torch; print(torch.get_num_threads())", OMP_NUM_THREADS=None).stdout)
    now, later = (python("-c", code, when, OMP_NUM_THREADS=None).stdout.split() for when in ("now", "later"))
    assert now == [b"1", str(plain).encode()]
    assert later[0] == b"1"


def test_what_waits_sleeps_unless_told_otherwise():
    code = "import helpers, os; print(os.environ['OMP_WAIT_POLICY'])"
    assert python("-c", code, OMP_WAIT_POLICY=None).stdout.split() == [b"passive"]
    assert python("-c", code, OMP_WAIT_POLICY="active").stdout.split() == [b"active"]


def test_imports_leave_opencvs_threads_alone():
    code = (
        "import cv2\n"
        "before = cv2.getNumThreads()\n"
        "import helpers.augment, helpers.files.photos, helpers.startup\n"
        "assert cv2.getNumThreads() == before\n"
        "helpers.startup.begin_training(4 * 64**2)\n"
        "import torch\n"
        "print(cv2.getNumThreads(), torch.get_num_threads())\n"
    )
    done = python("-c", code)
    assert done.stdout.split() == [b"1", b"1"], done.stderr


# --------------------------------------------------------------------------------------------------------------- memory


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library has another way with memory")
@pytest.mark.parametrize(
    "function, megabytes", [("keep_freed_memory", 3), ("keep_training_memory", 3), ("keep_training_memory", 50)]
)
def test_freed_memory_is_kept_for_the_next_photo_or_step(function, megabytes):
    script = (
        "import resource, sys\n"
        "import numpy as np\n"
        "from helpers import startup\n"
        "if sys.argv[2:]: getattr(startup, sys.argv[2])()\n"
        "faults = []\n"
        "for _ in range(20):\n"
        "    [np.full(int(sys.argv[1]) * 2**20, 7, np.uint8) for _ in range(4)]\n"
        "    faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt)\n"
        "print(faults[-1] - faults[9])\n"
    )
    without, kept = (
        subprocess.run([sys.executable, "-c", script, str(megabytes), *words], cwd=ROOT, check=True,
                       capture_output=True, text=True).stdout for words in ([], [function])
    )  # fmt: skip
    assert int(kept) < 100 < int(without)
