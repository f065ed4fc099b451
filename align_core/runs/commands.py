"""The command line and the Python script that repeat a run, from its configuration.

A configuration may come from anyone, so each text is put on one line, and paths are cut to their
last part.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any

from align_core.config import model_index
from align_core.config.errors import flag
from align_core.config.messages import single_line

_RUN_DIR = "runs/again"


def command(config: Mapping[str, Any]) -> str:
    """`align-core train …` with every setting of the run."""
    words = ["align-core", "train", config["method"]]
    for name, value in _options(config).items():
        if isinstance(value, bool):
            words.append(flag(name) if value else flag(f"no_{name}"))
        else:
            words += [flag(name), str(value)]
    words += ["--run-dir", _RUN_DIR]
    return shlex.join(words)


def python(config: Mapping[str, Any]) -> str:
    """A script that calls `align_core.train` with every setting of the run."""
    options = {**_options(config), "run_dir": _RUN_DIR}
    lines = [f"    {name}={_literal(value)}," for name, value in options.items()]
    return "\n".join(
        [
            *("from align_core import train", ""),
            *("run = train(", f"    {_literal(config['method'])},", *lines, ")"),
            "run.plot().show()",
        ]
    )


def short_name(text: str) -> str:
    """A hub id, or the last part of a path."""
    return text if model_index.is_hub_id(text) else last_part(text)


def last_part(path: str) -> str:
    """The last part of a path of any system: "my_task.py:Task" of "/home/ann/my_task.py:Task"."""
    return PurePosixPath(PureWindowsPath(path).as_posix()).name


def visible(text: str) -> str:
    """The text in one line, without control characters."""
    return "".join(filter(str.isprintable, single_line(text)))


def _literal(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)


def _options(config: Mapping[str, Any]) -> dict[str, Any]:
    """The options that repeat the run, with their values.

    Options that are None are left out, and `freeze_trunk` if it is false, because its flag can only
    turn it on. Backquotes are replaced, because they would end a block of code in Markdown.
    """
    return {
        name: visible(short_name(value)).replace("`", "'") if isinstance(value, str) else value
        for name, value in config.items()
        if name != "method" and value is not None and (name, value) != ("freeze_trunk", False)
    }
