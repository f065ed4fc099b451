"""The machine that made a recording, in the page's language."""

from __future__ import annotations

import re
from collections.abc import Mapping

_LINE = re.compile(r"(?P<threads>\d+) threads? of (?P<cores>\d+) cores \((?P<cpu>.+)\)")


def machine(line: str, words: Mapping[str, str]) -> str:
    """`line`, the description of a machine, in the language of `words`; a line that does not match
    _LINE is returned unchanged."""

    def translated(match: re.Match[str]) -> str:
        form = "machine_one_thread" if match["threads"] == "1" else "machine"
        return words[form].format(**match.groupdict())

    return _LINE.sub(translated, line, count=1)
