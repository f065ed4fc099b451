"""Values of every prefix of a text; training the value model does not change the policy."""

from __future__ import annotations

import pytest
import torch
from transformers import LlamaForCausalLM

from align_core.data.encoding import encode_prompts
from align_core.models.logprobs import response_outputs
from align_core.models.value_model import VALUE_GAIN, PolicyWithValue, value_model_of
from align_core.objectives import entropy, token_logprobs
from tests import toy


def test_the_value_head_starts_at_zero_and_reads_the_trunk():
    made = PolicyWithValue(toy.policy())
    prompts = encode_prompts(toy.tokenizer(), ["the film", "a"])
    tokens = torch.tensor([[6, 7, 0], [5, 0, 1]])
    mask = torch.tensor([[True, True, True], [True, True, False]])
    assert (made(prompts, tokens, mask).values == 0).all()
    torch.nn.init.normal_(made.value_head.linear.weight)
    logp, entropies, values = made(prompts, tokens, mask, 0.7)
    logits, states = response_outputs(made.policy, prompts, tokens, mask, hidden=True)
    near = {"atol": 2e-6, "rtol": 0}
    torch.testing.assert_close(logp[mask], token_logprobs(logits / 0.7, tokens)[mask], **near)
    torch.testing.assert_close(entropies[mask], entropy(logits / 0.7)[mask], **near)
    assert not entropies.requires_grad
    expected = VALUE_GAIN * (states @ made.value_head.linear.weight.T).squeeze(-1)
    torch.testing.assert_close(values[mask], expected[mask])
    values.sum().backward()
    assert all(p.grad is None for p in made.policy.parameters()), "the trunk is the policy's"


def test_a_value_model_gives_the_score_of_every_prefix():
    value_model = toy.reward_model()
    made = PolicyWithValue(toy.policy(), value_model)
    prompts = encode_prompts(toy.tokenizer(), ["the film", "a"])
    tokens = torch.tensor([[6, 7, 0], [5, 0, 1]])
    mask = torch.tensor([[True, True, True], [True, True, False]])
    logp, _, values = made(prompts, tokens, mask)
    logits, _ = response_outputs(made.policy, prompts, tokens, mask)
    expected_logp = token_logprobs(logits, tokens)[mask]
    torch.testing.assert_close(logp[mask], expected_logp, atol=2e-6, rtol=0)
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
def test_a_value_model_is_a_trainable_copy_of_the_reward_model(adapter):
    reward_model = toy.reward_model()
    if adapter:
        reward_model = toy.adapted(reward_model, task_type="SEQ_CLS")
    before = {name: p.clone() for name, p in reward_model.named_parameters()}
    value_model = value_model_of(reward_model)
    torch.testing.assert_close(
        toy.outputs(value_model), toy.outputs(reward_model), atol=1e-5, rtol=0
    )
    assert all(p.requires_grad for p in value_model.parameters())
    with torch.no_grad():
        for parameter in value_model.parameters():
            parameter.add_(1.0)
    for name, parameter in reward_model.named_parameters():
        assert torch.equal(parameter, before[name])
