"""The evaluation of the benchmark among strangers, and its stub server."""

from __future__ import annotations

import asyncio
import time
from urllib.parse import urlsplit

import pytest

from benchmarks import strangers
from benchmarks.strangers_clients import ATTACKS, Attackers
from benchmarks.vote_load import Connection
from tests import loops


def measured():
    age = {"p50": 90.0, "p95": 250.0, "p99": 300.0, "max": 400.0}
    names = ["before", *(name for attack in ATTACKS for name in (attack, f"after {attack}"))]
    phases = [{"name": name, "age": age, "votes": None} for name in (*names, "all", "after all")]
    cast = {"p50": 20.0, "p95": 90.0, "p99": 200.0, "max": 300.0}
    phases[-2]["votes"] = {"answered": 100, "refused": {}, "cast": cast}
    return {
        "machine": "M",
        "cold_start": {"start": 4.0, "poll": 0.5, "run": 9.0},
        "short_runs": {"runs": 200, "memory": [200.0, 210.0], "disk": 90.0},
        "hall": {
            **{"phones": 500, "watchers": 50, "seconds": 60.0, "quiet": 15.0, "phases": phases},
            **{"failed_polls": 0, "kept": 101, "with_page": 9.0, "with_stub": 10.0, "cores": 0.25},
            **{"memory": [200.0, 230.0], "disk": 12.0, "log": 0.1, "soak_minutes": 10.0},
        },
    }


def test_values_beyond_their_limits_are_marked():
    results = measured()
    assert "✗**" not in strangers.render(results).partition("|")[2]
    results["hall"]["kept"] = 98
    results["hall"]["with_page"] = 8.0
    results["hall"]["phases"][1]["age"] = {"p95": 1500.0}
    results["hall"]["phases"][2]["age"] = None
    text = strangers.render(results)
    assert "| of which lost | **2 ✗** | 0 |" in text
    assert "compared with the same clients on a stub | **20 % ✗** | 15 % |" in text
    assert "| visitors | 20 | 250 | **1500 ✗** | – |" in text
    assert "| keys | 10 | – | 250 | 250 |" in text


def test_the_stub_answers_the_same_clients():
    async def ask(address):
        host = urlsplit(address)
        line = Connection(*await asyncio.open_connection(host.hostname, host.port))
        answers = [await line.post("/vote/join", {}) for _ in range(2)]
        attackers = Attackers(address, dict.fromkeys(strangers.PARTS, 1))
        attacks = ("visitors", "keys", "questions", "sessions", "raters", "garbage", "sites")
        return answers, [await ATTACKS[name][1](attackers) for name in attacks]

    with strangers.stub() as address:
        answers, statuses = loops.run(ask(address))
    assert [status for status, _ in answers] == [200, 200]
    assert answers[0][1]["pair"] == {"id": 1} and statuses == ["200"] * 7


def test_the_rate_of_a_run_is_measured_between_two_times(tmp_path):
    log = tmp_path / "events.jsonl"
    log.write_text('{"step": 0}\n{"step": 4}\n{"step": 6')
    progress = strangers.Progress(log)
    progress._steps[:] = [(10.0, 2), (12.0, 4), (14.0, 10), (20.0, 99)]
    assert progress.rate(9, 15) == pytest.approx(2.0)
    assert progress.rate(13, 15) == 0
    assert strangers._last_step(log) == 4 and time.time() > 20
