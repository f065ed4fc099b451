"""Access to the files of a task's folder, as untrusted data, with a record of their errors.

Files outside of the folder are never opened, and files that are too large are never read.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from align_core.config import model_index
from align_core.config.errors import shown
from align_core.config.messages import Invalid, Message, plain, problem
from align_core.config.model_files import damage
from align_core.data.rows import Unreadable, not_utf8, rows, unit
from align_core.tasks.folder import toml_lines

TASK_FILE = "task.toml"
SUFFIXES = (".jsonl", ".parquet", ".csv", ".txt")
MAX_TOML_BYTES, MAX_TOML_LINES = 256 * 1024, 2000
MAX_BYTES, MAX_ROWS, MAX_COLUMNS = 64 * 1024**2, 200_000, 1000  # of a file of rows
MAX_ERRORS = 20  # reported for a file


def place(file: str, number: int = 0) -> Message:
    """A file and line for messages: "prompts.csv, line 3"; the file alone for the number 0."""
    if not number:
        return problem("whole_file", "{file}", file=file)
    if unit(Path(file)) == "row":
        return problem("row", "{file}, row {number}", file=file, number=number)
    return problem("line", "{file}, line {number}", file=file, number=number)


@dataclass
class Files:
    """The files of a folder and their errors so far.

    The message of an error begins with `before`, the folder and the file. A line or row number of 0
    stands for the whole file.
    """

    folder: Path
    before: str
    _errors: dict[str, list[tuple[int, Message]]] = field(default_factory=dict)  # by file
    _key_lines: toml_lines.Lines = field(default_factory=lambda: toml_lines.Lines(""))

    def add_error(self, file: str, number: int, message: Message) -> None:
        """Record an error at a line or row of a file."""
        self._errors.setdefault(file, []).append((number, message))

    def add_key_error(self, path: toml_lines.Path, message: Message) -> None:
        """Record an error at a key of task.toml."""
        self.add_error(TASK_FILE, self._key_lines.of(path), message)

    def lines(self) -> list[Message]:
        """Messages of the errors by file and line, at most MAX_ERRORS for a file."""
        return [
            message
            for file, errors in self._errors.items()
            for message in self._file_messages(file, sorted(errors, key=lambda error: error[0]))
        ]

    def _file_messages(self, file: str, errors: list[tuple[int, Message]]) -> Iterator[Message]:
        before = f"{self.before}{self.folder / file}".removesuffix(file)
        for number, message in errors[:MAX_ERRORS]:
            values = {"before": before, "place": place(file, number)}
            yield problem("at", "{before}{place}: {what}", **values, what=message)
        if more := len(errors[MAX_ERRORS:]):
            values = {"before": before, "place": place(file)}
            yield problem("more_errors", "{before}{place}: {more} more errors", **values, more=more)

    def has_errors(self, file: str) -> bool:
        """Whether a file has errors."""
        return file in self._errors

    def toml(self) -> dict[str, Any] | None:
        """The content of task.toml; None after an error."""
        try:
            path = self.inside(TASK_FILE)
            _check_size(path, MAX_TOML_BYTES)
            content = path.read_bytes()
            text = content.decode("utf-8-sig").replace("\r\n", "\n")
            if (count := text.count("\n")) > MAX_TOML_LINES:
                line = "expected at most {most} lines, got {got}"
                raise Invalid(problem("lines", line, most=MAX_TOML_LINES, got=count))
            values, self._key_lines = toml_lines.parse(text)
        except UnicodeDecodeError as error:
            self.add_error(TASK_FILE, content.count(b"\n", 0, error.start) + 1, not_utf8(error))
        except toml_lines.Unparsable as error:
            self.add_error(TASK_FILE, error.line, error.message)
        except (Invalid, OSError) as error:
            self.add_error(TASK_FILE, 0, _why(error))
        else:
            return values
        return None

    def inside(self, name: str) -> Path:
        """The resolved path of a file or folder within the folder.

        Raises:
            Invalid: it does not exist, or its path or a symlink leads out of the folder.
        """
        # This is checked first, so that nothing is revealed about files outside.
        if not self._is_inside(name):
            raise Invalid(_outside())
        try:
            real = (self.folder / name).resolve(strict=True)
        except FileNotFoundError:
            raise Invalid(problem("no_file", "there is no such file")) from None
        except (OSError, RuntimeError, ValueError) as error:
            raise Invalid(_why(error)) from None  # a cycle of symlinks, a NUL in the name
        if not real.is_relative_to(self.folder.resolve()):
            raise Invalid(_outside())
        return real

    def _is_inside(self, name: str) -> bool:
        """Whether a path stays in the folder, symlinks aside."""
        path = Path(os.path.normpath(self.folder / name))
        return name[:1] != "~" and path.is_relative_to(os.path.normpath(self.folder))

    def row_file(self, key: toml_lines.Path, name: str) -> Path | None:
        """The file of rows that a key of task.toml names; None after an error."""
        try:
            if Path(name).suffix.lower() not in SUFFIXES:
                text = "expected a name that ends in {endings}"
                raise Invalid(problem("ending", text, endings=", ".join(SUFFIXES)))
            path = self.inside(name)
            if not path.is_file():
                raise Invalid(problem("not_a_file", "expected a file"))
            _check_size(path, MAX_BYTES)
        except (Invalid, OSError) as error:
            text = "{key} = {name}: {what}"
            values = {"key": key[-1], "name": shown(name), "what": _why(error)}
            self.add_key_error(key, problem("names", text, **values))
            return None
        return path

    def rows(self, key: toml_lines.Path, name: str) -> Iterator[tuple[int, dict[str, Any]]]:
        """Yields (number, row) of a file; unreadable rows are recorded as errors."""
        path, count = self.row_file(key, name), 0
        if path is None:
            return
        for number, row in islice(rows(path), MAX_ROWS + 1):
            count += 1
            if count > MAX_ROWS:
                text = "expected at most {most} rows, got more"
                self.add_error(name, number, problem("rows", text, most=MAX_ROWS))
            elif isinstance(row, Unreadable):
                self.add_error(name, number, row.message)
            elif not isinstance(row, dict):
                self.add_error(name, number, problem("no_object", "expected a JSON object"))
            elif len(row) > MAX_COLUMNS:
                text = "expected at most {most} columns, got {got}"
                message = problem("columns", text, most=MAX_COLUMNS, got=len(row))
                self.add_error(name, number, message)
            else:
                yield number, row
        if count == 0:
            self.add_error(name, 0, problem("no_rows", "expected rows, got none"))

    def reward_model(self, name: str) -> str:
        """The reward model `name` as `locate` takes it: embedded, in the folder, or a hub id.

        Raises:
            Invalid: it is none of these.
        """
        location = name
        try:
            if name not in model_index.embedded():
                if (self.folder / name).exists() or not self._is_inside(name):
                    location = str(self.inside(name))
                elif Path(name).exists():  # a file in the working directory is not a hub id
                    raise Invalid(_outside())
        except OSError as error:
            raise Invalid(_why(error)) from None  # a name that is too long
        try:
            model = model_index.locate(location)
        except (ValueError, OSError) as error:
            raise Invalid(problem("no_model", "{why}", why=str(error))) from None
        if not Path(model).exists():
            return location
        if not model_index.is_reward_model(model):
            text = "this is a language model, which scores no texts"
            raise Invalid(problem("language_model", text))
        if why := damage(model):
            raise Invalid(plain(why))
        if (labels := model_index.labels(model)) != 1:
            raise Invalid(plain(f"expected a model with one label, got {labels}"))
        return location


def _check_size(path: Path, max_bytes: int) -> None:
    """Raises Invalid for a file of over `max_bytes` bytes."""
    if (size := path.stat().st_size) > max_bytes:
        text = "expected a file of at most {most} bytes, got {got}"
        raise Invalid(problem("file_bytes", text, most=max_bytes, got=size))


def _outside() -> Message:
    return problem("outside", "expected a path inside the folder")


def _why(error: Exception) -> Message:
    """The message of an Invalid; for any other error, that of the operating system."""
    if isinstance(error, Invalid):
        return error.message
    return problem("system", "{why}", why=getattr(error, "strerror", None) or str(error))
