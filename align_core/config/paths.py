"""Paths that users name, and the cache folder."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any


def user_path(name: Any) -> Path:
    """The path `name` with ~ expanded. The file or folder need not exist.

    Raises:
        ValueError: no file can have this name, or it cannot be reached; the message says why.
    """
    try:
        path = Path(name).expanduser()
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            path.stat()
    except (TypeError, ValueError, RuntimeError, OSError) as error:
        raise ValueError(getattr(error, "strerror", None) or str(error)) from None
    return path


def cache_folder() -> Path:
    """The folder of files that can be fetched or computed again. It may not exist yet.

    `ALIGN_CACHE` if it is set; otherwise `align-core` in the user's cache folder, which is
    `XDG_CACHE_HOME` or `~/.cache` on every system, as it is for the Hugging Face libraries.

    Raises:
        ValueError: no folder can have the name in `ALIGN_CACHE`; the message says why.
    """
    if chosen := os.environ.get("ALIGN_CACHE"):
        return user_path(chosen).absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "align-core"
