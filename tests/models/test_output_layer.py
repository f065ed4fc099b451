"""Log-probabilities, gradients and KL from hidden states, against whole logits."""

from __future__ import annotations

import pytest
import torch
from transformers import (
    Gemma2Config,
    Gemma2ForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
    GraniteConfig,
    GraniteForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    PhiConfig,
    PhiForCausalLM,
)

from align_core.data.encoding import encode_prompts
from align_core.models import output_layer
from align_core.models.output_layer import divergence, has_plain_head, token_outputs
from align_core.models.value_model import PolicyWithValue
from align_core.objectives import entropy, exact_kl, token_logprobs
from tests import toy

N, H, V = 50, 16, 37


@pytest.fixture(params=[10**9, 20 * V])
def layer(request, monkeypatch):
    """An output layer, its inputs and tokens; in one chunk and in three."""
    monkeypatch.setattr(output_layer, "_MAX_LOGITS", request.param)
    torch.manual_seed(0)
    head = torch.nn.Linear(H, V).requires_grad_(False)
    return head, 3 * torch.randn(N, H), torch.randint(V, (N,))


@pytest.mark.parametrize("temperature", [1.0, 0.6])
def test_token_outputs_equal_those_from_the_logits(layer, temperature):
    head, states, tokens = layer
    logits = head(states) / temperature
    outputs = token_outputs(head, states, tokens, temperature)
    torch.testing.assert_close(outputs.logp, token_logprobs(logits, tokens))
    torch.testing.assert_close(outputs.entropy, entropy(logits))
    torch.testing.assert_close(outputs.mean_logit, logits.mean(1))
    assert torch.equal(outputs.most_likely, logits.argmax(1) == tokens)


@pytest.mark.parametrize("temperature", [1.0, 0.6])
def test_gradients_equal_those_from_the_logits(layer, temperature):
    head, states, tokens = layer
    weights = torch.randn(N)
    gradients = []
    for logp in (
        lambda h: token_outputs(head, h, tokens, temperature).logp,
        lambda h: token_logprobs(head(h) / temperature, tokens),
    ):
        inputs = states.clone().requires_grad_()
        (weights * logp(inputs).exp()).sum().backward()
        gradients.append(inputs.grad)
    torch.testing.assert_close(*gradients)


def test_the_divergence_equals_the_one_from_the_logits(layer):
    head, states, tokens = layer
    ref_states = states + 0.3 * torch.randn(N, H)
    logits, ref_logits = head(states) / 0.6, head(ref_states) / 0.6
    result = divergence(head, states, ref_states, tokens, 0.6)
    torch.testing.assert_close(result.logp, token_logprobs(logits, tokens))
    torch.testing.assert_close(result.ref_logp, token_logprobs(ref_logits, tokens))
    torch.testing.assert_close(result.kl, exact_kl(logits, ref_logits), rtol=1e-5, atol=1e-7)
    torch.testing.assert_close(result.entropy, entropy(logits))
    assert result.kl.dtype == torch.float64
    assert divergence(head, states, states, tokens).kl.max() < 1e-12


def test_gradients_of_a_layer_that_is_trained_equal_those_from_the_logits(layer):
    """With temperature, tokens that occur twice, and weights that are used elsewhere, too."""
    _, states, tokens = layer
    head, weights = torch.nn.Linear(H, V, bias=False), torch.randn(N)
    tokens[0] = tokens[1]
    gradients = []
    for logp in (
        lambda h: token_outputs(head, h, tokens, 0.6).logp,
        lambda h: token_logprobs(head(h) / 0.6, tokens),
    ):
        head.weight.grad, inputs = None, states.clone().requires_grad_()
        loss = (weights * logp(inputs).exp()).sum() + (head.weight**2).sum()
        loss.backward()
        gradients.append((inputs.grad, head.weight.grad))
    for ours, theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, theirs)
    outputs, logits = token_outputs(head, states, tokens, 0.6), head(states) / 0.6
    torch.testing.assert_close(outputs.entropy, entropy(logits))
    torch.testing.assert_close(outputs.mean_logit, logits.mean(1))
    assert torch.equal(outputs.most_likely, logits.argmax(1) == tokens)
    assert outputs.logp.requires_grad and not outputs.entropy.requires_grad


SIZE = {
    "vocab_size": 14,
    "hidden_size": 16,
    "intermediate_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
}
PLAIN = {
    "llama": (lambda: LlamaForCausalLM(LlamaConfig(**SIZE)), True),
    "an adapter": (lambda: toy.adapted(toy.policy()), True),
    "gpt2": (
        lambda: GPT2LMHeadModel(GPT2Config(vocab_size=14, n_embd=16, n_layer=1, n_head=2)),
        True,
    ),
    "a bias": (lambda: PhiForCausalLM(PhiConfig(**SIZE)), False),
    "a soft cap": (lambda: Gemma2ForCausalLM(Gemma2Config(**SIZE, head_dim=8)), False),
    "a scale": (lambda: GraniteForCausalLM(GraniteConfig(**SIZE, logits_scaling=2.0)), False),
    "a scale of 1": (lambda: GraniteForCausalLM(GraniteConfig(**SIZE, logits_scaling=1.0)), True),
}


@pytest.mark.parametrize("kind", PLAIN)
def test_a_layer_is_plain_if_the_logits_are_its_product_alone(kind):
    torch.manual_seed(0)
    make, expected = PLAIN[kind]
    policy = make().train()
    assert has_plain_head(policy) == expected
    assert policy.training


def test_a_plain_layer_gives_the_same_losses_as_whole_logits():
    """The same outputs, and gradients of every weight; the embeddings are tied."""
    prompts = encode_prompts(toy.tokenizer(), ["the film", "a", "the plot was never"])
    tokens = torch.tensor([[6, 7, 0, 1], [5, 0, 1, 1], [3, 4, 5, 6]])
    mask = tokens != 1
    results = []
    for is_plain in (True, False):
        made = PolicyWithValue(toy.policy())
        assert made.has_plain_head
        made.has_plain_head = is_plain
        outputs = made(prompts, tokens, mask, 0.7)
        (outputs.logp[mask].exp().sum() + outputs.values[mask].sum()).backward()
        gradients = [p.grad for p in made.policy.parameters()]
        results.append((outputs.logp[mask], outputs.entropy[mask], *gradients))
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs, atol=2e-6, rtol=0)
