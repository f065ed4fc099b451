"""core/format.js: numbers and sentences as the page writes them."""

from __future__ import annotations

import functools

import pytest


@pytest.fixture
def text(call):
    return functools.partial(call, "core/format.js")


def test_a_number_has_a_true_minus_sign_and_a_rounded_zero_has_none(text):
    written = {-1.234: "−1.23", -0.004: "0.00", 0.005: "0.01", 2: "2.00"}
    assert {value: text("number", value) for value in written} == written
    assert text("number", 12.5, 0) == "13"
    assert text("number", -0.06, 1) == "−0.1"


def test_a_signed_number_has_a_plus_but_zero_has_no_sign(text):
    written = {0.4: "+0.40", -0.4: "−0.40", 0.001: "0.00", -0.001: "0.00", 0: "0.00"}
    assert {value: text("signed", value) for value in written} == written


def test_a_clock_has_minutes_and_two_digits_of_seconds(text):
    written = {0: "0:00", 9.99: "0:09", 67: "1:07", 3600: "60:00"}
    assert {seconds: text("clock", seconds) for seconds in written} == written


def test_percentages_tell_small_probabilities_apart(text):
    assert text("percent", 0.256) == "26%"
    assert text("percent", -0.05, 1) == "−5.0%"
    written = {1: "100%", 0.1: "10%", 0.0999: "9.99%", 1e-4: "0.01%", 9.9e-5: "<0.01%", 0: "<0.01%"}
    assert {share: text("probability", share) for share in written} == written


def test_small_probabilities_are_shown_as_one_in_n(text):
    words = "1 in {n}"
    written = {0.5: "50%", 0.05: "5.0%", 0.01: "1.0%", 0.0099: "1 in 100", 1 / 3401: "1 in 3,400"}
    written |= {2e-6: "1 in 500,000", 7.1e-11: "1 in 14B", 1e-15: "1 in 1000T", 6e-27: "1 in 10²⁶"}
    assert {share: text("oneIn", share, words) for share in written} == written


def test_a_sentence_takes_values_by_name(text):
    assert text("fill", "{n} of {n} in {task}", {"n": 0, "task": "$&"}) == "0 of 0 in $&"
    assert text("fill", "{missing}", {}) == "undefined"


def test_a_setting_in_a_name_has_all_its_values(text):
    assert text("settingValues", [[0, 0.7]]) == "0.7"
    assert text("settingValues", [[0, 0.7], [4, 0.2], [9, 0.1]]) == "0.7 → 0.2 → 0.1"
    assert text("settingValues", [[0, 0.7], [4, 0.2], [9, 0.1], [12, 1]]) == "0.7 → … → 1"
    run = {"run": "first", "beta": [[0, 0.7], [4, 0.2]], "learning_rate": [[0, 0.001]]}
    written = text("fillRun", "{run}: β {beta}, {learning_rate}", run)
    assert written == "first: β 0.7 → 0.2, 0.001"


def test_a_text_without_a_space_of_its_own_gets_one_after_its_prompt(text):
    assert text("beforeText", "Why?", "Because.") == "Why? "
    assert text("beforeText", "…", "Because.") == "… "
    for prompt, completion in (("The film", " was fine."), ("Why? ", "Because."), ("Why?", "")):
        assert text("beforeText", prompt, completion) == prompt
