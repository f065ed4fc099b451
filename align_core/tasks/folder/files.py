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
from align_core.config.messages import Message, plain
from align_core.data.rows import Unreadable, rows, unit
from align_core.tasks.folder import toml_lines

TASK_FILE = "task.toml"
SUFFIXES = (".jsonl", ".parquet", ".csv", ".txt")
MOST_TOML_BYTES, MOST_TOML_LINES = 256 * 1024, 2000
MOST_BYTES, MOST_ROWS = 64 * 1024**2, 200_000  # of a file of rows
MOST_ERRORS = 20  # reported for a file


def place(file: str, number: int) -> str:
    """A file and line for messages: "prompts.csv, line 3"."""
    return f"{file}, {unit(Path(file))} {number}"


@dataclass
class Files:
    """The files of a folder and their errors so far.

    The message of an error begins with `before`, the folder and the file. A line or row number of 0
    stands for the whole file.
    """

    folder: Path
    before: str
    _errors: dict[str, list[tuple[int, str]]] = field(default_factory=dict)  # by file
    _key_lines: toml_lines.Lines = field(default_factory=lambda: toml_lines.Lines(""))

    def tell(self, file: str, number: int, problem: object) -> None:
        """Record an error at a line or row of a file."""
        self._errors.setdefault(file, []).append((number, str(problem)))

    def tell_key(self, path: toml_lines.Path, problem: object) -> None:
        """Record an error at a key of task.toml."""
        self.tell(TASK_FILE, self._key_lines.of(path), problem)

    def lines(self) -> list[Message]:
        """Messages of the errors by file and line, at most MOST_ERRORS for a file."""
        messages = []
        for file, errors in self._errors.items():
            for number, problem in sorted(errors)[:MOST_ERRORS]:
                where = place(file, number) if number else file
                messages.append(f"{self.before}{self.folder / where}: {problem}")
            if more := len(errors[MOST_ERRORS:]):
                messages.append(f"{self.before}{self.folder / file}: {more} more errors")
        return [plain(message) for message in messages]

    def has_errors(self, file: str) -> bool:
        """Whether a file has errors."""
        return file in self._errors

    def toml(self) -> dict[str, Any] | None:
        """The content of task.toml; None after an error."""
        try:
            path = self.inside(TASK_FILE)
            if (size := path.stat().st_size) > MOST_TOML_BYTES:
                raise ValueError(f"expected at most {MOST_TOML_BYTES} bytes, got {size}")
            content = path.read_bytes()
            text = content.decode("utf-8-sig").replace("\r\n", "\n")
            if (count := text.count("\n")) > MOST_TOML_LINES:
                raise ValueError(f"expected at most {MOST_TOML_LINES} lines, got {count}")
            values, self._key_lines = toml_lines.parse(text)
        except UnicodeDecodeError as error:
            line = content.count(b"\n", 0, error.start) + 1
            problem = f"expected UTF-8, got the byte 0x{content[error.start]:02x}"
            self.tell(TASK_FILE, line, problem)
        except toml_lines.Unparsable as error:
            self.tell(TASK_FILE, error.line, f"expected TOML, got this: {error}")
        except (ValueError, OSError) as error:
            self.tell(TASK_FILE, 0, getattr(error, "strerror", None) or error)
        else:
            return values
        return None

    def inside(self, name: str) -> Path:
        """The resolved path of a file or folder within the folder.

        Raises:
            ValueError: it does not exist, or its path or a symlink leads out of the folder.
        """
        # checked first, so that nothing is revealed about files outside
        if not self._is_inside(name):
            raise ValueError("it leads outside of the folder")
        try:
            real = (self.folder / name).resolve(strict=True)
        except FileNotFoundError:
            raise ValueError("there is no such file") from None
        except (OSError, RuntimeError) as error:  # RuntimeError: a cycle of symlinks
            raise ValueError(getattr(error, "strerror", None) or str(error)) from None
        if not real.is_relative_to(self.folder.resolve()):
            raise ValueError("it leads outside of the folder")
        return real

    def _is_inside(self, name: str) -> bool:
        """Whether a path stays in the folder, symlinks aside."""
        path = Path(os.path.normpath(self.folder / name))
        return name[:1] != "~" and path.is_relative_to(os.path.normpath(self.folder))

    def of_rows(self, key: toml_lines.Path, name: str) -> Path | None:
        """The file of rows that a key of task.toml names; None after an error."""
        try:
            if Path(name).suffix not in SUFFIXES:
                raise ValueError(f"expected a name that ends in {', '.join(SUFFIXES)}")
            path = self.inside(name)
            if not path.is_file():
                raise ValueError("expected a file")
            if (size := path.stat().st_size) > MOST_BYTES:
                raise ValueError(f"expected a file of at most {MOST_BYTES} bytes, got {size}")
        except (ValueError, OSError) as error:
            self.tell_key(key, f"{key[-1]} = {name!r}: {error}")
            return None
        return path

    def rows(self, key: toml_lines.Path, name: str) -> Iterator[tuple[int, dict[str, Any]]]:
        """Yields (number, row) of a file; unreadable rows are recorded as errors."""
        path, count = self.of_rows(key, name), 0
        if path is None:
            return
        for number, row in islice(rows(path), MOST_ROWS + 1):
            count += 1
            if count > MOST_ROWS:
                self.tell(name, number, f"expected at most {MOST_ROWS} rows, got more")
            elif isinstance(row, Unreadable):
                self.tell(name, number, row)
            elif not isinstance(row, dict):
                self.tell(name, number, "expected a JSON object")
            else:
                yield number, row
        if count == 0:
            self.tell(name, 0, "expected rows, got none")

    def reward_model(self, name: str) -> str:
        """MODEL of an embedded reward model, of one in the folder, or of a hub id.

        Raises:
            ValueError: it is none of these.
        """
        location = name
        if name not in model_index.embedded():
            if (self.folder / name).exists() or not self._is_inside(name):
                location = str(self.inside(name))
            elif Path(name).exists():  # a file in the working directory is not a hub id
                raise ValueError("it leads outside of the folder")
        model = model_index.locate(location)
        if Path(model).exists() and not model_index.is_reward_model(model):
            raise ValueError("this is a language model, which scores no texts")
        return location
