"""How many texts an evaluation of a model has, by the model's size and the token limit."""

from __future__ import annotations

import json
import math
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from align_core.config import model_index

_WEIGHTS = (".safetensors", ".bin", ".gguf")
_MOST_HEADER = 100 * 2**20  # bytes; the format's own limit


@dataclass(frozen=True)
class Measured:
    """The probe prompts and the samples a prompt of an evaluation, and the samples a prompt from
    which the optimum is computed."""

    prompts: int
    samples: int
    reference_samples: int

    @property
    def texts(self) -> int:
        """The texts of an evaluation."""
        return self.prompts * self.samples


# The work of an evaluation is about its texts times its parameters times its tokens. WORK is that
# of 24 texts of 40 tokens from a model of 140 M parameters: then the evaluations take less than a
# quarter of a run of 40 DPO steps of 8 pairs.
WORK = 24 * 40 * 140e6
MOST = Measured(64, 4, 1024)
_SMALLER = (Measured(32, 2, 512), Measured(12, 2, 512), Measured(8, 2, 512))


def measured(model: Any, max_new_tokens: int) -> Measured:
    """The largest evaluation of MODEL that WORK allows; the smallest if its size is unknown."""
    size = parameters(model)
    tokens = math.inf if size is None else size * max_new_tokens
    fitting = (choice for choice in (MOST, *_SMALLER) if choice.texts * tokens <= WORK)
    return next(fitting, _SMALLER[-1])


def parameters(model: Any) -> int | None:
    """The number of parameters of MODEL, those of its adapter included; None if it is not here.

    For weights that are not in safetensors, half the number of their bytes.
    """
    try:
        location = model_index.files_of(model)
        files = [location] if location.is_file() else sorted(location.iterdir())
        count = sum(_in_file(file) for file in files if file.suffix in _WEIGHTS)
        adapter = location / "adapter_config.json"
        if adapter.is_file():
            base = json.loads(adapter.read_text(encoding="utf-8"))["base_model_name_or_path"]
            within = model_index.files_of(base) != location and parameters(base)
            return count + within if within else None
    except (OSError, ValueError, LookupError, TypeError):
        return None
    return count


def _in_file(path: Path) -> int:
    if path.suffix != ".safetensors":
        return path.stat().st_size // 2
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(min(length, _MOST_HEADER)))
    header.pop("__metadata__", None)
    return sum(math.prod(tensor["shape"]) for tensor in header.values())
