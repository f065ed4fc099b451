"""What every process of the project finds in its environment, unless a person set it otherwise."""

from __future__ import annotations

import os

THREADS = min(2, os.cpu_count() or 1)  # the embedded models are too small to feed more


def stay_local() -> None:
    """No telemetry, and no network unless asked for; threads that sleep. Call before heavy imports.

    The libraries read these variables once, when they are imported.
    """
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("GOMP_SPINCOUNT", "3000")  # threads that spin on starve a browser
