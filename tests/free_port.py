"""A port for a server of a test."""

from __future__ import annotations

import contextlib
import os
import socket
from itertools import count


def free_port() -> int:
    """A free port that nobody takes before the test does: processes begin their search at different
    ones, and the system chooses ports of connections from 32768 on."""
    for port in count(20_000 + os.getpid() % 10_000):
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    raise AssertionError
