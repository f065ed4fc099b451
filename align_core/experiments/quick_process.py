"""The process of a quick run: python -m align_core.experiments.quick_process NAME FOLDER.

It executes an experiment at its quick size, and prints a JSON line after each part: {"done",
"count"}, or {"message"} if it fails. It ends when its standard input is closed.
"""

from __future__ import annotations

import sys
import threading
from pathlib import Path

from align_core.config.environment import THREADS, set_library_environment
from align_core.config.errors import describe_error
from align_core.config.messages import to_event
from align_core.experiments import runner
from align_core.runs.progress import exit_with_stdin, print_line, report_progress


def main(name: str, folder: Path) -> int:
    """Execute the experiment; returns the exit code."""
    set_library_environment()
    threading.Thread(target=exit_with_stdin, daemon=True).start()
    try:
        runner.run(name, folder, quick=True, lanes=THREADS, on_part=report_progress)
    except Exception as error:
        print_line(to_event(describe_error(error, folder)))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2])))
