"""Replacements of functions of the whole process, for the thread of a test alone.

Other threads may be at work in the process: those of a page, of runs, or what an earlier test left.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any


def only_here(replacement: Callable[..., Any], original: Callable[..., Any]) -> Callable[..., Any]:
    """A function that is `replacement` in the calling thread and `original` in all others."""
    here = threading.get_ident()

    def either(*arguments: Any, **options: Any) -> Any:
        function = replacement if threading.get_ident() == here else original
        return function(*arguments, **options)

    return either
