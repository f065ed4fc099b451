"""Files that other processes read while they are written."""

from __future__ import annotations

import contextlib
from pathlib import Path


def write_whole(path: Path, text: str) -> None:
    """Write a file that nobody sees in part: it takes its name, or its new content, at once.

    Raises:
        OSError: it could not be written; what was there before is still there, and nothing else.
    """
    partial = path.with_name(f"{path.name}.partial")
    try:
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            partial.unlink()
        raise
