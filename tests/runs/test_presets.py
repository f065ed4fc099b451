"""Every preset's recorded run has its settings and shows the promised effect."""

from __future__ import annotations

import json
from dataclasses import astuple

import pytest

from align_core.config.errors import ConfigError
from align_core.config.methods import methods
from align_core.config.model_index import ASSETS, RECORDED, SMOLLM2, recorded
from align_core.runs import presets
from align_core.runs.directory import RunDirectory
from align_core.runs.durations import speed, time_needed
from align_core.runs.events import series
from align_core.runs.machine_speed import PROBE_SECONDS
from align_core.runs.preset_checks import RULES, checks
from align_core.runs.presets import Preset

LONGEST = 90 / PROBE_SECONDS  # steps of the probe: the presets are short on any machine,
LONGEST_REAL = 900 / PROBE_SECONDS  # but for those of a real model
ALL_BYTES = 5_000_000


@pytest.fixture(params=presets.names())
def preset(request):
    return presets.load(request.param)


@pytest.fixture
def events(preset):
    return RunDirectory.open(preset.recording).events()[0]


def test_the_recorded_run_has_the_settings_of_the_preset(preset):
    assert RunDirectory.open(preset.recording).config == preset.config


def test_the_recorded_run_is_complete_and_short(preset, events):
    assert events[-1]["status"] == "finished"
    assert events[-1]["step"] == preset.config.steps
    longest = LONGEST_REAL if preset.config.model == SMOLLM2 else LONGEST
    assert events[-1]["seconds"] / PROBE_SECONDS <= longest
    assert [event["seconds"] for event in events] == sorted(event["seconds"] for event in events)
    writes = any(event["kind"] == "samples" and event["step"] == 0 for event in events)
    assert writes == (methods()[preset.config.method].makes == "policy")


def test_the_recorded_run_passes_its_check(preset, events):
    results = checks(preset.promise, series(events))
    assert results and not [str(finding) for finding in results if not finding.holds]


@pytest.fixture(scope="module")
def speeds():
    return presets.speeds()


def test_estimates_use_the_recorded_run(preset, events, speeds):
    measured = speed(events)
    needed = time_needed(preset.config.model_dump(), measured)
    assert needed == pytest.approx(events[-1]["seconds"], rel=0.15)
    (known,) = [known for config, known in speeds if config == preset.config]
    times = measured.step / known.step
    slowness = 0.945 if "Intel" in preset.machine else 1.0
    assert 1 <= times / slowness < 2, "its machine was busier than for the fastest recording"
    assert astuple(known.slowed(times)) == pytest.approx(astuple(measured))


def test_a_recording_on_an_idle_machine_counts_by_the_slowness_of_that_machine(speeds):
    """healthy-ppo has the shortest evaluation of all runs on film reviews on its machine."""
    preset = presets.load("healthy-ppo")
    measured = speed(RunDirectory(preset.recording).events()[0])
    known = next(known for config, known in speeds if config == preset.config)
    assert known.step == pytest.approx(measured.step / 0.945)


@pytest.mark.parametrize(
    "content", ['{"speeds": []}', '{"machines": {"m": 0}, "speeds": []}', '{"machines": [1]}', "x"]
)
def test_damaged_speeds_are_skipped_with_a_line_in_the_log(fake_assets, caplog, content):
    (fake_assets / "speeds.json").write_text(content)
    assert presets.speeds() == []
    assert "speeds.json is skipped" in caplog.text


def test_recordings_of_machines_of_other_speeds_agree(speeds):
    """Steps of DPO with another loss are the same work; one was recorded on a slower machine."""
    steps = {
        name: next(known.step for config, known in speeds if config == presets.load(name).config)
        for name in ("dpo-too-long", "ipo-too-long")
    }
    assert steps["ipo-too-long"] == pytest.approx(steps["dpo-too-long"], rel=0.1)


def test_a_recording_is_a_run_and_says_where_it_was_made(preset):
    names = {path.name for path in preset.recording.iterdir()}
    model = {"model"} if f"{RECORDED}{preset.name}" in recorded() else set()
    assert names == {"config.json", "events.jsonl", "machine.txt"} | model
    assert "cores" in preset.machine and "\n" not in preset.machine


def test_a_preset_has_settings_and_a_promise(fake_assets):
    (fake_assets / "presets").mkdir()
    settings = {"method": "ppo", "task": "reviews"}
    for content in ({"settings": settings, "promise": "x"}, {"settings": "x", "promise": {}}):
        (fake_assets / "presets" / "odd.json").write_text(json.dumps(content))
        line = "^the preset got 'odd', expected a file with settings and a promise"
        with pytest.raises(ConfigError, match=line):
            presets.load("odd")


def test_all_recordings_together_and_all_assets_are_small():
    logs = [presets.load(name).recording / "events.jsonl" for name in presets.names()]
    assert sum(log.stat().st_size for log in logs) < ALL_BYTES
    files = [file for file in ASSETS.rglob("*") if file.is_file()]
    assert sum(file.stat().st_size for file in files) <= 40e6


def test_checks_have_thresholds():
    for preset in map(presets.load, presets.names()):
        assert preset.promise["rule"] in RULES
        assert preset.promise.keys() - {"rule"}, preset.name


def test_the_name_of_a_machine_has_at_most_a_thousand_bytes(fake_assets):
    folder = fake_assets / "presets" / "kind"
    folder.mkdir(parents=True)
    kind = Preset("kind", {}, {})
    assert kind.machine == ""
    for size, name in ((1000, "m" * 1000), (1001, "")):
        (folder / "machine.txt").write_text("m" * size)
        assert kind.machine == name
