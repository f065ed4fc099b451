"""A hash of the files that define a task, without executing its code."""

from __future__ import annotations

import os
import sys
import tomllib
from collections.abc import Iterable, Iterator
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

from align_core.config.digests import combined, file_digest, model_digest
from align_core.config.task_card import NAMES, is_code, is_folder
from align_core.tasks.folder.files import TASK_FILE, Files

_TASKS = Path(__file__).parent


def task_digest(task: str) -> str:
    """The hash, in hexadecimal, of a task by its full name.

    For a folder it covers task.toml and the files that it names; for a class of the user, its file
    but not the modules that this file imports; for a task of this package, all of its modules.

    Raises:
        ValueError: there is no such task, or a file that it names does not exist.
        OSError: a file cannot be read.
    """
    if task in NAMES:
        files = [*_TASKS.glob("*.py"), *(_TASKS / task).rglob("*")]
        files = [path for path in files if path.is_file() and path.suffix != ".pyc"]
        return combined(text for path in sorted(files) for text in _name_and_digest(path, _TASKS))
    if is_folder(task):
        return combined(_folder_hashes(Path(task)))
    if is_code(task):
        location, _, name = task.rpartition(":")
        file = Path(location) if location.endswith(".py") else _source(location)
        return combined([name, file_digest(file)])
    raise ValueError(f"{task}: there is no such task")


def _name_and_digest(path: Path, folder: Path) -> tuple[str, str]:
    return str(path.relative_to(folder)), file_digest(path)


def _folder_hashes(folder: Path) -> Iterator[str]:
    """The hashes of task.toml, of the files of rows and of the reward models that it names."""
    files = Files(folder, "")
    yield file_digest(folder / TASK_FILE)
    content = tomllib.loads((folder / TASK_FILE).read_text(encoding="utf-8-sig"))
    for table in ("prompts", "preferences", "demonstrations"):
        for _, name in sorted(_items(content.get(table))):
            yield file_digest(files.inside(str(name)))
    parts = content.get("reward")
    for part in parts if isinstance(parts, list) else ():
        for key, name in _items(part):
            if key == "model":
                yield model_digest(files.reward_model(str(name)))


def _items(table: Any) -> Iterable[tuple[str, Any]]:
    return table.items() if isinstance(table, dict) else ()


def _source(module: str) -> Path:
    """The file of a module. Neither the module nor its packages are imported."""
    folders: Any = [*sys.path, os.getcwd()]
    name = ""
    for part in module.split("."):
        name = f"{name}.{part}".lstrip(".")
        spec = PathFinder.find_spec(name, folders)
        if spec is None:
            break
        folders = spec.submodule_search_locations or ()
    if spec is None or spec.origin is None:
        raise ValueError(f"{module}: there is no such module")
    return Path(spec.origin)
