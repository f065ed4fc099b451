"""The process of a preparation: python -m align_core.evaluation.prepare_process TASK MODEL FOLDER.

It prepares the optimum of a visitor's task and a model, and prints a JSON line after each batch:
{"done", "count"}, or {"message"} if it fails. It ends when its standard input is closed; the next
process continues where it stopped.
"""

from __future__ import annotations

import sys
import threading
from pathlib import Path

from align_core.config.environment import set_library_environment
from align_core.config.errors import describe_error
from align_core.config.messages import to_event
from align_core.config.model_size import evaluation_size
from align_core.runs.files import write_atomically
from align_core.runs.progress import exit_with_stdin, print_line, report_progress

MAX_SAMPLES = 512  # for each prompt, because a person waits for them


def main(task: str, model: str, folder: Path) -> int:
    """Prepare the optimum; returns the exit code."""
    set_library_environment()
    threading.Thread(target=exit_with_stdin, daemon=True).start()
    try:
        _prepare(task, model)
        write_atomically(folder / "result.json", "{}")
    except Exception as error:
        print_line(to_event(describe_error(error, folder)))
        return 1
    return 0


def _prepare(task: str, model: str) -> None:
    from align_core.evaluation import prepared
    from align_core.evaluation.preparation import Preparation
    from align_core.models.libraries import silence_libraries
    from align_core.tasks import get_task

    size = evaluation_size(model, get_task(task).max_new_tokens)
    samples = min(size.reference_samples, MAX_SAMPLES)
    settings = {"samples": samples, "prompts": size.prompts, "seed": 0}
    entry = prepared.entry(task, model, **settings)
    if entry.complete:
        return
    silence_libraries()
    preparation = Preparation(entry, task, model, **settings)
    done = 0

    def update(texts: int, new: bool) -> None:
        nonlocal done
        done += texts
        report_progress(done, preparation.texts)

    preparation(update)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], Path(sys.argv[3])))
