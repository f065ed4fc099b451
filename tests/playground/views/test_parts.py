"""The modules of the page's parts: loading and caching."""

from __future__ import annotations

import inspect
import json
import re
from pathlib import Path
from types import SimpleNamespace

import gradio as gr
import pytest
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.testclient import TestClient

from align_core.config.model_index import ASSETS
from playground import app
from playground.settings import Settings
from playground.views import parts
from playground.voting import phone_page
from playground.voting.routes import VoteRoutes
from tests import loops


@pytest.fixture
def browser():
    """A client that requests the files, behind a path prefix."""
    return TestClient(Starlette(routes=parts.static_routes()), root_path="/prefix")


def test_a_part_imports_its_module_and_has_its_events():
    with gr.Blocks():
        dial = parts.part("dial", "<p></p>", "train/beta", events=("release",), value=0.5)
        dial.release(lambda: None)
        with pytest.raises(AttributeError):
            dial.press(lambda: None)
    assert (
        f'import(new URL("{parts.address("train/beta.js")}", document.baseURI))' in dial.js_on_load
    )
    assert 'events: { release: () => trigger("release") }' in dial.js_on_load


def test_a_browser_caches_modules_until_any_of_them_changes(browser, tmp_path, monkeypatch):
    answer = browser.get("/prefix/" + parts.address("core/dom.js"))
    assert answer.text == (parts.STATIC / "core/dom.js").read_text(encoding="utf-8")
    kind = answer.headers["Content-Type"].split(";")[0]
    assert kind in ("text/javascript", "application/javascript")  # other types are no modules
    assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert browser.get("/prefix/" + parts.address("no.js")).status_code == 404
    assert browser.get("/prefix/" + parts.address("../views/parts.py")).status_code == 404

    monkeypatch.setattr(parts, "STATIC", tmp_path)
    versions = []
    for content in ("1", "2", "1"):
        (tmp_path / "a.js").write_text(content)
        versions.append(parts._version())
    assert versions[0] != versions[1] and versions[0] == versions[2]


def test_every_module_but_the_storys_is_preloaded_and_no_import_leaves_the_folder():
    preloaded = re.findall(r'modulepreload" href="([^"]+)"', parts.preloads())
    modules = [file for file in parts.STATIC.rglob("*.js") if "\nexport " in file.read_text()]
    paths = {file.relative_to(parts.STATIC).as_posix() for file in modules}
    addresses = {parts.address(path) for path in paths if not path.startswith("story/")}
    assert set(preloaded) == addresses and len(preloaded) == len(addresses)
    for module in modules:
        for path in re.findall(r'^import .*from "(.+)";|^} from "(.+)";', module.read_text(), re.M):
            target = (module.parent / "".join(path)).resolve()
            assert target in modules, f"{module}: {path}"


def imported(module):
    """The files of a module and of all its imports."""
    files, new = set(), {module}
    while new:
        files |= new
        paths = {file: re.findall(r'from "(\..+?)";', file.read_text("utf-8")) for file in new}
        new = {(file.parent / path).resolve() for file in new for path in paths[file]} - files
    return files


def called(module, name):
    """The names in `server` or `events` that `module` and its imports call."""
    code = "".join(file.read_text(encoding="utf-8") for file in imported(module))
    return set(re.findall(rf"\b{name}\.(\w+)", code))


@pytest.fixture
def page(client, fake_assets):
    (fake_assets / "presets").symlink_to(ASSETS / "presets")  # the story shows their runs
    return app.build(client)


def test_modules_call_the_server_functions_and_events_that_their_parts_have(page):
    """Every called name is among those of the part in Python."""
    checked = set()
    for block in page.blocks.values():
        module = re.search(r'"playground/\w+/(\S+)\.js"', getattr(block, "js_on_load", None) or "")
        if not module or block.elem_id in checked:
            continue
        checked.add(block.elem_id)
        path = parts.STATIC / f"{module[1]}.js"
        functions = {function.__name__ for function in getattr(block, "server_fns", [])}
        assert called(path, "server") == functions, block.elem_id
        events = set(re.findall(r"trigger\(\"(\w+)\"\)", block.js_on_load))
        assert called(path, "events") == events, block.elem_id
    assert len(checked) > 15


def test_frequent_and_large_answers_are_encoded_before_the_event_loop_gets_them(page):
    """FastAPI looks at each value of a dict in the event loop, but sends a response as it is."""
    parts = {block.elem_id: block for block in reversed(page.blocks.values())}
    request = SimpleNamespace(headers={}, cookies={})
    answer = loops.run(parts["live"].new_events(request, {"run": None, "offset": None}))
    assert isinstance(answer, Response)
    assert json.loads(answer.body).keys() >= {"run", "standing"}
    first, second = (parts["story"].story(request, None) for _ in range(2))
    assert first.body is second.body, "encoded once"
    assert first.raw_headers is not second.raw_headers, "others add headers to each answer"


def test_pictures_are_computed_in_threads_of_their_own(page):
    """With Gradio's forty, the thread that answers everybody would get a fortieth of the time."""
    computed = [
        (name, getattr(block, name))
        for block in page.blocks.values()
        for name in ("frontier", "target", "compare")
        if hasattr(block, name)
    ]
    assert {name for name, _ in computed} == {"frontier", "target", "compare"}
    assert all(inspect.iscoroutinefunction(function) for _, function in computed)


def test_ballots_request_only_existing_routes():
    files = [
        *(parts.STATIC / "rate").glob("*.js"),
        Path(phone_page.__file__).with_name("vote.html"),
    ]
    code = "".join(file.read_text("utf-8") for file in files)
    requested = set(re.findall(r'\b(?:(?:ask|send|request)\("|download\("vote/)(\w+)"', code))
    settings = Settings.read({})
    routes = VoteRoutes(None, None, None, None, settings).routes()
    assert {f"/vote/{name}" for name in requested} == {route.path for route in routes} - {"/vote"}
