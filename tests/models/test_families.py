"""Tiny random models of other families through SFT, reward model, PPO and DPO."""

from __future__ import annotations

import math

import pytest
import torch
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from align_core.config.run_config import resolve
from align_core.data.encoding import encode_prompts, pad_responses
from align_core.models.loading import load_policy, load_reward_model, load_tokenizer
from align_core.models.logprobs import response_outputs
from align_core.objectives import token_logprobs
from align_core.runs.control import Control
from align_core.runs.directory import RunDirectory
from align_core.tasks.capitals.task import Capitals
from align_core.training.run import run as execute
from tests import families

SIZES = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "max_position_embeddings": 512,
}


def llama(words: int):
    return LlamaForCausalLM(LlamaConfig(vocab_size=words, **SIZES))


def qwen3(words: int):
    return Qwen3ForCausalLM(
        Qwen3Config(vocab_size=words, head_dim=16, tie_word_embeddings=True, **SIZES)
    )


def gpt2(words: int):
    return GPT2LMHeadModel(
        GPT2Config(vocab_size=words, n_embd=32, n_layer=2, n_head=2, n_positions=512)
    )


def padded(words: int):
    return qwen3(64 * (words // 64 + 1))


# Each has its own tokenizer: one token for beginning, end and padding; spaces that are
# marked, a beginning and no padding token; words and their endings; a turn that ends with another
# token than a text; a generation prompt that opens thoughts; rows that no token has.
FAMILIES = {
    "gpt2": (gpt2, families.gpt),
    "llama2": (llama, families.llama2),
    "bert": (llama, families.bert),
    "qwen3": (qwen3, families.qwen),
    "thinking": (qwen3, families.thinking),
    "padded": (padded, families.llama3),
}


@pytest.fixture(scope="module", params=FAMILIES)
def family(request, tmp_path_factory):
    """A folder with a model and its tokenizer, as on a hub."""
    make, make_tokenizer = FAMILIES[request.param]
    tokenizer = make_tokenizer()
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp(request.param) / "model"
    model = make(max(tokenizer.get_vocab().values()) + 1)
    for config in (model.config, model.generation_config):
        config.eos_token_id, config.bos_token_id = tokenizer.eos_token_id, tokenizer.bos_token_id
        config.pad_token_id = tokenizer.pad_token_id
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture
def short_texts(monkeypatch):
    """Random models end few of their texts before the token limit."""
    monkeypatch.setattr(Capitals, "max_new_tokens", 8)


def run(path, method: str, **options) -> RunDirectory:
    few = {"preference_pairs": 16} if method in ("reward", "dpo") else {}
    config = resolve(
        method,
        "capitals",
        **{
            "steps": 2,
            "batch_size": 8,
            "eval_every": 2,
            "eval_samples": 1,
            "eval_prompts": 8,
            **few,
            **options,
        },
    )
    directory = RunDirectory.create(path, config)
    assert execute(config, directory, Control()) == "finished"
    directory.close()
    return directory


def metrics(directory: RunDirectory, step: int) -> dict[str, float]:
    events = [e for e in directory.events()[0] if e["kind"] == "metrics" and e["step"] == step]
    return {name: value for event in events for name, value in event["metrics"].items()}


@pytest.mark.slow
def test_all_methods_run_on_the_task(family, short_texts, tmp_path):
    sft = run(tmp_path / "sft", "sft", model=str(family), learning_rate=1e-2)
    reward = run(tmp_path / "reward", "reward", model=str(sft.path))
    ppo = run(tmp_path / "ppo", "ppo", model=str(sft.path), reward_model=str(reward.path))
    dpo = run(tmp_path / "dpo", "dpo", model=str(sft.path))
    assert type(load_policy(str(ppo.path))) is type(load_policy(str(family)))
    assert load_reward_model(str(reward.path)).config.num_labels == 1
    for directory in (ppo, dpo):
        start, end = metrics(directory, 0), metrics(directory, 2)
        assert start["eval/kl"] == 0.0 < end["eval/kl"]
        assert all(math.isfinite(value) for value in end.values() if value is not None)
    assert metrics(dpo, 1)["loss"] == pytest.approx(math.log(2), abs=1e-4)
    assert metrics(ppo, 1)["objective/kl"] < 1e-5


@pytest.mark.slow
@pytest.mark.parametrize("lora_r", [4])
@pytest.mark.parametrize("family", ["llama2"], indirect=True)
def test_an_adapter_trains_on_a_model_of_the_family(family, short_texts, tmp_path, lora_r):
    ppo = run(tmp_path / "ppo", "ppo", model=str(family), reward_model="gold", lora_r=lora_r)
    assert (ppo.model_path / "adapter_model.safetensors").is_file()
    assert metrics(ppo, 1)["objective/kl"] < 1e-5


def test_padding_changes_no_log_probability(family):
    """Prompts and responses of very different lengths, in one batch and each alone."""
    model, tokenizer = load_policy(str(family)), load_tokenizer(str(family))
    prompts = ["What is the capital of France?", "Yes", "Tell me, " * 8 + "which city is it?"]
    answers = [" Paris.", " I do not know, but my atlas says that it is Rome.", " It"]
    ids = [tokenizer(text)["input_ids"] + [tokenizer.eos_token_id] for text in answers]

    def logp(rows):
        encoded = encode_prompts(tokenizer, [prompts[row] for row in rows])
        tokens, mask = pad_responses([ids[row] for row in rows], tokenizer.pad_token_id)
        with torch.no_grad():
            logits, _ = response_outputs(model, encoded, tokens, mask)
        return token_logprobs(logits, tokens), mask

    together, mask = logp([0, 1, 2])
    for row in range(3):
        alone, _ = logp([row])
        torch.testing.assert_close(together[row][mask[row]], alone[0], atol=1e-5, rtol=1e-4)
