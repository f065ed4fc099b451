"""The data that the page draws from a log: points, samples, changes and status."""

from __future__ import annotations

import pytest

from align_core.config.methods import methods
from playground.content import charts


def metrics(step, **values):
    named = {name.replace("__", "/"): value for name, value in values.items()}
    return {"kind": "metrics", "step": step, "seconds": step / 2, "metrics": named}


def status(step, name, message=""):
    content = {"status": name, "message": message}
    return {"kind": "status", "step": step, "seconds": step / 2, **content}


def samples(step, text):
    side = {"text": text, "gold_reward": 1.0, "proxy_reward": None}
    tokens = [{"text": text, "logp": -1.0, "ref_logp": -2.0}]
    row = {"prompt": "p", "reference": side, "policy": {**side, "tokens": tokens}}
    return {"kind": "samples", "step": step, "seconds": step / 2, "samples": [row]}


def test_a_delta_without_news_changes_nothing():
    assert charts.delta([]) == {
        "points": {},
        "samples": [],
        "changes": [],
        "void_after": None,
        "status": None,
        "phase": None,
        "written": None,
        "learnt": None,
        "distance": None,
        "step": None,
        "seconds": None,
    }


def test_a_phase_holds_until_the_next_status_and_a_text_until_the_next_text():
    def phase(step, name, **details):
        return {"kind": "phase", "step": step, "seconds": 1.0, "phase": name, **details}

    running = {"kind": "status", "step": 0, "seconds": 0.0, "status": "running", "message": ""}
    text = phase(1, "scoring", count=2, prompt="The", text=" film")
    updating = phase(1, "updating", count=4)
    delta = charts.delta([running, text, updating])
    assert (delta["phase"], delta["written"]) == (updating, text)
    assert charts.delta([text, running])["phase"] is None
    assert charts.delta([text, metrics(1, loss=1.0)])["phase"] == text


def test_of_the_examples_the_newest_one_is_sent():
    first, last = ({"prompt": "The", "text": text} for text in (" film", " plot"))
    events = [
        {"kind": "example", "step": step, "seconds": 1.0, "example": example}
        for step, example in enumerate((first, last))
    ]
    assert charts.delta(events)["learnt"] == last


def test_points_are_step_and_value_of_drawn_metrics_without_nulls():
    events = [
        metrics(0, eval__kl=0.0, eval__proxy_reward=None, timing__step=3.0),
        metrics(4, eval__kl=0.5),
    ]
    assert charts.delta(events)["points"] == {"eval/kl": [[0, 0.0], [4, 0.5]]}


def test_deltas_of_parts_append_to_the_delta_of_the_whole():
    events = [metrics(step, eval__kl=step / 10, loss=1.0 - step / 10) for step in range(9)]
    parts = [charts.delta(events[:4])["points"], charts.delta(events[4:])["points"]]
    joined = {name: parts[0][name] + parts[1][name] for name in parts[0]}
    assert joined == charts.delta(events)["points"]


def test_a_delta_has_the_newest_status_step_and_seconds():
    delta = charts.delta([status(0, "running"), metrics(4), status(6, "failed", "disk full")])
    assert delta["status"] == {"name": "failed", "message": "disk full"}
    assert (delta["step"], delta["seconds"]) == (6, 3.0)


def test_samples_of_all_steps_are_kept():
    batches = charts.delta([samples(0, "a"), samples(4, "b")])["samples"]
    assert [(batch["step"], batch["rows"][0]["policy"]["text"]) for batch in batches] == [
        (0, "a"),
        (4, "b"),
    ]


def test_tokens_have_their_log_probabilities():
    ((row,),) = [batch["rows"] for batch in charts.delta([samples(0, "a")])["samples"]]
    side = {"text": "a", "gold_reward": 1.0, "proxy_reward": None}
    assert row["policy"] == {**side, "tokens": [{"text": "a", "logp": -1.0, "ref_logp": -2.0}]}
    assert row["reference"] == side


def test_changes_have_their_step():
    change = {"kind": "change", "step": 3, "seconds": 1.0, "settings": {"beta": 0.1}}
    assert charts.delta([change])["changes"] == [{"step": 3, "settings": {"beta": 0.1}}]


def test_a_resume_voids_later_points_in_the_delta_and_on_the_page():
    resume = {"kind": "resume", "step": 8, "seconds": 9.0}
    events = [metrics(8, loss=1.0), metrics(9, loss=2.0), status(9, "stopped"), resume]
    delta = charts.delta([*events, metrics(9, loss=3.0)])
    assert delta["points"] == {"loss": [[8, 1.0], [9, 3.0]]}
    assert delta["void_after"] == 8
    late = [samples(4, "a"), samples(12, "b"), resume, samples(12, "c")]
    texts = [batch["rows"][0]["policy"]["text"] for batch in charts.delta(late)["samples"]]
    assert texts == ["a", "c"]
    assert delta["status"]["name"] == "running"


def test_the_earlier_of_two_resumes_voids_later_points():
    resumes = [{"kind": "resume", "step": step, "seconds": 1.0} for step in (4, 8)]
    assert charts.delta(resumes)["void_after"] == 4


@pytest.mark.parametrize("method", methods())
def test_every_method_has_two_charts_beside_the_frontier_and_its_own(method):
    assert len(charts.BESIDE[method]) == 2
    assert charts.BELOW[method]


def test_the_page_finds_plotly():
    assert charts.PLOTLY.is_file()


def test_the_parts_of_a_reward_are_drawn_by_their_names():
    events = [
        metrics(0, reward__warmth=0.5, eval__kl=0.0),
        metrics(4, reward__warmth=0.75, other=1),
    ]
    points = charts.delta(events)["points"]
    assert points == {"reward/warmth": [[0, 0.5], [4, 0.75]], "eval/kl": [[0, 0.0]]}


def test_the_page_gets_the_place_of_the_learned_rewards_optimum():
    learned = {"eval/learned_optimum_kl": 0.9, "eval/learned_optimum_above_reference": 2.2}
    # Only the readings need them.
    unused = {"eval/learned_optimum_gap": 0.1, "eval/optimum_gap": 0.3}
    points = charts.delta([metrics(4, **learned, **unused)])["points"]
    assert points == {name: [[4, value]] for name, value in learned.items()}
