"""Matrix products in bfloat16, and everything else in float32.

Weights, inputs and outputs of the linear modules are rounded to bfloat16; residual stream, norms,
attention, log-probabilities and KL stay in float32.
"""

from __future__ import annotations

import time
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from align_core.config.fields import Precision
from align_core.models.lora import is_large

_INSTRUCTIONS = ("amx_bf16", "avx512_bf16")  # other processors emulate bfloat16, slowly
# The speed-up above which bfloat16 is used. Processors reach about 0.6, or 2 and more, both so far
# from this bound that repeated measurements agree.
_SPEEDUP = 1.2


def default_precision(model: nn.Module, device: torch.device) -> Precision:
    """bfloat16 for a large model on a device that multiplies fast in bfloat16, else float32."""
    return "bfloat16" if is_large(model) and multiplies_bfloat16(device) else "float32"


def multiplies_bfloat16(device: torch.device) -> bool:
    """Whether the device has instructions for matrix products in bfloat16, and is faster with them
    than in float32."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(name, False) for name in _INSTRUCTIONS) and _is_faster()


@cache
def _is_faster() -> bool:
    """Whether products in bfloat16 take less than 1/_SPEEDUP of the time of those in float32.

    An Intel processor with AVX512-BF16 and without AMX takes 1.8 times as long for them.
    """
    x, weight = torch.ones(256, 512), torch.ones(1024, 512)
    return _seconds(x.bfloat16(), weight.bfloat16()) * _SPEEDUP < _seconds(x, weight)


def _seconds(x: Tensor, weight: Tensor) -> float:
    """Seconds of the fastest of ten products."""
    times = []
    for _ in range(10):
        begin = time.perf_counter()
        F.linear(x, weight)
        times.append(time.perf_counter() - begin)
    return min(times)


class _LinearInBfloat16(nn.Linear):
    precision = torch.bfloat16

    def forward(self, x: Tensor) -> Tensor:
        bias = None if self.bias is None else self.bias.bfloat16()
        return F.linear(x.bfloat16(), self.weight.bfloat16(), bias).float()


def use_bfloat16(model: nn.Module) -> None:
    """Compute the model's linear modules in bfloat16, in place.

    Frozen weights are stored in bfloat16. Trained weights stay in float32, in which small updates
    are not lost to rounding, and are rounded in each pass. Scalar heads stay in float32, because
    their outputs are rewards and values.
    """
    for module in model.modules():
        if type(module) is nn.Linear and module.out_features > 1:
            module.__class__ = _LinearInBfloat16
            if not module.weight.requires_grad:
                # A new parameter: the embeddings that share the old one stay in float32.
                module.weight = nn.Parameter(module.weight.bfloat16(), requires_grad=False)
