"""Removes folders from paths in messages, so that a visitor sees only the names of files."""

from __future__ import annotations

import re

_QUOTED = re.compile(r"""(?P<quote>['"])(?:file://)?/(?:[^'"\n]*/)?(?P<name>[^/'"\n]*)(?P=quote)""")
_FOLDERS = re.compile(r"""(?:file://|(?<![\w.:/]))/(?:[^/\s'",;:()]+/)+""")


def without_folders(text: str) -> str:
    """The text with each absolute path replaced by its last part.

    Only a path in quotes may contain spaces.
    """
    return _FOLDERS.sub("", _QUOTED.sub(r"\g<quote>\g<name>\g<quote>", text))
