"""Files and folders are replaced atomically, even if the process is killed."""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
from pathlib import Path

import pytest

from align_core.runs import files
from align_core.runs.files import replace_folder, write_atomically
from tests.own_thread import only_here

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="kills a forked process")


def exit_code(function, *arguments, dies_in):
    """The exit code of a process that calls `function`, and that is killed with kill -9 when it
    calls `dies_in`: a module or class, and the name of its function."""
    if pid := os.fork():
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    try:
        setattr(*dies_in, lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL))
        function(*arguments)
    finally:
        os._exit(0)


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

    monkeypatch.setattr(Path, "write_text", only_here(half, Path.write_text))
    with pytest.raises(OSError, match="No space left"):
        write_atomically(tmp_path / "state.json", "after")
    assert (tmp_path / "state.json").read_text() == "before"
    assert os.listdir(tmp_path) == ["state.json"]


@needs_fork
def test_a_kill_before_the_rename_leaves_the_old_file(tmp_path):
    path = tmp_path / "state.json"
    write_atomically(path, "before")
    assert exit_code(write_atomically, path, "after", dies_in=(Path, "replace")) == -signal.SIGKILL
    assert path.read_text() == "before"
    write_atomically(path, "after")
    assert path.read_text() == "after" and os.listdir(tmp_path) == ["state.json"]


def folders(tmp_path):
    new, folder = tmp_path / "new", tmp_path / "model"
    for path in (new, folder):
        path.mkdir(exist_ok=True)
        (path / "weights").write_text(path.name)
    return new, folder


@pytest.mark.parametrize("exchanges", [True, False])
def test_a_folder_replaces_another(tmp_path, monkeypatch, exchanges):
    new, folder = folders(tmp_path)
    if not exchanges:
        monkeypatch.setattr(files, "_exchanged", lambda *_: False)
    replace_folder(new, folder)
    assert (folder / "weights").read_text() == "new" and os.listdir(tmp_path) == ["model"]
    folder.rename(new)
    replace_folder(new, folder)
    assert os.listdir(tmp_path) == ["model"]


@pytest.fixture
def exchanges(tmp_path):
    """Skips the test on a system that cannot exchange two folders."""
    ours, theirs = (tmp_path / "apart" / name for name in ("ours", "theirs"))
    for folder in (ours, theirs):
        folder.mkdir(parents=True)
    rename = getattr(ctypes.CDLL(None), "renameat2", lambda *_: -1)
    # AT_FDCWD is −100 and RENAME_EXCHANGE is 2, by renameat2(2).
    if rename(-100, os.fsencode(ours), -100, os.fsencode(theirs), 2):
        pytest.skip("this system cannot exchange folders")
    shutil.rmtree(tmp_path / "apart")


def test_folders_with_relative_names_are_exchanged(tmp_path, monkeypatch, exchanges):
    folders(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert files._exchanged(Path("new"), Path("model"))
    contents = [(tmp_path / name / "weights").read_text() for name in ("new", "model")]
    assert contents == ["model", "new"]
    assert not files._exchanged(Path("nowhere"), Path("model"))


@needs_fork
def test_a_kill_at_any_step_leaves_a_whole_folder(tmp_path, exchanges):
    for step, code, left in (
        ((files, "_exchanged"), -signal.SIGKILL, "model"),
        ((files.shutil, "rmtree"), -signal.SIGKILL, "new"),
        ((Path, "rename"), 0, "new"),  # not called, because the folders are exchanged
    ):
        new, folder = folders(tmp_path)
        assert exit_code(replace_folder, new, folder, dies_in=step) == code
        assert (folder / "weights").read_text() == left
