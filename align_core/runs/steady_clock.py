"""A clock for the age of files, which does not jump ahead.

A system's clock may be set while a server runs. If it is set a week ahead, nothing has become older
by a week, and nothing may be deleted for its age.
"""

from __future__ import annotations

import math
import time


class SteadyClock:
    """Calling it returns the time in seconds since 1970, which passes as fast as it really does.

    It follows a clock that is set back. While a machine sleeps it may stand.
    """

    def __init__(self) -> None:
        self._began = math.inf  # the time at which `time.monotonic` was 0
        self()

    def __call__(self) -> float:
        passed = time.monotonic()
        self._began = min(self._began, time.time() - passed)
        return self._began + passed


steady_time = SteadyClock()  # from the start of the process on
