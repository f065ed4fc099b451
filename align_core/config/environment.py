"""What the project's processes share: environment variables, threads and nice values."""

from __future__ import annotations

import os

THREADS = min(2, os.cpu_count() or 1)  # the embedded models are too small to use more
# Nice values: the page (0) answers first even while all cores train, then come its runs, and then
# visitors' questions.
RUN_NICE, QUESTION_NICE = 3, 8


def set_library_environment() -> None:
    """Turn off telemetry, network access and busy-waiting threads, unless a user turned them on.

    Call it before heavy imports: the libraries read these variables when they are imported.
    """
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("GOMP_SPINCOUNT", "3000")  # threads that busy-wait starve a browser
