"""The training step at 320², against the plain way: float32, contiguous, pictures normalised before the upload."""

import subprocess
import sys
from statistics import median

import torch

from benchmarks.timing import Row, alternate, seconds
from helpers.devices import Runtime, best_runtime
from helpers.losses import matting_loss
from helpers.networks.coarse import CoarseU2Net
from helpers.networks.registry import build
from helpers.startup import begin_training, limit_threads, thread_limit
from helpers.training.step import train_step
from helpers.u2net import TABLES, normalise

SIZE = 320


def rows(repeats=4):
    """A `Row` for each network, on the GPU where there is one, else on the CPU."""
    runtime = best_runtime()
    images = {"cuda": {"u2net_lite": 16, "u2net": 8}, "cpu": {"u2net_lite": 4, "u2net": 2}}
    goals = {"cuda": {"u2net_lite": 3.0, "u2net": 3.0}, "cpu": {"u2net_lite": 2.0, "u2net": 1.8}}
    kind = runtime.device.type
    found = [_row(network, count, goals[kind][network], runtime, repeats) for network, count in images[kind].items()]
    found.append(_coarse("u2net_lite", images[kind]["u2net_lite"], runtime, repeats))
    if kind == "cpu":
        found.append(_memory_kept("u2net_lite", images[kind]["u2net_lite"], repeats))
        found += [Row(f"training step on a GPU, {network}", None, None, 3.0) for network in images["cuda"]]
    return found


def _row(network, count, goal, runtime, repeats):
    images, alphas = _batch(count)
    plain_runtime = Runtime(runtime.device, None, torch.contiguous_format)
    plain_model, plain_optimizer = _trained(build(network), plain_runtime)

    def plain():
        outputs = plain_model(normalise(images).to(runtime.device))
        loss = matting_loss(outputs, (alphas / 255).to(runtime.device))["total"]
        plain_optimizer.zero_grad()
        loss.backward()
        plain_optimizer.step()
        loss.item()

    times = alternate(plain, _our_step(build(network), count, runtime), repeats)
    what = f"training step, {network}, {SIZE}², {count} images, {runtime.device.type}"
    return Row(what, *(count / time for time in times), goal, "images/s")


def _coarse(network, count, runtime, repeats):
    """A step of the coarse stages alone against one of the whole network."""
    whole, coarse = (_our_step(model, count, runtime) for model in (build(network), CoarseU2Net(TABLES[network])))
    what = f"training step, {network}, {SIZE}², {count} images, {runtime.device.type}: coarse stages only"
    return Row(what, *(count / time for time in alternate(whole, coarse, repeats)), 5.0, "images/s")


def _batch(count):
    """`count` pictures and alphas, uint8."""
    numbers = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (count, 3, SIZE, SIZE), dtype=torch.uint8, generator=numbers)
    alphas = torch.zeros(count, 1, SIZE, SIZE, dtype=torch.uint8)
    alphas[:, :, SIZE // 4 :, SIZE // 4 : -SIZE // 4] = 255
    return images, alphas


def _trained(model, runtime, **options):
    model = model.to(runtime.device, memory_format=runtime.memory_format).train()
    return model, torch.optim.Adam([each for each in model.parameters() if each.requires_grad], lr=1e-4, **options)


def _our_step(model, count, runtime):
    """A function that does one training step."""
    model, optimizer = _trained(model, runtime, fused=True)
    batch, scaler = _batch(count), runtime.scaler()
    return lambda: train_step(model, optimizer, batch, matting_loss, runtime, scaler)["total"].item()


def seconds_of_a_step(network, count, keep):
    """Seconds of the fourth step on the CPU, with the memory of the step before (`keep`) or without."""
    pixels = count * SIZE**2
    begin_training(pixels) if keep else limit_threads(thread_limit(pixels))
    step = _our_step(build(network), count, best_runtime("cpu"))
    return [seconds(step) for _ in range(4)][-1]


def _memory_kept(network, count, repeats):
    """A step with the memory of the step before against one without: each in a process of its own, by turns."""

    def step(keep):
        code = f"from benchmarks.steps import seconds_of_a_step; print(seconds_of_a_step({network!r}, {count}, {keep}))"
        return float(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout)

    plain, ours = (median(times) for times in zip(*[(step(False), step(True)) for _ in range(repeats)]))
    what = f"training step, {network}, {SIZE}², {count} images, cpu: the last step's memory kept"
    return Row(what, count / plain, count / ours, 1.1, "images/s")
