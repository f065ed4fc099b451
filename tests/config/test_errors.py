"""Error messages in plain words."""

from __future__ import annotations

import errno
import re
from pathlib import Path

import pytest

from align_core.config.errors import (
    ConfigError,
    describe_error,
    flag,
    listed,
    one_line,
    option_error,
)
from align_core.config.messages import Message, plain


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ConfigError(plain("--a got 1"), plain("--b got 2")), "--a got 1; --b got 2"),
        (OSError(errno.EROFS, "Read-only file system", "/x/y"), "/x/y cannot be used: Read-only"),
        (OSError(errno.EIO, "Input/output error"), "/runs/one cannot be used: Input/output"),
        (RuntimeError("write failed: No space left on device (os error 28)"), "The disk is full"),
        (OSError("odd"), "/runs/one cannot be used: odd"),
        (OSError(errno.ENOSPC, "none left", "/x/y"), "The disk is full: /runs/one could not"),
        (RuntimeError("CUDA out of memory. Tried"), "There is not enough memory"),
        (MemoryError(), "There is not enough memory"),
    ],
)
def test_plain_words(error, words, tmp_path):
    assert describe_error(error, "/runs/one").text.startswith(words)


def test_a_page_can_translate_what_it_is_told():
    def told(error):
        message = describe_error(error, Path("/runs/one"))
        return message.code, message.values

    lines = ConfigError(Message("late", {"days": 3}, "3 days late"), plain("--b got 2"))
    late = {"message": "3 days late", "cause": {"kind": "late", "values": {"days": 3}}}
    assert told(lines) == ("refused", {"lines": [late, {"message": "--b got 2"}]})
    assert told(OSError(errno.ENOSPC, "none left")) == ("disk_full", {"path": "/runs/one"})
    at = {"file": "/x/y", "why": "Read-only file system"}
    assert told(OSError(errno.EROFS, "Read-only file system", "/x/y")) == ("unusable", at)
    assert told(MemoryError()) == ("memory", {})
    assert told(ValueError("odd")) == ("", {})


def test_a_value_is_shown_in_at_most_80_characters():
    def shown(got):
        return option_error("--a", got, "less").values["got"]

    assert shown("x" * 78) == f"'{'x' * 78}'"  # 80 with its quotes
    assert shown("x" * 79) == f"'{'x' * 76}..."  # 77 and three dots
    assert (shown(None), shown(3), shown("a\n b")) == ("nothing", "3", "'a\\n b'")
    assert shown(10**5000) == "a value of type int"


def test_an_option_of_one_letter_has_one_dash():
    assert [flag(name) for name in ("method", "n", "lr", "eval_every")] == [
        *("METHOD", "-n", "--lr", "--eval-every")
    ]


def test_an_error_in_the_code_has_its_place():
    try:
        raise ValueError("of\n two lines")
    except ValueError as error:
        message = describe_error(error, Path("/runs/one")).text
    assert re.fullmatch(r"ValueError: of two lines \(test_errors\.py, line \d+\)", message)


def test_the_place_of_an_error_is_where_it_was_raised():
    code = "def outer():\n    inner()\ndef inner():\n    raise ValueError('odd')\nouter()"
    with pytest.raises(ValueError) as error:
        exec(compile(code, "/tasks/poems.py", "exec"), {})
    assert one_line(error.value) == "ValueError: odd (poems.py, line 4)"


def test_an_error_of_syntax_is_in_the_file_that_has_it():
    with pytest.raises(SyntaxError) as error:
        compile("\nx = (", "/tasks/poems.py", "exec")
    message = describe_error(error.value, Path("/runs/one")).text
    assert message == "SyntaxError: '(' was never closed (poems.py, line 2)"


def test_a_list_of_names_reads_like_a_sentence():
    assert [listed(["a", "b", "c"][:n]) for n in (1, 2, 3)] == ["a", "a and b", "a, b and c"]
