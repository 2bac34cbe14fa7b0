"""What this machine computes with: device, mixed precision, memory layout; chosen by what it supports."""

from contextlib import nullcontext
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Runtime:
    """Where and how to compute.

    Attributes:
        device: `cuda`, `mps` or `cpu`.
        amp_dtype: type of mixed precision, or None to compute in float32.
        memory_format: `torch.channels_last` where convolutions are faster with it.
    """

    device: torch.device
    amp_dtype: torch.dtype | None
    memory_format: torch.memory_format

    def autocast(self):
        """Context manager that computes in mixed precision where this runtime does."""
        if self.amp_dtype is None:
            return nullcontext()
        return torch.autocast(self.device.type, dtype=self.amp_dtype)

    def scaler(self):
        """Gradient scaler; it does something for float16 only, whose gradients would underflow."""
        return torch.amp.GradScaler(self.device.type, enabled=self.amp_dtype == torch.float16)


def best_runtime(device=None):
    """The fastest runtime of this machine, or of the given device (a name such as `"cpu"`).

    CUDA: bfloat16 where the chip has it, else float16 with a scaler. CPU: bfloat16 only where the chip multiplies it in
    hardware, as others get slower by it. Apple's MPS: float32, contiguous.
    """
    if device is None:
        device = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    device = torch.device(device)
    if device.type == "cuda":
        amp = torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
        return Runtime(device, amp, torch.channels_last)
    if device.type == "cpu":
        return Runtime(device, torch.bfloat16 if _cpu_has_bfloat16() else None, torch.channels_last)
    return Runtime(device, None, torch.contiguous_format)


def _cpu_has_bfloat16():
    # private names, and the only ones that tell; where a release lacks them, float32 is the safe answer
    tests = (getattr(torch.cpu, name, None) for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"))
    return any(test() for test in tests if test is not None)
