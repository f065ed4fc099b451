"""The page for benchmarks: `app.py` in its own process, opened in Chromium."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from benchmarks.common import ROOT, THREADS

DRAWN = "#frontier .js-plotly-plot"
SCREEN = {"width": 1440, "height": 900}  # pixels
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]


@contextmanager
def serving() -> Iterator[tuple[str, Path]]:
    """Run app.py in its own process; yields its address and the folder of its runs.

    Its sessions are in the same parent folder.
    """
    with tempfile.TemporaryDirectory() as folder:
        port, runs = free_port(), Path(folder) / "runs"
        own = {"GRADIO_SERVER_PORT": str(port), "PLAYGROUND_RUNS": str(runs)}
        own["OMP_NUM_THREADS"] = str(THREADS)
        quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL}
        process = subprocess.Popen(
            [sys.executable, "app.py"], cwd=ROOT, env=os.environ | own, **quiet
        )
        address = f"http://127.0.0.1:{port}"
        try:
            while not _answers(address):
                time.sleep(0.02)
            yield address, runs
        finally:
            process.terminate()
            process.wait(30)


@contextmanager
def browsing(viewport: dict[str, int] = SCREEN) -> Iterator[Any]:
    """A page of Chromium."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        page = browser.new_page(viewport=viewport)
        page.set_default_timeout(60_000)
        yield page
        browser.close()


def free_port() -> int:
    """A free port."""
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def _answers(address: str) -> bool:
    try:
        return urllib.request.urlopen(address, timeout=5).status == 200
    except OSError:
        return False
