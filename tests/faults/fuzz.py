"""`python tests/faults/fuzz.py TARGET --runs N [--seconds S]`: one of `fuzz_targets.TARGETS`, guided by coverage.

Needs atheris. The inputs begin with good ones that are made here; nothing is kept. A finding ends it with its traceback
and the input in base64, which `--input BASE64` tries again.
"""

import argparse
import base64
import os
import re
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]


def main():
    """Command line; libFuzzer ends the process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target")
    parser.add_argument("--runs", type=int, default=-1, help="executions (default: without end)")
    parser.add_argument("--seconds", type=int, default=0, help="at most (default: without end)")
    parser.add_argument("--seed", type=int, default=0, help="for the same inputs every time (default: others)")
    parser.add_argument("--input", type=base64.b64decode, help="this one only, in base64")
    options = parser.parse_args()
    place = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # memory, where there is such a place
    with tempfile.TemporaryDirectory(prefix="portrait-fuzz-", dir=place) as scratch:
        child = os.fork()  # libFuzzer ends its process without a last chance to tidy up
        if not child:
            fuzz(options, Path(scratch))
        _, status = os.waitpid(child, 0)
        for unit in Path(scratch).glob("*-*"):  # what a hang, a crash or too much memory came from
            print(f"{unit.name}:", base64.b64encode(unit.read_bytes()).decode(), file=sys.stderr)
    return os.waitstatus_to_exitcode(status)


def fuzz(options, scratch):
    """Never returns."""
    import atheris

    with atheris.instrument_imports(include=["helpers", "PIL"]):
        import fuzz_targets

        target = fuzz_targets.TARGETS[options.target]
        seeds = target.seeds()  # imports what the target needs
    work, corpus = scratch / "work", scratch / "corpus"
    work.mkdir()
    corpus.mkdir()
    os.chdir(work)

    def once(data):
        try:
            fuzz_targets.attack(options.target, data, work)
        except BaseException:
            print("input:", base64.b64encode(data).decode(), file=sys.stderr, flush=True)
            raise

    if options.input is not None:
        once(options.input)
        os._exit(0)
    for number, seed in enumerate(seeds):
        (corpus / str(number)).write_bytes(seed)
    words = {word.decode() for seed in seeds for word in re.findall(rb"\w[\w.]{2,20}", seed, re.ASCII)}
    lines = "".join(f'"{word}"\n' for word in sorted(words))
    (scratch / "words").write_text(f"# in the seeds\n{lines}", encoding="ascii")
    limits = [
        f"-runs={options.runs}",
        f"-max_total_time={options.seconds}",
        "-max_len=4096",
        "-timeout=60",
        "-rss_limit_mb=4096",
        "-print_final_stats=1",
        "-verbosity=0",
        f"-seed={options.seed}",
        f"-dict={scratch / 'words'}",
        f"-artifact_prefix={scratch}/",
    ]
    atheris.Setup([sys.argv[0], str(corpus), *limits], once)
    atheris.Fuzz()


if __name__ == "__main__":
    sys.exit(main())
