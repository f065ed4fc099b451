"""The line numbers of the keys of a TOML document, with the standard library's parser.

A TOML document is a sequence of expressions (TOML 1.0, "Spec"): table headers and keys with values.
Each expression is a valid document by itself, so it ends at the first line with which it parses.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator
from typing import Any

from align_core.config.messages import Invalid, problem

Path = tuple[str | int, ...]  # keys and array indices: ("reward", 0, "weight")
_AT_LINE = re.compile(r" \(at line (\d+), column \d+\)$")
_AT_END = " (at end of document)"


class Unparsable(Invalid):
    """Invalid TOML at a `line`, because of `why`."""

    def __init__(self, why: str, line: int) -> None:
        super().__init__(problem("toml", "expected TOML: {why}", why=why))
        self.line = line


def parse(text: str) -> tuple[dict[str, Any], Lines]:
    """The content of a TOML document, and the lines of its keys.

    Raises:
        Unparsable: the document is not TOML.
    """
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        text_of_error = str(error)
        match = _AT_LINE.search(text_of_error)
        line = int(match[1]) if match else text.rstrip("\n").count("\n") + 1
        why = _AT_LINE.sub("", text_of_error).removesuffix(_AT_END)
        raise Unparsable(why[0].lower() + why[1:], line) from None
    except RecursionError:
        brackets = [line.count("[") + line.count("{") for line in text.split("\n")]
        raise Unparsable("brackets are nested too deeply", _line_of_most(brackets)) from None
    except ValueError:  # int() refuses a number of over 4,300 digits
        lengths = [*map(len, text.split("\n"))]
        raise Unparsable("a number has too many digits", _line_of_most(lengths)) from None
    return content, Lines(text)


def _line_of_most(counts: list[int]) -> int:
    return counts.index(max(counts)) + 1


class Lines:
    """The line of each key of a document."""

    def __init__(self, text: str) -> None:
        self._lines: dict[Path, int] = {(): 1}
        table: Path = ()
        last: dict[Path, int] = {}  # array of tables -> the index of its newest table
        for number, is_header, content in _expressions(text):
            if is_header:
                table = _table(content, last)
                paths = [table[:size] for size in range(1, len(table) + 1)]
            else:
                paths = [*_paths(content, table)]
            for path in paths:
                self._lines.setdefault(path, number)

    def of(self, path: Path) -> int:
        """The line of a key; for a missing key, that of its table."""
        while path not in self._lines:
            path = path[:-1]
        return self._lines[path]


def _expressions(text: str) -> Iterator[tuple[int, bool, dict[str, Any]]]:
    """Yields the first line of each expression, whether it is a header, and its parsed content."""
    pending: list[str] = []
    for number, line in enumerate(text.split("\n"), start=1):
        pending.append(line)
        try:
            content = tomllib.loads("\n".join(pending))
        except tomllib.TOMLDecodeError:  # the expression continues on the next line
            continue
        yield number - len(pending) + 1, pending[0].lstrip().startswith("["), content
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
    """Yields the paths of all keys and items that an expression in this table defines."""
    inside: Iterable[tuple[str | int, Any]] = value.items() if isinstance(value, dict) else ()
    inside = enumerate(value) if isinstance(value, list) else inside
    for key, inner in inside:
        yield (*table, key)
        yield from _paths(inner, (*table, key))
