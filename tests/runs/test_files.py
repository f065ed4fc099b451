"""Files that are written atomically."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from align_core.runs.files import write_atomically


def test_a_file_has_its_new_content_and_no_temporary_file_stays(tmp_path):
    for text in ("{}", "β"):
        write_atomically(tmp_path / "state.json", text)
        assert (tmp_path / "state.json").read_text(encoding="utf-8") == text
    assert os.listdir(tmp_path) == ["state.json"]


def test_a_full_disk_leaves_the_old_file(tmp_path, monkeypatch):
    write_atomically(tmp_path / "state.json", "before")

    def half(self, text, encoding):
        with self.open("w", encoding=encoding) as file:
            file.write(text[:2])
        raise OSError("No space left on device")

    monkeypatch.setattr(Path, "write_text", half)
    with pytest.raises(OSError, match="No space left"):
        write_atomically(tmp_path / "state.json", "after")
    assert (tmp_path / "state.json").read_text() == "before"
    assert os.listdir(tmp_path) == ["state.json"]
