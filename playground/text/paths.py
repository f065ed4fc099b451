"""Removes folders from paths in messages, so that a visitor sees only the names of files."""

from __future__ import annotations

import re

_QUOTED = re.compile(r"""(?P<quote>['"])(?:file://)?/(?:[^'"\n]*/)?(?P<name>[^/'"\n]*)(?P=quote)""")
_FOLDERS = re.compile(r"""(?:file://|(?<![\w.:/]))/(?:[^/\s'",;:()]+/)+""")


def without_folders(text: str) -> str:
    """The text with the last name of each absolute path in the place of the path.

    A path may have spaces only if it is in quotes.
    """
    return _FOLDERS.sub("", _QUOTED.sub(r"\g<quote>\g<name>\g<quote>", text))
