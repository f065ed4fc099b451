"""A client of fake runs, and questions about one of its runs."""

from __future__ import annotations

import pytest

from align_core.runs import client as client_module
from align_core.runs.client import Client
from tests.waiting import until

LONG = {"method": "dpo", "task": "reviews", "steps": 100_000}
SHORT = LONG | {"steps": 5}


@pytest.fixture
def client(fake_assets, tmp_path, monkeypatch):
    for limit in ("STOP_TIMEOUT", "EXIT_TIMEOUT"):  # a busy machine ends processes slowly
        monkeypatch.setattr(client_module, limit, 120.0)
    client = Client(tmp_path / "runs", training="fake_training")
    yield client
    client.close()


def status(client, run):
    return (client.status(run) or {"status": None})["status"]


def started(client, **options):
    run = client.start(**(LONG | options))
    until(lambda: client.events(run)[0])
    return run


def metrics(client, run):
    return [event for event in client.events(run)[0] if event["kind"] == "metrics"]
