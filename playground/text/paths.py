"""Paths of the server in messages: a visitor sees the names of files, and not where they are."""

from __future__ import annotations

import re

_FOLDERS = re.compile(r"""(?<![\w.:/])/(?:[^/\s'",;:()]+/)+""")


def without_folders(text: str) -> str:
    """The text with the last name of each absolute path in the place of the path."""
    return _FOLDERS.sub("", text)
