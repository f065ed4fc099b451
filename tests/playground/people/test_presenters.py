"""Presenters, and the delays after wrong keys of a visitor, of an address and of everyone."""

from __future__ import annotations

from urllib.parse import quote, quote_plus

import pytest

from playground.people import presenters as module
from playground.people.presenters import MAX_REMEMBERED, MAX_WRONG_KEYS, Presenters

KEY = "correct horse battery"


@pytest.fixture
def clock(monkeypatch):
    class Clock:
        now = 1000.0

        def monotonic(self):
            return self.now

    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return clock


def test_the_right_key_makes_a_presenter():
    presenters = Presenters(KEY)
    assert not presenters.sign_in("ann", "correct horse", "here")
    assert "ann" not in presenters
    assert presenters.sign_in("ann", KEY, "here") and "ann" in presenters
    assert "bob" not in presenters and None not in presenters


def test_without_a_key_or_a_visitor_there_is_no_presenter():
    assert not any(Presenters(None).sign_in("x", key, "here") for key in (None, "", KEY, "None"))
    assert not Presenters(KEY).sign_in(None, KEY, "here")
    assert not any(Presenters(KEY).sign_in("x", key, "here") for key in (None, 7, [KEY], {}))
    assert Presenters(KEY).exist and not Presenters(None).exist


@pytest.mark.parametrize("key", ["a+b&c#d%e=f/g", "a b c d e f", "100%25 geheim", "密钥-密钥-密钥"])
def test_a_key_may_have_any_character(key):
    for entered in (key, quote(key), quote(key, safe=""), quote_plus(key)):
        assert Presenters(key).sign_in("ann", entered, "here"), entered


def test_accents_may_be_composed_in_either_way():
    assert Presenters("Präsentation 1").sign_in("ann", "Pra\u0308sentation 1", "here")
    assert not Presenters("Prasentation 1").sign_in("ann", "Pra\u0308sentation 1", "here")


def test_a_very_long_key_is_wrong_and_similar_characters_differ():
    assert not Presenters(KEY).sign_in("ann", KEY + "%41" * 10**6, "here")
    assert not Presenters("x" * 12 + "\udcff").sign_in("ann", "x" * 12 + "?", "here")


def test_wrong_keys_lock_out_their_visitor_for_a_while(clock):
    presenters = Presenters(KEY)
    for _ in range(MAX_WRONG_KEYS):
        assert not presenters.sign_in("bob", "wrong", "here")
    assert not presenters.sign_in("bob", KEY, "elsewhere")
    clock.now += module.WRONG_KEY_SECONDS
    assert presenters.sign_in("bob", KEY, "here")


def test_visitors_without_wrong_keys_get_in_while_others_guess(clock):
    presenters = Presenters(KEY)
    for i in range(2 * MAX_REMEMBERED):
        presenters.begin_attempt("proxy")
        presenters.sign_in(f"guesser {i % 1500}", "wrong", "proxy")
    assert presenters.begin_attempt("proxy") == module.MAX_SECONDS
    assert presenters.sign_in("ann", KEY, "proxy")
    presenters.begin_attempt("proxy")
    assert len(presenters._wrong) == len(presenters._wrong_by_visitor) == MAX_REMEMBERED


def test_an_attempt_waits_longer_with_wrong_keys_from_its_address_and_in_total(clock):
    presenters = Presenters(KEY)
    assert presenters.begin_attempt("here") == 0
    assert presenters.begin_attempt("there") == pytest.approx(0.05)
    assert presenters.begin_attempt("there") == pytest.approx(0.2 + 2 * 0.05)
    assert presenters.begin_attempt("here") == pytest.approx(0.2 + 3 * 0.05)
    assert presenters.begin_attempt("elsewhere") == pytest.approx(4 * 0.05)
    clock.now += module.WRONG_KEY_SECONDS
    assert presenters.begin_attempt("there") == 0


def test_keys_that_are_sent_at_once_wait_as_those_sent_one_after_another(clock):
    at_once, one_by_one = Presenters(KEY), Presenters(KEY)
    waits = [at_once.begin_attempt("here") for _ in range(20)]
    expected = []
    for i in range(20):
        expected.append(one_by_one.begin_attempt("here"))
        one_by_one.sign_in(f"guesser {i}", "wrong", "here")
    assert waits == expected == pytest.approx([min(0.25 * i, 3.0) for i in range(20)])


def test_a_right_key_costs_nobody_time(clock):
    presenters = Presenters(KEY)
    presenters.begin_attempt("there")
    for visitor in ("ann", "bob"):
        assert presenters.begin_attempt("here") == pytest.approx(0.05)
        assert presenters.sign_in(visitor, KEY, "here")
