"""No answer to a visitor names a folder of the server: errors, values, each route."""

from __future__ import annotations

import io
import json
import sys
import zipfile
from collections import OrderedDict
from dataclasses import replace
from pathlib import Path

import pytest
from gradio import networking
from starlette.testclient import TestClient

from align_core.config import task_card
from align_core.config.model_index import ASSETS
from align_core.config.run_config import resolve
from align_core.inference.client import InferenceClient
from align_core.runs.client import Client
from align_core.runs.directory import RunDirectory
from playground import app, text
from playground.content import page_names
from playground.content.new_events import Cursor
from playground.content.page_names import from_page, page_name
from playground.handlers.ask import AskHandlers
from playground.handlers.train import TrainHandlers
from playground.people.json_requests import Refused
from playground.people.run_queue import RunQueue
from playground.people.visitors import COOKIE, Visitors

RUN = "2026-01-02-030405-ppo-reviews"


@pytest.fixture(params=["en", "zh"])
def words(request):
    return text.load(request.param)


@pytest.fixture
def client(tmp_path, fake_assets):
    run = RunDirectory.create(tmp_path / "runs" / RUN, resolve("ppo", "reviews"))
    run.append({"kind": "status", "step": 1, "seconds": 1.0, "status": "finished", "message": ""})
    run.close()
    return Client(tmp_path / "runs")


def values(train, **changes):
    controls = train.restore(resolve("ppo", "reviews").model_dump())
    chosen = {name: field["value"] for name, field in controls.items() if "value" in field}
    chosen |= {"task": "reviews", "method": "ppo", "pace": 0.0}
    return chosen | {"reward_model": "proxy", "pair_source": "reference"} | changes


def test_a_folder_that_cannot_be_written(tmp_path, fake_assets, words):
    (tmp_path / "file").touch()
    client = Client(tmp_path / "file" / "runs")
    train = TrainHandlers(client, words, RunQueue(client, Visitors(client)))
    ((_, line),) = train.start(values(train), "somebody")["errors"]
    assert str(tmp_path) not in line and "\n" not in line


def test_an_error_about_the_model_of_a_question_has_no_path(client, words, tmp_path):
    ask = AskHandlers(client, InferenceClient(client), words, {})
    query = {"task": "reviews", "prompt": "The", "n": 1, "temperature": 1.0, "seed": 0}
    for model in (RUN, str(client.root / RUN), str(tmp_path), "../..", "/etc"):
        answer = ask.generate({**query, "models": [model]})
        assert answer["errors"], model
        assert str(tmp_path) not in json.dumps(answer)


def test_the_status_of_a_failed_run_has_no_path(client, words):
    failed = {"kind": "status", "step": 2, "seconds": 2.0, "status": "failed"}
    where = client.root / RUN / "model"
    causes = {
        "unusable": {"file": str(where), "why": "Permission denied"},
        "disk_full": {"path": str(where)},
        "": {},
    }
    run = RunDirectory(client.root / RUN)
    train = TrainHandlers(client, words)
    for kind, given in causes.items():
        cause = {"cause": {"kind": kind, "values": given}} if kind else {}
        run.append({**failed, "message": f"OSError: {where} is gone", **cause})
        shown = train.live.delta(Cursor.of({"run": RUN, "chosen": True}))["status"]["message"]
        assert str(client.root) not in shown and "model" in shown


def test_refusals_of_routes_have_no_path(tmp_path):
    refused = Refused(422, "malformed", f"--model got '{tmp_path}/runs/{RUN}', expected a model")
    assert str(tmp_path) not in refused.response().body.decode()
    assert refused.message == f"--model got '{RUN}', expected a model"


def test_a_path_has_its_last_name_on_pages_and_is_found_by_it():
    for path, name in {
        "/srv/my models/mine": "mine",
        "/other/mine": "mine (2)",
        "/srv/pretrained": "pretrained (2)",  # not the embedded one
        "/srv/reviews": "reviews (2)",
        "/srv/task.py:Warm": "task.py:Warm",
    }.items():
        assert page_name(path) == page_name(path) == name and from_page(name) == path
        assert from_page(path) == path
    for value in ("pretrained", "org/model", None, 3, "/".join(("a", "b"))):
        assert page_name(value) == from_page(value) == value


# Every route


NEVER_END = ("reload", "vibe")
ODD = {"run": [], "offset": 10**400, "task": {}, "model": [1], "beta": 10**400, "sought": None}
# For `test_an_error_about_the_model_of_a_question_has_no_path`.
NEED_MODELS = ("generate", "score", "head_to_head")


@pytest.fixture
def place(tmp_path):
    """Everything of the server lies here."""
    return tmp_path / "srv of play"


@pytest.fixture
def served(place, fake_assets, monkeypatch):
    """A page with a task and a model in folders, and a run whose configuration has paths."""
    monkeypatch.setattr(page_names, "_paths", OrderedDict())
    monkeypatch.setattr(page_names, "_names", {})
    (fake_assets / "presets").symlink_to(ASSETS / "presets")  # the story shows their runs
    folder, model = place / "given" / "warm", place / "models" / "mine"
    for made in (folder, model):
        made.mkdir(parents=True)
    card = replace(task_card.card("reviews"), name="warm", folder=str(folder), reference=str(model))
    task_card.register(card)
    config = {"task": str(folder), "model": str(model), "reward_model": str(place / "runs" / "a")}
    config["preferences"] = str(place / "votes" / "some.jsonl")
    run = RunDirectory.create(
        place / "runs" / RUN, resolve("ppo", "reviews").model_copy(update=config)
    )
    gone = f"OSError: '{place}/runs/a': gone"
    run.append({"kind": "status", "step": 1, "seconds": 1.0, "status": "failed", "message": gone})
    run.close()
    client = Client(place / "runs", training="tests.playground.scripted")
    page = app.build(client, [str(model)])
    # A server has three seconds to answer, which a busy machine may need.
    monkeypatch.setattr(networking, "url_ok", lambda url: True)
    server, _, _ = page.launch(
        **{**app.launch_options(), "server_port": None}, prevent_thread_lock=True
    )
    yield page, TestClient(server, base_url="http://127.0.0.1", raise_server_exceptions=False)
    page.close()
    client.close()
    task_card.forget(str(folder))


def paths(routes, prefix=""):
    """The path and the methods of each route."""
    for route in routes:
        if inner := getattr(route, "original_router", None):
            yield from paths(inner.routes, prefix)
        elif getattr(route, "methods", None):
            yield prefix + route.path, route.methods


def answers(page, browser):
    """Yields (request, answer) for every route and function."""
    for path, methods in {path: methods for path, methods in paths(browser.app.routes)}.items():
        if not any(name in path for name in NEVER_END):
            for method in methods:
                answer = browser.request(method, path, **({"json": {}} if method == "POST" else {}))
                yield f"{method} {path}", answer
    for route, body in {
        "/vote/join": {"task": page_name("/nowhere/warm"), "model": str(Path.home())},
        "/own/save": {"draft": {"title": "a", "model": "mine"}, "files": []},
        "/own/state": {},
    }.items():
        yield route, browser.post(route, json=body)
    seen = set()
    cursor = {"run": RUN, "offset": None, "chosen": True}
    for number, block in page.blocks.items():
        for function in getattr(block, "server_fns", []):
            name = function.__name__
            if name in NEED_MODELS or name in seen:
                continue
            seen.add(name)
            for data in (cursor, [cursor], {"task": "warm", "model": "mine"}, ODD, "/etc/passwd"):
                query = {"data": data, "component_id": number, "fn_name": name}
                query["session_hash"] = "a"
                yield name, browser.post("/gradio_api/component_server", json=query)
    assert {"new_events", "compare", "runs", "frontier", "share"} <= seen
    for function in page.fns.values():
        if function.api_name in ("start", "choose", "restore", "share"):
            values = [getattr(block, "value", None) for block in function.inputs]
            query = {"data": values, "fn_index": function._id, "session_hash": "a"}
            yield function.api_name, browser.post("/gradio_api/run/predict", json=query)


def test_no_route_answers_with_a_path(served, place):
    page, browser = served
    browser.headers["Cookie"] = f"{COOKIE}={'a' * 64}"
    secrets = (str(place), str(Path(__file__).parents[2]), sys.prefix, str(Path.home()))
    texts = {}
    for asked, answer in answers(page, browser):
        texts.setdefault(asked, []).append(f"{answer.text}\n{answer.headers}")
        found = [secret for secret in secrets if secret in texts[asked][-1]]
        assert not found and answer.status_code != 500, (asked, found, answer.status_code)
    shown = json.loads(texts["new_events"][0].rpartition("\n")[0])["config"]
    assert [shown[name] for name in ("task", "model", "preferences")] == [
        "warm",
        "mine",
        "some.jsonl",
    ]
    assert '"mine"' in texts["POST /own/state"][0]
    texts["GET /run.html"] = [browser.get("/run.html", params={"run": RUN}).text]
    assert not [secret for secret in secrets if secret in texts["GET /run.html"][0]]
    content = browser.get("/run.zip", params={"run": RUN}).content
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        files = {name: archive.read(name).decode() for name in archive.namelist()}
    assert not [secret for secret in secrets for text in files.values() if secret in text]
