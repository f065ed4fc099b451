"""Files that another program, another version or a stranger may have written.

Reading such a file here never waits, and fails only with the declared exceptions.
"""

from __future__ import annotations

import errno
import json
import os
import stat
from pathlib import Path
from typing import Any, BinaryIO

MAX_BYTES = 4_000_000  # the largest JSON file that is read
_FLAGS = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)  # on POSIX; on Windows


def open_file(path: str | Path) -> BinaryIO:
    """A regular file, opened for reading. Raises OSError for anything else, such as a pipe, which
    would wait for a writer."""
    return os.fdopen(_opened(path), "rb")


def read_bytes(path: str | Path, max_bytes: int) -> bytes:
    """The content of a regular file. Raises OSError if it is larger than `max_bytes`, or not a
    regular file."""
    descriptor = _opened(path)
    try:
        if os.fstat(descriptor).st_size > max_bytes:
            raise OSError(errno.EFBIG, f"expected at most {max_bytes} bytes", str(path))
        return os.read(descriptor, max_bytes)
    finally:
        os.close(descriptor)


def readable_size(path: str | Path) -> int:
    """The size in bytes of a readable regular file. Raises OSError for any other file."""
    status = os.stat(path)
    code = 0 if os.access(path, os.R_OK) else errno.EACCES
    if not stat.S_ISREG(status.st_mode):
        code = errno.EISDIR if stat.S_ISDIR(status.st_mode) else errno.EINVAL
    if code:
        raise OSError(code, os.strerror(code), str(path))
    return status.st_size


def object_in(content: bytes) -> dict[str, Any]:
    """The object in the bytes of a JSON file. Raises ValueError if they hold no object, or if a
    text in it has half of a surrogate pair."""
    try:
        value = json.loads(content)
        if b"\\u" in content:
            json.dumps(value, ensure_ascii=False).encode()
    except RecursionError:
        raise ValueError("its JSON is nested too deeply") from None
    if not isinstance(value, dict):
        raise ValueError("expected a JSON object")
    return value


def read_object(path: str | Path) -> dict[str, Any]:
    """The object in a JSON file of at most MAX_BYTES. Raises OSError and ValueError."""
    return object_in(read_bytes(path, MAX_BYTES))


def _opened(path: str | Path) -> int:
    descriptor = os.open(path, os.O_RDONLY | _FLAGS)
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode):
        return descriptor
    os.close(descriptor)
    code = errno.EISDIR if stat.S_ISDIR(mode) else errno.EINVAL
    raise OSError(code, os.strerror(code), str(path))
