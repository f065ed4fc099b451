"""The arenas of glibc, each of which keeps the memory that its threads once needed."""

from __future__ import annotations

import contextlib
import ctypes
import sys

_M_ARENA_MAX = -8  # of glibc's malloc.h
ARENAS = 2


def limit_arenas() -> None:
    """Let all threads allocate from ARENAS arenas of glibc; other C libraries stay as they are.

    By default there are up to eight for each core: the page's process then grew by 106 MB in ten
    minutes in which a full hall voted (`benchmarks.strangers`).
    """
    if sys.platform == "linux":
        with contextlib.suppress(AttributeError):  # musl
            ctypes.CDLL(None).mallopt(_M_ARENA_MAX, ARENAS)
