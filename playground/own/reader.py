"""A process that reads a visitor's folder, with limits on memory and time.

python -m playground.own.reader FOLDER writes JSON to standard output: {"errors", "card", "counts"}.
Errors are messages (`to_event`); if there are any, the other two are None.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from align_core.config.errors import ConfigError
from align_core.config.messages import problem, to_event
from align_core.runs import child_process

SECONDS = 20  # of processor time
MEMORY = 3 * 1024**3  # bytes of address space; Arrow's allocator reserves more than it uses
_ONE_AT_A_TIME = threading.Semaphore(1)


def read(folder: Path) -> dict[str, Any]:
    """The `contents` of the folder; an error if the process ends and has not sent them."""
    command = ("playground.own.reader", str(folder))
    with _ONE_AT_A_TIME, child_process.module_process(*command, stdout=subprocess.PIPE) as process:
        try:
            written, _ = process.communicate(timeout=2 * SECONDS)
            return json.loads(written)
        except (subprocess.TimeoutExpired, ValueError):
            text = "the files could not be read in {seconds} seconds and {bytes} bytes of memory"
            message = problem("slow", text, seconds=SECONDS, bytes=MEMORY)
            return {"errors": [to_event(message)], "card": None, "counts": None}


def main(folder: str) -> None:
    """Print the `contents` of the folder as JSON, within the limits."""
    _limit()
    sys.stdout.write(json.dumps(contents(folder)))


def contents(folder: str) -> dict[str, Any]:
    """The `errors` of the task in a folder, or its `card` and `counts`: the number of prompts in
    each split and of `pairs`, the characters of the `longest` prompt, and the most new `tokens`."""
    from align_core.config.task_card import as_row, known_card
    from align_core.tasks.loader import get_task

    try:
        task = get_task(folder)
    except ConfigError as error:
        errors = [to_event(line) for line in error.lines]
        return {"errors": errors, "card": None, "counts": None}
    prompts = {split: task.prompts(split) for split in ("train", "probe", "heldout")}
    counts = {split: len(texts) for split, texts in prompts.items()}
    longest = max(len(text) for texts in prompts.values() for text in texts)
    counts |= {"longest": longest, "pairs": task.pairs}  # type: ignore[attr-defined]
    counts |= {"tokens": task.max_new_tokens}
    return {"errors": [], "card": as_row(known_card(task.full_name)), "counts": counts}


def _limit() -> None:
    try:
        import resource
    except ImportError:  # on Windows
        return
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))


if __name__ == "__main__":
    main(sys.argv[1])
    sys.stdout.flush()
    os._exit(0)
