"""An exported run is a model for transformers alone, with a card that the Hub can read."""

from __future__ import annotations

import json
import re
import shlex

import pytest
import torch
from huggingface_hub import ModelCard
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
)

from align_core.cli import main as cli
from align_core.config.run_config import resolve
from align_core.models import model_card
from align_core.models.export import export
from align_core.models.loading import load_policy, new_reward_model, save_model
from align_core.runs.directory import RunDirectory
from tests import toy


@pytest.fixture
def base(tmp_path):
    save_model(toy.policy(), toy.tokenizer(), tmp_path / "home" / "ann" / "base")
    return str(tmp_path / "home" / "ann" / "base")


def a_run(path, trained, method="dpo", metrics=(), **options):
    """A finished run on the film reviews, with the model `trained`."""
    directory = RunDirectory.create(path, resolve(method, "reviews", **options))
    save_model(trained, toy.tokenizer(), directory.model_path)
    for step, values in metrics:
        directory.append({"kind": "metrics", "step": step, "seconds": 1.0, "metrics": values})
    directory.close()
    return directory


def card(out):
    return ModelCard.load(out / "README.md")


def exported_policy(out):
    model = AutoModelForCausalLM.from_pretrained(out)
    assert model.dtype == torch.float32
    return model


def test_an_adapter_is_merged(base, tmp_path):
    adapted = toy.adapted(load_policy(base))
    a_run(tmp_path / "run", adapted, model=base, lora_r=4)
    export(str(tmp_path / "run"), str(tmp_path / "out"))
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert {"README.md", "config.json", "model.safetensors", "tokenizer.json"} <= names
    assert "adapter_config.json" not in names
    exported = exported_policy(tmp_path / "out")
    torch.testing.assert_close(toy.outputs(exported), toy.outputs(adapted), atol=1e-5, rtol=0)
    assert (toy.outputs(exported) - toy.outputs(load_policy(base))).abs().max() > 0.1
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "out")
    assert tokenizer.get_vocab() == toy.tokenizer().get_vocab()
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_a_model_with_all_weights_is_exported(base, tmp_path):
    model = toy.policy(3)
    a_run(tmp_path / "run", model, model=base)
    (tmp_path / "out").mkdir()
    export(str(tmp_path / "run"), str(tmp_path / "out"))
    assert torch.equal(toy.outputs(exported_policy(tmp_path / "out")), toy.outputs(model))


@pytest.mark.parametrize("lora_r", [0, 4])
def test_a_reward_model(base, tmp_path, lora_r):
    model = new_reward_model(base, seed=0)
    if lora_r:
        model = toy.adapted(model, task_type="SEQ_CLS")
    metrics = [(8, {"eval/accuracy": 0.75, "eval/margin": 0.5})]
    a_run(tmp_path / "run", model, "reward", model=base, lora_r=lora_r, metrics=metrics)
    export(str(tmp_path / "run"), str(tmp_path / "out"))
    exported = AutoModelForSequenceClassification.from_pretrained(tmp_path / "out")
    torch.testing.assert_close(toy.outputs(exported), toy.outputs(model), atol=1e-5, rtol=0)
    data, text = card(tmp_path / "out").data, card(tmp_path / "out").text
    assert data.pipeline_tag == "text-classification" and "reward-model" in data.tags
    assert "AutoModelForSequenceClassification" in text and "| 0.750 |" in text


def test_the_card(base, tmp_path, monkeypatch):
    monkeypatch.setenv("ALIGN_CACHE", str(tmp_path / "cache"))
    save_model(toy.policy(), toy.tokenizer(), tmp_path / "cache" / "models" / "smollm2")
    (tmp_path / "cache" / "models" / "smollm2" / "origin.json").write_text(
        json.dumps({"weights": "4-bit weights"})
    )
    metrics = [
        (0, {"eval/kl": 0.0, "eval/win_rate": 0.5}),
        (
            40,
            {
                "eval/gold_reward": 1.25,
                "eval/kl": 0.5,
                "eval/kl_ci95": 0.0625,
                "eval/gain": 0.375,
                "eval/frontier_efficiency": None,
                "loss": 7.0,
            },
        ),
    ]
    options = {"model": "smollm2", "beta": 0.25, "steps": 40, "lora_r": 8}
    directory = a_run(tmp_path / "run", toy.policy(), metrics=metrics, **options)
    directory.append(
        {"kind": "change", "step": 9, "seconds": 1.0, "settings": {"beta": 0.75}, "before": {}}
    )
    directory.close()
    export(str(tmp_path / "run"), str(tmp_path / "out"))
    data, text = card(tmp_path / "out").data, card(tmp_path / "out").text
    assert data.to_dict() == {
        "license": "apache-2.0",
        "library_name": "transformers",
        "pipeline_tag": "text-generation",
        "base_model": "HuggingFaceTB/SmolLM2-135M-Instruct",
        "base_model_relation": "finetune",
        "tags": ["alignment-playground", "dpo"],
    }
    assert "# dpo on Warm film reviews\n" in text
    assert "SmolLM2-135M-Instruct, 4-bit weights, licence apache-2.0 |" in text
    assert "prompts and reward of Alignment Playground, licence apache-2.0 |" in text
    assert "| β | 0.75 |" in text and "was changed during the run" in text
    assert "LoRA of rank 8" in text
    assert "At step 40 of 40" in text
    assert "| KL from the reference, nats | 0.500 ± 0.062 |" in text
    assert "| gold reward, nats | 1.250 |" in text
    assert "frontier efficiency" not in text, "it was not measured"
    assert "win rate" not in text, "it was measured before the last step"


def test_the_card_names_the_reward_that_was_followed():
    config = resolve("ppo", "reviews")
    named = {"gold": "the task's gold reward", "words": "words, a misspecified reward of the task"}
    for name, expected in {**named, "reward-reviews": "reward-reviews", None: None}.items():
        followed = config.model_copy(update={"task": "manners", "reward_model": name})
        assert model_card._reward(followed) == expected


def test_the_command_of_the_card_makes_the_same_configuration(base, tmp_path, monkeypatch):
    config = a_run(tmp_path / "run", toy.policy(), beta=0.25, seed=3, lora_r=4).config
    export(str(tmp_path / "run"), str(tmp_path / "out"))
    command = re.search(r"```\n(align-core .+)\n```", card(tmp_path / "out").text)[1]
    args, errors = cli._parsed(shlex.split(command)[1:])
    assert errors == [] and args.method == "dpo"
    given = {name: getattr(args, name) for name in type(config).model_fields}
    assert resolve(**given) == config


def test_the_base_is_that_of_the_first_of_a_chain_of_runs(base, tmp_path):
    a_run(tmp_path / "first", toy.policy(), model="sft-reviews")
    a_run(tmp_path / "second", toy.policy(), model=str(tmp_path / "first"))
    export(str(tmp_path / "second"), str(tmp_path / "out"))
    base = "sft-reviews of Alignment Playground (SFT, with logits multiplied by 1.25)"
    assert f"| base model | {base}, licence apache-2.0 |" in card(tmp_path / "out").text
    assert card(tmp_path / "out").data.base_model is None


HOSTILE = '/home/ann/secret/<script>alert("x")</script>`|[a](b)*\n# x{}\u202e.jsonl'


def test_the_content_of_a_run_is_not_trusted(base, tmp_path):
    directory = a_run(tmp_path / "run", toy.policy(), model=base)
    file = directory.path / "config.json"
    content = json.loads(file.read_text()) | {
        "task": "/home/ann/secret/<b>.py:Task",
        "preferences": HOSTILE,
        "pair_source": HOSTILE,
    }
    file.write_text(json.dumps(content | {"versions": {"<script>": "x"}}))
    export(str(tmp_path / "run"), str(tmp_path / "out"))
    text = (tmp_path / "out" / "README.md").read_text()
    prose = text.replace(re.search(r"```\nalign-core .+\n```", text)[0], "")
    assert "<" not in prose and "|[a]" not in prose and "\u202e" not in text
    assert len(re.findall(r"^#+ ", text, re.M)) == 4, "title, results, use, command"
    assert text.count("```") == 4
    assert card(tmp_path / "out").data.license == "unknown"
    for path in (tmp_path / "out").iterdir():
        assert b"/home/ann" not in path.read_bytes(), path
        assert str(tmp_path).encode() not in path.read_bytes(), path


def refusal(capsys, *arguments):
    assert cli.main(["export", *map(str, arguments)]) == 2
    return capsys.readouterr().err.splitlines()


def test_all_errors_are_reported_at_once(base, tmp_path, capsys):
    run, out = tmp_path / "none", tmp_path / "home"
    of_run, of_out = refusal(capsys, run, out)
    assert of_run == f"RUN got {str(run)!r}, expected a run directory"
    assert of_out.startswith("OUT got ") and of_out.endswith("; this one is not empty")
    assert refusal(capsys) == [
        "RUN got nothing, expected a run directory",
        "OUT got nothing, expected a new or empty folder",
    ]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["home"]


def test_a_run_without_a_model_is_refused(base, tmp_path, capsys):
    RunDirectory.create(tmp_path / "run", resolve("dpo", "reviews"))
    (line,) = refusal(capsys, tmp_path / "run", tmp_path / "out")
    assert "has not saved a model" in line and not (tmp_path / "out").exists()


def test_a_live_run_is_refused(base, tmp_path, capsys):
    directory = a_run(tmp_path / "run", toy.policy(), model=base)
    directory.append(
        {"kind": "status", "step": 0, "seconds": 0.0, "status": "running", "message": ""}
    )
    run = str(tmp_path / "run")
    line = f"RUN got {run!r}, expected a run that is not running any more"
    assert refusal(capsys, run, tmp_path / "out") == [line]
    directory.close()


def test_a_full_disk_leaves_nothing_behind(base, tmp_path, capsys, monkeypatch):
    a_run(tmp_path / "run", toy.policy(), model=base)
    monkeypatch.chdir(tmp_path)

    def full(*arguments, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("transformers.LlamaForCausalLM.save_pretrained", full)
    assert cli.main(["export", "run", "out"]) == 1
    assert (
        capsys.readouterr().err == "The disk is full: out could not be written. Free some space\n"
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["home", "run"]
