"""core/view.js and train/reading.js: the visible parts and texts for a state."""

from __future__ import annotations

import functools

import pytest

STATE = {"task": "reviews", "beta": 0.7, "watchedBeta": None, "standing": {"own": "own"}}
WORDS = {
    "even": "even {gain} {kl}",
    "more": "more {gain} {kl}",
    "less": "less {gain} {kl}",
    "efficiency": "at {efficiency}%",
    "scores": "right {accuracy}",
    "starting": "starting",
    "progress": "{method} on {task}, {step} of {steps}",
    "looking": " at {step}",
    "left": " left {time}",
    "opening": "first {n} {texts}",
    "texts": {"reviews": "reviews", "other": "texts"},
    "doing": {
        "writing": "writing {n} {texts}",
        "updating": "{n} updates",
        "learning": "learning",
        "measuring": "measuring {n} {texts}",
        "measuring_pairs": "measuring pairs",
    },
}


@pytest.fixture
def view(call):
    return functools.partial(call, "core/view.js")


@pytest.fixture
def reading(call):
    return functools.partial(call, "train/reading.js")


def run(task="reviews", status="finished", name="own", **rest):
    return {
        "name": name,
        "config": {"task": task, "steps": 60},
        "status": {"name": status, "message": ""},
        **rest,
    }


@pytest.mark.parametrize(
    "shown, on_stage",
    [
        (run(), True),
        (run("capitals"), False),
        (run("capitals", "running"), True),
        (run("capitals", "running", "recorded/dpo"), False),
        (run("a task of code"), True),
    ],
)
def test_the_page_shows_a_live_run_or_the_last_of_the_chosen_task(view, shown, on_stage):
    state = {**STATE, "run": shown}
    assert view("runOnStage", state) == (shown if on_stage else None)
    expected = shown["config"]["task"] if on_stage else "reviews"
    assert view("taskOnStage", state) == expected


def test_without_a_run_the_page_shows_the_chosen_task(view):
    state = {**STATE, "run": None}
    assert view("runOnStage", state) is None
    assert view("taskOnStage", state) == "reviews"
    assert view("isWatching", state) is False


def test_another_visitor_s_live_run_is_watched(view):
    def watching(shown):
        return view("isWatching", {**STATE, "run": shown})

    assert watching(run(status="running", name="theirs"))
    assert not watching(run(status="running", name="own"))
    assert not watching(run(status="finished", name="theirs"))


def test_the_target_takes_the_beta_of_a_watched_run(view):
    theirs = run(status="running", name="theirs")
    assert view("betaOnStage", {**STATE, "run": theirs, "watchedBeta": 0}) == 0
    assert view("betaOnStage", {**STATE, "run": theirs}) == 0.7
    elsewhere = {**STATE, "run": run("capitals"), "watchedBeta": 0.1}
    assert view("betaOnStage", elsewhere) == 0.7, "it is not the run shown"


def series(**metrics):
    return {f"eval/{name}": {"x": [0, 10], "y": list(values)} for name, values in metrics.items()}


def test_the_gain_equals_the_one_in_the_frontier_chart_if_the_run_is_in_it(view):
    """0.4 of 2.5 nats; 1.5 − 0.25 for a run that started from another model."""
    measured = series(gain=[0, 0.4], gold_reward=[0.25, 1.5], gold_reward_reference=[0.25, 0.25])
    own = run(series=measured)
    own["config"]["model"] = "sft"
    frontiers = {"reviews sft": {"reference": "sft", "full_gain": 2.5}}
    # The task's own frontier, which was unknown before.
    frontiers["reviews another"] = frontiers["reviews sft"]
    assert view("gainAt", own, None, frontiers) == pytest.approx(1)
    assert view("gainAt", own, 5, frontiers) == 0
    assert view("gainAt", own, None, {}) == pytest.approx(1.25)
    assert view("gainAt", own, None, {"reviews sft": None}) == pytest.approx(1.25)
    unsure = {"reviews sft": {"reference": "sft", "full_gain": None}}
    assert view("gainAt", own, None, unsure) == pytest.approx(1.25)
    own["config"]["model"] = "another"
    assert view("gainAt", own, None, frontiers) == pytest.approx(1.25)


def test_the_first_sentence_is_for_the_status_line(view):
    summary = {"sentences": [["warning", "one"], ["good", "two"], ["good", "three"]]}
    assert view("sentencesOn", run(summary=summary), None) == {
        "first": "one",
        "others": ["two", "three"],
    }
    failed = run(summary=summary)
    failed["status"]["message"] = "out of memory"
    assert view("sentencesOn", failed, None) == {
        "first": "out of memory",
        "others": ["one", "two", "three"],
    }
    assert view("sentencesOn", run(summary=summary), 5)["others"] == [], (
        "they are about the newest step"
    )
    assert view("sentencesOn", run(summary=None), None)["others"] == []
    assert view("sentencesOn", None, None)["others"] == []


@pytest.mark.parametrize(
    "gold, kl, efficiency, sentence",
    [
        (1.25, 0.5, 0.876, "more 1.00 0.50 at 88%"),
        (0.299, 0.5, -0.1, "even 0.05 0.50"),
        (-0.5, 0, None, "less 0.75 0.00"),
    ],
)
def test_the_reading_of_a_policy(reading, gold, kl, efficiency, sentence):
    measured = series(gold_reward=[0, gold], gold_reward_reference=[0, 0.25], kl=[0, kl])
    if efficiency is not None:
        measured |= series(frontier_efficiency=[0, efficiency])
    assert reading("readingAt", run(series=measured), None, {}, WORDS) == sentence


def test_the_reading_of_a_reward_model(reading):
    measured = {"accuracy": {"x": [0, 5], "y": [0.5, 0.755]}}
    assert reading("readingAt", run(series=measured), None, {}, WORDS) == "right 76%"
    assert (
        reading("readingAt", run(series=measured | series(accuracy=[0.5, 0.8])), 10, {}, WORDS)
        == "right 80%"
    )
    assert reading("readingAt", run(series={}), None, {}, WORDS) == "starting"


def test_the_progress_shows_the_time_left_or_the_shown_step(reading):
    shown = run(step=12, seconds=3.25)
    names = {"method": "PPO", "task": "Reviews"}
    begins = "PPO on Reviews, 12 of 60"
    assert reading("progressText", shown, None, None, names, WORDS) == begins
    assert reading("progressText", shown, None, "2 s", names, WORDS) == begins + " left 2 s"
    assert reading("progressText", shown, 0, "2 s", names, WORDS) == begins + " at 0"


def doing(reading, phase=None, status="running", task="reviews", method="ppo", **rest):
    shown = run(task, status, phase=phase and {"phase": phase, **rest}, series={})
    shown["config"] |= {"method": method, "eval_prompts": 64, "eval_samples": 4}
    return reading("doingText", shown, WORDS), reading("openingText", shown, WORDS)


def test_a_live_run_says_what_it_is_doing(reading):
    assert doing(reading, "writing", count=8)[0] == "writing 8 reviews"
    assert doing(reading, "updating", count=4)[0] == "4 updates"
    assert doing(reading, "updating")[0] == "learning", "a method whose step is one update"
    assert doing(reading, "measuring", task="own") == ("measuring 256 texts", "first 256 texts")
    assert doing(reading, "measuring", method="reward") == ("measuring pairs", None)
    assert doing(reading, "writing", "paused", count=8)[0] == ""
    assert doing(reading) == ("", "starting")


WORK = {
    "written": "Wrote",
    "learnt": {
        **{"text": "Learns", "label": "{label}:", "scored": "{label} ({score}):"},
        "policy": {"chosen": "up", "rejected": "down", "help": "log-ratio"},
        "reward": {"chosen": "higher", "rejected": "lower", "help": "score"},
    },
}


def test_a_live_run_shows_what_it_writes_or_learns_from(reading):
    def lines(method, **work):
        return reading(
            "workLines",
            {"written": None, "learnt": None, **work, "config": {"method": method}},
            WORK,
        )

    text = {"prompt": "The", "text": " film"}
    pair = {
        "prompt": "The",
        "chosen": {"text": " film", "score": 0.25},
        "rejected": {"text": " plot"},
    }
    assert lines("ppo") == []
    assert lines("ppo", written=text) == [{"label": "Wrote", **text}]
    assert lines("sft", learnt=text) == [{"label": "Learns", **text}]
    assert lines("dpo", learnt=pair) == [
        {"label": "up (+0.25):", "tip": "log-ratio", **text},
        {"label": "down:", "prompt": "The", "text": " plot"},
    ]
    assert [line["label"] for line in lines("reward", learnt=pair)] == ["higher (+0.25):", "lower:"]


def test_the_message_of_a_preparation_holds_until_the_run_goes_on(view):
    live = run(status="running", phase=None, summary={"sentences": [["note", "early"]]})
    live["status"]["message"] = "sampling pairs"
    assert view("sentencesOn", live, None)["first"] == "sampling pairs"
    assert view("sentencesOn", live | {"phase": {"phase": "measuring"}}, None)["first"] == "early"


def test_the_shown_step_has_an_evaluation(reading):
    def step(to, by=0):
        return reading("nearestStep", [0, 5, 10], to, by)

    assert [step(to) for to in (-9, 0, 2, 3, 7, 8, 99)] == [0, 0, 0, 5, 5, None, None]
    assert step(2.5) == 5, "the later of two"
    assert [step(5, by) for by in (-2, -1, 1, 2)] == [0, 0, None, None]
    assert [step(10, -1), step(0, -1), step(0, 1)] == [5, 0, 5]


@pytest.mark.parametrize(
    "method, loss, sought",
    [("ppo", None, "kl"), ("dpo", "sigmoid", "kl"), ("dpo", "ipo", "another")],
)
def test_the_optimum_is_that_of_the_run_or_else_of_the_controls(view, method, loss, sought):
    chosen = {"method": method, "loss": loss}
    assert view("soughtOnStage", {**STATE, **chosen, "run": None}) == sought
    shown = run(config={"task": "reviews", "steps": 60, **chosen})
    controls = {"method": "ppo", "loss": None}
    assert view("soughtOnStage", {**STATE, **controls, "run": shown}) == sought
