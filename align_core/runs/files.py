"""Atomic replacement of files and folders that other processes may be reading."""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
from pathlib import Path

_HERE, _EXCHANGE = -100, 2  # AT_FDCWD and RENAME_EXCHANGE of renameat2(2)


def write_atomically(path: Path, text: str) -> None:
    """Write a temporary file and rename it, so that no reader sees a part of it.

    Raises:
        OSError: it could not be written; `path` is unchanged and the temporary file is deleted.
    """
    partial = path.with_name(f"{path.name}.partial")
    try:
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            partial.unlink()
        raise


def replace_folder(new: Path, folder: Path) -> None:
    """Rename the folder `new` to `folder`, and delete the old `folder`.

    If the system can exchange two folders (Linux), `folder` is complete at every moment.
    """
    if not folder.exists():
        new.rename(folder)
        return
    if not _exchanged(new, folder):
        old = new.with_name(f"{new.name}.old")
        folder.rename(old)
        new.rename(folder)
        new = old
    shutil.rmtree(new, ignore_errors=True)


def _exchanged(first: Path, second: Path) -> bool:
    """Exchange two folders in one step; False if the system cannot."""
    try:
        rename = ctypes.CDLL(None).renameat2
    except (AttributeError, OSError, TypeError):  # not Linux
        return False
    return rename(_HERE, os.fsencode(first), _HERE, os.fsencode(second), _EXCHANGE) == 0
