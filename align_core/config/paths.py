"""Paths that a user named."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any


def user_path(name: Any) -> Path:
    """The path `name`, of a file or folder that need not exist, with ~ expanded.

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
