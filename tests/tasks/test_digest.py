"""The hash of a task's files changes with every source of its prompts and its reward."""

from __future__ import annotations

import shutil
import sys

import pytest

from align_core.tasks import digest
from align_core.tasks.digest import task_digest
from align_core.tasks.folder import example


@pytest.fixture
def folder(tmp_path):
    example.write_new(tmp_path / "mine", "FOLDER")
    return tmp_path / "mine"


def test_the_hash_of_a_folder_covers_its_task_toml_and_the_files_named_there(folder, tmp_path):
    before = task_digest(str(folder))
    shutil.copytree(folder, tmp_path / "moved")
    assert task_digest(str(tmp_path / "moved")) == before
    (folder / "notes.md").write_text("not of the task")
    assert task_digest(str(folder)) == before
    with (folder / "prompts.txt").open("a") as prompts:
        prompts.write("The ending\n")
    longer = task_digest(str(folder))
    text = (folder / "task.toml").read_text()
    (folder / "task.toml").write_text(text.replace("weight = 2.0", "weight = 3.0"))
    assert len({before, longer, task_digest(str(folder))}) == 3


@pytest.mark.parametrize("content", ["title = ", "reward = 3", "[prompts]\nfile = '../x'", "[pro"])
def test_an_unreadable_folder_has_no_hash(folder, content):
    (folder / "task.toml").write_text(content)
    if content == "reward = 3":
        assert task_digest(str(folder))
    else:
        with pytest.raises((ValueError, OSError)):
            task_digest(str(folder))


def test_the_hash_of_a_class_covers_its_file_and_its_name(tmp_path, monkeypatch):
    package = tmp_path / "some_package"
    package.mkdir()
    (package / "__init__.py").write_text("raise RuntimeError('this was executed')")
    (package / "tasks.py").write_text("raise RuntimeError('this, too')")
    monkeypatch.syspath_prepend(tmp_path)
    by_module = task_digest("some_package.tasks:One")
    assert by_module == task_digest(f"{package / 'tasks.py'}:One")
    assert by_module != task_digest("some_package.tasks:Two")
    assert "some_package" not in sys.modules
    for missing in ("some_package.others:One", "no_such_package.tasks:One", "reviewz"):
        with pytest.raises(ValueError):
            task_digest(missing)


def test_the_hash_of_a_built_in_task_covers_its_words_and_its_reward(tmp_path, monkeypatch):
    before = {name: task_digest(name) for name in ("reviews", "capitals")}
    assert len({*before.values()}) == 2
    room = tmp_path / "tasks"
    shutil.copytree(digest._TASKS, room, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(digest, "_TASKS", room)
    assert {name: task_digest(name) for name in before} == before
    with (room / "reviews" / "lexicon.py").open("a") as words:
        words.write("# one more\n")
    assert task_digest("capitals") == before["capitals"]
    assert task_digest("reviews") != before["reviews"]
