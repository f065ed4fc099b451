"""`prepare` and `cache`: sampling, continuing after a kill, and the metrics of a prepared pair."""

from __future__ import annotations

import errno
import json
import shutil

import numpy as np
import pytest

from align_core.cli.main import main
from align_core.config import task_card
from align_core.evaluation import preparation, prepared, task_in_nats
from align_core.evaluation.prepared import stored, stored_samples, stored_scale
from align_core.models.loading import load_policy, load_tokenizer
from align_core.models.reward_scale import reward_scale
from align_core.optimum import Frontier, ReferenceSamples
from align_core.tasks import get_task, load_task, loader

SETTINGS = ("--samples", "120", "--prompts", "2", "--seed", "5")
SCORED = """
title = "Few words"
explanation = "People prefer few words."
max_new_tokens = 6
[prompts]
file = "prompts.txt"
[[reward]]
kind = "length"
aim = 2
most = 5
[[reward]]
kind = "ends"
"""


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("ALIGN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(task_card, "_registered", {})
    monkeypatch.setattr(loader, "_loaded", {})
    task_in_nats._measured_scale.cache_clear()
    return tmp_path / "cache" / "optimum"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "few").mkdir()
    (tmp_path / "few" / "task.toml").write_text(SCORED)
    prompts = [f"The {noun} was" for noun in "plot cast film music end story light".split()]
    (tmp_path / "few" / "prompts.txt").write_text("\n".join(prompts))
    return tmp_path / "few"


def prepare(capsys, folder, *more) -> dict:
    argv = ["prepare", "--task", str(folder), "--model", "sft-reviews", *SETTINGS, *more]
    assert main([*argv, "--json"]) == 0
    return json.loads(capsys.readouterr().out.splitlines()[-1])


def refused(capsys, *argv) -> list[str]:
    assert main(["prepare", *map(str, argv)]) == 2
    output = capsys.readouterr()
    assert not output.out
    return [line for line in output.err.splitlines() if "\r" not in line and line]


def test_prepare_stores_scored_texts_of_the_present_model(capsys, folder, cache, monkeypatch):
    seeds, sampled = [], preparation.sample_prompt

    def sample_prompt(*arguments, **options):
        seeds.append(arguments[-1])
        return sampled(*arguments, **options)

    monkeypatch.setattr(preparation, "sample_prompt", sample_prompt)
    report = prepare(capsys, folder)
    (entry,) = prepared.entries()
    assert entry.complete and entry.facts() == report
    assert seeds == [5 * 1_000_003, 6 * 1_000_003], "the first prompt of each split, from seed 5"
    assert sorted(path.name for path in entry.path.iterdir()) == [
        "facts.json",
        "heldout.npz",
        "probe.npz",
        "tokenizer.json",
    ]
    task = load_task(str(folder))
    probe, heldout = (stored_samples(str(folder), "sft-reviews", s) for s in prepared.SPLITS)
    assert probe.prompts == task.prompts("probe")[:2]
    assert heldout.prompts == task.prompts("heldout")[:2]
    policy, tokenizer = load_policy("sft-reviews"), load_tokenizer("sft-reviews")
    scale = reward_scale(task, policy, tokenizer)
    assert report["reward_scale"] == scale == stored_scale(str(folder), "sft-reviews")
    every = np.concatenate([probe.rewards, heldout.rewards])
    assert every.shape == (len(probe.prompts) + len(heldout.prompts), 120)
    assert report["gold_reward"] == pytest.approx(every.mean(), abs=1e-5)
    parts = report["reward/length"] + report["reward/ends"]
    assert parts == pytest.approx(report["gold_reward"], abs=1e-5)
    assert report["ended"] == np.concatenate([probe.ended, heldout.ended]).mean()
    frontier = Frontier.of(probe.rewards)
    assert report["effective_samples"]["1"] == pytest.approx(frontier.at(1.0)[1], rel=1e-5)
    assert len(report["texts"]) == 5
    for row, samples in enumerate((probe, heldout)):
        ids = [samples.tokens[0, n, : samples.lengths[0, n]].tolist() for n in range(120)]
        texts = tokenizer.batch_decode(ids, skip_special_tokens=True)
        ended = samples.ended[0].tolist()
        again = task.scaled(scale).reward([samples.prompts[0]] * 120, texts, ended=ended)
        assert samples.rewards[0] == pytest.approx(again, abs=1e-5)
        if row == 0:
            assert report["texts"][0]["completion"] == texts[0]


def test_a_killed_preparation_continues_and_ends_like_an_unbroken_one(
    capsys, folder, cache, monkeypatch, tmp_path
):
    whole = prepare(capsys, folder)
    texts = {split: stored_samples(str(folder), "sft-reviews", split) for split in prepared.SPLITS}
    shutil.rmtree(cache)
    sample, sampled = preparation.sample_prompt, []

    def killed(task, policy, tokenizer, prompt, *rest, **more):
        if len(sampled) == 1:
            raise KeyboardInterrupt
        sampled.append(prompt)
        return sample(task, policy, tokenizer, prompt, *rest, **more)

    monkeypatch.setattr(preparation, "sample_prompt", killed)
    argv = ["prepare", "--task", str(folder), "--model", "sft-reviews", *SETTINGS]
    assert main(argv) == 1
    assert "the same command continues" in capsys.readouterr().err
    (entry,) = prepared.entries()
    assert not entry.complete and stored(str(folder), "sft-reviews", "probe") is None
    assert main(["cache"]) == 0 and "not complete" in capsys.readouterr().out
    (entry.path / "parts" / "probe-1.npz").write_bytes(b"PK half of a file")

    def counted(task, policy, tokenizer, prompt, *rest, **more):
        sampled.append(prompt)
        return sample(task, policy, tokenizer, prompt, *rest, **more)

    monkeypatch.setattr(preparation, "sample_prompt", counted)
    assert prepare(capsys, folder) == whole
    assert sampled == [prompt for samples in texts.values() for prompt in samples.prompts]
    for split, before in texts.items():
        after = stored_samples(str(folder), "sft-reviews", split)
        assert np.array_equal(before.tokens, after.tokens)
        assert np.array_equal(before.rewards, after.rewards)
    prepare(capsys, folder)
    assert len(sampled) == sum(len(samples.prompts) for samples in texts.values())


def test_a_full_disk_leaves_no_half_written_files(capsys, folder, cache, monkeypatch):
    def full(self, path):
        path.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(ReferenceSamples, "save", full)
    (line,) = refused(capsys, "--task", folder, "--model", "sft-reviews", *SETTINGS)[-1:]
    assert "disk is full" in line and str(cache) in line
    assert not [*cache.rglob("*.npz"), *cache.rglob("facts.json")]
    monkeypatch.undo()


def test_a_text_without_a_reward_is_refused(capsys, folder, cache, monkeypatch):
    sampled = preparation.sample_prompt

    def without_one(*arguments, **options):
        samples, means = sampled(*arguments, **options)
        samples.rewards[0, 3] = np.nan
        return samples, means

    monkeypatch.setattr(preparation, "sample_prompt", without_one)
    (line,) = refused(capsys, "--task", folder, "--model", "sft-reviews", *SETTINGS)[-1:]
    assert "expected a reward for each text, got none for some" in line
    assert not [*cache.rglob("*.npz")]


def test_too_little_space_is_refused_before_anything_is_sampled(capsys, folder, cache, monkeypatch):
    usage = shutil._ntuple_diskusage(10**9, 10**9, 1000)
    monkeypatch.setattr(preparation.shutil, "disk_usage", lambda path: usage)
    lines = refused(capsys, "--task", folder, "--model", "sft-reviews", *SETTINGS)
    assert len(lines) == 1 and "free space" in lines[0] and not cache.exists()


def test_every_error_is_a_line(capsys, folder, cache):
    lines = refused(capsys, "--task", folder, "--samples", "1", "--prompts", "x", "--seed", "-1")
    assert {line.split()[0] for line in lines} == {"--model", "--samples", "--prompts", "--seed"}
    lines = refused(capsys, "--task", folder, "--model", "reward-reviews", *SETTINGS)
    assert len(lines) == 1 and "scores texts and writes none" in lines[0]
    (folder / "pairs.jsonl").write_text(
        "\n".join(
            json.dumps({"prompt": f"The {n} was", "chosen": " good.", "rejected": " bad."})
            for n in range(9)
        )
    )
    text = SCORED.partition("[prompts]")[0] + '[preferences]\nfile = "pairs.jsonl"\n'
    (folder / "task.toml").write_text(text)
    loader._loaded.clear()
    (line,) = refused(capsys, "--task", folder, "--model", "sft-reviews", *SETTINGS)
    assert line.startswith("--task got") and "preferences only" in line
    assert not cache.exists()


def test_a_pair_is_its_content(capsys, folder, cache, tmp_path):
    prepare(capsys, folder)
    assert stored_samples(str(folder), "pretrained", "probe") is None
    shutil.copytree(folder, tmp_path / "copy")
    assert stored_samples(str(tmp_path / "copy"), "sft-reviews", "probe") is not None
    text = (folder / "task.toml").read_text()
    (folder / "task.toml").write_text(text.replace("aim = 2", "aim = 3"))
    assert stored_samples(str(folder), "sft-reviews", "probe") is None
    assert stored_samples("reviews", "sft-reviews", "probe").rewards.shape == (64, 1536)
    assert stored_samples("reviews", "pretrained", "probe") is None


def test_unreadable_entries_are_skipped(capsys, folder, cache, caplog):
    prepare(capsys, folder)
    (more,) = prepared.entries()
    prepare(capsys, folder, "--samples", "130")
    assert stored_samples(str(folder), "sft-reviews", "probe").rewards.shape[1] == 130
    (largest,) = [entry for entry in prepared.entries() if entry.samples[0] == 130]
    shutil.copy(more.path / "facts.json", largest.path / "probe.npz")
    assert stored_samples(str(folder), "sft-reviews", "probe").rewards.shape[1] == 120
    assert str(largest.path) in caplog.text
    (cache / "a-foreign-folder").mkdir()
    assert stored_samples(str(folder), "sft-reviews", "heldout").rewards.shape[1] == 130


def test_the_cache_reports_its_size_and_can_be_cleared(capsys, folder, cache):
    prepare(capsys, folder)
    assert main(["cache"]) == 0
    printed = capsys.readouterr().out
    (entry,) = prepared.entries()
    assert entry.path.name in printed and str(cache) in printed
    assert entry.size == sum(path.stat().st_size for path in entry.path.iterdir())
    assert main(["cache", "--clear"]) == 0
    assert not prepared.entries() and get_task(str(folder))
    assert main(["cache"]) == 0 and " has 0 prepared" in capsys.readouterr().out


def test_a_prepared_pair_has_gain_efficiency_and_scale(
    capsys, folder, cache, tmp_path, monkeypatch
):
    few = ("--model", "sft-reviews", "--steps", "1", "--batch-size", "4", "--eval-every", "1")
    before, after = tmp_path / "before", tmp_path / "after"
    argv = ["train", "ppo", "--task", str(folder), *few, "--run-dir"]
    assert main([*argv, str(before)]) == 0
    report = prepare(capsys, folder, "--samples", "800")

    def not_measured(*_):
        raise AssertionError("the scale is known")

    monkeypatch.setattr("align_core.training.setup.reward_scale", not_measured)
    monkeypatch.setattr("align_core.evaluation.task_in_nats.reward_scale", not_measured)
    assert main([*argv, str(after)]) == 0
    configs = [json.loads((run / "config.json").read_text()) for run in (before, after)]
    assert configs[0]["reward_scale"] == configs[1]["reward_scale"] == report["reward_scale"]
    for run in (before, after):
        metrics = [event.get("metrics", {}) for event in events(run)]
        gains = [row["eval/gain"] for row in metrics if "eval/gain" in row]
        kls = [row["eval/gain_kl"] for row in metrics if "eval/gain" in row]
        assert len(gains) == 2
        assert kls == ([None] * 2 if run == before else [report["gain_kl"]] * 2)
        assert gains[0] == (None if run == before else 0)
    capsys.readouterr()
    assert main(["evaluate", str(after), "--json", "--prompts", "2"]) == 0
    numbers = json.loads(capsys.readouterr().out)
    heldout = Frontier.of(stored_samples(str(folder), "sft-reviews", "heldout").rewards)
    assert numbers["gain_kl"] == heldout.gain_kl and numbers["gain"] is not None
    assert numbers["gain_ci95"] >= 0


def test_a_reward_model_is_evaluated_on_the_texts_of_its_reference(capsys, folder, cache, tmp_path):
    few = ("--model", "sft-reviews", "--steps", "1", "--batch-size", "4", "--eval-every", "1")
    run = tmp_path / "run"
    argv = ["train", "reward", "--task", str(folder), *few, "--preference-pairs", "8"]
    assert main([*argv, "--run-dir", str(run)]) == 0
    assert main(["evaluate", str(run), "--json"]) == 2, "nothing was prepared"
    prepare(capsys, folder)
    assert main([*argv, "--run-dir", str(tmp_path / "again")]) == 0
    metrics = [event.get("metrics", {}) for event in events(tmp_path / "again")]
    accuracies = [row["eval/accuracy"] for row in metrics if "eval/accuracy" in row]
    assert len(accuracies) == 2 and all(0 <= accuracy <= 1 for accuracy in accuracies)
    capsys.readouterr()
    assert main(["evaluate", str(run), "--json"]) == 0
    numbers = json.loads(capsys.readouterr().out)
    heldout = stored_samples(str(folder), "sft-reviews", "heldout").prompts
    assert numbers["prompts"] == len(heldout) and 0 <= numbers["accuracy"] <= 1


def test_a_run_keeps_the_scale_in_its_config_when_it_is_resumed(
    capsys, folder, cache, tmp_path, monkeypatch
):
    """The run is stopped before its first step, and its scale is then changed by hand."""
    few = ("--model", "sft-reviews", "--steps", "2", "--batch-size", "4", "--eval-every", "1")
    run = tmp_path / "run"
    argv = ["train", "ppo", "--task", str(folder), *few, "--run-dir", str(run)]
    assert main([*argv, "--time-limit", "0.001"]) == 0
    config = json.loads((run / "config.json").read_text())
    doubled = 2 * config["reward_scale"]
    content = config | {"reward_scale": doubled, "time_limit": None}
    (run / "config.json").write_text(json.dumps(content))
    before = len(events(run))
    assert main(["train", "--resume", str(run)]) == 0
    assert json.loads((run / "config.json").read_text())["reward_scale"] == doubled
    lines = [event["metrics"] for event in events(run) if "eval/kl" in event.get("metrics", {})]
    assert lines[-1]["eval/gold_reward"] == pytest.approx(2 * lines[0]["eval/gold_reward"], rel=0.1)
    assert len(events(run)) > before


def events(run) -> list[dict]:
    return [json.loads(line) for line in (run / "events.jsonl").read_text().splitlines()]
