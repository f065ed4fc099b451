"""A clock for the age of files, which does not jump ahead.

A system's clock may be set while a server runs. If it is set a week ahead, no file has become
a week older, and none may be deleted for its age.
"""

from __future__ import annotations

import math
import time


class SteadyClock:
    """A call returns the time in seconds since 1970, which advances only as fast as real time.

    It follows a clock that is set back. While the machine sleeps it may stand still.
    """

    def __init__(self) -> None:
        self._began = math.inf  # the time at which `time.monotonic` was 0
        self()

    def __call__(self) -> float:
        passed = time.monotonic()
        self._began = min(self._began, time.time() - passed)
        return self._began + passed


steady_time = SteadyClock()  # from the start of the process on
