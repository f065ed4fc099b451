"""A server with a room, its presenter and a phone."""

from __future__ import annotations

import pytest

from playground.voting import routes
from tests.playground.voting.vote_server import (
    PRESENTER,
    Phone,
    serve,
)


@pytest.fixture
def client(sessions, monkeypatch):
    monkeypatch.setattr(routes, "RATER_LIMIT", (1000.0, 1000))
    return serve(sessions, seed=0)


@pytest.fixture
def presenter(client):
    """A presenter who has created a session and opened it as the room."""
    presenter = Phone(client, PRESENTER, task="reviews")
    presenter.join()
    assert presenter.room("open").json()["open"]
    return presenter


@pytest.fixture
def phone(presenter):
    return Phone(presenter.client)
