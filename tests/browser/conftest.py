"""The page in real Chromium: on a scripted worker or, started as a visitor would, on the real one.

In every browser test, no request may leave the machine and no script of the page may fail.

A page costs three seconds of processor time: a test walks through all that one page can show, and
each behaviour is a function whose name says what holds. What that function waits for must not hold
before it is called.
All that a test starts must have ended after it, or it would slow down the next.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest
from gradio import http_server, networking
from playwright.sync_api import expect

from align_core.config.messages import plain
from align_core.inference import client as inference_client
from align_core.inference.client import InferenceClient, Unanswered
from playground import app, text
from tests.waiting import until

ROOT = Path(__file__).parents[2]
PATIENCE = 120_000  # milliseconds; the page shares two cores with other tests
SECONDS = PATIENCE / 1000
VIEWPORT = {"width": 1280, "height": 720}
expect.set_options(timeout=PATIENCE)


def pytest_collection_modifyitems(items):
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.slow)


@contextlib.contextmanager
def reserved_port():
    """A free port that is given to no other process; only a server that asks for it gets it."""
    with socket.socket() as held:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers set it, too
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


def is_free(port):
    """Whether no server listens on the port."""
    with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
        return True


@pytest.fixture(scope="session")
def port():
    """The port of all pages, one after the other: at one address, the browser knows their files."""
    with reserved_port() as port:
        yield port


def below(known=frozenset()):
    """The processes below this one, without `known` ones, what these started, and what all tests
    share: the browser, and the server that forks runs."""
    me = psutil.Process()
    shared = ("chrom", "node", "multiprocessing.forkserver", "multiprocessing.resource_tracker")
    found = set()
    for process in me.children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            command = f"{process.name()} {' '.join(process.cmdline())}"
            is_shared = command.startswith(shared[:2]) or (
                process.ppid() == me.pid and any(name in command for name in shared[2:])
            )
            if not is_shared and not known & {process, *process.parents()}:
                found.add(process)
    return found


@pytest.fixture(autouse=True)
def ends():
    """After a test, all processes that it started have ended."""
    known = frozenset(below())
    yield
    _, alive = psutil.wait_procs(below(known), timeout=SECONDS)
    assert not alive, "the test left processes that run"


def forget(profile):
    """Close the visitor's pages; delete cookies, storage and permissions; keep fetched files."""
    blank = profile.new_page()
    for page in profile.pages:
        if page is not blank:
            page.close()
    origins = {"origin": "*", "storageTypes": "local_storage,indexeddb,service_workers"}
    profile.new_cdp_session(blank).send("Storage.clearDataForOrigin", origins)
    profile.clear_cookies()
    profile.clear_permissions()


# Keeps the time at which the page last asked for a frame.
FRAMES = """{
  const frame = requestAnimationFrame;
  window.requestAnimationFrame = (draw) => {
    window.framed = performance.now();
    return frame.call(window, draw);
  };
}"""


@pytest.fixture
def visit(chromium, profile):
    """visit(url, **settings) opens the page as another visitor, and waits until its controls have
    their settings, or with `settled=False` until it is drawn."""
    contexts, outside, broken = [], [], []

    def watch(request):
        url = urlsplit(request.url)
        if url.scheme not in ("data", "blob") and url.hostname != "127.0.0.1":
            outside.append(request.url)

    def visitor(viewport=None, **settings):
        """A page in its own context."""
        if contexts or settings:
            contexts.append(chromium.new_context(viewport=viewport or VIEWPORT, **settings))
            return contexts[-1].new_page()
        contexts.append(profile)
        page = profile.new_page()
        page.set_viewport_size(viewport or VIEWPORT)
        return page

    def open_page(url, settled=True, **settings):
        page = visitor(**settings)
        page.add_init_script(FRAMES)
        page.set_default_timeout(PATIENCE)
        page.on("request", watch)
        page.on("pageerror", lambda error: broken.append(str(error)))
        page.goto(url)
        # Before this, a press has no effect.
        page.wait_for_selector("#masthead h1:not(:empty)", state="attached")
        page.wait_for_selector("#charts .js-plotly-plot")
        if settled:  # until then, the server's answer may replace what a test sets
            page.wait_for_selector("body[data-settled]", state="attached")
        return page

    def leave():
        while contexts:
            context = contexts.pop()
            forget(profile) if context is profile else context.close()

    open_page.leave = leave  # before the server, so that no page calls a server that is gone
    yield open_page
    leave()
    assert not outside, "requests left the machine"
    assert not broken, "scripts of the page failed"


# Records all texts of an element, some of which it may show for a moment only.
LISTEN = """selector => {
  const said = () => document.querySelector(selector)?.textContent;
  const listener = new MutationObserver(() => window.said.push(said()));
  window.said = [];
  listener.observe(document.body, { childList: true, characterData: true, subtree: true });
}"""


def listen(page, selector):
    """Record the texts of an element from now on, for `wait_until_said`."""
    page.evaluate(LISTEN, selector)


def wait_until_said(page, words):
    page.wait_for_function("words => window.said.includes(words)", arg=words)


@pytest.fixture
def languages():
    """The page's languages and their paths; each takes a third of a second to lay out."""
    return {text.ENGLISH: ""}


@pytest.fixture
def serve(visit, port, languages, monkeypatch):
    """serve(client) is the address of a page on the runs of `client`; serve.helpers are the clients
    of its processes that ask models."""
    pages, helpers = [], []

    def new_helper(client):
        helpers.append(InferenceClient(client))
        return helpers[-1]

    monkeypatch.setattr(app, "InferenceClient", new_helper)
    monkeypatch.setattr(text, "languages", lambda: languages)
    # On a busy machine the 30 s of a query pass before its 1,024 texts are written.
    monkeypatch.setattr(inference_client, "ANSWER_TIMEOUT", PATIENCE / 1000)
    # Gradio gives a server five seconds to start, and three to answer: a busy machine needs more.
    monkeypatch.setattr(http_server.Server, "run_in_thread", run_in_thread)
    monkeypatch.setattr(networking, "url_ok", lambda url: True)

    def launch(client):
        pages.append(app.build(client))
        options = app.launch_options() | {"server_port": port}
        _, address, _ = pages[-1].launch(**options, prevent_thread_lock=True)
        return address

    launch.helpers = helpers
    yield launch
    visit.leave()
    for page in pages:
        page.close()
    until(partial(is_free, port))
    for helper in helpers:
        helper._started = refused  # otherwise a question that waits starts another process
        until(partial(has_ended, helper))


def run_in_thread(server):
    server.thread = threading.Thread(target=server.run, daemon=True)
    server.thread.start()
    until(lambda: server.started)


def refused():
    raise Unanswered(plain("the test has ended"))


def has_ended(helper):
    helper.close()
    return not helper._in_progress


@pytest.fixture
def address(client, serve):
    """The page on the scripted worker."""
    return serve(client)


@pytest.fixture
def environment():
    """Variables of the real app, added to this process's; a test may add to them."""
    return {}


@pytest.fixture
def arguments():
    """The arguments of the real app; a test may add to them."""
    return []


@pytest.fixture
def real_app(tmp_path, visit, port, environment, arguments):
    """The whole playground for a visitor: app.py, the embedded models and the real worker."""
    runs = tmp_path / "runs"
    settings = {"GRADIO_SERVER_PORT": str(port), "PLAYGROUND_RUNS": str(runs)}
    process = subprocess.Popen(
        [sys.executable, "app.py", *arguments], cwd=ROOT, env=os.environ | environment | settings
    )
    address = f"http://127.0.0.1:{port}"
    try:
        wait_for(address, process)
        yield address, runs
    finally:
        visit.leave()
        process.terminate()
        process.wait(SECONDS)


def wait_for(address, process):
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            return urllib.request.urlopen(address, timeout=5)
        except OSError:
            time.sleep(0.1)
    raise AssertionError(f"app.py does not answer on {address} (exit code {process.poll()})")
