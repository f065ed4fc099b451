"""train/ghost.js and its kin: which run is the ghost, what it is called, when it is drawn."""

from __future__ import annotations

import functools

import pytest

WORDS = {
    "methods": {"ppo": {"name": "PPO"}, "dpo": {"name": "DPO"}, "simpo": {"name": "SimPO"}},
    "settings": {
        "method": "Method",
        "beta": "β",
        "steps": "Steps",
        "seed": "Seed",
        "eval_every": "Every",
    },
    "yes": "yes",
    "no": "no",
    "same": "same settings",
}
CONFIG = {"task": "reviews", "model": "sft", "method": "ppo", "beta": 0.7, "steps": 60, "seed": 0}


def run(name="one", changes=(), **config):
    changed = [{"step": step, "settings": settings} for step, settings in changes]
    status = {"name": "finished", "message": ""}
    return {"name": name, "config": CONFIG | config, "changes": changed, "status": status}


@pytest.fixture
def ghost_of(call):
    return functools.partial(call, "train/ghost.js", "ghostOf")


def test_the_run_before_is_the_ghost_unless_there_is_a_recording_to_compare_with(ghost_of):
    assert ghost_of(run("two"), run("one"), None) == run("one")
    assert ghost_of(run("two"), run("one"), "healthy-dpo") == "recorded/healthy-dpo"
    assert ghost_of(run("two"), None, None) is None
    assert ghost_of(run("two"), run("two"), None) is None
    assert ghost_of(run("two"), run("recorded/no-leash"), None) == "recorded/no-leash", "whole"


@pytest.mark.parametrize(
    "ghost, name",
    [
        ({"method": "dpo", "beta": 0.5, "seed": 3}, "DPO · β 0.5"),
        ({"method": "simpo", "beta": None}, "SimPO"),
        ({"beta": 1}, "PPO · β 1"),
        ({"steps": 30, "seed": 3}, "PPO · β 0.7<br>Steps 30"),
        ({"seed": "a/<b>"}, "PPO · β 0.7<br>Seed ‹b>"),
        ({"eval_every": 9}, "PPO · β 0.7<br>same settings"),
        ({"changes": [(9, {"beta": 0.2}), (9, {"learning_rate": 1})]}, "PPO · β 0.7 → 0.2"),
    ],
)
def test_a_ghost_is_named_by_its_method_its_beta_and_what_differs(call, ghost, name):
    assert call("train/ghost_name.js", "ghostName", run("one", **ghost), run("two"), WORDS) == name


@pytest.mark.parametrize(
    "config, drawn",
    [({}, True), ({"task": "capitals"}, False), ({"model": "own"}, False), ({"beta": 1}, True)],
)
def test_a_ghost_of_another_task_or_frontier_is_not_drawn(call, config, drawn):
    ghost = run("one", **config)
    state = {"run": run("two"), "task": "reviews", "ghost": ghost}
    assert call("core/view.js", "ghostOnStage", state) == (ghost if drawn else None)
    assert (
        call(
            "core/view.js", "ghostOnStage", {**state, "run": ghost, "task": ghost["config"]["task"]}
        )
        is None
    )
    assert call("core/view.js", "ghostOnStage", {**state, "run": None}) is None


def test_a_race_is_shown_once_both_of_its_runs_are(call):
    pair = {"name": "own", "pair": ["here", "there"]}
    here, there = run("recorded/here"), run("recorded/there")
    state = {"run": here, "ghost": there, "task": "reviews", "race": pair}
    on_stage = functools.partial(call, "core/view.js", "raceOnStage")
    assert on_stage(state) == [here, there]
    assert on_stage({**state, "race": None}) is None
    assert on_stage({**state, "ghost": None}) is None
    assert on_stage({**state, "run": there, "ghost": here}) is None


def test_a_ghost_is_named_at_its_last_point_in_sight(call):
    layout = {"xaxis": {"range": [0, 2.6]}, "yaxis": {"range": [-1, 3]}}
    trail = {"x": [0, 1, 3, 2.5, 9], "y": [0, 2, 2, -4, 1]}
    assert call("train/second_trail.js", "lastInSight", trail, layout) == {"x": 1, "y": 2}


FOLLOW = """async ({ ghosts }, { runs, recording }) => {
  const { get, set } = await import("/core/store.js");
  set({ ghost: null });
  const asked = [];
  const follow = ghosts({ trail: async (name) => (asked.push(name), { ...recording, run: name }) });
  const seen = [];
  for (const [run, rival, races] of runs) {
    follow(run, rival, races);
    await new Promise((later) => setTimeout(later));
    seen.push(get().ghost?.name ?? null);
  }
  set({ ghost: null });
  return [seen, asked];
}"""


def test_a_page_keeps_one_ghost_from_its_second_run_on(script):
    def measured(name):
        return {**run(name), "series": {"eval/gain": {"x": [0], "y": [0]}}}

    one, two = measured("one"), measured("two")
    scored = {**run("reward"), "series": {}}
    recorded = measured("recorded/a")
    recording = {"config": CONFIG, "offset": 1, "step": 0, "points": {}, "samples": []}
    recording |= {"changes": [], "void_after": None}
    runs = [
        [recorded, "b", False],  # the run with which a page opens
        [one, None, False],
        [{**one, "seconds": 5}, None, False],
        [scored, None, False],
        [two, None, False],  # the one between has no trail
        [recorded, "b", False],
        [recorded, "b", True],
        [recorded, "c", True],
    ]
    seen, asked = script("train/ghost.js", FOLLOW, {"runs": runs, "recording": recording})
    assert seen == [
        None,
        "recorded/a",
        "recorded/a",
        "one",
        "one",
        *["recorded/b"] * 2,
        "recorded/c",
    ]
    assert asked == ["recorded/a", "recorded/b", "recorded/c"]
