"""Files of strangers: pipes, folders, large files and odd JSON are refused; none is waited for."""

from __future__ import annotations

import errno
import os

import pytest

from align_core.config import safe_files
from align_core.config.safe_files import object_in, open_file, read_bytes, readable_size
from tests.own_thread import only_here


def error_of(read, *arguments) -> int | None:
    """The number of the error, which has its words and the name of the file, too."""
    with pytest.raises(OSError) as error:
        read(*arguments)
    number, file = error.value.errno, arguments[0]
    words = "expected at most 4 bytes" if number == errno.EFBIG else os.strerror(number)
    assert (error.value.strerror, str(error.value.filename)) == (words, str(file))
    return number


def test_a_file_is_read_up_to_a_number_of_bytes(tmp_path):
    file = tmp_path / "file"
    file.write_bytes(b"12345")
    assert read_bytes(file, 5) == b"12345" and readable_size(file) == 5
    assert error_of(read_bytes, file, 4) == errno.EFBIG
    with open_file(file) as opened:
        assert opened.read() == b"12345"
    assert safe_files.MAX_BYTES == 4_000_000


def test_a_pipe_or_a_folder_is_refused_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for read in (open_file, readable_size, lambda path: read_bytes(path, 9)):
        assert error_of(read, tmp_path / "pipe") == errno.EINVAL
        assert error_of(read, tmp_path) == errno.EISDIR
        assert error_of(read, tmp_path / "nothing") == errno.ENOENT


def test_a_file_that_may_not_be_read_has_no_size(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    refuses = only_here(lambda path, mode: mode != os.R_OK, os.access)
    monkeypatch.setattr(os, "access", refuses)
    assert error_of(readable_size, tmp_path / "file") == errno.EACCES


def test_no_file_stays_open(tmp_path, monkeypatch):
    opened, closed = [], []
    open_, close = os.open, os.close

    def opening(*arguments, **options):
        opened.append(open_(*arguments, **options))
        return opened[-1]

    def closing(number):
        closed.append(number)
        close(number)

    monkeypatch.setattr(os, "open", only_here(opening, open_))
    monkeypatch.setattr(os, "close", only_here(closing, close))
    (tmp_path / "file").write_bytes(b"12345")
    read_bytes(tmp_path / "file", 5)
    error_of(read_bytes, tmp_path / "file", 4)
    error_of(read_bytes, tmp_path, 4)
    assert len(opened) == 3 and closed == opened


def test_the_object_of_a_json_file():
    assert object_in(b'{"a": "\\u00e9 \\ud83d\\ude00"}') == {"a": "é 😀"}
    for content, says in (
        (b"[]", "expected a JSON object"),
        (b"{", "Expecting"),
        (b'{"a": "\\ud83d"}', "surrogates not allowed"),
        (b'{"a":' * 100_000, "nested too deeply"),
    ):
        with pytest.raises(ValueError, match=says):
            object_in(content)
