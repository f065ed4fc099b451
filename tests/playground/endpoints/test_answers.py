"""Answers that are kept until their client takes them."""

from __future__ import annotations

import asyncio

import pytest

from playground.endpoints import answers
from playground.people.json_requests import Refused
from tests import loops


async def answer():
    return {"success": True}


def test_only_so_many_answers_are_kept_and_none_for_long(monkeypatch):
    monkeypatch.setattr(answers, "MAX_QUESTIONS", 40)
    monkeypatch.setattr(answers, "KEPT_SECONDS", 0.0)

    def ask(kept, name, times):
        monkeypatch.setattr(answers, "client_address", lambda: name)
        return [kept.ask(name, answer()) for _ in range(times)]

    async def asked():
        kept = answers.Answers()
        ask(kept, "hall", answers.MAX_BY_ADDRESS)
        with pytest.raises(Refused) as refused:
            ask(kept, "hall", 1)
        assert refused.value.status == 503
        ask(kept, "ann", 40 - answers.MAX_BY_ADDRESS)
        with pytest.raises(Refused):
            ask(kept, "bob", 1)
        async with asyncio.timeout(60):
            while kept.has("hall") or kept.has("ann"):
                await asyncio.sleep(0)
        assert len(ask(kept, "hall", 1)) == 1

    loops.run(asked())


def test_a_connection_gets_all_answers_of_its_session_and_signs_of_life(monkeypatch):
    monkeypatch.setattr(answers, "HEARTBEAT_SECONDS", 0.0)

    async def asked():
        kept, go_on = answers.Answers(), asyncio.Event()

        async def slow():
            await go_on.wait()
            return {"success": False}

        kept.ask("other", answer())
        first, second = kept.ask("mine", answer()), kept.ask("mine", slow())
        got = []
        async for taken in kept.take("mine"):
            got.append(taken)
            if taken is None and first in dict(filter(None, got)):
                go_on.set()
                monkeypatch.setattr(answers, "HEARTBEAT_SECONDS", 60.0)
        assert None in got and kept.has("other") and not kept.has("mine")
        assert list(filter(None, got)) == [(first, {"success": True}), (second, {"success": False})]

    loops.run(asked())
