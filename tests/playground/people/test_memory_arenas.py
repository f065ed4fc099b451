"""The arenas of the page's process, as glibc lists them."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from playground.people.memory_arenas import ARENAS

ROOT = Path(__file__).parents[3]
THREADS = 8
# Threads that allocate at the same time; then glibc writes a list of its arenas to stdout.
PROGRAM = f"""
import ctypes, sys, threading
from playground.people.memory_arenas import limit_arenas

if "limited" in sys.argv:
    limit_arenas()
together = threading.Barrier({THREADS})

def allocate():
    together.wait()
    block = bytearray(10_000)
    together.wait()

threads = [threading.Thread(target=allocate) for _ in range({THREADS})]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
libc = ctypes.CDLL(None)
stdout = ctypes.c_void_p.in_dll(libc, "stdout")
libc.malloc_info(0, stdout)
libc.fflush(stdout)
"""


def arenas(*arguments):
    command = [sys.executable, "-c", PROGRAM, *arguments]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return len(re.findall("<heap nr=", listed))


@pytest.mark.skipif("linux" not in sys.platform, reason="glibc's arenas are those of Linux")
def test_threads_share_a_few_arenas():
    assert arenas() > ARENAS
    assert arenas("limited") == ARENAS
