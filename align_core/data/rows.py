"""Rows of a file with their places: JSONL, Parquet, CSV, and texts, one a line.

Nothing that is read is executed, and what cannot be read becomes a problem at its place.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Row = tuple[int, Any]  # its line, or its number in Parquet, and its value
PARQUET_BATCH = 64  # rows decoded at once: a small file may decode to large ones
MOST_IN_A_LINE = 2**20  # bytes of JSON: brackets take twenty times their size in memory


class Unreadable(ValueError):
    """A row, or the file from there on, that cannot be read; its text says why."""


def unit(path: Path) -> str:
    """What the numbers of a file's rows count: lines, or rows of Parquet."""
    return "row" if path.suffix == ".parquet" else "line"


def rows(path: Path) -> Iterator[Row]:
    """The rows of a file by its suffix: .parquet, .csv, .txt, and JSONL for every other.

    Yields (number, value): a value is what JSON has at that line, which may be no object; a dict of
    texts by column in CSV, empty cells left out; {"prompt": line} for a text; and an Unreadable for
    what cannot be read. Blank lines are passed over.

    Raises:
        OSError: the file cannot be opened.
    """
    match path.suffix:
        case ".parquet":
            return _parquet(path)
        case ".csv":
            return _csv(path)
        case ".txt":
            return _lines(path)
        case _:
            return _jsonl(path)


def _jsonl(path: Path) -> Iterator[Row]:
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                yield number, _json(line)


def _json(line: bytes) -> Any:
    if len(line) > MOST_IN_A_LINE:
        return Unreadable(f"expected at most {MOST_IN_A_LINE} bytes in a line, got {len(line)}")
    try:
        value = json.loads(line)
        if rb"\ud" in line.lower():  # json takes half a surrogate pair, which is no character
            json.dumps(value, ensure_ascii=False).encode()
    except UnicodeDecodeError as error:
        return _not_utf8(error)
    except UnicodeEncodeError:
        return Unreadable("expected characters, got half a surrogate pair")
    except RecursionError:
        return Unreadable("expected a JSON object, got brackets nested too deeply")
    except ValueError:
        return Unreadable("this is not a whole JSON object")
    return value


def _parquet(path: Path) -> Iterator[Row]:
    import pyarrow
    import pyarrow.parquet

    number = 0
    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(PARQUET_BATCH):
                for row in batch.to_pylist():
                    number += 1
                    yield number, row
    except FileNotFoundError:
        raise
    except (pyarrow.ArrowException, OSError, ValueError):
        yield number + 1, Unreadable("this Parquet file is damaged")


def _csv(path: Path) -> Iterator[Row]:
    text, problem = _text(path)
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    columns: list[str] = []
    number = 1
    try:
        for cells in reader:
            if cells and not columns:
                columns = cells
            elif len(cells) > len(columns):
                yield (
                    number,
                    Unreadable(f"expected {len(columns)} cells, as in line 1, got {len(cells)}"),
                )
            elif cells:
                yield (
                    number,
                    {name: cell for name, cell in zip(columns, cells, strict=False) if cell},
                )
            number = reader.line_num + 1
    except csv.Error as error:
        yield number, Unreadable(f"expected CSV, got {error}")
    if problem:
        yield problem


def _lines(path: Path) -> Iterator[Row]:
    text, problem = _text(path)
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip():
            yield number, {"prompt": line}
    if problem:
        yield problem


def _text(path: Path) -> tuple[str, Row | None]:
    """The text of a file up to the first byte that is not UTF-8, and the problem with that one."""
    content = path.read_bytes()
    try:
        return content.decode("utf-8-sig"), None
    except UnicodeDecodeError as error:
        start = content.rfind(b"\n", 0, error.start) + 1
        number = content.count(b"\n", 0, start) + 1
        return content[:start].decode("utf-8-sig"), (number, _not_utf8(error))


def _not_utf8(error: UnicodeDecodeError) -> Unreadable:
    byte = error.object[error.start]
    return Unreadable(f"expected UTF-8, got the byte 0x{byte:02x}")
