"""core/run_log.js: a run built from its event log, delta by delta."""

from __future__ import annotations

import functools

import pytest

from align_core.runs.events import series

NOTHING = {"points": {}, "samples": [], "changes": [], "void_after": None, "status": None}
FIRST = {"run": "a", "config": {"beta": 0.7, "task": "reviews"}, "trained_on": {"cast": 3}}
FOLD = """({ startRun, fold }, [first, ...deltas]) => {
  const runs = [startRun(first)];
  for (const delta of deltas) runs.push(fold(runs.at(-1), delta));
  return runs;
}"""


@pytest.fixture
def log(call):
    return functools.partial(call, "core/run_log.js")


@pytest.fixture
def folded(script):
    """folded(*deltas) returns the run after these deltas."""
    return lambda *deltas: script("core/run_log.js", FOLD, [FIRST, *deltas])[-1]


def delta(step, **changed):
    return {**NOTHING, "offset": 100 * step, "step": step, "seconds": step / 2, **changed}


def test_a_run_starts_without_events(folded):
    assert folded() == {
        "name": "a",
        "config": {"beta": 0.7, "task": "reviews"},
        "trainedOn": {"cast": 3},
        "repeat": None,
        "offset": 0,
        "series": {},
        "samples": [],
        "changes": [],
        "step": 0,
        "seconds": 0,
        "status": {"name": "starting", "message": ""},
        "summary": None,
        "phase": None,
        "written": None,
        "learnt": None,
        "distance": None,
    }


def test_what_a_run_learns_from_stays_until_it_learns_from_something_else(folded):
    first, last = ({"prompt": "The", "text": text} for text in (" film", " plot"))
    assert folded(delta(1, learnt=first), delta(2))["learnt"] == first
    assert folded(delta(1, learnt=first), delta(2, learnt=last))["learnt"] == last


def test_a_phase_ends_with_the_next_status_and_a_text_stays(folded):
    phase, text = {"phase": "updating", "count": 4}, {"prompt": "The", "text": " film"}
    running = {"name": "running", "message": ""}
    begun = delta(1, phase=phase, written=text)
    assert [folded(begun)[key] for key in ("phase", "written")] == [phase, text]
    assert folded(begun, delta(2))["phase"] == phase
    assert [folded(begun, delta(2, status=running))[key] for key in ("phase", "written")] == [
        None,
        text,
    ]


def test_points_samples_and_changes_are_appended(folded):
    running = {"name": "running", "message": ""}
    run = folded(
        delta(
            2,
            points={"kl": [[0, 0], [2, 0.5]], "loss": [[2, 9]]},
            status=running,
            summary={"time_left": 8},
        ),
        delta(4, points={"kl": [[4, 0.75]]}, samples=[{"step": 4, "rows": []}]),
        delta(5, changes=[{"step": 5, "settings": {"beta": 0.2}}]),
    )
    assert run["series"] == {
        "kl": {"x": [0, 2, 4], "y": [0, 0.5, 0.75]},
        "loss": {"x": [2], "y": [9]},
    }
    assert run["samples"] == [{"step": 4, "rows": []}]
    assert run["changes"] == [{"step": 5, "settings": {"beta": 0.2}}]
    assert (run["status"], run["summary"]) == (running, {"time_left": 8}), "kept from the first"
    assert (run["offset"], run["step"], run["seconds"]) == (500, 5, 2.5)


def test_a_resumed_run_drops_events_after_its_checkpoint(folded):
    known = delta(
        6,
        points={"kl": [[2, 0.2], [4, 0.4], [6, 0.6]], "loss": [[6, 1]]},
        samples=[{"step": step, "rows": []} for step in (2, 6)],
        changes=[{"step": step, "settings": {"beta": step}} for step in (3, 5)],
    )
    resumed = delta(5, void_after=4, points={"kl": [[5, 0.5]]}, samples=[{"step": 5, "rows": []}])
    run = folded(known, resumed)
    assert run["series"] == {
        "kl": {"x": [2, 4, 5], "y": [0.2, 0.4, 0.5]},
        "loss": {"x": [], "y": []},
    }
    assert [sample["step"] for sample in run["samples"]] == [2, 5]
    assert [change["step"] for change in run["changes"]] == [3]


def test_a_resume_drops_each_later_step_in_any_order(folded):
    """As align_core.runs.events.replay does."""
    points = [[7, 0.7], [0, 0.1], [2, 0.2], [1, 0.3]]
    run = folded(delta(7, points={"kl": points}), delta(1, void_after=1, points={"kl": [[2, 9]]}))
    assert run["series"]["kl"] == {"x": [0, 1, 2], "y": [0.1, 0.3, 9]}
    events = [{"kind": "metrics", "step": step, "metrics": {"kl": value}} for step, value in points]
    events += [{"kind": "resume", "step": 1}, {"kind": "metrics", "step": 2, "metrics": {"kl": 9}}]
    assert series(events)["kl"] == [(0, 0.1), (1, 0.3), (2, 9)]


def test_unchanged_parts_are_the_same_object_and_the_old_run_is_unchanged(script):
    kept = script(
        "core/run_log.js",
        """({ startRun, fold }, [first, two, four, none]) => {
          const before = fold(startRun(first), two);
          const old = JSON.stringify(before);
          const after = fold(before, four);
          return {
            unchanged: JSON.stringify(before) === old,
            kl: after.series.kl === before.series.kl,
            loss: after.series.loss === before.series.loss,
            samples: after.samples === before.samples,
            changes: after.changes === before.changes,
            nothing: fold(after, none) === after,
          };
        }""",
        [
            FIRST,
            delta(2, points={"kl": [[2, 0.2]], "loss": [[2, 9]]}, changes=[{"step": 1}]),
            delta(4, points={"kl": [[4, 0.4]]}, void_after=3),
            {**NOTHING, "offset": 400, "step": None, "seconds": None},
        ],
    )
    assert kept == {
        "unchanged": True,
        "kl": False,
        "loss": True,
        "samples": True,
        "changes": True,
        "nothing": True,
    }


def test_a_value_at_a_step_is_the_last_one_up_to_it(log):
    series = {"x": [0, 5, 10], "y": [1, 2, 3]}
    steps = (None, 0, 4, 5, 9, 10, 99)
    assert [log("valueAt", series, step) for step in steps] == [3, 1, 1, 2, 2, 3, 3]
    assert log("valueAt", series, -1) is None
    assert log("valueAt", None, 3) is None
    assert log("valueAt", {"x": [], "y": []}, None) is None


def test_samples_at_a_step(log):
    run = {"samples": [{"step": 0}, {"step": 5}, {"step": 10}]}
    steps = [log("samplesAt", run, step) for step in (None, 0, 7, 10)]
    assert [sample["step"] for sample in steps] == [10, 0, 5, 10]
    assert log("samplesAt", run, -1) is None
    assert log("samplesAt", None, None) is None


def test_a_changed_setting_counts_from_the_step_after_the_change(log):
    changes = [
        {"step": 4, "settings": {"beta": 0.2}},
        {"step": 8, "settings": {"beta": 0.1, "lr": 1}},
    ]
    run = {"config": {"beta": 0.7, "lr": 3}, "changes": changes}
    settings = {step: log("settingsAt", run, step) for step in (0, 4, 5, 8, 9, None)}
    assert [settings[step]["beta"] for step in settings] == [0.7, 0.7, 0.2, 0.2, 0.1, 0.1]
    assert settings[8]["lr"] == 3 and settings[9]["lr"] == 1


def test_a_recorded_run_moves_and_is_not_live(log):
    def status(name, run="own"):
        run = {"name": run, "status": {"name": name}}
        return [log(ask, run) for ask in ("isMoving", "isRecorded", "isLive")]

    assert status("running") == status("paused") == status("starting") == [True, False, True]
    assert status("finished") == status("failed") == status("stopped") == [False, False, False]
    assert status("running", "recorded/ppo") == [True, True, False]
    assert [log(ask, None) for ask in ("isMoving", "isRecorded", "isLive")] == [False, False, False]
