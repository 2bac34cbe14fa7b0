"""The training step at 320², against the plain way: float32, contiguous, pictures normalised before the upload."""

import subprocess
import sys
from statistics import median

import torch

from benchmarks.timing import Row, alternate
from helpers.devices import Runtime, best_runtime
from helpers.losses import matting_loss
from helpers.networks.registry import build
from helpers.training.step import train_step
from helpers.u2net import normalise

SIZE = 320


def rows(repeats=4):
    """A `Row` for each network, on the GPU where there is one, else on the CPU."""
    runtime = best_runtime()
    images = {"cuda": {"u2net_lite": 16, "u2net": 8}, "cpu": {"u2net_lite": 4, "u2net": 2}}
    goals = {"cuda": {"u2net_lite": 3.0, "u2net": 3.0}, "cpu": {"u2net_lite": 2.0, "u2net": 1.8}}
    kind = runtime.device.type
    found = [_row(network, count, goals[kind][network], runtime, repeats) for network, count in images[kind].items()]
    if kind == "cpu":
        found.append(_memory_kept(images[kind]["u2net_lite"], repeats))
        found += [Row(f"training step on a GPU, {network}", None, None, 3.0) for network in images["cuda"]]
    return found


def _row(network, count, goal, runtime, repeats):
    numbers = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (count, 3, SIZE, SIZE), dtype=torch.uint8, generator=numbers)
    alphas = torch.zeros(count, 1, SIZE, SIZE, dtype=torch.uint8)
    alphas[:, :, SIZE // 4 :, SIZE // 4 : -SIZE // 4] = 255

    def trained(runtime, **options):
        model = build(network).to(runtime.device, memory_format=runtime.memory_format).train()
        return model, torch.optim.Adam(model.parameters(), lr=1e-4, **options)

    plain_model, plain_optimizer = trained(Runtime(runtime.device, None, torch.contiguous_format))
    model, optimizer = trained(runtime, fused=True)
    scaler = runtime.scaler()

    def plain():
        outputs = plain_model(normalise(images).to(runtime.device))
        loss = matting_loss(outputs, (alphas / 255).to(runtime.device))["total"]
        plain_optimizer.zero_grad()
        loss.backward()
        plain_optimizer.step()
        loss.item()

    def ours():
        train_step(model, optimizer, (images, alphas), matting_loss, runtime, scaler)["total"].item()

    times = alternate(plain, ours, repeats)
    what = f"training step, {network}, {SIZE}², {count} images, {runtime.device.type}"
    return Row(what, *(count / seconds for seconds in times), goal, "images/s")


STEPS = """
import sys, time, torch
from helpers.devices import best_runtime
from helpers.losses import matting_loss
from helpers.networks.registry import build
from helpers.startup import begin_training, limit_threads, thread_limit
from helpers.training.step import train_step
size, count, keep = map(int, sys.argv[1:])
begin_training(count * size**2) if keep else limit_threads(thread_limit(count * size**2))
runtime = best_runtime("cpu")
model = build("u2net_lite").to(memory_format=runtime.memory_format).train()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-4, fused=True)
batch = torch.zeros(count, 3, size, size, dtype=torch.uint8), torch.zeros(count, 1, size, size, dtype=torch.uint8)
for _ in range(4):
    start = time.perf_counter()
    train_step(model, optimizer, batch, matting_loss, runtime)["total"].item()
print(time.perf_counter() - start)
"""
"""Program: the seconds of its fourth training step, for `python -c`: size, pictures, memory kept (1) or not."""


def _memory_kept(count, repeats):
    """A step with the memory of the step before against one without: each in a process of its own, by turns."""

    def step(keep):
        words = [sys.executable, "-c", STEPS, str(SIZE), str(count), str(keep)]
        return float(subprocess.run(words, check=True, capture_output=True, text=True).stdout)

    plain, ours = (median(times) for times in zip(*[(step(0), step(1)) for _ in range(repeats)]))
    what = f"training step, u2net_lite, {SIZE}², {count} images, cpu: the last step's memory kept"
    return Row(what, count / plain, count / ours, 1.1, "images/s")
