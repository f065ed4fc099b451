"""Models come back from a folder as they went in, and a save that fails harms nothing."""

from __future__ import annotations

import copy

import pytest
import torch
from peft import PeftModel, get_peft_model
from transformers import LlamaForCausalLM, LlamaForSequenceClassification

from align_core.data.encoding import encode_prompts
from align_core.models.loading import (
    VALUE_GAIN,
    ModelError,
    PolicyWithValue,
    as_reference,
    freeze_trunk,
    load_policy,
    load_reward_model,
    load_tokenizer,
    lora,
    move_towards,
    new_reward_model,
    save_model,
    value_model_of,
)
from align_core.models.sampling import response_outputs
from tests import toy

IDS = torch.tensor([[2, 3, 6, 7, 0]])


def saved(model, folder):
    save_model(model, toy.tokenizer(), folder)
    return str(folder)


def outputs(model) -> torch.Tensor:
    with torch.no_grad():
        return model(input_ids=IDS).logits


def adapted(model, seed: int = 0, task_type: str = "CAUSAL_LM"):
    """The model under an adapter that does something."""
    torch.manual_seed(seed)
    made = get_peft_model(model, lora(4, task_type)).eval()
    for name, parameter in made.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.3)
    return made


def test_a_policy_comes_back(tmp_path):
    model = toy.policy()
    again = load_policy(saved(model, tmp_path / "model"))
    assert torch.equal(outputs(again), outputs(model))
    assert not again.training and again.dtype == torch.float32


def test_a_saved_model_is_safetensors_with_its_tokenizer(tmp_path):
    folder = tmp_path / "model"
    saved(toy.policy(), folder)
    names = {path.name for path in folder.iterdir()}
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= names
    assert not any(name.endswith((".bin", ".pt", ".pkl")) for name in names)
    assert outputs(LlamaForCausalLM.from_pretrained(folder)).shape == (1, 5, 14)


def test_a_tokenizer_without_padding_pads_with_its_end(tmp_path):
    model, tokenizer = toy.policy(), toy.tokenizer()
    save_model(model, tokenizer, tmp_path / "padded")
    tokenizer.pad_token = None
    save_model(model, tokenizer, tmp_path / "plain")
    assert load_tokenizer(str(tmp_path / "padded")).pad_token_id == 1
    assert load_tokenizer(str(tmp_path / "plain")).pad_token_id == 0
    assert load_tokenizer(str(tmp_path / "plain")).padding_side == "left"


def test_an_adapter_comes_back_over_its_base(tmp_path):
    base = load_policy(saved(toy.policy(), tmp_path / "base"))
    plain = outputs(base)
    model = adapted(base)
    again = load_policy(saved(model, tmp_path / "run"))
    assert isinstance(again, PeftModel)
    torch.testing.assert_close(outputs(again), outputs(model), atol=1e-6, rtol=0)
    assert (outputs(again) - plain).abs().max() > 0.1
    assert not (tmp_path / "run" / "model.safetensors").exists(), "the base is not written again"
    with again.disable_adapter():
        torch.testing.assert_close(outputs(again), plain, atol=1e-6, rtol=0)


def test_an_adapter_on_a_reward_model_comes_back_with_its_head(tmp_path):
    model = adapted(
        new_reward_model(saved(toy.policy(), tmp_path / "base"), seed=0), task_type="SEQ_CLS"
    )
    again = load_reward_model(saved(model, tmp_path / "reward"))
    torch.testing.assert_close(outputs(again), outputs(model), atol=1e-6, rtol=0)


def test_a_reward_model_comes_back(tmp_path):
    model = toy.reward_model()
    again = load_reward_model(saved(model, tmp_path / "model"))
    assert torch.equal(outputs(again), outputs(model))


def test_a_classifier_of_two_labels_is_no_reward_model(tmp_path):
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
    assert lora(0, "CAUSAL_LM") is None
    assert lora(4, "CAUSAL_LM").r == 4


def test_a_second_save_replaces_the_first(tmp_path):
    saved(toy.policy(0), tmp_path / "run" / "model")
    name = saved(toy.policy(1), tmp_path / "run" / "model")
    assert torch.equal(outputs(load_policy(name)), outputs(toy.policy(1)))
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["model"]


@pytest.mark.parametrize("breaks", ["model", "tokenizer"])
def test_a_save_that_fails_leaves_the_old_model(tmp_path, monkeypatch, breaks):
    name = saved(toy.policy(0), tmp_path / "run" / "model")
    model, tokenizer = toy.policy(1), toy.tokenizer()

    def full_disk(folder, **_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(model if breaks == "model" else tokenizer, "save_pretrained", full_disk)
    with pytest.raises(OSError, match="No space left"):
        save_model(model, tokenizer, tmp_path / "run" / "model")
    assert torch.equal(outputs(load_policy(name)), outputs(toy.policy(0)))
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["model"]


def test_missing_weights_are_told_in_one_line(tmp_path):
    name = saved(toy.policy(), tmp_path / "model")
    (tmp_path / "model" / "model.safetensors").unlink()
    with pytest.raises(ModelError, match="model.safetensors") as told:
        load_policy(name)
    assert len(told.value.lines) == 1 and "\n" not in told.value.lines[0].text


def test_torn_weights_are_told_in_one_line(tmp_path):
    name = saved(toy.policy(), tmp_path / "model")
    weights_file = tmp_path / "model" / "model.safetensors"
    weights_file.write_bytes(weights_file.read_bytes()[:1000])
    with pytest.raises(ModelError) as told:
        load_policy(name)
    assert len(told.value.lines) == 1 and "\n" not in told.value.lines[0].text


def test_the_value_head_starts_at_zero_and_reads_the_trunk():
    made = PolicyWithValue(toy.policy())
    prompts = encode_prompts(toy.tokenizer(), ["the film", "a"])
    tokens = torch.tensor([[6, 7, 0], [5, 0, 1]])
    mask = torch.tensor([[True, True, True], [True, True, False]])
    assert (made(prompts, tokens, mask)[1] == 0).all()
    torch.nn.init.normal_(made.value_head.linear.weight)
    logits, values = made(prompts, tokens, mask)
    expected, states = response_outputs(made.policy, prompts, tokens, mask, hidden=True)
    assert torch.equal(logits, expected)
    expected = VALUE_GAIN * (states @ made.value_head.linear.weight.T).squeeze(-1)
    torch.testing.assert_close(values, expected)
    values.sum().backward()
    assert all(p.grad is None for p in made.policy.parameters()), "the trunk is the policy's"


def test_a_value_model_gives_the_score_of_every_prefix():
    value_model = toy.reward_model()
    made = PolicyWithValue(toy.policy(), value_model)
    prompts = encode_prompts(toy.tokenizer(), ["the film", "a"])
    tokens = torch.tensor([[6, 7, 0], [5, 0, 1]])
    mask = torch.tensor([[True, True, True], [True, True, False]])
    logits, values = made(prompts, tokens, mask)
    assert torch.equal(logits, response_outputs(made.policy, prompts, tokens, mask)[0])
    for row, ids in enumerate(([2, 4], [3])):
        for t in range(int(mask[row].sum())):
            prefix = torch.tensor([ids + tokens[row, :t].tolist()])
            expected = value_model(input_ids=prefix).logits.item()
            assert values[row, t].item() == pytest.approx(expected, abs=1e-5)
    values.sum().backward()
    assert all(p.grad is None for p in made.policy.parameters())
    assert all(p.grad is not None for p in value_model.parameters())


def test_dropout_stays_off_while_ppo_trains():
    policy = LlamaForCausalLM(toy.config(attention_dropout=0.5))
    made = PolicyWithValue(policy).train()
    prompts = encode_prompts(toy.tokenizer(), ["the film was good"])
    tokens, mask = torch.tensor([[6, 7, 0]]), torch.ones(1, 3, dtype=torch.bool)
    first, again = (made(prompts, tokens, mask)[0] for _ in range(2))
    assert torch.equal(first, again)


@pytest.mark.parametrize("adapter", [False, True])
def test_a_value_model_is_a_copy_of_the_reward_model_that_trains(adapter):
    reward_model = toy.reward_model()
    if adapter:
        reward_model = adapted(reward_model, task_type="SEQ_CLS")
    before = {name: p.clone() for name, p in reward_model.named_parameters()}
    value_model = value_model_of(reward_model)
    torch.testing.assert_close(outputs(value_model), outputs(reward_model), atol=1e-5, rtol=0)
    assert all(p.requires_grad for p in value_model.parameters())
    with torch.no_grad():
        for parameter in value_model.parameters():
            parameter.add_(1.0)
    for name, parameter in reward_model.named_parameters():
        assert torch.equal(parameter, before[name])


def test_a_model_moves_its_share_of_the_way():
    model, target = toy.policy(0), toy.policy(1)
    before = {name: p.clone() for name, p in model.named_parameters()}
    move_towards(model, target, 0.25)
    goals = dict(target.named_parameters())
    for name, now in model.named_parameters():
        expected = 0.75 * before[name] + 0.25 * goals[name]
        torch.testing.assert_close(now, expected, atol=1e-6, rtol=0)


def test_a_separate_reference_is_used_as_it_is():
    policy, reference = toy.policy(0), toy.policy(1)
    model, mode = as_reference(policy, reference)
    with mode:
        assert model is reference


def test_the_reference_of_an_adapter_is_the_policy_without_it():
    base = toy.policy()
    plain = outputs(copy.deepcopy(base))
    policy = adapted(base)
    before = outputs(policy)
    model, mode = as_reference(policy, None)
    with mode:
        torch.testing.assert_close(outputs(model), plain, atol=1e-6, rtol=0)
    assert torch.equal(outputs(policy), before), "the adapter is back afterwards"
