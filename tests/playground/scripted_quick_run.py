"""A quick run without training: it reports three parts, and ends as SCRIPTED_QUICK_RUN says.

In tests it replaces `align_core.experiments.quick_process`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

from align_core import experiments
from align_core.config.messages import Message, to_event
from align_core.experiments.quick_process import exit_with_stdin, print_line, report_progress

GO = "go"  # "awaits" waits for this file, beside the quick runs' folders


def main(name: str, folder: Path) -> int:
    threading.Thread(target=exit_with_stdin, daemon=True).start()
    print("what a library prints is no event", flush=True)
    sleeper = [sys.executable, "-c", "import time; time.sleep(1000)"]
    other = subprocess.Popen(sleeper, stdin=subprocess.DEVNULL)
    (folder / "pids").write_text(f"{os.getpid()} {other.pid}")
    report_progress(0, 3)
    report_progress(1, 3)
    match os.environ["SCRIPTED_QUICK_RUN"]:
        case "fails":
            print_line(to_event(Message("memory", {}, "There is not enough memory")))
            return 1
        case "exits":
            return 3
        case "finds nothing":
            return 0
        case "waits":
            time.sleep(1000)
        case "awaits":
            while not (folder.parent / GO).exists():
                time.sleep(0.02)
    report_progress(3, 3)
    result = {**experiments.result(name), "runs": 3, "seeds": 1}
    (folder / "result.json").write_text(json.dumps(result))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2])))
