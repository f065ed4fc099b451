"""train/race.js: who leads at a time of two runs' clocks, and what is said about it."""

from __future__ import annotations

import functools

import pytest

from playground import text

FRONTIER = {"whole": 2, "reference": "sft", "curve": [[0, 0], [2, 2]]}
WORDS = text.load("en")["race"]
NAMES = ["A", "B"]


@pytest.fixture
def race(call):
    return functools.partial(call, "train/race.js")


def run(start, every, kl, gain, seconds=None, status="running"):
    """A run that measures each `every` seconds after the evaluation of its reference."""
    steps = [10 * i for i in range(len(kl))]
    times = [start + every * i for i in range(len(kl))]
    curves = {"eval/kl": kl, "eval/gain": gain, "timing/seconds": times}
    return {
        "config": {"model": "sft", "beta": 0.5},
        "series": {name: {"x": steps, "y": values} for name, values in curves.items()},
        "seconds": times[-1] if seconds is None else seconds,
        "status": {"name": status, "message": ""},
    }


# Measured after 0, 10 and 20 s, and after 0, 4, 8 and 12 s; they loaded their models for 2 and 5 s.
SLOW = run(2, 10, [0, 0.5, 1], [0, 0.4, 0.9])
FAST = run(5, 4, [0, 0.2, 0.4, 0.9], [0, 0.3, 0.5, 0.6], status="finished")


def test_the_last_evaluation_by_a_time(race):
    clock = FAST["series"]["timing/seconds"]
    assert [race("stepAt", clock, seconds) for seconds in (0, 3.9, 4, 11, 99)] == [0, 0, 10, 20, 30]


@pytest.mark.parametrize(
    "seconds, step, expected",
    [
        (2, None, [(0, 0), (0, 0)]),
        (
            11,
            None,
            [(0.5, 0.8), (0.4, 1)],
        ),  # 9 s: the first has not measured; the second has after 8
        (22, 10, [(0.5, 0.8), (0.4, 1)]),  # looking back at step 10, which was measured after 10 s
        (22, 0, [(0, 0), (0, 0)]),
        (22, None, [(1, 1.8), (0.9, 1.2)]),
    ],
)
def test_both_runners_stand_where_they_were_at_the_same_time(race, seconds, step, expected):
    """Gains are shares of 2 nats: 0.4 · 2 = 0.8."""
    first = {**SLOW, "seconds": seconds}
    if seconds == 11:
        first["series"] = {
            name: {axis: values[:2] for axis, values in one.items()}
            for name, one in SLOW["series"].items()
        }
    elif seconds == 2:
        first["series"] = {
            name: {axis: values[:1] for axis, values in one.items()}
            for name, one in SLOW["series"].items()
        }
    stand = race("raceAt", [first, FAST], step, FRONTIER)
    assert [(one["kl"], one["gain"]) for one in stand["runners"]] == [
        pytest.approx(point) for point in expected
    ]
    assert stand["over"] is False


def test_at_the_end_of_the_first_run_both_are_shown_whole(race):
    longer = run(5, 30, [0, 0.2], [0, 0.3])
    ended = {**SLOW, "status": {"name": "finished", "message": ""}}
    stand = race("raceAt", [ended, longer], None, FRONTIER)
    assert stand["over"] is True
    assert [(one["kl"], one["seconds"]) for one in stand["runners"]] == [(1, 20), (0.2, 30)]
    assert race("raceAt", [ended, longer], 10, FRONTIER)["over"] is False, "a look back"


def test_without_a_frontier_or_an_evaluation_there_is_no_race(race):
    assert race("raceAt", [SLOW, FAST], None, None) is None
    assert race("raceAt", [{**SLOW, "series": {}}, FAST], None, FRONTIER) is None
    elsewhere = {**FRONTIER, "reference": "another"}
    assert race("raceAt", [SLOW, FAST], None, elsewhere) is None


def said(race, first, second, over=False, seconds=75):
    """The sentence on runners at (gain, KL, seconds of the whole run)."""
    runners = [
        {"gain": gain, "kl": kl, "seconds": took, "trail": {"x": [0, kl]}}
        for gain, kl, took in (first, second)
    ]
    state = {"seconds": seconds, "over": over, "runners": runners}
    return race("raceText", state, NAMES, WORDS)


def test_the_sentence_names_who_leads_in_gain_and_who_has_moved_less(race):
    assert said(race, (1.5, 0.9, 80), (1.2, 0.3, 80)) == (
        "After 1:15, A leads in gain, +1.50 against +1.20 nats; "
        "B has moved less, KL 0.30 against 0.90."
    )
    assert said(race, (1.2, 0.3, 80), (1.5, 0.9, 60)) == (
        "After 1:15, B leads in gain, +1.50 against +1.20 nats; "
        "A has moved less, KL 0.30 against 0.90. B has finished."
    )


def test_a_small_difference_is_no_lead(race):
    assert said(race, (1.5, 0.9, 80), (1.46, 0.94, 80)) == (
        "After 1:15, the gain is even, +1.50 and +1.46 nats; the KL is even, 0.90 and 0.94."
    )


def test_the_result_has_gain_kl_and_time(race):
    assert said(race, (1.5, 0.9, 53), (1.52, 1.02, 20), over=True) == (
        "A and B gained about the same, +1.50 and +1.52 nats; "
        "A stayed nearer to the reference, KL 0.90 against 1.02; B took 0:20, A 0:53."
    )
    assert said(race, (0.3, 1.6, 53), (0.6, 0.4, 55), over=True) == (
        "B gained more, +0.60 against +0.30 nats; "
        "B stayed nearer to the reference, KL 0.40 against 1.60; both took about 0:55."
    )


def test_before_the_first_step_both_start(race):
    start = {"gain": 0, "kl": 0, "seconds": 9, "trail": {"x": [0]}}
    state = {"seconds": 0, "over": False, "runners": [start, start]}
    assert race("raceText", state, NAMES, WORDS) == WORDS["start"]


def test_a_runner_s_name_has_its_beta(race):
    words = {"one": {"runners": ["β {beta}", "own"]}}
    assert race("runnerNames", [SLOW, FAST], "one", words) == ["β 0.5", "own"]
