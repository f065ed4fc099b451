"""A process that executes the code of tasks for the page, and writes their cards to a file.

python -m playground.content.task_cards FILE TASK…
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from align_core.config.environment import set_library_environment
from align_core.config.errors import option_error
from align_core.config.messages import Message
from align_core.config.task_card import EXPECTED, as_row, card, known_card
from align_core.runs.files import write_atomically
from align_core.tasks.loader import resolve_task


def main(file: str, *tasks: str) -> None:
    """Write {"errors", "cards"} as `align-core tasks --task …` reports them.

    If there are errors, there are no cards.
    """
    set_library_environment()
    lines: list[Message] = []
    names = [resolve_task({"task": task}, lines)["task"] for task in tasks]
    lines += [
        option_error("--task", name, EXPECTED, "task") for name in names if card(name) is None
    ]
    cards = [] if lines else [as_row(known_card(name)) for name in dict.fromkeys(names)]
    answer = {"errors": [str(line) for line in lines], "cards": cards}
    write_atomically(Path(file), json.dumps(answer))


if __name__ == "__main__":
    main(*sys.argv[1:])
    os._exit(0)  # without waiting for threads and exit functions of the tasks' code
