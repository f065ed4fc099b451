"""Models are loaded as they were saved, and a failed save leaves the old files intact."""

from __future__ import annotations

import json
import re

import pytest
import torch
from peft import PeftModel, PromptTuningConfig, get_peft_model
from transformers import LlamaForCausalLM, LlamaForSequenceClassification

from align_core.config.errors import ConfigError
from align_core.models import lora
from align_core.models.loading import (
    ModelError,
    freeze_trunk,
    load_policy,
    load_reward_model,
    load_tokenizer,
    new_reward_model,
    save_model,
)
from align_core.models.lora import lora_config
from tests import toy


def saved(model, folder):
    save_model(model, toy.tokenizer(), folder)
    return str(folder)


def test_a_saved_policy_is_loaded_unchanged(tmp_path):
    model = toy.policy()
    again = load_policy(saved(model, tmp_path / "model"))
    assert torch.equal(toy.outputs(again), toy.outputs(model))
    assert not again.training and again.dtype == torch.float32


def test_a_saved_model_is_safetensors_with_its_tokenizer(tmp_path):
    folder = tmp_path / "model"
    saved(toy.policy(), folder)
    names = {path.name for path in folder.iterdir()}
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= names
    assert not any(name.endswith((".bin", ".pt", ".pkl")) for name in names)
    assert toy.outputs(LlamaForCausalLM.from_pretrained(folder)).shape == (1, 5, 14)


def test_a_policy_with_a_temperature_of_its_own_can_be_saved_after_a_change(tmp_path):
    """transformers writes a temperature without `do_sample` only if nothing was changed."""
    save_model(toy.policy(), toy.tokenizer(), tmp_path / "odd")
    config = tmp_path / "odd" / "generation_config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "temperature": 0.6}))
    plain = LlamaForCausalLM.from_pretrained(tmp_path / "odd")
    plain.generation_config.pad_token_id = 3
    with pytest.raises(ValueError, match="do_sample"):
        plain.save_pretrained(tmp_path / "kept")
    policy = load_policy(str(tmp_path / "odd"))
    policy.generation_config.pad_token_id = 3
    save_model(policy, toy.tokenizer(), tmp_path / "kept")
    kept = load_policy(str(tmp_path / "kept")).generation_config
    assert (kept.do_sample, kept.temperature, kept.pad_token_id) == (True, 0.6, 3)


def test_a_tokenizer_without_padding_pads_with_its_end(tmp_path):
    model, tokenizer = toy.policy(), toy.tokenizer()
    save_model(model, tokenizer, tmp_path / "padded")
    tokenizer.pad_token = None
    save_model(model, tokenizer, tmp_path / "plain")
    assert load_tokenizer(str(tmp_path / "padded")).pad_token_id == 1
    assert load_tokenizer(str(tmp_path / "plain")).pad_token_id == 0
    assert load_tokenizer(str(tmp_path / "plain")).padding_side == "left"


def test_a_saved_adapter_is_loaded_on_its_base(tmp_path):
    base = load_policy(saved(toy.policy(), tmp_path / "base"))
    plain = toy.outputs(base)
    model = toy.adapted(base)
    again = load_policy(saved(model, tmp_path / "run"))
    assert isinstance(again, PeftModel)
    torch.testing.assert_close(toy.outputs(again), toy.outputs(model), atol=1e-6, rtol=0)
    assert (toy.outputs(again) - plain).abs().max() > 0.1
    assert not (tmp_path / "run" / "model.safetensors").exists(), (
        "the base model is not saved again"
    )
    with again.disable_adapter():
        torch.testing.assert_close(toy.outputs(again), plain, atol=1e-6, rtol=0)


def test_a_saved_adapter_on_a_reward_model_is_loaded_with_its_head(tmp_path):
    model = toy.adapted(
        new_reward_model(saved(toy.policy(), tmp_path / "base"), seed=0), task_type="SEQ_CLS"
    )
    again = load_reward_model(saved(model, tmp_path / "reward"))
    torch.testing.assert_close(toy.outputs(again), toy.outputs(model), atol=1e-6, rtol=0)


def test_a_saved_reward_model_is_loaded_unchanged(tmp_path):
    model = toy.reward_model()
    again = load_reward_model(saved(model, tmp_path / "model"))
    assert torch.equal(toy.outputs(again), toy.outputs(model))


def test_a_classifier_with_two_labels_is_not_a_reward_model(tmp_path):
    classifier = LlamaForSequenceClassification(toy.config(num_labels=2))
    with pytest.raises(ModelError, match="label"):
        load_reward_model(saved(classifier, tmp_path / "model"))


def test_a_new_reward_model_has_the_trunk_of_the_policy_and_a_small_seeded_head(tmp_path):
    policy = toy.policy()
    name = saved(policy, tmp_path / "policy")
    one, same, other = (new_reward_model(name, seed) for seed in (0, 0, 1))
    for key, weight in policy.model.state_dict().items():
        assert torch.equal(one.model.state_dict()[key], weight)
    assert torch.equal(one.score.weight, same.score.weight)
    assert not torch.equal(one.score.weight, other.score.weight)
    heads = torch.cat([new_reward_model(name, seed).score.weight for seed in range(10)])
    assert heads.std().item() == pytest.approx(33**-0.5, rel=0.15)


def test_freezing_the_trunk_leaves_the_head_to_train():
    model = toy.reward_model()
    freeze_trunk(model)
    assert [n for n, p in model.named_parameters() if p.requires_grad] == ["score.weight"]


def test_no_adapter_at_rank_zero():
    assert lora_config(toy.policy(), 0, "CAUSAL_LM") is None
    assert lora_config(toy.policy(), 4, "CAUSAL_LM").r == 4


def trained_layers(model) -> set[str]:
    names = [name for name, p in model.named_parameters() if p.requires_grad]
    return {re.search(r"\.(\d+)\.", name)[1] for name in names if "score" not in name}


@pytest.mark.parametrize("task_type", ["CAUSAL_LM", "SEQ_CLS"])
def test_an_adapter_on_the_last_layers(task_type):
    for layers, expected in ((None, {"0", "1"}), (1, {"1"}), (2, {"0", "1"})):
        model = toy.policy(0) if task_type == "CAUSAL_LM" else toy.reward_model()
        adapted = get_peft_model(model, lora_config(model, 4, task_type, layers))
        assert trained_layers(adapted) == expected
        modules = {n.split(".lora_A")[0] for n, _ in adapted.named_parameters() if "lora_A" in n}
        assert len(modules) == 7 * len(expected), "four of attention, three of the MLP"


def test_a_large_model_has_an_adapter_on_its_last_layers_only(monkeypatch):
    monkeypatch.setattr(lora, "LARGE_MODEL", 1000)
    monkeypatch.setattr(lora, "LARGE_MODEL_LORA_LAYERS", 1)
    model = toy.policy()
    assert trained_layers(get_peft_model(model, lora_config(model, 4, "CAUSAL_LM"))) == {"1"}


def test_more_layers_than_the_model_has():
    message = "--lora-layers got 3, expected at most the 2 layers of the model"
    with pytest.raises(ConfigError, match=message):
        lora_config(toy.policy(), 4, "CAUSAL_LM", 3)


def test_a_second_save_replaces_the_first(tmp_path):
    saved(toy.policy(0), tmp_path / "run" / "model")
    name = saved(toy.policy(1), tmp_path / "run" / "model")
    assert torch.equal(toy.outputs(load_policy(name)), toy.outputs(toy.policy(1)))
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["model"]


@pytest.mark.parametrize("breaks", ["model", "tokenizer"])
def test_a_failed_save_leaves_the_old_model(tmp_path, monkeypatch, breaks):
    name = saved(toy.policy(0), tmp_path / "run" / "model")
    model, tokenizer = toy.policy(1), toy.tokenizer()

    def full_disk(folder, **_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(model if breaks == "model" else tokenizer, "save_pretrained", full_disk)
    with pytest.raises(OSError, match="No space left"):
        save_model(model, tokenizer, tmp_path / "run" / "model")
    assert torch.equal(toy.outputs(load_policy(name)), toy.outputs(toy.policy(0)))
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["model"]


def test_missing_weights_are_reported_in_one_line(tmp_path):
    name = saved(toy.policy(), tmp_path / "model")
    (tmp_path / "model" / "model.safetensors").unlink()
    with pytest.raises(ModelError, match="model.safetensors") as error:
        load_policy(name)
    assert len(error.value.lines) == 1 and "\n" not in error.value.lines[0].text


def test_torn_weights_are_reported_in_one_line(tmp_path):
    name = saved(toy.policy(), tmp_path / "model")
    weights_file = tmp_path / "model" / "model.safetensors"
    weights_file.write_bytes(weights_file.read_bytes()[:1000])
    with pytest.raises(ModelError) as error:
        load_policy(name)
    assert len(error.value.lines) == 1 and "\n" not in error.value.lines[0].text


@pytest.mark.parametrize(
    "file, values, got",
    [
        ("config.json", {"num_key_value_heads": 0}, "its files cannot be loaded: "),
        ("config.json", {"num_hidden_layers": 1}, "weights of more, such as model.layers.1."),
        ("config.json", {"num_hidden_layers": 0}, "weights of more, such as model.layers.0."),
        ("tokenizer.json", {"version": "9"}, "its tokenizer cannot be loaded: "),
        ("tokenizer.json", {"model": 7}, "its tokenizer cannot be loaded: "),
        ("tokenizer.json", {"post_processor": True}, "its tokenizer cannot be loaded: "),
    ],
)
def test_files_that_contradict_themselves_or_the_weights_are_refused(tmp_path, file, values, got):
    name = saved(toy.policy(), tmp_path / "model")
    path = tmp_path / "model" / file
    path.write_text(json.dumps(json.loads(path.read_text()) | values))
    with pytest.raises(ModelError) as error:
        load_tokenizer(name) if file == "tokenizer.json" else load_policy(name)
    assert got in str(error.value) and "\n" not in str(error.value)


def test_code_in_a_folder_is_neither_executed_nor_asked_about(tmp_path, monkeypatch):
    folder, questions = saved(toy.policy(), tmp_path / "model"), []
    monkeypatch.setattr("builtins.input", questions.append)
    mark = tmp_path / "mark"
    (tmp_path / "model" / "evil.py").write_text(f"open({str(mark)!r}, 'w')\nclass Evil: pass\n")
    for name, classes in (
        (
            "config.json",
            ("AutoConfig", "AutoModelForCausalLM", "AutoModelForSequenceClassification"),
        ),
        ("tokenizer_config.json", ("AutoTokenizer",)),
    ):
        file = tmp_path / "model" / name
        content = json.loads(file.read_text())
        code = {kind: "evil.Evil" for kind in classes}
        code |= {"AutoTokenizer": ["evil.Evil", None]} if "AutoTokenizer" in code else {}
        content |= {"auto_map": code, "model_type": "evil", "tokenizer_class": "Evil"}
        file.write_text(json.dumps(content))
    for load in (load_policy, load_reward_model, load_tokenizer):
        with pytest.raises(ModelError) as error:
            load(folder)
        assert "\n" not in str(error.value), load
    assert questions == [] and not mark.exists()


def test_an_adapter_with_itself_as_its_base_is_refused(tmp_path):
    folder = tmp_path / "adapter"
    folder.mkdir()
    (folder / "adapter_config.json").write_text(
        json.dumps({"base_model_name_or_path": str(folder)})
    )
    with pytest.raises(ModelError, match="its adapter names itself"):
        load_policy(str(folder))


@pytest.mark.parametrize(
    "content, reason",
    [
        ('{"base_model_name_or_path": "moved-away"}', "needs the base model moved-away: there is"),
        ('{"base_model_name_or_path": null}', "needs the base model None: this is not a name"),
        ("{}", "its adapter_config.json cannot be read: "),
        ("[]", "its adapter_config.json cannot be read: "),
        ("{", "its adapter_config.json cannot be read: "),
    ],
)
def test_an_adapter_without_its_base_is_refused(tmp_path, content, reason):
    (tmp_path / "adapter_config.json").write_text(content)
    with pytest.raises(ModelError) as error:
        load_policy(str(tmp_path))
    assert reason in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    "breaks, reason",
    [
        (lambda file: file.unlink(), "its adapter has no adapter_model.safetensors"),
        (lambda file: file.write_bytes(file.read_bytes()[:100]), "its adapter cannot be loaded: "),
    ],
)
def test_an_adapter_without_its_weights_is_refused(tmp_path, breaks, reason):
    base = load_policy(saved(toy.policy(), tmp_path / "base"))
    name = saved(toy.adapted(base), tmp_path / "run")
    breaks(tmp_path / "run" / "adapter_model.safetensors")
    with pytest.raises(ModelError) as error:
        load_policy(name)
    assert reason in str(error.value) and "\n" not in str(error.value)


def test_an_adapter_without_a_tokenizer_has_that_of_its_base(tmp_path):
    base = load_policy(saved(toy.policy(), tmp_path / "base"))
    toy.adapted(base).save_pretrained(tmp_path / "adapter", save_embedding_layers=False)
    tokenizer = load_tokenizer(str(tmp_path / "adapter"))
    assert tokenizer.get_vocab() == toy.tokenizer().get_vocab()


def test_an_adapter_of_virtual_tokens_is_refused(tmp_path):
    base = load_policy(saved(toy.policy(), tmp_path / "base"))
    config = PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=2)
    get_peft_model(base, config).save_pretrained(tmp_path / "adapter")
    with pytest.raises(ModelError, match="such as LoRA, got PromptTuningConfig"):
        load_policy(str(tmp_path / "adapter"))
