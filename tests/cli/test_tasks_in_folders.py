"""Every command with a task in a folder."""

import json
import shutil

import pytest

from align_core.cli.main import main
from align_core.config import model_index, task_card
from align_core.data.encoding import encode, encode_prompts
from align_core.evaluation import task_in_nats
from align_core.models.loading import load_policy, load_tokenizer
from align_core.models.logprobs import logprobs
from align_core.tasks import loader

PARTS = ("warmth", "length", "ends", "repetition")
TEXTS = (" was warm and superb.", " was dull dull dull")


def as_in_a_new_process(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(task_card, "_registered", {})
    patch.setattr(loader, "_loaded", {})
    task_in_nats._measured_scale.cache_clear()


@pytest.fixture(autouse=True)
def forget(monkeypatch):
    """A function that drops all cached tasks; it is called before each test."""
    as_in_a_new_process(monkeypatch)
    return lambda: as_in_a_new_process(monkeypatch)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A task from `task new`, and a run of PPO on it."""
    there = tmp_path_factory.mktemp("folders")
    folder, run = there / "mine", there / "run"
    few = ("--model", "sft-reviews", "--steps", "1", "--batch-size", "4", "--eval-every", "1")
    with pytest.MonkeyPatch.context() as patch:
        as_in_a_new_process(patch)
        assert main(["task", "new", str(folder)]) == 0
        assert main(["train", "ppo", "--task", str(folder), *few, "--run-dir", str(run)]) == 0
    return folder, run


def answer(capsys, *argv) -> list:
    assert main([*map(str, argv), "--json"]) == 0
    return json.loads(capsys.readouterr().out.splitlines()[-1])


def refused(capsys, *argv) -> list[str]:
    assert main([*map(str, argv)]) == 2
    output = capsys.readouterr()
    assert not output.out
    return output.err.splitlines()


def events(run) -> list[dict]:
    return [json.loads(line) for line in (run / "events.jsonl").read_text().splitlines()]


def test_a_run_has_a_metric_for_each_part_and_its_scale(made):
    folder, run = made
    config = json.loads((run / "config.json").read_text())
    assert (config["task"], config["reward_model"]) == (str(folder), "gold")
    assert config["reward_scale"] > 0
    (event,) = [event for event in events(run) if event.get("cause")]
    assert event["cause"]["values"] == {"nats": config["reward_scale"], "std": 2.0}
    measured = [event["metrics"] for event in events(run) if "eval/kl" in event.get("metrics", {})]
    assert len(measured) == 2
    for metrics in measured:
        parts = sum(metrics[f"reward/{name}"] for name in PARTS)
        assert parts == pytest.approx(metrics["eval/gold_reward"], abs=1e-9)


def test_texts_are_scored_on_the_scale_of_the_run(made, forget, capsys):
    folder, run = made
    scale = json.loads((run / "config.json").read_text())["reward_scale"]
    arguments = ("--prompt", "The plot of this film", "--completion", *TEXTS)
    raw = answer(capsys, "score", "--task", folder, *arguments)
    assert [set(row) for row in raw] == [
        {"prompt", "completion", *(f"reward/{p}" for p in PARTS)}
    ] * 2
    assert [row["reward/length"] for row in raw] == [-8 / 12, -8 / 12]
    assert [row["reward/ends"] for row in raw] == [1, 0]
    forget()
    scored = answer(capsys, "score", run, *arguments)
    weights = dict.fromkeys(PARTS, 1.0) | {"warmth": 2.0}
    for one, row in zip(raw, scored, strict=True):
        nats = {name: scale * weights[name] * one[f"reward/{name}"] for name in PARTS}
        assert {name: row[f"reward/{name}"] for name in PARTS} == pytest.approx(nats, abs=1e-9)
        assert row["gold_reward"] == pytest.approx(sum(nats.values()), abs=1e-9)
    forget()
    metrics = answer(capsys, "evaluate", run, "--prompts", 4)
    assert (metrics["task"], metrics["reward_scale"]) == (str(folder), scale)
    parts = sum(metrics[f"reward/{name}"] for name in PARTS)
    assert parts == pytest.approx(metrics["gold_reward"], abs=1e-9)
    assert all(metrics[f"reward/{name}_ci95"] >= 0 for name in PARTS)
    texts = answer(capsys, "generate", run, "-n", 1)
    assert len(texts) == 6 and all(isinstance(text["gold_reward"], float) for text in texts)


def test_a_scale_is_read_from_the_disk_or_measured_again(made, tmp_path, capsys):
    folder, run = made
    shutil.copytree(run, copy := tmp_path / "copy")
    config = json.loads((copy / "config.json").read_text())
    arguments = ("--prompt", "The plot of this film", "--completion", TEXTS[0])
    (one,) = answer(capsys, "score", run, *arguments)
    (copy / "config.json").write_text(json.dumps(config | {"reward_scale": 10.0}))
    (ten,) = answer(capsys, "score", copy, *arguments)
    ratio = 10.0 / config["reward_scale"]
    assert ten["gold_reward"] == pytest.approx(one["gold_reward"] * ratio, abs=1e-9)
    (copy / "config.json").write_text(json.dumps(config | {"reward_scale": "x"}))
    (again,) = answer(capsys, "score", copy, *arguments)
    assert again["gold_reward"] == pytest.approx(one["gold_reward"], abs=1e-9)


@pytest.mark.slow
def test_prompts_go_through_the_chat_template_of_a_model(made, tmp_path, capsys):
    folder, model, run = tmp_path / "task", tmp_path / "chat", tmp_path / "run"
    shutil.copytree(made[0], folder)
    toml = (folder / "task.toml").read_text()
    (folder / "task.toml").write_text(toml.replace("# system_prompt", "system_prompt"))
    shutil.copytree(model_index.ASSETS / "models" / "sft-reviews", model)
    config = json.loads((model / "tokenizer_config.json").read_text())
    config["chat_template"] = "{% for m in messages %}{{ m.role }}: {{ m.content }} {% endfor %}"
    (model / "tokenizer_config.json").write_text(json.dumps(config))
    few = ("--model", model, "--steps", 1, "--batch-size", 4, "--eval-every", 1)
    assert main([*map(str, ("train", "ppo", "--task", folder, *few, "--run-dir", run))]) == 0
    (samples, _) = [event["samples"] for event in events(run) if event["kind"] == "samples"]
    assert {sample["prompt"] for sample in samples} <= {
        *loader.load_task(str(folder)).prompts("probe")
    }

    arguments = ("--task", folder, "--prompt", "The plot", "--completion", " was warm.")
    (row,) = answer(capsys, "score", model, *arguments)
    tokenizer = load_tokenizer(str(model))
    prompt = "system: You write short film reviews. user: The plot "
    before, ids = encode(tokenizer, prompt, "was warm.")
    assert tokenizer.decode([*before, *ids], skip_special_tokens=True) == f"{prompt}was warm."
    expected = logprobs(load_policy(str(model)), encode_prompts(tokenizer, [before]), [ids])[0]
    assert row["logp"] == pytest.approx(expected.sum().item(), abs=1e-4)


def test_a_run_that_cannot_be_trained_leaves_nothing(made, tmp_path, capsys):
    folder = tmp_path / "task"
    shutil.copytree(made[0], folder)
    run = tmp_path / "run"
    train = ("train", "ppo", "--task", folder, "--model", "sft-reviews", "--run-dir", run)
    toml = (folder / "task.toml").read_text()
    head = toml[: toml.index("[[reward]]")]
    (folder / "task.toml").write_text(head + '[[reward]]\nkind = "json"\nname = "valid"\n')
    (line,) = [line for line in refused(capsys, *train) if "expected" in line]
    assert "expected a reward that varies" in line and line.endswith("reward/valid")
    assert not run.exists()
    (folder / "task.toml").write_text(toml)
    with (folder / "prompts.txt").open("a") as file:
        file.write("very " * 120 + "\n")
    (line,) = [line for line in refused(capsys, *train) if "expected" in line]
    assert f"{folder}/prompts.txt, line 61: expected at most 92 tokens (the model's 128" in line
    (folder / "task.toml").write_text("title = 3\n")
    lines = refused(capsys, *train, "--beta", "-1")
    at = [f"--task got {folder}/task.toml, line 1"] * 5  # three keys, a reward and prompts
    assert [line.split(": ")[0] for line in lines[:5]] == at
    assert lines[5].startswith("--beta got")
    assert not run.exists()


def test_preferences_alone_train_without_a_gold_reward(tmp_path, capsys):
    folder, run = tmp_path / "pairs", tmp_path / "run"
    folder.mkdir()
    (folder / "task.toml").write_text(
        'title = "P"\nexplanation = "P."\nmax_new_tokens = 4\n[preferences]\nfile = "p.jsonl"\n'
    )
    rows = [
        {"prompt": f"The {noun} was", "chosen": " warm.", "rejected": " cold."}
        for noun in ("plot", "film", "cast", "end", "music", "story")
    ]
    (folder / "p.jsonl").write_text("\n".join(map(json.dumps, rows)))
    few = ("--model", "sft-reviews", "--steps", 1, "--batch-size", 2, "--eval-every", 1)
    assert main([*map(str, ("train", "dpo", "--task", folder, *few, "--run-dir", run))]) == 0
    config = json.loads((run / "config.json").read_text())
    assert config["preference_pairs"] == 4 and "reward_scale" not in config
    measured = [event["metrics"] for event in events(run) if "eval/kl" in event.get("metrics", {})]
    assert measured[-1]["eval/gold_reward"] is None and measured[-1]["eval/win_rate"] is None
    assert measured[-1]["eval/kl"] >= 0
    (row,) = answer(capsys, "score", run, "--prompt", "The film was", "--completion", " warm.")
    assert row["gold_reward"] is None and row["logp"] < 0
    line = refused(capsys, "score", "--task", folder, "--prompt", "a", "--completion", "b")[0]
    assert line.startswith("MODEL got nothing")
