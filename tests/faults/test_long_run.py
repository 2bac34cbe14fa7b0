"""The long run: memory stays flat over thousands of cutouts and over epochs, open files and threads stay the same."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from support import ROOT

GROWTH = 4e6
"""Bytes that memory may grow by over the second half. An array of 100 kB left by each photo makes 7.5 million bytes of
the short run's 75 photos, and 100 million of the long one's; what the allocator still moves about there is 1 million.
"""


def held(kind, count, folder):
    """(samples, 3) of a process that does one thing `count` times: its memory in bytes, open files, threads."""
    command = [sys.executable, str(Path(__file__).with_name("again_and_again.py")), kind, str(count), str(folder)]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return np.array([json.loads(line) for line in done.stdout.splitlines() if line.startswith("[")])


def growth(samples):
    """By how many bytes memory grows over the second half of a run: the fitted line's slope, times its length."""
    memory = samples[len(samples) // 2 :, 0]
    return np.polyfit(np.arange(len(memory)), memory, 1)[0] * len(memory)


def steady(samples):
    """The one number of open files, and of threads, at all samples of the second half."""
    (files,), (threads,) = (set(column) for column in samples[len(samples) // 2 :, 1:].T.tolist())
    return files, threads


@pytest.mark.parametrize("kind", ["torch", "onnx"])
def test_cutouts_leave_nothing_in_memory(kind, long, tmp_path, survived):
    if kind == "onnx":
        pytest.importorskip("onnxruntime", reason="needs onnxruntime")
        pytest.importorskip("onnx", reason="needs onnx")
    count = 2010 if long else 150
    samples = held(kind, count, tmp_path)
    assert len(samples) == 30
    assert growth(samples) < GROWTH
    files, threads = steady(samples)
    survived(f"cutouts in one process, by {'ONNX Runtime' if kind == 'onnx' else 'torch'}", count,
             f"memory {growth(samples) / 1e6:+.1f} MB over the second half; always {files} open files and {threads} "
             "threads")  # fmt: skip


def test_a_leak_of_100_kilobytes_a_photo_would_be_noticed(tmp_path):
    assert growth(held("leak", 150, tmp_path)) > 1.5 * GROWTH


def test_epochs_leave_nothing_in_memory(portrait_folder, long, survived):
    epochs = 30 if long else 6
    samples = held("train", epochs, portrait_folder)
    assert len(samples) == epochs
    assert growth(samples) < GROWTH
    files, threads = steady(samples)
    survived("epochs of training in one process", epochs,
             f"memory {growth(samples) / 1e6:+.1f} MB over the second half; always {files} open files and {threads} "
             "threads")  # fmt: skip
