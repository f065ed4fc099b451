"""The page on a simulated Space: in another site's frame, behind proxies, without cookies."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path

import psutil
import pytest
import segno
from playwright.sync_api import expect

from playground import space, text
from tests.browser import simulated_space
from tests.browser.conftest import (
    PATIENCE,
    SECONDS,
    VIEWPORT,
    listen,
    reserved_port,
    wait_for,
    wait_until_said,
)
from tests.browser.simulated_space import HUB, SIGNATURE, SPACE
from tests.browser.test_page import LONG

ENGLISH, CHINESE = text.load("en"), text.load("zh")
KEY = "correct horse battery"
TIME_LIMIT = 3600  # seconds; no run of a test reaches it
FRAMED = {"ignore_https_errors": True, "viewport": VIEWPORT}
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}


@pytest.fixture(scope="module")
def folder():
    with tempfile.TemporaryDirectory() as name:
        os.chmod(name, 0o755)  # the Space runs as another user
        yield Path(name)


@pytest.fixture(scope="module")
def proxy(folder):
    """The Hub's proxy, with the exported page behind it."""
    space.export("zerogpu", folder / "tree")
    (folder / "stand_in").mkdir()
    settings = {
        "PLAYGROUND_PRESENTER_KEY": KEY,
        "PLAYGROUND_TIME_LIMIT": f"{TIME_LIMIT}",
        "PLAYGROUND_MOST_STEPS": f"{LONG}",  # of a run that does not end during a test
        "PLAYGROUND_MOST_EVALUATIONS": f"{LONG}",
    }
    with reserved_port() as port:
        process = simulated_space.start(folder / "tree", folder / "stand_in", port, **settings)
        proxy = simulated_space.Proxy(folder, port)
        proxy.pid = process.pid
        try:
            wait_for(f"http://127.0.0.1:{port}/health", process)
            yield proxy
        finally:
            proxy.close()
            process.terminate()
            process.wait(SECONDS)


def test_the_space_runs_as_user_1000(request):
    if reason := simulated_space.why_not_as_user():
        pytest.skip(reason)
    proxy = request.getfixturevalue("proxy")
    assert psutil.Process(proxy.pid).uids().real == 1000


@pytest.fixture
def browser(browse, proxy, folder):
    """browser(…) opens a browser with the cookie settings of `simulated_space.preferences`."""
    contexts = []

    def open_browser(all_cookies_blocked):
        profile = simulated_space.preferences(
            folder / f"{all_cookies_blocked}", all_cookies_blocked
        )
        rules = f"--host-resolver-rules=MAP *.test:443 127.0.0.1:{proxy.port}"
        contexts.append(browse(profile, rules, **FRAMED))
        return contexts[-1]

    yield open_browser
    for context in contexts:
        context.close()


def visit(page, query=""):
    """Open the Hub's page; returns its frame once the framed page is drawn."""
    page.set_default_timeout(PATIENCE)
    page.goto(f"{HUB}/{query}")
    frame = page.frames[1]
    frame.wait_for_selector("#charts .js-plotly-plot")
    return frame


def run(frame):
    frame.evaluate("window.settings.complete()")
    frame.fill("#field-steps input[type=number]", f"{LONG}")
    frame.click("#run")
    frame.wait_for_selector("#train[data-run=running]")


def newest_run(folder):
    """The configuration of the run that was started last."""
    paths = (folder / "tree").rglob("runs/*/config.json")
    return json.loads(max(paths, key=lambda path: path.stat().st_mtime_ns).read_text())


def speaks(frame, tag):
    expect(frame.locator("html")).to_have_attribute("lang", tag)


def cannot_stop(frame, words):
    """Expects another visitor's live run, which the page's Stop does not stop."""
    frame.click("#visit .watch")
    expect(frame.locator("#live .whose")).to_have_text(words["visitors"]["whose"])
    frame.evaluate("document.querySelector('#stop').click()")  # hidden, but present
    step = frame.evaluate("window.playground.run.step")
    frame.wait_for_function(f"window.playground.run.step > {step} + 5")
    expect(frame.locator("#stop")).to_be_hidden()


def stop(frame):
    frame.click("#stop")
    frame.wait_for_selector("#train[data-run=stopped]")


def test_without_third_party_cookies(browser, proxy, folder):
    hub = browser(all_cookies_blocked=False)
    page = hub.pages[0]
    frame = visit(page, "?lang=zh")
    speaks(frame, "zh-CN")
    assert frame.url == f"{SPACE}/zh?__theme=light&__sign={SIGNATURE}"
    restart = CHINESE["visitors"]["terms"]["restart"]
    expect(frame.locator("#visit .terms")).to_contain_text(restart)
    (cookie,) = (one for one in hub.cookies() if one["name"] == "playground_visitor")
    assert cookie["partitionKey"] == HUB
    run(frame)
    stranger = visit(hub.browser.new_context(**FRAMED).new_page())
    speaks(stranger, "en-GB")
    cannot_stop(stranger, ENGLISH)
    stranger.page.context.close()

    frame = visit(page, "?present")
    assert frame.get_attribute("html", "data-present") == ""
    speaks(frame, "zh-CN")  # the browser remembers it
    stop(frame)
    listen(frame, "#masthead .copy")
    frame.click("#masthead .copy")
    wait_until_said(frame, CHINESE["link"]["copied"])
    link = frame.input_value("#masthead input")
    assert link.startswith(f"{SPACE}/zh?present=&task=reviews&")
    assert "__sign" not in link and "__theme" not in link and SIGNATURE in frame.url
    frame.evaluate("document.execCommand = () => false")
    frame.click("#masthead .copy")
    wait_until_said(frame, CHINESE["link"]["shown"])
    assert frame.evaluate("getSelection().toString()") == link

    frame.click("#visit .sign_in summary")
    frame.fill("#visit .sign_in input", KEY)
    frame.press("#visit .sign_in input", "Enter")
    expect(frame.locator("#visit .presents")).to_have_text(CHINESE["visitors"]["presents"])
    frame.get_by_role("tab", name=CHINESE["views"]["rate"], exact=True).click()
    frame.wait_for_selector("#rate .pair:not([hidden])")
    frame.click("#rate .room .open")
    frame.wait_for_selector("#rate .hall:not([hidden])")
    expect(frame.locator("#rate .invitation .link")).to_have_text(f"{SPACE}/vote")
    code = segno.make(f"{SPACE}/vote", error="m").svg_data_uri(border=2)
    expect(frame.locator("#rate .invitation img")).to_have_attribute("src", code)
    phone = hub.browser.new_context(**FRAMED | PHONE).new_page()
    phone.set_default_timeout(PATIENCE)
    phone.goto(f"{SPACE}/vote")
    phone.wait_for_selector("main:not([hidden])")
    phone.wait_for_timeout(400)  # a tap that lands at once was meant for the pair before
    phone.click("[data-choice=left]")
    expect(phone.locator("#rated")).to_have_text(ENGLISH["ballot"]["rated"].format(n=1))
    expect(frame.locator("#rate .counts .votes strong")).to_have_text("1")
    with page.expect_download() as download:
        frame.click("#rate .room .save")
    assert json.loads(download.value.path().read_text())["chosen"]
    assert proxy.referers <= {None, f"{HUB}/"}, "the page sends none"
    report = json.loads((folder / "stand_in" / "report.json").read_text())
    assert report == {"declared": ["unused"], "early": [], "torch": False}


def test_with_all_cookies_blocked_behind_two_proxies(browser, proxy, folder):
    proxy.hops = 2
    hub = browser(all_cookies_blocked=True)
    frame = visit(hub.pages[0])
    assert frame.evaluate("document.cookie") == ""
    limit = ENGLISH["visitors"]["terms"]["limit"].format(seconds=TIME_LIMIT)
    expect(frame.locator("#visit .terms")).to_contain_text(limit)
    run(frame)
    assert newest_run(folder)["time_limit"] == TIME_LIMIT
    stranger = visit(hub.new_page())
    cannot_stop(stranger, ENGLISH)
    with frame.expect_navigation():
        frame.evaluate("location.reload()")
    frame.wait_for_selector("#charts .js-plotly-plot")
    frame.wait_for_selector("#train[data-run=running][data-steers=true]")
    stop(frame)
    frame.click("#masthead .keep summary")
    with frame.page.expect_download() as download:
        frame.click("#masthead .keep .files")
    assert download.value.suggested_filename.endswith("-ppo-reviews.zip")
