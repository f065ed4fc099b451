"""A run on a preference file is measured on the prompts of the file."""

from __future__ import annotations

import json

import pytest
import torch
from transformers import Qwen3Config, Qwen3ForCausalLM

from align_core.config.errors import ConfigError
from align_core.config.run_config import resolve
from align_core.models.loading import load_tokenizer
from align_core.runs.control import Control
from align_core.runs.directory import RunDirectory
from align_core.tasks import load_task
from align_core.training.probes import probes_of
from align_core.training.run import run as execute
from tests import families

QUESTIONS = ["What is the capital of France?", "Is the film good?", "Who was never dull?"]


@pytest.fixture
def chat_model(tmp_path):
    """A folder with a tiny model whose turn ends with another token than a text."""
    torch.manual_seed(0)
    tokenizer = families.qwen()
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "head_dim": 16}
    heads = {"num_attention_heads": 2, "num_key_value_heads": 1, "max_position_embeddings": 128}
    model = Qwen3ForCausalLM(Qwen3Config(vocab_size=len(tokenizer), **sizes, **heads))
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.save_pretrained(tmp_path / "chat")
    tokenizer.save_pretrained(tmp_path / "chat")
    return str(tmp_path / "chat")


def pairs(questions) -> list[dict]:
    def message(role: str, content: str) -> list[dict[str, str]]:
        return [{"role": role, "content": content}]

    return [
        {
            "prompt": message("user", question),
            "chosen": message("assistant", f"Paris {number}."),
            "rejected": message("assistant", "Rome."),
        }
        for number, question in enumerate(questions)
    ]


@pytest.fixture
def file(tmp_path):
    def write(rows) -> str:
        path = tmp_path / "pairs.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return str(path)

    return write


def config_of(model: str, preferences: str, **options):
    settings = {"steps": 1, "batch_size": 2, "eval_every": 1, **options}
    return resolve("dpo", "reviews", model=model, preferences=preferences, **settings)


def test_the_prompts_of_a_foreign_file_go_through_the_template_of_the_model(chat_model, file):
    config = config_of(chat_model, file(pairs([*QUESTIONS, QUESTIONS[0]])))
    probes = probes_of(config, load_task("reviews"), load_tokenizer(chat_model))
    assert probes.from_file and sorted(probes.prompts) == sorted(QUESTIONS)
    expected = [[{"role": "user", "content": question}] for question in probes.prompts]
    assert probes.inputs == expected


def test_a_file_with_prompts_of_the_task_is_measured_on_its_probe_prompts(chat_model, file):
    task = load_task("reviews")
    rows = [{"prompt": task.prompts("train")[0], "chosen": " a", "rejected": " b"}]
    probes = probes_of(config_of(chat_model, file(rows)), task, load_tokenizer(chat_model))
    assert not probes.from_file and probes.prompts == task.prompts("probe")


def test_a_run_on_a_foreign_file_shows_answers_to_its_prompts(chat_model, file, tmp_path):
    config = config_of(chat_model, file(pairs(QUESTIONS)))
    directory = RunDirectory.create(tmp_path / "run", config)
    assert execute(config, directory, Control()) == "finished"
    directory.close()
    events = directory.events()[0]
    samples = [event["samples"] for event in events if event["kind"] == "samples"]
    assert {row["prompt"] for row in samples[-1]} == set(QUESTIONS)
    assert any(row["policy"]["text"].strip() for row in samples[-1])
    metrics = [event["metrics"] for event in events if event["kind"] == "metrics"][0]
    assert metrics["eval/kl"] == 0.0 and metrics["eval/frontier_efficiency"] is None


def test_a_prompt_of_the_file_without_room_for_an_answer_is_refused(chat_model, file, tmp_path):
    config = config_of(chat_model, file(pairs([QUESTIONS[0] * 12])))
    directory = RunDirectory.create(tmp_path / "run", config)
    with pytest.raises(ConfigError, match=r"pairs.jsonl: expected prompts of at most 122 tokens"):
        execute(config, directory, Control())
    directory.close()
