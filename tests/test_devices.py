"""Runtimes: the one of this machine computes, and each says what it does."""

import pytest
import torch

from helpers.devices import Runtime, best_runtime, forward_layout
from helpers.u2net import U2Net, outputs_of


@pytest.mark.parametrize("device", [None, "cpu"])
def test_the_runtime_of_this_machine_computes(device, tiny):
    runtime = best_runtime(device)
    model = U2Net(tiny).to(runtime.device, memory_format=runtime.memory_format)
    x = torch.randn(2, 3, 32, 32, device=runtime.device).contiguous(memory_format=runtime.memory_format)
    with runtime.autocast():
        outputs = model(x)
    runtime.scaler().scale(outputs[0].mean()).backward()
    assert all(output.dtype == torch.float32 and output.isfinite().all() for output in outputs)
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters() if parameter.grad is not None)


def test_the_device_is_chosen_by_what_is_there(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert best_runtime().device.type == "cpu"
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert best_runtime() == Runtime(torch.device("mps"), None, torch.contiguous_format)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: including_emulation)
    assert best_runtime() == Runtime(torch.device("cuda"), torch.float16, torch.channels_last)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: True)
    assert best_runtime().amp_dtype == torch.bfloat16
    assert best_runtime("cpu").device.type == "cpu"


@pytest.mark.parametrize("supported", [False, True])
def test_the_cpu_uses_bfloat16_only_where_the_chip_has_it(supported, monkeypatch):
    for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
        monkeypatch.setattr(torch.cpu, name, lambda: supported, raising=False)
    assert best_runtime("cpu").amp_dtype == (torch.bfloat16 if supported else None)


@pytest.mark.parametrize("avx2, avx512, layout", [
    (True, False, torch.contiguous_format), (True, True, torch.channels_last), (False, False, torch.channels_last),
])  # fmt: skip
def test_the_cpu_trains_contiguous_where_it_has_avx2_alone(avx2, avx512, layout, monkeypatch):
    for name, supported in (("avx2", avx2), ("avx512", avx512), ("avx512_bf16", False), ("amx_tile", False)):
        monkeypatch.setattr(torch.cpu, f"_is_{name}_supported", lambda supported=supported: supported, raising=False)
    assert best_runtime("cpu").memory_format == layout


@pytest.mark.parametrize("name, layout", [
    ("cpu", torch.channels_last), ("cuda", torch.channels_last), ("mps", torch.contiguous_format),
])  # fmt: skip
def test_without_gradients_only_mps_computes_contiguous(name, layout):
    assert forward_layout(torch.device(name)) == layout


@pytest.mark.parametrize("gradients", [True, False])
def test_a_network_gets_its_pictures_in_the_layout_of_training_only_where_there_are_gradients(gradients):
    def model(images):
        return [torch.tensor(images.is_contiguous())]

    runtime = Runtime(torch.device("cpu"), None, torch.contiguous_format)
    with torch.set_grad_enabled(gradients):
        [is_contiguous] = outputs_of(model, torch.zeros(1, 3, 4, 5, dtype=torch.uint8), runtime)
    assert is_contiguous == gradients


def test_a_torch_that_cannot_tell_means_float32(monkeypatch):
    for name in ("avx2", "avx512", "avx512_bf16", "amx_tile"):
        monkeypatch.delattr(torch.cpu, f"_is_{name}_supported", raising=False)
    assert best_runtime("cpu") == Runtime(torch.device("cpu"), None, torch.channels_last)


def product(runtime):
    x = torch.full((2, 2), 1.001)
    with runtime.autocast():
        return x @ x


def test_without_mixed_precision_nothing_is_rounded(float32):
    assert product(float32).dtype == torch.float32
    assert product(Runtime(torch.device("cpu"), torch.bfloat16, torch.channels_last)).dtype == torch.bfloat16


@pytest.mark.parametrize("dtype, enabled", [(None, False), (torch.bfloat16, False), (torch.float16, True)])
def test_gradients_are_scaled_for_float16_only(dtype, enabled):
    assert Runtime(torch.device("cpu"), dtype, torch.contiguous_format).scaler().is_enabled() is enabled
