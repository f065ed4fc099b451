"""A model stored as the difference of its weights to an embedded model, in a quarter of the space.

The file DIFFERENCE, beside the model's configuration and tokenizer, has the change of each weight
as an 8-bit integer. Its metadata are the `unit` of these integers, the name of the embedded model
(`base`), and the hash of that model's weights.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from align_core.config.digests import file_digest
from align_core.config.model_index import DIFFERENCE, embedded, locate


def save_difference(model: str, base: str, folder: Path) -> None:
    """Store `model`, whose weights are in one file, as its difference to the embedded `base`."""
    weights, base_weights = (load_file(_weights(name)) for name in (model, base))
    changes = {name: weight - base_weights[name] for name, weight in weights.items()}
    unit = max(change.abs().max().item() for change in changes.values()) / 127
    folder.mkdir(parents=True, exist_ok=True)
    for file in Path(locate(model)).glob("*.json"):
        shutil.copy(file, folder)
    save_file(
        {name: (change / unit).round().to(torch.int8) for name, change in changes.items()},
        folder / DIFFERENCE,
        {"base": base, "base_hash": file_digest(_weights(base)), "unit": repr(unit)},
    )


def load_difference(file: Path) -> tuple[str, dict[str, Tensor]]:
    """The name of the base, and the change of each of its weights, in float32.

    Raises:
        ValueError: the base is not an embedded model, or does not have the weights that this
            difference needs.
        OSError, LookupError, SafetensorError: the file cannot be read.
    """
    with safe_open(file, "pt") as stored:
        facts = stored.metadata() or {}
    base, base_hash, unit = facts["base"], facts["base_hash"], float(facts["unit"])
    if base not in embedded():
        raise ValueError(f"expected a difference to an embedded model, got one to {base!r}")
    if (here := file_digest(_weights(base))) != base_hash:
        got = f"got a difference to weights with hash {base_hash[:8]}"
        raise ValueError(f"expected a difference to {base}, with hash {here[:8]}, {got}")
    return base, {name: unit * change for name, change in load_file(file).items()}


@torch.no_grad()
def add_difference(model: nn.Module, changes: dict[str, Tensor]) -> None:
    """Add the change of each weight in place.

    Raises:
        ValueError: the model lacks one of these weights, or has it in another shape.
    """
    weights = dict(model.named_parameters())
    for name, change in changes.items():
        if name not in weights or weights[name].shape != change.shape:
            raise ValueError(f"expected changes of weights that its base has, got one of {name}")
        weights[name].add_(change)


def _weights(model: str) -> Path:
    return Path(locate(model)) / "model.safetensors"
