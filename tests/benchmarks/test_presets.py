"""The recording of a preset: replaced, or kept with its times if the run repeats its numbers."""

from __future__ import annotations

import json

import pytest

from align_core.config import model_index
from align_core.config.model_index import DIFFERENCE
from align_core.models.loading import save_model
from align_core.runs import presets
from align_core.runs.directory import RunDirectory
from align_core.runs.machine_speed import PROBE_SECONDS
from benchmarks import presets as benchmark
from benchmarks.presets import MODELS, is_recorded, repeats, store
from tests import toy
from tests.playground.recordings import MACHINE, record

SETTINGS = {"method": "dpo", "task": "reviews"}


@pytest.fixture
def preset(fake_assets, monkeypatch):
    """A recorded preset that ships its model, which is not stored yet."""
    record(fake_assets, MODELS[0], SETTINGS)
    (fake_assets / "speeds.json").write_text('{"machines": {}, "speeds": []}')
    monkeypatch.setattr(benchmark, "_probe_seconds", lambda: 2 * PROBE_SECONDS)
    save_model(toy.policy(0), toy.tokenizer(), fake_assets / "models" / "sft-reviews")
    return presets.load(MODELS[0])


@pytest.fixture
def run(preset, tmp_path):
    """The same run, made again in twice the time, with a model."""
    run = RunDirectory.create(tmp_path / "run", preset.config)
    for event in RunDirectory(preset.recording).events()[0]:
        run.append({**event, "seconds": 2 * event["seconds"]})
    save_model(toy.policy(1), toy.tokenizer(), run.model_path)
    yield run
    run.close()


def log(preset):
    return (preset.recording / "events.jsonl").read_text()


def test_a_run_that_repeats_a_recording_adds_its_model(preset, run):
    assert repeats(run, preset) and not is_recorded(preset)
    before = log(preset)
    store(preset, run)
    assert log(preset) == before and preset.machine == MACHINE
    assert (preset.recording / "model" / DIFFERENCE).is_file() and is_recorded(preset)
    assert [*model_index.recorded()] == [f"recorded/{preset.name}"]


def test_a_recording_gets_what_its_last_evaluation_lacks(preset, run):
    *before, last = [json.loads(line) for line in log(preset).splitlines()]
    final = {**last, "seconds": 2 * last["seconds"]}
    metrics = {**before[-2]["metrics"], "eval/optimum_gap": 0.25}
    sides = dict.fromkeys(("gap", "gap_ci95", "kl", "kl_ci95", "share"), 0.5)
    sides |= {"beta": 0.5, "prompts": 4, "texts": 2, "count": 1, "named": ["A prompt"]}
    for event in (
        {**before[-2], "metrics": metrics},
        {"kind": "distance", "step": last["step"], "seconds": 60.5, "distance": sides},
        final,
    ):
        run.append(event)
    store(preset, run)
    events = [json.loads(line) for line in log(preset).splitlines()]
    distance = {"kind": "distance", "step": last["step"], "seconds": last["seconds"]}
    assert events[-2:] == [{**distance, "distance": sides}, last]
    assert events[:-2] == [*before[:-2], {**before[-2], "metrics": metrics}, before[-1]]
    stored = log(preset)
    store(preset, run)
    assert log(preset) == stored, "once"


def test_a_run_with_another_number_replaces_the_recording(preset, run):
    run.append({"kind": "metrics", "step": 2, "seconds": 30.0, "metrics": {"eval/kl": 7.0}})
    assert not repeats(run, preset)
    store(preset, run)
    assert json.loads(log(preset).splitlines()[-1])["metrics"] == {"eval/kl": 7.0}
    assert preset.machine != MACHINE and is_recorded(preset)
    stored = json.loads((model_index.ASSETS / "speeds.json").read_text())
    assert stored == {"machines": {preset.machine: 2.0}, "speeds": []}


def test_a_recording_of_other_settings_is_replaced(preset, run):
    file = preset.recording / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"seed": 3}))
    assert not repeats(run, preset)
    store(preset, run)
    assert is_recorded(preset)
