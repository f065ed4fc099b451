"""Reads and writes zip files, as untrusted data in memory. Nothing is extracted to the disk.

Names, kinds, sizes and numbers of files are checked before any content is decompressed.
"""

from __future__ import annotations

import io
import stat
import zipfile
from collections.abc import Mapping
from pathlib import PurePosixPath

from align_core.config.errors import ConfigError
from align_core.config.messages import Message, problem
from align_core.tasks.folder.files import SUFFIXES, TASK_FILE

MAX_FILES = 64
MAX_DEPTH = 4
MAX_PATH_LENGTH = 120  # characters of a path
MAX_LINES = 20  # errors reported at once
EXPECTED = f"{TASK_FILE}, {', '.join(SUFFIXES)}"
_UNUSED = ("__MACOSX", ".DS_Store", "Thumbs.db")  # files that operating systems add
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


class BadFiles(ConfigError):
    """Files that cannot be the files of a task."""

    def __init__(self, *lines: Message) -> None:
        more = len(lines) - MAX_LINES
        super().__init__(
            *lines[:MAX_LINES], *([problem("more", "{more} more errors", more=more)] * (more > 0))
        )


def unpacked(name: str, content: bytes, max_bytes: int) -> dict[str, bytes]:
    """The files of a zip file, path -> content. A top folder that contains all of them is removed
    from the paths.

    Raises:
        BadFiles: it is not a zip file, or has files that a task cannot have.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            entries = [entry for entry in archive.infolist() if not _is_unused(entry)]
            _check(name, entries, max_bytes)
            files = {entry.filename: archive.read(entry) for entry in entries}
    except BadFiles:
        raise
    except Exception:  # of any type, as the reader does not check the numbers in the file
        text = "expected a zip file that is whole and has no password"
        raise BadFiles(file_error(name, problem("zip", text))) from None
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


def file_error(name: str, error: Message, inside: str = "") -> Message:
    """The error of a dropped file, or of a file inside it."""
    values = {"file": _shown(name), "what": error}
    if inside:
        return problem("inside", "{file}, {inside}: {what}", **values, inside=_shown(inside))
    return problem("dropped", "{file}: {what}", **values)


def too_large(max_bytes: int, size: int) -> Message:
    """The error of files with more than `max_bytes`."""
    return problem("bytes", "expected at most {most} bytes, got {got}", most=max_bytes, got=size)


def second_file() -> Message:
    """The error of a file that has the same name as another one."""
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
    if len(parts) > MAX_DEPTH or len(name) > MAX_PATH_LENGTH:
        text = "expected a path of at most {names} names and {characters} characters"
        return problem("long_path", text, names=MAX_DEPTH, characters=MAX_PATH_LENGTH)
    if parts[-1] != TASK_FILE and PurePosixPath(name).suffix.lower() not in SUFFIXES:
        return problem("file_kind", "expected one of {kinds}", kinds=EXPECTED)
    return None


def _is_unused(entry: zipfile.ZipInfo) -> bool:
    return entry.is_dir() or any(part in _UNUSED for part in entry.filename.split("/"))


def _check(name: str, entries: list[zipfile.ZipInfo], max_bytes: int) -> None:
    """Raises BadFiles if any of the entries is invalid. Reads no content."""
    if len(entries) > MAX_FILES:
        text = "expected at most {most} files, got {got}"
        message = problem("files", text, most=MAX_FILES, got=len(entries))
        raise BadFiles(file_error(name, message))
    if not entries:
        raise BadFiles(file_error(name, problem("no_files", "expected files, got none")))
    problems, seen = [], set()
    for entry in entries:
        error = name_problem(entry.filename)
        if stat.S_IFMT(entry.external_attr >> 16) not in (0, stat.S_IFREG):
            error = problem("link", "expected a file, got a link or a device")
        elif entry.flag_bits & 1:
            error = problem("password", "expected a file without a password")
        elif entry.compress_type not in _METHODS:
            error = problem("compression", "expected a file that is stored or deflated")
        elif entry.filename in seen:
            error = second_file()
        seen.add(entry.filename)
        if error:
            problems.append(file_error(name, error, entry.filename))
    if (size := sum(entry.file_size for entry in entries)) > max_bytes:
        text = "expected at most {most} bytes unpacked, got {got}"
        problems.append(file_error(name, problem("unpacked", text, most=max_bytes, got=size)))
    if problems:
        raise BadFiles(*problems)


def _shown(name: str) -> str:
    text = "".join(c if c.isprintable() else "?" for c in name)
    return text if len(text) <= 60 else text[:57] + "…"
