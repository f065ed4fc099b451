"""Rows of JSONL, Parquet, CSV and text files, with their line or row numbers.

Nothing that is read is executed. Where a file cannot be read, an error takes the place of the row.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Row = tuple[int, Any]  # line number, or row number in Parquet, and value
PARQUET_BATCH = 64  # rows decoded at once, as a small file may decode to large rows
MAX_LINE_BYTES = 2**20  # of JSON, as nested brackets take twenty times their size in memory


class Unreadable(ValueError):
    """A row, or the rest of the file, cannot be read; the message says why."""


def unit(path: Path) -> str:
    """ "row" for a Parquet file, "line" for any other: what the numbers of its rows count."""
    return "row" if path.suffix == ".parquet" else "line"


def rows(path: Path) -> Iterator[Row]:
    """The rows of a file by its suffix: .parquet, .csv, .txt, and JSONL for every other.

    Yields (number, value). The value is any JSON value for JSONL; a dict of column -> text, without
    empty cells, for CSV; {"prompt": line} for .txt; or an Unreadable. Blank lines are skipped.

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
    if len(line) > MAX_LINE_BYTES:
        return Unreadable(f"expected at most {MAX_LINE_BYTES} bytes in a line, got {len(line)}")
    try:
        value = json.loads(line)
        if rb"\ud" in line.lower():  # json accepts a lone surrogate, which is not a character
            json.dumps(value, ensure_ascii=False).encode()
    except UnicodeDecodeError as error:
        return _not_utf8(error)
    except UnicodeEncodeError:
        return Unreadable("expected characters, got half of a surrogate pair")
    except RecursionError:
        return Unreadable("expected a JSON object, got brackets nested too deeply")
    except ValueError:
        return Unreadable("this is not a complete JSON object")
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
    """The text of a file up to the first line with invalid UTF-8, and the error there, if any."""
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
