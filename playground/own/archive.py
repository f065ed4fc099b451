"""Reading and writing of zip files, as untrusted data in memory. Nothing is extracted to the disk.

Names, kinds, sizes and numbers of files are checked before any content is decompressed.
"""

from __future__ import annotations

import io
import stat
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import PurePosixPath

from align_core.tasks.folder.files import SUFFIXES, TASK_FILE

MOST_FILES = 64
MOST_DEPTH = 4
MOST_NAME = 120  # characters of a path
MOST_LINES = 20  # errors that are told
EXPECTED = f"{TASK_FILE}, {', '.join(SUFFIXES)}"
_UNUSED = ("__MACOSX", ".DS_Store", "Thumbs.db")  # what systems add by themselves
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


class BadFiles(ValueError):
    """The files cannot be taken; `lines` says why, a line for each problem."""

    def __init__(self, *lines: str) -> None:
        super().__init__("\n".join(lines))
        more = [f"{len(lines) - MOST_LINES} more errors"] if len(lines) > MOST_LINES else []
        self.lines = [*lines[:MOST_LINES], *more]


def unpacked(name: str, content: bytes, most_bytes: int) -> dict[str, bytes]:
    """The files of a zip file, path -> content, without a folder that all of them are in.

    Raises:
        BadFiles: it is not a zip file, or has files that a task cannot have.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            entries = [entry for entry in archive.infolist() if not _is_unused(entry)]
            _check(name, entries, most_bytes)
            files = {entry.filename: archive.read(entry) for entry in entries}
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError):
        raise BadFiles(f"{name}: expected a zip file that is whole and has no password") from None
    tops = {path.partition("/")[0] for path in files}
    if len(tops) == 1 and all("/" in path for path in files):
        files = {path.partition("/")[2]: content for path, content in files.items()}
    return files


def packed(files: Mapping[str, bytes], folder: str) -> bytes:
    """A zip file of these files, in a folder."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(f"{folder}/{name}", content)
    return target.getvalue()


def name_problem(name: str) -> str | None:
    """Why no file of a task can have this path; None if one can."""
    parts = name.split("/")
    if "\\" in name or ":" in name or not name.isprintable():
        return "expected a name of printable characters without \\ and :"
    if name.startswith("/") or not {"..", ".", ""}.isdisjoint(parts):
        return "it leads outside of the folder"
    if len(parts) > MOST_DEPTH or len(name) > MOST_NAME:
        return f"expected a path of at most {MOST_DEPTH} names and {MOST_NAME} characters"
    if parts[-1] != TASK_FILE and PurePosixPath(name).suffix not in SUFFIXES:
        return f"expected one of {EXPECTED}"
    return None


def _is_unused(entry: zipfile.ZipInfo) -> bool:
    return entry.is_dir() or any(part in _UNUSED for part in entry.filename.split("/"))


def _check(name: str, entries: list[zipfile.ZipInfo], most_bytes: int) -> None:
    """Raises BadFiles if any of the entries cannot be taken. Reads none of them."""
    if len(entries) > MOST_FILES:
        raise BadFiles(f"{name}: expected at most {MOST_FILES} files, got {len(entries)}")
    if not entries:
        raise BadFiles(f"{name}: expected files, got none")
    problems, seen = [], set()
    for entry in entries:
        mode = entry.external_attr >> 16
        problem = name_problem(entry.filename)
        if stat.S_IFMT(mode) not in (0, stat.S_IFREG):
            problem = "expected a file, got a link or a device"
        elif entry.flag_bits & 1:
            problem = "expected a file without a password"
        elif entry.compress_type not in _METHODS:
            problem = "expected a file that is stored or deflated"
        elif entry.filename in seen:
            problem = "expected a name of its own, got a second file of this name"
        seen.add(entry.filename)
        if problem:
            problems.append(f"{name}, {_shown(entry.filename)}: {problem}")
    if (size := sum(entry.file_size for entry in entries)) > most_bytes:
        problems.append(f"{name}: expected at most {most_bytes} bytes unpacked, got {size}")
    if problems:
        raise BadFiles(*problems)


def _shown(name: str) -> str:
    text = "".join(c if c.isprintable() else "?" for c in name)
    return text if len(text) <= 60 else text[:57] + "…"
