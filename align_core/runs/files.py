"""Atomic writes of files that other processes may be reading."""

from __future__ import annotations

import contextlib
from pathlib import Path


def write_atomically(path: Path, text: str) -> None:
    """Write a file by way of a temporary one, so that no reader sees a part of it.

    Raises:
        OSError: it could not be written; `path` is unchanged and the temporary file is gone.
    """
    partial = path.with_name(f"{path.name}.partial")
    try:
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            partial.unlink()
        raise
