"""Messages: one line of text, with a code and values that survive a log."""

from __future__ import annotations

import json

import pytest

from align_core.config.messages import (
    Message,
    from_event,
    is_line,
    is_text,
    plain,
    problem,
    single_line,
    to_event,
)


def test_breaks_and_halves_of_pairs_become_spaces():
    assert single_line("a\nb\x00c\ud800d\u2028e\u2029f é🙂") == "a b c d e f é🙂"
    assert str(Message("", {}, "two\r\nlines")) == "two  lines"


def test_what_is_a_text_and_what_is_a_line():
    assert [is_text(value) for value in ("a", "\n", "\ud7ff", "\ue000")] == [True] * 4
    assert [is_text(value) for value in ("", None, 3, "\ud800", "a\udfff")] == [False] * 5
    assert [is_line(value, 3) for value in ("a", "a b")] == [True] * 2
    assert [is_line(value, 3) for value in ("", " ", "a\nb", "four", None)] == [False] * 5


def test_a_template_takes_values_and_messages():
    message = problem(
        "late", "{name}: {why}", name="odes", why=problem("old", "{days} days", days=3)
    )
    assert (message.code, message.text) == ("late", "odes: 3 days")
    cause = {"kind": "old", "values": {"days": 3}}
    assert message.values == {"name": "odes", "why": {"message": "3 days", "cause": cause}}


@pytest.mark.parametrize("message", [plain("x"), Message("code", {"n": 1}, "a text")])
def test_a_message_survives_a_log(message):
    assert from_event(json.loads(json.dumps(to_event(message)))) == message


def test_a_foreign_event_has_what_can_be_read_of_it():
    assert to_event(plain("x")) == {"message": "x"}
    for event in ({}, {"cause": 3}, {"cause": {"values": [1]}}):
        assert from_event(event) == plain("")
    event = {"message": 5, "cause": {"kind": 7, "values": {"a": 1}}}
    assert from_event(event) == Message("7", {"a": 1}, "5")
