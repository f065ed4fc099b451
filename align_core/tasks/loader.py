"""Loading of tasks by name.

`load_task` runs the code of a task, so it is only for names from users: on the command line, in a
call, or at the start of the page. Everything else uses `get_task`, which never loads code. Tasks in
folders have no code, so they are read no matter who named them.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import inspect
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from align_core.config.errors import CODE_ERRORS, ConfigError, one_line, option_error
from align_core.config.messages import Message, is_line, is_text
from align_core.config.methods import methods
from align_core.config.paths import user_path
from align_core.config.task_card import (
    BUILT_IN,
    EXPECTED,
    NAMES,
    TaskCard,
    is_code,
    is_folder,
    register,
    unregistered_task,
)
from align_core.tasks.checked_reward import CheckedReward, checked_members
from align_core.tasks.folder.task import FolderTask
from align_core.tasks.grammar_task import GrammarTask
from align_core.tasks.task import REQUIRED, Task

_WORD = re.compile(r"[\w-]{0,40}")
_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}", re.ASCII)
_MODULE = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")
_SPLITS = ("train", "probe", "heldout")
_loaded: dict[str, Task] = {}  # full name -> task, for tasks outside this package


def load_task(name: str) -> Task:
    """The task of this name: "reviews", a folder, "file.py[:Class]" or "package.module:Class".

    The code of a task that is not built in is executed at every call. The task is then registered,
    so that configurations of this process may name it.

    Raises:
        ConfigError: there is no such task, its code cannot be imported or is not a task, or its
            folder has errors.
    """
    if name in NAMES:
        return _load_built_in(name)
    if not is_text(name):
        raise _refused(name, EXPECTED)
    try:
        path = user_path(name)
    except ValueError as error:
        raise _refused(name, f"{EXPECTED}: {error}") from None
    if path.is_dir():
        return _load_folder(name)
    with _user_code(name):
        return _registered(_load_code(name))


def _load_code(name: str) -> Task:
    """The task in the code that a user named."""
    path, _, class_name = name.rpartition(":") if is_code(name) else (name, "", "")
    if path.endswith(".py"):
        file = user_path(path).resolve()
        module, location = _load_file(name, file), str(file)
    elif class_name and _MODULE.fullmatch(path):
        module, location = _imported(path), path
    else:
        raise ConfigError(option_error("--task", name, EXPECTED, "task"))
    task_class = _class(name, module, class_name)
    task = _instance(name, task_class)
    object.__setattr__(task, "code", f"{location}:{task_class.__name__}")  # the class may be frozen
    return task


def get_task(name: str) -> Task:
    """The task that a configuration names.

    Raises:
        ConfigError: it is a task of code that was not loaded in this process, or a folder with
            errors.
    """
    if name in NAMES:
        return _load_built_in(name)
    if name in _loaded:
        return _loaded[name]
    if is_folder(name):
        return _load_folder(name)
    raise ConfigError(unregistered_task(name))


def load_allowed(name: str | None, allowed: tuple[str, ...]) -> None:
    """Load the task `name`. Code is loaded only for names in `allowed`, which a user named in the
    parent process."""
    if name in _loaded:
        return
    if name in allowed:
        load_task(name)
    elif is_folder(name):  # never run as code, although the names look alike
        _load_folder(name)


def read_if_folder(task: str | None, lines: list[Message]) -> str | None:
    """The name `task`, after reading and registering the task if it is a folder.

    If it has errors, they are appended to `lines`, and the name of a built-in task is returned, so
    that the other options can be checked.
    """
    try:
        load_allowed(task, ())
    except ConfigError as error:
        lines += error.lines
        return BUILT_IN[0]
    return task


def resolve_task(options: dict[str, Any], lines: list[Message]) -> dict[str, Any]:
    """The options, with their task loaded and replaced by its full name.

    If it cannot be loaded, its errors are appended to `lines`, and a built-in task takes its place,
    so that the other options can be checked.
    """
    task = options.get("task")
    is_word = isinstance(task, str) and _WORD.fullmatch(task) and not Path(task).is_dir()
    if not isinstance(task, str) or is_word:  # validation reports unknown words
        return options
    try:
        return options | {"task": load_task(task).full_name}
    except ConfigError as error:
        lines += error.lines
        return {**options, "task": BUILT_IN[0], "coverage": None}


def grammar_task(name: str) -> GrammarTask:
    """A task whose models and data are embedded: one of BUILT_IN."""
    task = _load_built_in(name)
    assert isinstance(task, GrammarTask)
    return task


@cache
def _load_built_in(name: str) -> Task:
    module = importlib.import_module(f"align_core.tasks.{name}.task")
    return getattr(module, name.capitalize())()


def _load_folder(name: str) -> Task:
    task = FolderTask(name, "--task")
    if is_code(task.folder):
        raise _refused(name, "a folder whose path does not look like file.py:Class")
    return _registered(task)


def _registered(task: Task) -> Task:
    """Register the task, so that configurations of this process may name it, and return it."""
    card = TaskCard(
        task.name,
        task.title,
        task.explanation,
        task.reference,
        task.reward_model,
        tuple(task.groups),
        tuple(task.proxies),
        _pairs_at_most(task.pairs) if isinstance(task, FolderTask) else {},
        demonstrations=task.demonstrations is not None,
        code=task.code,
        prompt=task.prompts("probe")[0],
        folder=task.folder,
        has_gold=task.has_gold,
        max_new_tokens=task.max_new_tokens,
    )
    register(card)
    _loaded[task.full_name] = task
    return task


def _pairs_at_most(pairs: int) -> dict[str, dict[str, Any]]:
    """The defaults of methods that learn from pairs, for a task with this many pairs."""
    return {
        name: {"preference_pairs": min(pairs, method.options["preference_pairs"])}
        for name, method in methods().items()
        if "preference_pairs" in method.options and pairs
    }


def _refused(name: str, expected: str) -> ConfigError:
    return ConfigError(option_error("--task", name, expected))


def _load_file(name: str, file: Path) -> ModuleType:
    try:
        source = file.read_bytes()  # `compile` decodes it, by its first two lines (PEP 263)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise _refused(name, f"a Python file that can be read: {reason}") from None
    if (folder := str(file.parent)) not in sys.path:
        sys.path.append(folder)  # for modules beside it; those of the library come first
    # The digest differs for files of the same name in different folders.
    digest = hashlib.sha256(str(file).encode()).hexdigest()[:8]
    module = ModuleType(f"task_{file.stem}_{digest}")
    module.__file__ = str(file)
    sys.modules[module.__name__] = module  # dataclasses and pickle look it up there
    exec(compile(source, file, "exec"), vars(module))
    return module


def _imported(module: str) -> ModuleType:
    if (folder := os.getcwd()) not in sys.path:  # `python -m` adds it, console scripts do not
        sys.path.insert(0, folder)
    return importlib.import_module(module)


@contextlib.contextmanager
def _user_code(name: str) -> Iterator[None]:
    """A context that turns any error of a task's code into a ConfigError with one message.

    It sends what the code prints to standard error, because standard output is the command's.
    """
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    except ConfigError:
        raise
    except CODE_ERRORS as error:
        expected = f"the code of a task; this failed: {one_line(error)}"
        raise _refused(name, expected) from error


def _class(name: str, module: ModuleType, class_name: str) -> type:
    """The class of this name; without a name, the only class of the module that is a task."""
    classes = {
        value.__name__: value
        for value in vars(module).values()
        if inspect.isclass(value) and value.__module__ == module.__name__
    }
    if class_name:
        if not inspect.isclass(value := getattr(module, class_name, None)):
            raise _refused(name, f"one of its classes: {', '.join(classes) or 'it has none'}")
        classes = {class_name: value}
    elif not classes:
        raise _refused(name, "a file with the class of a task; this one has no class")
    missing = {key: _missing_members(value) for key, value in classes.items()}
    tasks = [value for key, value in classes.items() if not missing[key]]
    if len(tasks) > 1:
        names = " or ".join(f"{name}:{task.__name__}" for task in tasks)
        raise _refused(name, f"a file with one task, or one of its tasks: {names}")
    if not tasks:
        problems = "; ".join(f"{key} has no {', '.join(names)}" for key, names in missing.items())
        raise _refused(name, f"a class with {', '.join(REQUIRED)}: {problems}")
    return tasks[0]


def _missing_members(task_class: type) -> list[str]:
    """The members in REQUIRED that the class itself does not define."""
    members = {key for base in task_class.__mro__ if base is not Task for key in vars(base)}
    return [key for key in REQUIRED if key not in members]


def _instance(name: str, task_class: Any) -> Task:
    """An instance of the class with the defaults of `Task`, after checks of its members."""
    bases = (CheckedReward, task_class, *([] if issubclass(task_class, Task) else [Task]))
    task = type(task_class.__name__, bases, {"__module__": task_class.__module__})()
    reward = super(CheckedReward, task).reward
    prompts = {split: task.prompts(split) for split in _SPLITS}
    texts = {"prompts": [""], "completions": [""]}
    takes_columns = (
        _accepts(reward, **texts, ended=[True])
        and _accepts(reward, **texts, completion_ids=[[0]], eos_token_id=0)
        and not _is_method_without_self(inspect.getattr_static(task_class, "reward"))
    )
    checks = {
        "a name of lower-case letters, digits and _, at most 40": isinstance(task.name, str)
        and _NAME.fullmatch(task.name),
        "a title, a line of at most 100 characters": is_line(task.title, 100),
        "an explanation of at most 500 characters": isinstance(task.explanation, str)
        and is_line(" ".join(task.explanation.split()), 500),
        "max_new_tokens, a whole number from 1 to 2048": type(task.max_new_tokens) is int
        and 1 <= task.max_new_tokens <= 2048,
        "reward(prompts, completions, **columns), a method or a static method": takes_columns,
        'groups, a tuple of different names without commas, none of them "all"': isinstance(
            task.groups, tuple | list
        )
        and all(is_line(group, 40) and "," not in group for group in task.groups)
        and len(task.groups) == len({*task.groups} - {"all"}),
        "demonstrations and preferences, each a function of n and seed or None": all(
            rows is None or _accepts(rows, 1, 0) for rows in (task.demonstrations, task.preferences)
        ),
        "reference and reward_model, each a MODEL or None": all(
            model is None or is_line(model, 4096) for model in (task.reference, task.reward_model)
        ),
        "proxies, functions like reward, by names of lower-case letters, digits and _": (
            isinstance(task.proxies, Mapping)
            and all(isinstance(proxy, str) and _NAME.fullmatch(proxy) for proxy in task.proxies)
            and "gold" not in task.proxies
            and all(_accepts(function, **texts, ended=[True]) for function in task.proxies.values())
        ),
        "group(prompt), if it has groups": not task.groups
        or getattr(task_class, "group", Task.group) is not Task.group,
    }
    for split, rows in prompts.items():
        checks[f"a list of texts from prompts({split!r})"] = (
            isinstance(rows, list | tuple) and len(rows) > 0 and all(map(is_text, rows))
        )
    if all(checks.values()):
        different = [text for rows in prompts.values() for text in {*rows}]
        checks["no prompt in two splits"] = len(different) == len({*different})
    if failed := [expected for expected, valid in checks.items() if not valid]:
        raise _refused(name, f"a task with {'; '.join(failed)}")
    for member, valid in checked_members(task, name).items():
        object.__setattr__(task, member, valid)  # the class may be frozen
    return task


def _accepts(function: Callable, *args: object, **kwargs: object) -> bool:
    """Whether the signature of the function accepts these arguments."""
    try:
        inspect.signature(function).bind(*args, **kwargs)
    except (TypeError, ValueError):
        return False
    return True


def _is_method_without_self(function: Any) -> bool:
    """Whether a function in a class would get the object as its prompts or completions."""
    parameters = [*inspect.signature(function).parameters] if inspect.isfunction(function) else []
    return parameters[:1] in (["prompts"], ["completions"])
