"""Reads and writes zip files, as untrusted data in memory. Nothing is extracted to the disk.

Names, kinds, sizes and numbers of files are checked before any content is decompressed.
"""

from __future__ import annotations

import io
import stat
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import PurePosixPath

from align_core.config.errors import ConfigError
from align_core.config.messages import Message, problem
from align_core.tasks.folder.files import SUFFIXES, TASK_FILE

MOST_FILES = 64
MOST_DEPTH = 4
MOST_NAME = 120  # characters of a path
MOST_LINES = 20  # errors reported at once
EXPECTED = f"{TASK_FILE}, {', '.join(SUFFIXES)}"
_UNUSED = ("__MACOSX", ".DS_Store", "Thumbs.db")  # files that operating systems add
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


class BadFiles(ConfigError):
    """Files that cannot be the files of a task."""

    def __init__(self, *lines: Message) -> None:
        more = len(lines) - MOST_LINES
        super().__init__(
            *lines[:MOST_LINES], *([problem("more", "{more} more errors", more=more)] * (more > 0))
        )


def unpacked(name: str, content: bytes, most_bytes: int) -> dict[str, bytes]:
    """The files of a zip file, path -> content, without a folder that contains all of them.

    Raises:
        BadFiles: it is not a zip file, or has files that a task cannot have.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            entries = [entry for entry in archive.infolist() if not _is_unused(entry)]
            _check(name, entries, most_bytes)
            files = {entry.filename: archive.read(entry) for entry in entries}
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError):
        text = "expected a zip file that is whole and has no password"
        raise BadFiles(of_file(name, problem("zip", text))) from None
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


def of_file(name: str, what: Message, inside: str = "") -> Message:
    """The error of a dropped file, or of a file inside it."""
    named = {"file": _shown(name), "what": what}
    if inside:
        return problem("inside", "{file}, {inside}: {what}", **named, inside=_shown(inside))
    return problem("dropped", "{file}: {what}", **named)


def second_file() -> Message:
    """The error of a file whose name another file has."""
    text = "expected a name of its own, got a second file of this name"
    return problem("second_file", text)


def name_problem(name: str) -> Message | None:
    """The error of a path that no file of a task can have; None for a valid path."""
    parts = name.split("/")
    if "\\" in name or ":" in name or not name.isprintable():
        text = "expected a name of printable characters without \\ and :"
        return problem("name_characters", text)
    if name.startswith("/") or not {"..", ".", ""}.isdisjoint(parts):
        return problem("outside", "expected a path inside the folder")
    if len(parts) > MOST_DEPTH or len(name) > MOST_NAME:
        text = "expected a path of at most {names} names and {characters} characters"
        return problem("long_path", text, names=MOST_DEPTH, characters=MOST_NAME)
    if parts[-1] != TASK_FILE and PurePosixPath(name).suffix not in SUFFIXES:
        return problem("file_kind", "expected one of {kinds}", kinds=EXPECTED)
    return None


def _is_unused(entry: zipfile.ZipInfo) -> bool:
    return entry.is_dir() or any(part in _UNUSED for part in entry.filename.split("/"))


def _check(name: str, entries: list[zipfile.ZipInfo], most_bytes: int) -> None:
    """Raises BadFiles if any of the entries is invalid. Reads no content."""
    if len(entries) > MOST_FILES:
        text = "expected at most {most} files, got {got}"
        many = problem("files", text, most=MOST_FILES, got=len(entries))
        raise BadFiles(of_file(name, many))
    if not entries:
        raise BadFiles(of_file(name, problem("no_files", "expected files, got none")))
    problems, seen = [], set()
    for entry in entries:
        what = name_problem(entry.filename)
        if stat.S_IFMT(entry.external_attr >> 16) not in (0, stat.S_IFREG):
            what = problem("link", "expected a file, got a link or a device")
        elif entry.flag_bits & 1:
            what = problem("password", "expected a file without a password")
        elif entry.compress_type not in _METHODS:
            what = problem("compression", "expected a file that is stored or deflated")
        elif entry.filename in seen:
            what = second_file()
        seen.add(entry.filename)
        if what:
            problems.append(of_file(name, what, entry.filename))
    if (size := sum(entry.file_size for entry in entries)) > most_bytes:
        text = "expected at most {most} bytes unpacked, got {got}"
        problems.append(of_file(name, problem("unpacked", text, most=most_bytes, got=size)))
    if problems:
        raise BadFiles(*problems)


def _shown(name: str) -> str:
    text = "".join(c if c.isprintable() else "?" for c in name)
    return text if len(text) <= 60 else text[:57] + "…"
