"""What this machine computes with: device, mixed precision, memory layout; chosen by what it supports."""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Runtime:
    """Where and how to compute.

    Attributes:
        device: `cuda`, `mps` or `cpu`.
        amp_dtype: type of mixed precision, or None to compute in float32.
        memory_format: layout in which this device trains convolutions fastest.
    """

    device: torch.device
    amp_dtype: torch.dtype | None
    memory_format: torch.memory_format

    def autocast(self) -> AbstractContextManager:
        """Context manager that computes in mixed precision where this runtime does."""
        if self.amp_dtype is None:
            return nullcontext()
        return torch.autocast(self.device.type, dtype=self.amp_dtype)

    def scaler(self) -> torch.amp.GradScaler:
        """Gradient scaler; it does something for float16 only, whose gradients would underflow."""
        return torch.amp.GradScaler(self.device.type, enabled=self.amp_dtype == torch.float16)


PRECISIONS = {"float32": None, "bfloat16": torch.bfloat16, "float16": torch.float16}


def best_runtime(device: torch.device | str | None = None, precision: str = "auto") -> Runtime:
    """The fastest runtime of this machine, or of the given device (a name such as `"cpu"`).

    CUDA: bfloat16 where the chip has it, else float16 with a scaler. CPU: bfloat16 only where the chip multiplies it in
    hardware, as others get slower by it. Layout: channels_last, but contiguous on Apple's MPS, and on CPUs with AVX2
    alone, which take twice as long for the gradient of channels_last weights. `precision` names another one of
    `PRECISIONS`; raises ValueError for float16 on a CPU, which is slow there and has no scaler.
    """
    if device is None:
        device = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    device = torch.device(device)
    if precision == "float16" and device.type == "cpu":
        raise ValueError("precision=float16 needs a GPU: on a CPU take bfloat16, float32 or auto")
    amp = _fast_precision(device) if precision == "auto" else PRECISIONS[precision]
    contiguous = device.type == "mps" or device.type == "cpu" and _cpu_has("avx2") and not _cpu_has("avx512")
    return Runtime(device, amp, torch.contiguous_format if contiguous else torch.channels_last)


def forward_layout(device: torch.device) -> torch.memory_format:
    """The layout in which a device computes networks fastest where there are no gradients: channels_last, but on MPS.

    It is not always `Runtime.memory_format`, see `best_runtime`.
    """
    return torch.contiguous_format if device.type == "mps" else torch.channels_last


def is_out_of_memory(error: BaseException) -> bool:
    """Whether PyTorch raised `error` because memory ran out: CUDA has a class for it, MPS and CPUs only the message."""
    if isinstance(error, torch.OutOfMemoryError):
        return True
    messages = ("out of memory", "not enough memory", "can't allocate memory")
    return isinstance(error, RuntimeError) and any(message in str(error) for message in messages)


def free_memory(device: torch.device) -> None:
    """Give back what PyTorch keeps of the memory of a GPU."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()


def _fast_precision(device):
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
    has_bfloat16 = device.type == "cpu" and (_cpu_has("avx512_bf16") or _cpu_has("amx_tile"))
    return torch.bfloat16 if has_bfloat16 else None


def _cpu_has(instructions):
    # private names, and the only ones that tell; where a release lacks them, none is the safe answer
    test = getattr(torch.cpu, f"_is_{instructions}_supported", None)
    return test is not None and test()
