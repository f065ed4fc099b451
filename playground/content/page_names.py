"""Names on pages for the paths in configurations: a page never gets a path of the server.

A page gets the last part of a path as its name, with a number if that name is taken, and sends the
name back. Only a path that was given a name before can be found by it.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Mapping
from itertools import count
from pathlib import PurePath
from typing import Any

from align_core.config import model_index
from align_core.config.task_card import NAMES

MAX_NAMES = 10_000  # beyond that, the name that was used least recently is dropped
_RESERVED = {*NAMES, "gold", "own", "own-earlier", "own-of-others"}
_lock = threading.Lock()
_paths: OrderedDict[str, str] = OrderedDict()  # name -> path
_names: dict[str, str] = {}  # path -> name


def page_name(value: Any) -> Any:
    """The name on pages of an absolute path; any other value unchanged."""
    if not isinstance(value, str) or not os.path.isabs(value):
        return value
    with _lock:
        if value not in _names:
            _names[value] = _free_name(PurePath(value).name)
            _paths[_names[value]] = value
            if len(_paths) > MAX_NAMES:
                _, dropped = _paths.popitem(last=False)
                del _names[dropped]
        name = _names[value]
        _paths.move_to_end(name)
        return name


def from_page(name: Any) -> Any:
    """The path with this name on pages; any other value unchanged."""
    return _paths.get(name, name) if isinstance(name, str) else name


def page_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration with `page_name`s in place of its paths."""
    return {setting: page_name(value) for setting, value in config.items()}


def _free_name(name: str) -> str:
    taken = {*_paths, *_RESERVED, *model_index.named()}
    numbered = (name if number == 1 else f"{name} ({number})" for number in count(1))
    return next(other for other in numbered if other not in taken)
