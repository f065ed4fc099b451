"""A GGUF file is loaded, trained and saved like any other MODEL."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
import torch
from transformers import LlamaForCausalLM

from align_core.config import model_index
from align_core.models.loading import (
    ModelError,
    load_policy,
    load_reward_model,
    load_tokenizer,
    load_trainable,
    new_reward_model,
    save_model,
)
from tests import tiny_gguf, toy


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return LlamaForCausalLM(toy.config(vocab_size=len(tiny_gguf.VOCABULARY))).eval()


@pytest.fixture(scope="module")
def name(model, tmp_path_factory):
    return str(tiny_gguf.write(model, tmp_path_factory.mktemp("gguf") / "model.gguf"))


def test_the_loaded_model_is_the_written_one(name, model):
    loaded = load_policy(name)
    assert loaded.dtype == torch.float32 and not loaded.training
    torch.testing.assert_close(toy.outputs(loaded), toy.outputs(model), atol=1e-6, rtol=0)
    assert loaded.config.eos_token_id == loaded.generation_config.eos_token_id == 0


def test_a_gguf_model_can_be_trained_and_saved(name, tmp_path):
    policy = load_trainable(name)
    assert all(weight.requires_grad for weight in policy.parameters())
    save_model(policy, load_tokenizer(name), tmp_path / "saved")
    again = load_policy(str(tmp_path / "saved"))
    assert torch.equal(toy.outputs(again), toy.outputs(policy))
    assert load_tokenizer(str(tmp_path / "saved"))("a\n\n1").input_ids == [
        tiny_gguf.VOCABULARY.index(token) for token in ("a", "ĊĊ", "1")
    ]


def test_an_adapter_on_a_gguf_model_names_the_file_as_its_base(name, tmp_path):
    adapted = toy.adapted(load_policy(name))
    save_model(adapted, load_tokenizer(name), tmp_path / "adapter")
    again = load_policy(str(tmp_path / "adapter"))
    assert again.peft_config["default"].base_model_name_or_path == name
    torch.testing.assert_close(toy.outputs(again), toy.outputs(adapted), atol=1e-6, rtol=0)


def test_its_tokenizer_has_the_template_the_end_and_the_split_of_digits(name):
    tokenizer = load_tokenizer(name)
    assert (tokenizer.eos_token_id, tokenizer.pad_token_id) == (0, 0)
    chat = tokenizer.apply_chat_template([{"role": "user", "content": "bc"}], tokenize=False)
    assert chat == "<user>bc<end>"
    tokens = tokenizer.convert_ids_to_tokens(tokenizer("bc<end>\n\n12").input_ids)
    # GPT-2's pattern alone leaves the last line break with the digits.
    assert tokens == ["bc", "<end>", "ĊĊ", "1", "2"]


def test_a_reward_model_starts_from_a_gguf_policy_which_is_no_reward_model_itself(name, model):
    trunk = new_reward_model(name, seed=0).model.state_dict()
    for key, weight in model.model.state_dict().items():
        torch.testing.assert_close(trunk[key], weight, atol=1e-7, rtol=0)
    assert not model_index.is_reward_model(name)
    with pytest.raises(ModelError, match="one label"):
        load_reward_model(name)


def refusal(name):
    with pytest.raises(ModelError) as error:
        load_policy(name)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_an_unknown_architecture_is_refused(model, tmp_path):
    file = tiny_gguf.write(model, tmp_path / "model.gguf", architecture="none")
    assert "none" in refusal(str(file)).partition("cannot be loaded: ")[2]


def test_a_file_without_some_weights_is_refused(model, tmp_path):
    file = tiny_gguf.write(model, tmp_path / "model.gguf", without="ffn_down")
    assert "without model.layers.0.mlp.down_proj.weight" in refusal(str(file))


@pytest.mark.parametrize("share", [0.001, 0.5, 0.99])
def test_a_torn_file_is_refused(name, tmp_path, share):
    content = Path(name).read_bytes()
    torn = tmp_path / "model.gguf"
    torn.write_bytes(content[: int(len(content) * share)])
    assert "its files cannot be loaded" in refusal(str(torn))


def test_a_file_of_another_format_is_not_a_model(tmp_path):
    (tmp_path / "model.gguf").write_bytes(b"PK\x03\x04")
    with pytest.raises(ValueError, match="^this is a file, and not in the GGUF format$"):
        model_index.locate(str(tmp_path / "model.gguf"))


def test_without_the_gguf_package_the_error_names_it(name, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match="needs the package gguf: python -m pip install gguf$"):
        model_index.locate(name)
