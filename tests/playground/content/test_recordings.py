"""The presets on the page: their cards, and the replay of their recorded runs."""

from __future__ import annotations

import pytest

from align_core.config.model_index import RECORDED
from align_core.config.run_config import resolve
from align_core.config.task_card import BUILT_IN, card
from align_core.runs.client import Client
from align_core.runs.directory import RunDirectory
from align_core.runs.presets import load, names
from playground import text
from playground.content.new_events import Cursor
from playground.content.recordings import CLOCK, FIRST, SPEED, Recordings
from playground.content.summaries import Summaries
from playground.handlers import form
from playground.handlers.train import TrainHandlers
from playground.views.presets import COUNTERPARTS, GROUPS, RACES
from tests.playground.recordings import record

WORDS = text.load("en")
FIRST_SETTINGS = {"method": "ppo", "task": "reviews", "beta": 0.25, "seed": 3}


@pytest.fixture
def handlers(tmp_path, fake_assets):
    record(fake_assets, "healthy-ppo", FIRST_SETTINGS)
    record(fake_assets, "other", {"method": "dpo", "task": "capitals"})
    return TrainHandlers(Client(tmp_path / "runs"), WORDS)


def follow(handlers, *moments, run=None):
    """The deltas of a page that polls at these times, in seconds since it first showed the run."""
    cursor, deltas = {"run": run}, []
    for elapsed in moments:
        deltas.append(handlers.live.delta(Cursor.of({**cursor, "elapsed": elapsed})))
        cursor = {"run": deltas[-1]["run"], "offset": deltas[-1]["offset"]}
    return deltas


def points(delta):
    return delta["points"].get("eval/kl", [])


def test_a_first_visit_is_shown_a_recorded_run_and_its_settings(handlers):
    shown = handlers.restore()
    assert (shown["task"], shown["method"]["value"]) == ("reviews", "ppo")
    assert (shown["beta"]["value"], shown["seed"]["value"]) == (0.25, 3)
    first = handlers.live.delta(Cursor.of({"run": None, "offset": 0, "elapsed": 99.0}))
    assert first["run"] == FIRST
    assert first["config"] == resolve(**FIRST_SETTINGS).model_dump()


def test_a_replay_starts_at_the_first_evaluation_at_four_times_the_speed(handlers):
    assert SPEED == 4
    start, soon, later, end = follow(handlers, 99.0, 0.99, 1.0, 2.2)
    assert (points(start), start["status"]["name"]) == ([[0, 0.0]], "running")
    assert points(soon) == []  # 2 + 4 · 0.99 < 6
    assert points(later) == [[1, 0.5]]  # 2 + 4 · 1 = 6
    assert (points(end), end["status"]["name"]) == ([[2, 1.0]], "finished")
    assert (end["seconds"], end["config"], end["summary"]["time_left"]) == (10.5, None, None)


def test_a_page_that_slept_gets_all_events(handlers):
    _, woken, after = follow(handlers, 0, 60, 61)
    assert points(woken) == [[1, 0.5], [2, 1.0]]
    assert points(after) == []


@pytest.mark.parametrize("offset", [None, -1, "x"])
@pytest.mark.parametrize("elapsed", [None, "1", -5, 60])
def test_an_invalid_cursor_starts_from_the_beginning(handlers, offset, elapsed):
    delta = handlers.live.delta(Cursor.of({"run": FIRST, "offset": offset, "elapsed": elapsed}))
    assert delta["config"] is not None
    assert points(delta) == [[0, 0.0]]


@pytest.mark.parametrize("elapsed", [None, "1", -5])
def test_an_invalid_time_brings_no_new_events(handlers, elapsed):
    assert points(follow(handlers, 0, elapsed)[1]) == []


@pytest.mark.parametrize("run", ["recorded/none", "recorded/../other", ["recorded/other"], {}, 7])
def test_an_unknown_run_counts_as_the_first(handlers, run):
    assert handlers.live.delta(Cursor.of({"run": run, "offset": 0}))["run"] == FIRST


def test_a_replay_has_the_times_of_its_evaluations(handlers):
    start, end = follow(handlers, 0, 3)
    assert start["points"][CLOCK] == [[0, 2.0]]
    assert end["points"][CLOCK] == [[1, 6.0], [2, 10.0]]


def test_a_recording_s_trail_is_whole_and_has_the_policy_s_texts_alone(handlers):
    trail = handlers.live.recordings.trail(FIRST)
    assert trail["points"] == {
        "eval/kl": [[0, 0.0], [1, 0.5], [2, 1.0]],
        "eval/gain": [[0, 0.0], [1, 0.4], [2, 0.8]],
        CLOCK: [[0, 2.0], [1, 6.0], [2, 10.0]],
    }
    assert (trail["run"], trail["status"]["name"]) == (FIRST, "finished")
    whole = handlers.live.recordings._recordings[FIRST].events
    written = {event["step"]: event["samples"] for event in whole if event["kind"] == "samples"}
    assert [evaluation["step"] for evaluation in trail["samples"]] == [0, 1, 2]
    for evaluation in trail["samples"]:
        for row, logged in zip(evaluation["rows"], written[evaluation["step"]], strict=True):
            assert row.keys() == {"prompt", "policy"} and row["prompt"] == logged["prompt"]
            assert row["policy"]["text"] == logged["policy"]["text"]
    assert trail["config"] == resolve(**FIRST_SETTINGS).model_dump()


@pytest.mark.parametrize("run", ["recorded/none", "healthy-ppo", ["recorded/other"], {}, None])
def test_an_unknown_recording_has_no_trail(handlers, run):
    assert handlers.live.recordings.trail(run) is None


def test_a_recording_may_have_its_model(handlers, fake_assets):
    assert handlers.live.recordings.with_model() == []
    record(fake_assets, "kept", {"method": "dpo", "task": "reviews"}, model=True)
    summaries = Summaries(handlers._client, text.load())
    assert Recordings(summaries).with_model() == ["recorded/kept"]


def test_a_chosen_preset_returns_its_run_and_settings(handlers):
    shown = handlers.play({"preset": "other"})
    assert (shown["task"], shown["method"]["value"]) == ("capitals", "dpo")
    assert shown["live"]["run"] == "recorded/other"
    (delta,) = follow(handlers, 0, run="recorded/other")
    assert (delta["run"], points(delta)) == ("recorded/other", [[0, 0.0]])


@pytest.mark.parametrize("preset", ["none", "../healthy-ppo", None, 7, "<b>"])
def test_an_unknown_preset_changes_nothing(handlers, preset):
    shown = handlers.play({"preset": preset})
    assert (shown["task"], shown["method"]["value"]) == ("reviews", "ppo")
    assert handlers.live.delta(Cursor.of({"run": shown["live"]["run"]}))["run"] == FIRST


def test_the_visitors_own_run_precedes_a_recorded_one(handlers, monkeypatch):
    client = handlers._client
    name = "2026-01-02-030405-dpo-capitals"
    RunDirectory.create(client.root / name, resolve("dpo", "capitals"))
    assert handlers.live.delta(Cursor())["run"] == name
    # The visitor chose it.
    assert handlers.live.delta(Cursor.of({"run": "recorded/other"}))["run"] == "recorded/other"
    monkeypatch.setattr(client, "live", lambda: [name])
    # A live run takes precedence.
    assert handlers.live.delta(Cursor.of({"run": "recorded/other"}))["run"] == name
    assert handlers.play({"preset": "other"})["task"] == "capitals"


@pytest.mark.parametrize("task", BUILT_IN)
def test_every_reward_of_a_task_reaches_the_configuration(handlers, monkeypatch, task):
    client, sent = handlers._client, {}
    monkeypatch.setattr(client, "start", lambda **options: sent.update(options) or "a-run")
    monkeypatch.setattr(client, "send", lambda *command, **change: None)
    choices = handlers.choose({"task": task, "method": "ppo"})["reward_model"]["choices"]
    offered = [name for _, name in choices]
    assert offered == ["proxy", "few" if task == "capitals" else "off", "gold"]
    values = resolve("ppo", task).model_dump()
    for name in offered:
        sent.clear()
        handlers.start({**values, "reward_model": name, "pace": 0.0})
        config = resolve(**sent)
        proxy = card(task).reward_model
        expected = {"proxy": proxy, "gold": "gold"}.get(name, f"{proxy}-{name}")
        assert config.reward_model == expected
        shown = form.controls(config.model_dump(), WORDS)
        assert shown["reward_model"]["value"] == name


def test_presets_and_cards_correspond():
    cards = WORDS["presets"]["cards"]
    assert set(cards) == set(names())
    assert next(iter(cards)) == FIRST.removeprefix("recorded/")
    for preset_card in cards.values():
        assert set(preset_card) == {"name", "aim", "watch", "shows"}


def test_what_is_compared_with_a_preset_is_limited_by_the_same_frontier():
    shown = {name for group in GROUPS.values() for name in group}
    for name, other in (*COUNTERPARTS.items(), *RACES.values()):
        one, two = load(name).config, load(other).config
        assert {name, other} <= shown
        assert name != other and (one.task, one.model) == (two.task, two.model)


@pytest.mark.parametrize("race", RACES)
def test_both_runs_of_a_race_were_recorded_on_one_machine_and_the_first_lasts_longer(race):
    recordings = Recordings(Summaries(None, WORDS))
    first, second = (
        [seconds for _, seconds in recordings.trail(RECORDED + name)["points"][CLOCK]]
        for name in RACES[race]
    )
    assert first[-1] - first[0] >= second[-1] - second[0]
    assert len({load(name).machine for name in RACES[race]}) == 1
    said = WORDS["presets"]["races"][race]
    assert set(said) == {"name", "runners", "aim", "watch"} and len(said["runners"]) == 2
    assert WORDS["presets"]["races"].keys() == RACES.keys()
