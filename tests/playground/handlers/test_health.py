"""The health of the server, for probes."""

from types import SimpleNamespace

from starlette.applications import Starlette
from starlette.testclient import TestClient

from playground.handlers import health


def ask(root, monkeypatch, disk_left, live=(), queued=0):
    client = SimpleNamespace(root=root, live=lambda: list(live))
    queue = SimpleNamespace(length=lambda: queued)
    usage = SimpleNamespace(free=disk_left)
    monkeypatch.setattr(health.shutil, "disk_usage", lambda folder: usage)
    return TestClient(Starlette(routes=[health.health_route(client, queue)])).get("/health")


def test_health_reports_the_load_of_the_server(tmp_path, monkeypatch):
    answer = ask(tmp_path / "runs", monkeypatch, 200_000_000, live=["first"], queued=2)
    state = {"ready": True, "live": 1, "queued": 2, "disk_left": 200_000_000}
    assert (answer.status_code, answer.json()) == (200, state)


def test_a_server_that_cannot_store_runs_is_not_ready(tmp_path, monkeypatch):
    answer = ask(tmp_path, monkeypatch, 99_999_999)
    assert (answer.status_code, answer.json()["ready"]) == (503, False)
    monkeypatch.setattr(health.os, "access", lambda folder, mode: False)
    assert ask(tmp_path, monkeypatch, 200_000_000).status_code == 503
