"""TOML with the line of each key, by the standard library's parser alone.

A TOML document is a sequence of expressions (TOML 1.0, "Spec"), and each of them, a table's header
or a key with its value, is a document of its own: the shortest run of lines that parses.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from typing import Any

Path = tuple[str | int, ...]  # ("reward", 0, "weight"): keys, and places in arrays
_AT_LINE = re.compile(r" \(at line (\d+), column \d+\)$")
_AT_END = " (at end of document)"


class Unparsable(ValueError):
    """No TOML; its text says what was found, `line` where."""

    def __init__(self, problem: str, line: int) -> None:
        super().__init__(problem)
        self.line = line


def parse(text: str) -> tuple[dict[str, Any], Lines]:
    """The content of a TOML document, and the lines of its keys.

    Raises:
        Unparsable: with the line.
    """
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        said = str(error)
        at = _AT_LINE.search(said)
        line = int(at[1]) if at else len(text.splitlines())
        problem = _AT_LINE.sub("", said).removesuffix(_AT_END)
        raise Unparsable(problem[0].lower() + problem[1:], line) from None
    except RecursionError:
        deepest = max(text.splitlines(), key=lambda line: line.count("[") + line.count("{"))
        line = text.splitlines().index(deepest) + 1
        raise Unparsable("brackets are nested too deeply", line) from None
    return content, Lines(text)


class Lines:
    """Where each key of a document stands."""

    def __init__(self, text: str) -> None:
        self._lines: dict[Path, int] = {(): 1}
        table: Path = ()
        last: dict[Path, int] = {}  # of each array of tables, the place of its newest
        for number, is_header, found in _expressions(text):
            if is_header:
                table = _table(found, last)
                paths = [table[:size] for size in range(1, len(table) + 1)]
            else:
                paths = _paths(found, table)
            for path in paths:
                self._lines.setdefault(path, number)

    def of(self, path: Path) -> int:
        """The line of a key; of one that is not there that of the table it is missing in."""
        while path not in self._lines:
            path = path[:-1]
        return self._lines[path]


def _expressions(text: str) -> Iterator[tuple[int, bool, dict[str, Any]]]:
    """The first line of each expression, whether it is a header, and what it parses to alone."""
    pending: list[str] = []
    for number, line in enumerate(text.splitlines(), start=1):
        pending.append(line)
        try:
            found = tomllib.loads("\n".join(pending))
        except tomllib.TOMLDecodeError:  # a text or an array goes on in the next line
            continue
        yield number - len(pending) + 1, pending[0].lstrip().startswith("["), found
        pending = []


def _table(header: dict[str, Any], last: dict[Path, int]) -> Path:
    """The table that a header, {"reward": [{}]} or {"a": {"b": {}}}, opens."""
    path: Path = ()
    while header:
        ((key, inner),) = header.items()
        path = (*path, key)
        if isinstance(inner, list):
            last[path] = last.get(path, -1) + 1
            (inner,) = inner
        if path in last:
            path = (*path, last[path])
        header = inner
    return path


def _paths(value: Any, table: Path) -> Iterator[Path]:
    """The paths of all that an expression in this table defines."""
    inside = value.items() if isinstance(value, dict) else ()
    inside = enumerate(value) if isinstance(value, list) else inside
    for key, inner in inside:
        yield (*table, key)
        yield from _paths(inner, (*table, key))
