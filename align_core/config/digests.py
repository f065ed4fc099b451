"""Hashes of the content of files and models, under which results are cached."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

from align_core.config import model_index

# The files that a model is loaded from: weights, configuration, tokenizer and chat template.
_MODEL_SUFFIXES = (".safetensors", ".bin", ".gguf", ".json", ".jinja", ".model", ".txt")


def combined(parts: Iterable[str]) -> str:
    """One hash, 64 hexadecimal digits, of several texts in this order."""
    hashes = (hashlib.sha256(part.encode(errors="surrogatepass")).digest() for part in parts)
    return hashlib.sha256(b"".join(hashes)).hexdigest()


def file_digest(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal. A process reads an unchanged file only once.

    Raises:
        OSError: it cannot be read.
    """
    state = path.stat()
    return _digest(str(path), state.st_size, state.st_mtime_ns)


def model_digest(model: str) -> str:
    """A hash, in hexadecimal, of the files of `model` and of its base model.

    Raises:
        ValueError: there is no such model; the message says why.
        OSError: one of its files cannot be read.
    """
    location = model_index.files_of(model)
    if location.is_file():
        return combined([file_digest(location)])
    files = [path for path in sorted(location.iterdir()) if path.suffix in _MODEL_SUFFIXES]
    parts = [text for path in files for text in (path.name, file_digest(path))]
    adapter = location / "adapter_config.json"
    if adapter.is_file():
        base = json.loads(adapter.read_text(encoding="utf-8"))["base_model_name_or_path"]
        if model_index.files_of(base) == location:
            raise ValueError(f"model {model}: its adapter names itself as the base model")
        parts.append(model_digest(base))
    return combined(parts)


@lru_cache(maxsize=1024)
def _digest(path: str, size: int, changed: int) -> str:
    """The SHA-256 of a file; `size` (bytes) and `changed` (ns) are only keys of the cache."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
