"""A session of four pairs."""

from __future__ import annotations

import pytest


def pairs(count: int) -> list[dict]:
    return [{"prompt": f"p{i}", "first": f"a{i}", "second": f"b{i}"} for i in range(count)]


@pytest.fixture
def session(sessions):
    session = sessions.create("talk", "reviews")
    session.add_pairs(pairs(4))
    return session
