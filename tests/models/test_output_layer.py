"""Log-probabilities, gradients and KL from hidden states, against whole logits."""

from __future__ import annotations

import pytest
import torch

from align_core.models import output_layer
from align_core.models.output_layer import divergence, token_outputs
from align_core.objectives import entropy, exact_kl, token_logprobs

N, H, V = 50, 16, 37


@pytest.fixture(params=[10**9, 20 * V])
def layer(request, monkeypatch):
    """An output layer, its inputs and tokens; in one chunk and in three."""
    monkeypatch.setattr(output_layer, "_ENTRIES", request.param)
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
