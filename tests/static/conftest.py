"""Tests of the browser's modules without the page: Chromium imports them from a small server."""

from __future__ import annotations

import functools
import http.server
import json
import threading

import pytest

from playground.views.parts import STATIC

# The records that records.js reads from the head of the page.
RECORDS = {
    "tasks": {"reviews": {"reference": "sft-reviews"}, "capitals": {"reference": "sft-capitals"}},
    "methods": {
        "ppo": {"makes": "policy", "beta": True, "optimum": "kl", "optima": {}},
        "dpo": {"makes": "policy", "beta": True, "optimum": "another", "optima": {"sigmoid": "kl"}},
        "reward": {"makes": "reward model", "beta": False, "optimum": "another", "optima": {}},
    },
}
PAGE = f'<script type="application/json" id="records">{json.dumps(RECORDS)}</script>'
CALL = "async ([module, name, args]) => (await import(module))[name](...args)"


class Files(http.server.SimpleHTTPRequestHandler):
    """Serves `static`, and a page with only the records."""

    def do_GET(self) -> None:
        if self.path != "/":
            return super().do_GET()
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.end_headers()
        self.wfile.write(PAGE.encode())

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="session")
def blank(chromium):
    """The page with its modules, shared by all tests."""
    files = functools.partial(Files, directory=STATIC)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), files) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        page = chromium.new_page()
        page.goto(f"http://127.0.0.1:{server.server_port}/")
        yield page
        page.close()
        server.shutdown()


@pytest.fixture
def call(blank):
    """call("core/format.js", "number", 0.5) returns the function's result."""
    return lambda module, name, *args: blank.evaluate(CALL, [f"/{module}", name, args])


@pytest.fixture
def script(blank):
    """script("core/store.js", "({ get }) => get()") returns the result of code with a module."""

    def run(module, code, argument=None):
        return blank.evaluate(
            f"async ([module, argument]) => ({code})(await import(module), argument)",
            [f"/{module}", argument],
        )

    return run
