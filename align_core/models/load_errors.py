"""Why a model could not be loaded, in one line."""

from __future__ import annotations

import re
from typing import Any

from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

from align_core.config.errors import ConfigError

MODELS = {
    AutoModelForCausalLM: "a causal language model",
    AutoModelForSequenceClassification: "a sequence classifier",
}
# What transformers and PEFT raise for files that are missing, damaged or of another kind.
UNLOADABLE = (
    *(OSError, ValueError, TypeError, LookupError, AttributeError, ImportError, RuntimeError),
    *(ArithmeticError, SafetensorError, StrictDataclassError),
)
_UNCLEAR = {  # a part of a message of transformers -> what it means here
    "ignore_mismatched_sizes": "its weights have other shapes than its config.json says",
    "custom code": "it needs code of its own, which is never executed",
    "instantiate the backend tokenizer": "it has no tokenizer, expected tokenizer.json",
}


class ModelError(ConfigError):
    """A model could not be loaded; the message says which and why."""


def reason(error: BaseException, factory: Any) -> str:
    """Why `factory` could not load a model, in one line."""
    text = str(error).strip() or type(error).__name__
    if isinstance(error, LookupError):
        text = f"{type(error).__name__}: {text}"
    line = text.splitlines()[0]
    if line.endswith(":"):  # it only announces the other lines
        line = " ".join(text.split())[:200]
    for part, meaning in _UNCLEAR.items():
        if part in line:
            return meaning
    unknown = re.match(r"Unrecognized configuration class .*?(\w+)'>", line)
    if unknown and factory in MODELS:
        return f"expected {MODELS[factory]}, got one of {unknown[1]}"
    return line
