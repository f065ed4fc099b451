"""The speed of this machine relative to the one that recorded the presets' runs. Imports no torch.

It is measured in a separate process, and stored in the cache folder. A slow measurement is repeated
at the next start, and the faster one is kept.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import platform
import threading
from importlib.metadata import version
from pathlib import Path

from align_core.config.environment import THREADS
from align_core.config.paths import cache_folder
from align_core.config.safe_files import read_object
from align_core.runs.child_process import Child
from align_core.runs.files import write_atomically

# Seconds that `training.machine_probe`, in one thread, takes on the machine of the recordings.
PROBE_SECONDS = 0.085
ONE_THREAD = 1.7  # a run takes this many times as long with one thread as with two
REPEATED = 1.5  # the slowness above which the measurement is repeated at the next start
_PROBE = "align_core.training.machine_probe"
_FILE = "machine_speed.json"
_KEY = "processor_seconds"  # "seconds" in files of older versions are wall-clock time
_TIMEOUT = 120.0  # seconds; includes importing the libraries, which is slow on a busy machine
_LOG = logging.getLogger(__name__)


class MachineSpeed:
    """`slowness`: the time that this machine takes, divided by that of the recordings' machine.

    It is 1 until `measure` is called, None during the first measurement, and 1 if that fails.
    """

    def __init__(self) -> None:
        self.slowness: float | None = 1.0

    def measure(self) -> None:
        """Read the stored measurement of this machine. If it is slow or there is none, start a new
        one, without waiting for it."""
        stored = _stored_seconds()
        self.slowness = stored and _slowness(stored)
        if self.slowness is None or self.slowness > REPEATED:
            threading.Thread(target=self._measure, args=(stored,), daemon=True).start()

    def _measure(self, stored: float | None) -> None:
        seconds = None
        with contextlib.suppress(EOFError, OSError, RuntimeError):  # no memory, files or threads
            child = Child(_PROBE)
            if child.connection.poll(_TIMEOUT):
                seconds = child.connection.recv()
            child.kill()
        if seconds is None:
            _LOG.warning("The speed of this machine could not be measured")
            self.slowness = self.slowness or 1.0
            return
        seconds = min(seconds, stored or seconds)
        self.slowness = _slowness(seconds)
        with contextlib.suppress(OSError, ValueError):
            path = cache_folder() / _FILE
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(path, json.dumps({"machine": _machine(), _KEY: seconds}))


def _stored_seconds() -> float | None:
    """The seconds that the probe took on this machine, from the cache; None if not measured yet."""
    try:
        content = read_object(cache_folder() / _FILE)
    except (OSError, ValueError):
        return None
    seconds = content.get(_KEY)
    if content.get("machine") != _machine() or not isinstance(seconds, float):
        return None
    return seconds if 1e-5 < seconds < 100 else None


def _slowness(seconds: float) -> float:
    """The slowness of this machine, on which the probe takes `seconds`."""
    return seconds / PROBE_SECONDS * (ONE_THREAD if _threads() == "1" else 1.0)


def _threads() -> str:
    """The number of threads of a run."""
    return os.environ.get("OMP_NUM_THREADS", str(THREADS))


def _machine() -> str:
    """Text that names what the speed depends on: processor, threads and version of torch."""
    names = [platform.machine(), platform.processor()]
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
        names += [line for line in lines if line.startswith("model name")][:1]
    return "; ".join(
        [*names, f"{_threads()} threads of {os.cpu_count()}", f"torch {version('torch')}"]
    )
