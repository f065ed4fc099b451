"""Errors that a visitor sees name no folder of the server."""

from __future__ import annotations

import json

import pytest

from align_core.config.run_config import resolve
from align_core.inference.client import InferenceClient
from align_core.runs.client import Client
from align_core.runs.directory import RunDirectory
from playground import text
from playground.handlers.ask import AskHandlers
from playground.handlers.train import TrainHandlers
from playground.people.json_requests import Refused
from playground.people.run_queue import RunQueue
from playground.people.visitors import Visitors

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


def test_models_of_questions(client, words, tmp_path):
    ask = AskHandlers(client, InferenceClient(client), words)
    query = {"task": "reviews", "prompt": "The", "n": 1, "temperature": 1.0, "seed": 0}
    for model in (RUN, str(client.root / RUN), str(tmp_path), "../..", "/etc"):
        answer = ask.generate({**query, "models": [model]})
        assert answer["errors"], model
        assert str(tmp_path) not in json.dumps(answer)


def test_the_status_of_a_run_that_failed(client, words):
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
        shown = train.delta({"run": RUN, "chosen": True})["status"]["message"]
        assert str(client.root) not in shown and "model" in shown


def test_what_the_routes_refuse(tmp_path):
    refused = Refused(422, "malformed", f"--model got '{tmp_path}/runs/{RUN}', expected a model")
    assert str(tmp_path) not in refused.response().body.decode()
    assert refused.message == f"--model got '{RUN}', expected a model"
