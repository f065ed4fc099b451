"""Tensors in double precision, random or written out, and the tolerance of exact arithmetic."""

from __future__ import annotations

import torch

MASK = torch.tensor([[True, True, True], [True, False, False]])
EXACT = {"atol": 1e-12, "rtol": 0}


def t(*values) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def ragged(batch: int = 6, length: int = 7, seed: int = 0) -> torch.Tensor:
    """A mask of texts with the lengths 1, 2, 3, …"""
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.randint(1, length + 1, (batch, 1), generator=generator)
    lengths[0], lengths[1] = 1, length
    return torch.arange(length) < lengths


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, dtype=torch.float64, generator=generator)


def differs(a: torch.Tensor, b: torch.Tensor) -> bool:
    """Whether two results are far apart, as after a flipped sign."""
    return bool((a - b).abs().max() > 1e-3)
