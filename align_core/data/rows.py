"""Rows of JSONL, Parquet, CSV and text files, with their line or row numbers.

Nothing that is read is executed. An `Unreadable` takes the place of a row that cannot be read.
"""

from __future__ import annotations

import codecs
import csv
import io
import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from align_core.config.messages import Invalid, Message, problem

Row = tuple[int, Any]  # line number, or row number in Parquet, and value
PARQUET_BATCH = 64  # rows decoded at once: a small file may decode to large rows
_FORMATS = {
    b"\x1f\x8b": "gzip",
    b"PK\x03\x04": "a zip archive or a spreadsheet",
    b"PAR1": "Parquet",
}
_UTF16 = codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE
_DELIMITERS = ",;\t"  # Excel writes semicolons where the comma is the decimal sign
_SEP = re.compile(r"sep=(.)\r?\n")  # Excel's first line, which names the delimiter
_NUL_IN_JSON = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
MAX_LINE_BYTES = 2**20  # of JSON: nested brackets take twenty times their size in memory


class Unreadable(Invalid):
    """A row, or the rest of the file, cannot be read; the message says why."""


def unit(path: Path) -> str:
    """The unit of a file's row numbers: "row" for Parquet, "line" for any other format."""
    return "row" if path.suffix.lower() == ".parquet" else "line"


def rows(path: Path) -> Iterator[Row]:
    """The rows of a .parquet, .csv, .tsv or .txt file; any other suffix is read as JSONL.

    Yields (number, value). The value is any JSON value for JSONL; a dict of column -> text, without
    empty cells, for CSV; {"prompt": line} for .txt; or an Unreadable. Blank lines are skipped. The
    cells of CSV are divided by the comma, semicolon or tab that its first line has most often. The
    dates of Parquet are left out.

    Raises:
        OSError: the file cannot be opened.
    """
    suffix = path.suffix.lower()
    if suffix != ".parquet" and (message := _not_text(path)):
        return iter([(1, Unreadable(message))])
    match suffix:
        case ".parquet":
            return _parquet(path)
        case ".csv" | ".tsv":
            return _csv(path)
        case ".txt":
            return _lines(path)
        case _:
            return _jsonl(path)


def _not_text(path: Path) -> Message | None:
    """The error of a file that is not UTF-8 text in rows, by its first bytes; None if it may be."""
    with path.open("rb") as file:
        start = file.read(64)
    for magic, kind in _FORMATS.items():
        if start.startswith(magic):
            return problem("no_text_file", "expected a file of text, got {kind}", kind=kind)
    if start.startswith(_UTF16) or (start[:1] == b"\0") != (start[1:2] == b"\0"):
        return _utf16()
    if (
        path.suffix.lower() in (".json", ".jsonl")
        and start.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"["
    ):
        text = "expected JSONL, an object in each line, got a JSON array"
        return problem("json_array", text)
    return None


def _jsonl(path: Path) -> Iterator[Row]:
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                yield number, _json(line)


def _json(line: bytes) -> Any:
    if len(line) > MAX_LINE_BYTES:
        text = "expected at most {most} bytes in a line, got {got}"
        return Unreadable(problem("line_bytes", text, most=MAX_LINE_BYTES, got=len(line)))
    try:
        value = json.loads(line.decode("utf-8-sig"))
        if _NUL_IN_JSON.search(line):
            return Unreadable(_nul())
        if rb"\ud" in line.lower():  # json accepts a lone surrogate, which is not a character
            json.dumps(value, ensure_ascii=False).encode()
    except UnicodeDecodeError as error:
        return Unreadable(not_utf8(error))
    except UnicodeEncodeError:
        text = "expected characters, got half of a surrogate pair"
        return Unreadable(problem("surrogate", text))
    except RecursionError:
        text = "expected a JSON object, got brackets nested too deeply"
        return Unreadable(problem("deep_json", text))
    except ValueError:
        return Unreadable(problem("no_json", "expected a complete JSON object"))
    return value


def _parquet(path: Path) -> Iterator[Row]:
    import pyarrow
    import pyarrow.parquet

    number = 0
    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            columns = [f.name for f in file.schema_arrow if not pyarrow.types.is_temporal(f.type)]
            for batch in file.iter_batches(PARQUET_BATCH, columns=columns):
                for row in batch.to_pylist():
                    number += 1
                    yield number, row
    except FileNotFoundError:
        raise
    except (pyarrow.ArrowException, OSError, ValueError, ArithmeticError, LookupError):
        line = "expected a Parquet file, got a damaged one"
        yield number + 1, Unreadable(problem("parquet", line))


def _csv(path: Path) -> Iterator[Row]:
    text, unreadable = _text(path)
    reader, first = csv_reader(text)
    columns: list[str] = []
    number = first
    try:
        for cells in reader:
            if cells and not columns:
                columns = [cell.strip() for cell in cells]
                (name, count), *_ = Counter(filter(None, columns)).most_common(1) or [("", 0)]
                if count > 1:
                    line = "expected columns of different names, got {column} twice"
                    message = problem("second_column", line, column=name[:60])
                    yield number, Unreadable(message)
            elif len(cells) > len(columns):
                line = "expected {columns} cells, as in line 1, got {got}"
                counts = {"columns": len(columns), "got": len(cells)}
                yield number, Unreadable(problem("cells", line, **counts))
            elif cells:
                filled = {name: cell for name, cell in zip(columns, cells, strict=False) if cell}
                yield number, filled
            number = reader.line_num + first
    except csv.Error as error:
        yield number, Unreadable(problem("csv", "expected CSV: {why}", why=str(error)))
    if unreadable:
        yield unreadable


def csv_reader(text: str) -> tuple[Any, int]:
    """A reader of the cells of CSV, whatever divides them, and the number of its first line."""
    first = 1
    if named := _SEP.match(text):
        text, first = text[named.end() :], 2
    header = text.lstrip("\r\n").partition("\n")[0]
    delimiter = named[1] if named else max(_DELIMITERS, key=header.count)
    return csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True), first


def _lines(path: Path) -> Iterator[Row]:
    text, unreadable = _text(path)
    for number, line in enumerate(io.StringIO(text, newline=None), start=1):
        if line.strip():
            yield number, {"prompt": line.removesuffix("\n")}
    if unreadable:
        yield unreadable


def _text(path: Path) -> tuple[str, Row | None]:
    """The text of a file up to the first line that is not UTF-8 or has a NUL, and the error there,
    if any."""
    content = path.read_bytes()
    unreadable = None
    end = content.find(b"\0")
    if end >= 0:
        unreadable = Unreadable(_nul())
    try:
        text = (content if end < 0 else content[:end]).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        end, unreadable = error.start, Unreadable(not_utf8(error))
    if unreadable is None:
        return text, None
    start = content.rfind(b"\n", 0, end) + 1
    number = content.count(b"\n", 0, start) + 1
    return content[:start].decode("utf-8-sig"), (number, unreadable)


def _utf16() -> Message:
    return problem("utf16", "expected UTF-8, got UTF-16: save it as UTF-8")


def _nul() -> Message:
    return problem("nul", "expected text, got a NUL byte")


def not_utf8(error: UnicodeDecodeError) -> Message:
    """The message for a text that is not UTF-8."""
    if error.object.startswith(_UTF16):
        return _utf16()
    byte = f"{error.object[error.start]:02x}"
    return problem("utf8", "expected UTF-8, got the byte 0x{byte}", byte=byte)
