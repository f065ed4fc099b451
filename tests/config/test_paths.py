"""The folder of the cache."""

from pathlib import Path

import pytest

from align_core.config.paths import cache_folder, user_path


def test_the_cache_is_where_align_cache_says_or_in_the_users_cache_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("ALIGN_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert cache_folder() == tmp_path / ".cache" / "align-core"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    assert cache_folder() == tmp_path / "caches" / "align-core"
    monkeypatch.setenv("ALIGN_CACHE", "~/mine")
    assert cache_folder() == tmp_path / "mine"


def test_a_relative_cache_folder_does_not_move_with_the_working_directory(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ALIGN_CACHE", "cache")
    assert cache_folder() == Path(tmp_path, "cache")


def test_a_cache_folder_with_too_long_a_name_is_refused(monkeypatch):
    monkeypatch.setenv("ALIGN_CACHE", "x" * 5000)
    with pytest.raises(ValueError, match="too long"):
        cache_folder()


def test_a_name_that_no_file_can_have_is_refused_with_the_reason():
    for name, why in (("a\0b", "embedded null byte"), ("x" * 5000, "File name too long")):
        with pytest.raises(ValueError) as error:
            user_path(name)
        assert str(error.value) == why
