"""Where processes that this one starts find this package."""

from __future__ import annotations

import os
from pathlib import Path


def python_path() -> str:
    """A PYTHONPATH with which a process imports the same align_core as this one."""
    root = str(Path(__file__).resolve().parents[2])
    return os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
