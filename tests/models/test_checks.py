"""A model that would fail silently, or during a run, is refused at the start."""

from __future__ import annotations

import json

import pytest
import torch
from transformers import (
    BertConfig,
    BertLMHeadModel,
    GPT2Config,
    GPT2LMHeadModel,
    GPTNeoXConfig,
    GPTNeoXForCausalLM,
    LlamaConfig,
    LlamaModel,
    MambaConfig,
    MambaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    OpenAIGPTConfig,
    OpenAIGPTLMHeadModel,
    RwkvConfig,
    RwkvForCausalLM,
    T5Config,
    T5ForConditionalGeneration,
    ViTConfig,
    ViTForImageClassification,
    WhisperConfig,
    WhisperForConditionalGeneration,
)

from align_core.config.errors import ConfigError
from align_core.data.encoding import encode_demonstrations, encode_pairs
from align_core.models.checks import check_lengths, check_policy, check_vocabulary
from align_core.models.loading import (
    ModelError,
    load_policy,
    load_tokenizer,
    positions,
    save_model,
)
from align_core.models.prompts import check_prompts
from align_core.models.reference import load_reference
from align_core.tasks import load_task
from align_core.training.setup import _lengths
from tests import families, toy

SMALL = {"vocab_size": 64, "hidden_size": 32, "num_hidden_layers": 2}
HEADS = {"num_attention_heads": 2, "intermediate_size": 64}
GPT = {"vocab_size": 64, "n_embd": 32, "n_layer": 2, "n_head": 2, "n_positions": 64}


def seeded(kind, config):
    torch.manual_seed(0)
    return kind(config).eval()


SAMPLED = [
    (GPT2LMHeadModel, GPT2Config(**GPT)),
    (MistralForCausalLM, MistralConfig(**SMALL, **HEADS, num_key_value_heads=1, sliding_window=4)),
    (BertLMHeadModel, BertConfig(**SMALL, **HEADS, is_decoder=True)),
    (GPTNeoXForCausalLM, GPTNeoXConfig(**SMALL, **HEADS)),  # Pythia, whose is_decoder is False
]
REFUSED = [
    (MambaForCausalLM, MambaConfig(**SMALL, state_size=8), "nats from those of a pass"),
    (RwkvForCausalLM, RwkvConfig(**SMALL, context_length=64), "nats from those of a pass"),
    (OpenAIGPTLMHeadModel, OpenAIGPTConfig(**GPT), "expected a model that can be sampled, got"),
    (BertLMHeadModel, BertConfig(**SMALL, **HEADS), "reads later tokens"),
]


@pytest.mark.parametrize(("kind", "config"), SAMPLED)
def test_models_with_their_state_in_the_cache_are_accepted(kind, config):
    check_policy(seeded(kind, config), toy.tokenizer())


@pytest.mark.parametrize(("kind", "config", "problem"), REFUSED)
def test_a_model_that_cannot_be_sampled_is_refused_in_one_line(kind, config, problem):
    model = seeded(kind, config)
    model.name_or_path = "hub/odd"
    with pytest.raises(ModelError, match=problem) as refused:
        check_policy(model, toy.tokenizer())
    (line,) = refused.value.lines
    assert line.text.startswith("model hub/odd: expected") and "\n" not in line.text


def test_an_added_token_without_an_embedding_is_reported_with_both_numbers():
    tokenizer = toy.tokenizer()
    check_vocabulary(toy.policy(), tokenizer)
    tokenizer.add_special_tokens({"pad_token": "<padding>"})
    for check in (check_vocabulary, check_policy):
        with pytest.raises(ModelError, match="at least 15 rows.* a token 14, '<padding>', got 14"):
            check(toy.policy(), tokenizer)


def test_a_padding_token_needs_a_row_only_if_it_ends_texts():
    tokenizer = toy.tokenizer()
    tokenizer.add_special_tokens({"pad_token": "[PAD]"})  # token 14, and the policy has 14 rows
    check_vocabulary(toy.policy(), tokenizer, with_padding=False)
    tokenizer.eos_token = "[PAD]"
    with pytest.raises(ModelError, match="at least 15 rows"):
        check_vocabulary(toy.policy(), tokenizer, with_padding=False)


def test_a_padded_vocabulary_is_accepted_unless_the_reward_model_has_another(tmp_path):
    policy, tokenizer = toy.policy(), toy.tokenizer()
    save_model(policy, tokenizer, tmp_path / "narrow")
    policy.resize_token_embeddings(64)
    check_policy(policy, tokenizer)
    with pytest.raises(ConfigError, match="it has 14 rows of logits, the policy 64"):
        load_reference(str(tmp_path / "narrow"), policy, tokenizer)
    policy.resize_token_embeddings(14)
    with pytest.raises(ConfigError, match="its 14 tokens are not the policy's"):
        load_reference(str(tmp_path / "narrow"), policy, families.gpt())


def test_rows_beyond_the_positions_are_reported_with_both_numbers_and_the_row():
    model = toy.policy()
    assert positions(model) == 64
    check_lengths([3, 64], model, None)
    with pytest.raises(ConfigError) as refused:
        check_lengths([3, 65, 64, 70], model, "pairs.jsonl")
    first, second = map(str, refused.value.lines)
    assert first.startswith("pairs.jsonl, row 2: expected at most 64 tokens") and "got 65" in first
    assert "row 4" in second and "got 70" in second


def test_a_row_is_as_long_as_its_longer_text():
    tokenizer = toy.tokenizer()
    row = {"prompt": "the film", "chosen": " was good .", "rejected": " was"}
    assert _lengths(encode_pairs(tokenizer, [row])) == [6]
    shown = {"prompt": "the film", "completion": " was"}
    assert _lengths(encode_demonstrations(tokenizer, [shown])) == [4]


# transformers loads the decoder of such a model alone as a causal language model.
SPEECH = {"vocab_size": 64, "d_model": 32, "encoder_layers": 1, "decoder_layers": 1}
SPEECH |= {"encoder_attention_heads": 2, "decoder_attention_heads": 2, "pad_token_id": 0}
SPEECH |= {"bos_token_id": 0, "eos_token_id": 0, "decoder_start_token_id": 0}
SPEECH |= {"suppress_tokens": None, "begin_suppress_tokens": None}
WRONG = [
    (T5ForConditionalGeneration, T5Config(vocab_size=64, d_model=32, d_ff=32, num_layers=1)),
    (WhisperForConditionalGeneration, WhisperConfig(**SPEECH)),
    (ViTForImageClassification, ViTConfig(**SMALL, **HEADS, image_size=32)),
]


@pytest.mark.parametrize(("kind", "config"), WRONG)
def test_a_model_that_is_not_a_language_model_is_refused_by_name(kind, config, tmp_path):
    seeded(kind, config).save_pretrained(tmp_path / "model")
    name = type(config).__name__
    with pytest.raises(ModelError, match=f"expected a causal language model, got one of {name}"):
        load_policy(str(tmp_path / "model"))


def test_a_trunk_without_a_head_is_not_a_language_model(tmp_path):
    config = LlamaConfig(**SMALL, **HEADS, tie_word_embeddings=False)
    seeded(LlamaModel, config).save_pretrained(tmp_path / "trunk")
    with pytest.raises(ModelError, match="got a model without lm_head.weight"):
        load_policy(str(tmp_path / "trunk"))


def saved_policy(folder) -> str:
    save_model(toy.policy(), toy.tokenizer(), folder)
    return str(folder)


def test_weights_of_another_shape_are_reported_in_one_line(tmp_path):
    folder = saved_policy(tmp_path / "model")
    config = json.loads((tmp_path / "model" / "config.json").read_text())
    (tmp_path / "model" / "config.json").write_text(json.dumps({**config, "vocab_size": 99}))
    with pytest.raises(ModelError) as refused:
        load_policy(folder)
    (line,) = refused.value.lines
    assert line.text.endswith("its weights have other shapes than its config.json says")


def test_a_config_of_other_types_and_a_missing_tokenizer_are_reported_in_one_line(tmp_path):
    folder = saved_policy(tmp_path / "model")
    for file in (tmp_path / "model").glob("tokenizer*"):
        file.unlink()
    with pytest.raises(ModelError, match="tokenizer cannot be loaded: it has no tokenizer, exp"):
        load_tokenizer(folder)
    config = json.loads((tmp_path / "model" / "config.json").read_text())
    (tmp_path / "model" / "config.json").write_text(json.dumps({**config, "hidden_size": "9"}))
    with pytest.raises(ModelError, match="'hidden_size'.* expected int, got str"):
        load_policy(folder)


def test_weights_that_are_no_numbers_are_refused():
    policy = toy.policy()
    with torch.no_grad():
        policy.lm_head.weight[3] = float("nan")
    with pytest.raises(ModelError, match="expected log-probabilities, got NaN"):
        check_policy(policy, toy.tokenizer())


def test_the_tokenizer_takes_the_end_token_of_the_model(tmp_path):
    policy, tokenizer = toy.policy(), toy.tokenizer()
    policy.generation_config.eos_token_id = [5, 3]
    tokenizer.eos_token = tokenizer.pad_token = None
    save_model(policy, tokenizer, tmp_path / "model")
    loaded = load_tokenizer(str(tmp_path / "model"))
    assert (loaded.eos_token_id, loaded.pad_token_id) == (5, 5)


def test_a_tokenizer_without_end_and_padding_is_refused(tmp_path):
    policy, tokenizer = toy.policy(), toy.tokenizer()
    policy.generation_config.eos_token_id = policy.config.eos_token_id = None
    tokenizer.eos_token = tokenizer.pad_token = None
    save_model(policy, tokenizer, tmp_path / "model")
    with pytest.raises(ModelError, match="expected a tokenizer with an end token or a padding"):
        load_tokenizer(str(tmp_path / "model"))


def test_a_model_without_room_for_a_completion_is_reported_in_one_line():
    task = load_task("reviews")
    model = type(toy.policy())(toy.config(max_position_embeddings=16))
    with pytest.raises(ConfigError, match="expected more than 36 positions.*got 16") as refused:
        check_prompts(task, model, toy.tokenizer())
    assert len(refused.value.lines) == 1
