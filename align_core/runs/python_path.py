"""The PYTHONPATH of the processes that this one starts."""

from __future__ import annotations

import os
from pathlib import Path


def python_path() -> str:
    """A PYTHONPATH with which a child process imports the same align_core as this process."""
    root = str(Path(__file__).resolve().parents[2])
    return os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
