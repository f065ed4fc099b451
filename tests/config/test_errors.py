"""Error messages in plain words."""

from __future__ import annotations

import errno

import pytest

from align_core.config.errors import ConfigError, describe_error
from align_core.config.messages import plain


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ConfigError(plain("--a got 1"), plain("--b got 2")), "--a got 1; --b got 2"),
        (OSError(errno.EROFS, "Read-only file system", "/x/y"), "/x/y cannot be used: Read-only"),
        (OSError(errno.EIO, "Input/output error"), "/runs/one cannot be used: Input/output"),
        (RuntimeError("write failed: No space left on device (os error 28)"), "The disk is full"),
        (RuntimeError("CUDA out of memory. Tried"), "There is not enough memory"),
        (MemoryError(), "There is not enough memory"),
    ],
)
def test_plain_words(error, words, tmp_path):
    assert describe_error(error, "/runs/one").text.startswith(words)
