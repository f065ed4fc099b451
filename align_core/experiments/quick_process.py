"""The process of a trial: python -m align_core.experiments.quick_process NAME FOLDER.

Runs an experiment at its quick size and prints how far it is, a JSON line after each part: {"done",
"count"}, and {"message"} where it fails. It ends when its standard input does.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

from align_core.config.environment import THREADS, stay_local
from align_core.config.errors import in_plain_words
from align_core.config.messages import in_event
from align_core.experiments import runner


def main(name: str, folder: Path) -> int:
    """The exit code."""
    stay_local()
    threading.Thread(target=leave_with_the_page, daemon=True).start()
    try:
        runner.run(name, folder, quick=True, lanes=THREADS, on_part=tell)
    except Exception as error:
        say(in_event(in_plain_words(error, folder)))
        return 1
    return 0


def tell(done: int, count: int) -> None:
    """So many of so many parts are done."""
    say({"done": done, "count": count})


def say(told: dict[str, Any]) -> None:
    print(json.dumps(told), flush=True)


def leave_with_the_page() -> None:
    """Wait for the end of standard input, and end every process of this session."""
    while os.read(0, 1024):
        pass
    os.killpg(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2])))
