"""Questions in progress, and their answers, which are kept until the client takes them.

Gradio's own queue is not used: it keeps the names of all sessions that a client invents, and an
answer for each.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Coroutine
from dataclasses import dataclass
from typing import Any

from playground.people.client_address import client_address
from playground.people.json_requests import Refused

MAX_QUESTIONS, MAX_BY_ADDRESS = 256, 32  # questions and answers kept, in total and by address
KEPT_SECONDS = 60.0  # how long an answer is kept for the client to take
HEARTBEAT_SECONDS = 10.0  # between signs of life on a connection that waits for an answer
Answer = dict[str, Any]


@dataclass
class _Question:
    session: str
    address: str
    answer: Answer | None = None  # None while the question is in progress


class Answers:
    """Answers by the sessions of clients. Used in the event loop alone."""

    def __init__(self) -> None:
        self._questions: dict[str, _Question] = {}  # by id
        self._changed = asyncio.Condition()
        self._tasks: set[asyncio.Task[None]] = set()  # asyncio keeps only weak references to them

    def ask(self, session: str, question: Coroutine[Any, Any, Answer]) -> str:
        """Start to answer a question; returns its id. Raises Refused if too many are kept."""
        address = client_address()
        kept = sum(question.address == address for question in self._questions.values())
        if len(self._questions) >= MAX_QUESTIONS or kept >= MAX_BY_ADDRESS:
            question.close()
            raise Refused(503, "busy", "too many questions are in progress: try again in a moment")
        name = secrets.token_hex(16)
        self._questions[name] = _Question(session, address)
        task = asyncio.create_task(self._answer(name, question))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return name

    async def _answer(self, name: str, question: Coroutine[Any, Any, Answer]) -> None:
        answer = await question
        async with self._changed:
            self._questions[name].answer = answer
            self._changed.notify_all()
        asyncio.get_running_loop().call_later(KEPT_SECONDS, self._questions.pop, name, None)

    def has(self, session: str) -> bool:
        """Whether a question of the session is in progress, or its answer has not been taken."""
        return any(question.session == session for question in self._questions.values())

    async def take(self, session: str) -> AsyncIterator[tuple[str, Answer] | None]:
        """Yields the id and the answer of each question of the session, as soon as it is answered,
        until none is left; and None after every HEARTBEAT_SECONDS without an answer."""
        while self.has(session):
            try:
                async with asyncio.timeout(HEARTBEAT_SECONDS), self._changed:
                    await self._changed.wait_for(lambda: self._is_due(session))
            except TimeoutError:
                yield None
            for name, answer in self._ready(session):
                # Another connection of the session may have taken it.
                if self._questions.pop(name, None):
                    yield name, answer

    def _ready(self, session: str) -> list[tuple[str, Answer]]:
        return [
            (name, question.answer)
            for name, question in self._questions.items()
            if question.session == session and question.answer is not None
        ]

    def _is_due(self, session: str) -> bool:
        """Whether there is an answer to take, or none to wait for."""
        return bool(self._ready(session)) or not self.has(session)
