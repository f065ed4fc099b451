"""The scripts of `examples/` and of docs/ppo.md run, on local models of random weights."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForSequenceClassification

import align_core
from align_core import PPOConfig, PPOTrainer
from align_core.models.loading import save_model
from tests import families, toy

ROOT = Path(__file__).parents[2]
SCRIPTS = sorted((ROOT / "examples").glob("*.py"))


def loaded(name: str):
    spec = importlib.util.spec_from_file_location(name, ROOT / "examples" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def tiny(monkeypatch, module, **settings) -> None:
    """Eight episodes a run, of at most six tokens."""

    def config(**own):
        small = {"per_device_train_batch_size": 4, "num_mini_batches": 1, "response_length": 6}
        quiet = {"use_cpu": True, "disable_tqdm": True, "save_strategy": "no"}
        return PPOConfig(**{**own, **small, **quiet, **settings})

    monkeypatch.setattr(module, "PPOConfig", config)


@pytest.fixture
def folders(tmp_path):
    """A policy, and a classifier of two labels whose tokenizer is another one."""
    save_model(toy.policy(), toy.tokenizer(), tmp_path / "policy")
    own = families.gpt()
    torch.manual_seed(0)
    labels = {"id2label": {0: "bad", 1: "good"}, "label2id": {"bad": 0, "good": 1}}
    size = toy.config(vocab_size=len(own)).to_dict()
    for name in ("id2label", "label2id"):
        size.pop(name, None)
    classifier = LlamaForSequenceClassification(LlamaConfig(**{**size, **labels}))
    save_model(classifier, own, tmp_path / "classifier")
    return tmp_path


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("reward_function", []),
        ("reward_model", ["--reward-model", "classifier", "--label", "good"]),
        ("lora", ["--layers", "1"]),
        ("from_old_trl", []),
    ],
)
def test_an_example_trains_and_saves(name, more, folders, monkeypatch):
    module = loaded(name)
    tiny(monkeypatch, module)
    monkeypatch.chdir(folders)
    arguments = ["--model", "./policy", "--episodes", "8", "--output-dir", "out"]
    trainer = module.main(
        arguments + [f"./{word}" if word == "classifier" else word for word in more]
    )
    scores = [e["objective/scores"] for e in trainer.state.log_history if "objective/scores" in e]
    assert len(scores) == 2
    kept = "adapter_model.safetensors" if name == "lora" else "model.safetensors"
    assert (folders / "out" / kept).is_file()


def test_the_game_is_played_in_turns(folders, monkeypatch):
    """A policy writes a word each turn, and wins with the secret one; a hint gives a direction."""
    module = loaded("own_loop")
    monkeypatch.setattr(module, "GAMES", 8)
    monkeypatch.setattr(module, "WORDS", ["bad", "fine", "good"])
    assert module.hint("bad", "good") == "bad + " and module.hint("good", "fine") == "good - "
    assert module.hint("film", "good") == ""
    learned = []
    learn = PPOTrainer.learn

    def recorded(trainer, rollouts, scores, episodes):
        learned.append((rollouts, scores, episodes))
        learn(trainer, rollouts, scores, episodes)

    monkeypatch.setattr(PPOTrainer, "learn", recorded)
    monkeypatch.chdir(folders)
    won = module.main(["--model", "./policy", "--rollouts", "2"])
    assert len(won) == 2 and all(0 <= share <= 1 for share in won)
    for rollouts, scores, games in learned:
        assert games[0] == [*range(8)] and all(len(ids) == 1 for ids in rollouts[0].completion_ids)
        for of, earned, now in zip(rollouts, scores, games, strict=True):
            for word, score in zip(map(str.strip, of.completions), earned, strict=True):
                assert score in ((0.0, 1.0) if word in module.WORDS else (-0.5,))
            assert len(now) == len(earned)
        for earned, now, later in zip(scores, games, games[1:], strict=False):
            assert later == [game for game, score in zip(now, earned, strict=True) if score < 1]


def test_there_are_five_examples_of_at_most_60_lines():
    assert len(SCRIPTS) == 5
    for path in SCRIPTS:
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 60, path


def blocks(heading: str) -> list[str]:
    """The Python of docs/ppo.md between this heading, or bold beginning, and the next."""
    text = (ROOT / "docs" / "ppo.md").read_text(encoding="utf-8")
    part = re.split(r"^## |^\*\*From ", text.partition(heading)[2], maxsplit=1, flags=re.M)[0]
    return re.findall(r"```python\n(.+?)```", part, re.DOTALL)


def test_the_first_script_of_the_document_runs_as_it_stands(tmp_path, monkeypatch, capsys):
    """With 16 episodes in place of 1024."""
    (script, *_) = blocks("# PPO")
    assert len(script.strip().splitlines()) == 15
    monkeypatch.chdir(tmp_path)
    exec(script.replace("1024", "16"), {})
    assert AutoModelForCausalLM.from_pretrained(tmp_path / "runs" / "ppo").num_parameters() > 0
    (scores,) = re.findall(r"^\[.+\]$", capsys.readouterr().out, re.M)
    assert len(scores.split(",")) == 2


def named(**changes) -> dict:
    """The names that the snippets use without defining them."""
    data = align_core.trainers.ppo.trainer.Dataset.from_dict({"prompt": ["the film", "a plot"]})
    return {
        "tokenizer": toy.tokenizer(),
        "policy": toy.policy(),
        "reference": toy.policy(),
        "reward_model": toy.reward_model(),
        "value_model": toy.reward_model(),
        "data": data,
        "score": len,
        **changes,
    }


BEFORE = {
    "0.11": (ImportError, "AutoModelForCausalLMWithValueHead .* TRL 0.11"),
    "0.12": (TypeError, "no setting .*: use|no argument .*: use"),
}


@pytest.mark.parametrize("version", ["1.12", "0.12", "0.11"])
def test_scripts_from_trl_run_as_the_document_changes_them(version, tmp_path, monkeypatch):
    before, after = blocks(f"**From {version}")
    monkeypatch.chdir(tmp_path)
    small = "total_episodes=4, per_device_train_batch_size=2, response_length=3, use_cpu=True, "
    made = named()
    exec(after.replace("output_dir=", f"{small}output_dir="), made)
    assert made["trainer"].state.global_step > 0
    if version in BEFORE:
        kind, message = BEFORE[version]
        with pytest.raises(kind, match=message):
            exec(before.replace("from trl import", "from align_core import"), named())
    else:  # with nothing changed but the import
        changed = before.replace("from trl.experimental.ppo import", "from align_core import")
        assert changed == after != before
