"""Which of several processes of one run this is, as torchrun and accelerate put it in the
environment."""

from __future__ import annotations

import os
import time
from pathlib import Path

RANK = int(os.environ.get("RANK", "0"))
COUNT = int(os.environ.get("WORLD_SIZE", "1"))


def wait_for(path: Path, seconds: float = 60.0) -> None:
    """Until the first process has written this file. Raises TimeoutError."""
    until = time.monotonic() + seconds
    while not path.is_file():
        if time.monotonic() > until:
            raise TimeoutError(f"{path} was not written within {seconds:g} s")
        time.sleep(0.05)
