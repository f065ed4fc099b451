"""train/race.js: who leads at a time of two runs' clocks, and what is said about it."""

from __future__ import annotations

import functools

import pytest

from playground import text

FRONTIER = {"full_gain": 2, "reference": "sft", "curve": [[0, 0], [2, 2]]}
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
        # 9 s: the first has not measured; the second has after 8.
        (11, None, [(0.5, 0.8), (0.4, 1)]),
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


def test_a_runner_stands_at_a_step_of_its_own_log(race):
    """The first measured step 10 after 10 s; by then the second had measured step 20, after 8 s."""
    stand = race("raceAt", [SLOW, FAST], 10, FRONTIER)
    assert [one["step"] for one in stand["runners"]] == [10, 20]


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


# The texts of a race


def state(betas, step=None):
    """The state of a page on which SLOW, PPO, and FAST, DPO, race at these β.

    Each has a text for every step that it measured.
    """
    runs = []
    for one, beta, method in zip((SLOW, FAST), betas, ("ppo", "dpo"), strict=True):
        rows = {
            at: [{"prompt": "The", "policy": {"text": f"{method} {at}"}}] for at in (0, 10, 20, 30)
        }
        samples = [{"step": at, "rows": rows[at]} for at in one["series"]["eval/kl"]["x"]]
        config = {
            "task": "reviews",
            "model": "sft",
            "method": method,
            "loss": "sigmoid",
            "beta": beta,
        }
        runs.append({**one, "name": f"recorded/{method}", "config": config, "samples": samples})
    optima = [
        {
            "pair": "reviews sft",
            "beta": beta,
            "sought": "kl",
            "texts": [{"prompt": "The", "text": f"β {beta}"}],
        }
        for beta in betas
    ]
    return {
        **{"task": "reviews", "run": runs[0], "ghost": runs[1], "viewedStep": step},
        **{"race": {"name": "one", "pair": ["ppo", "dpo"]}, "frontiers": {"reviews sft": FRONTIER}},
        **dict(zip(("target", "rivalTarget"), optima, strict=True)),
    }


def texts(call, shown):
    """The text of each side that is shown."""
    (answer,) = call("train/sides.js", "answersOn", shown)
    return {side: answer[side]["text"] for side in call("train/sides.js", "sidesOn", shown)}


def test_both_runners_texts_are_those_of_the_same_time(call):
    """At step 10 of the first, after 10 s, the second had measured step 20."""
    assert texts(call, state((0.5, 0.5), step=10)) == {
        **{"policy": "ppo 10", "rival": "dpo 20", "optimum": "β 0.5"}
    }


def test_runners_at_different_beta_have_an_optimum_each(call):
    shown = state((0.5, 0.7))
    optima = {"optimum": "β 0.5", "rival_optimum": "β 0.7"}
    assert texts(call, shown) == {"policy": "ppo 20", "rival": "dpo 30", **optima}
    other = {**shown["rivalTarget"], "beta": 0.9}
    assert call("core/view.js", "rivalTargetOnStage", {**shown, "rivalTarget": other}) is None
    alone = {**shown, "race": None}
    assert call("train/sides.js", "sidesOn", alone) == ["reference", "policy", "optimum"]


NAMED = """({ targetTraces }, kls) => {
  const targets = kls.map((kl) => ({ beta: 1, kl, gain: 1, known: true }));
  const look = { colour: () => "", size: 12 };
  const traces = targetTraces(...targets, { optimum: "", hover: "" }, look);
  return traces.map((trace) => trace.textposition);
}"""


@pytest.mark.parametrize(
    "kls, sides",
    [([0.5, 1], ["top left", "top right"]), ([2, 1], ["top right", "top left"])],
)
def test_the_names_of_two_targets_stand_apart(script, kls, sides):
    assert script("charts/trade_off.js", NAMED, kls) == sides
