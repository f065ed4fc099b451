"""Log-probabilities of texts in a batch equal those of each text alone."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from align_core.data.encoding import encode_prompts, pad_responses
from align_core.models.logprobs import (
    CHUNK,
    logprobs,
    response_outputs,
    response_states,
    text_states,
)
from tests.toy import policy, tokenizer

PROMPTS = ["the film", "a", "the plot was never dull . the film"]
COMPLETIONS = [[6, 0], [7, 8, 9, 10, 11, 12, 13, 5, 4, 3], [0], [5, 5], [3, 8, 9, 0]]


def naive_logprobs(model, prompt: str, ids: list[int], temperature: float) -> torch.Tensor:
    """Token by token, each from a forward pass over the tokens before it."""
    before = tokenizer()(prompt)["input_ids"]
    steps = []
    for place, token in enumerate(ids):
        logits = model(input_ids=torch.tensor([before + ids[:place]])).logits[0, -1]
        steps.append((logits / temperature).log_softmax(-1)[token])
    return torch.stack(steps)


@pytest.mark.parametrize("temperature", [1.0, 0.5])
def test_log_probabilities_are_those_of_each_text_alone(temperature):
    model = policy()
    texts = [(prompt, ids) for prompt in PROMPTS for ids in COMPLETIONS] * 2
    assert len(texts) > CHUNK, "the test needs more than one chunk"
    prompts, completions = zip(*texts, strict=True)
    values = logprobs(model, encode_prompts(tokenizer(), prompts), completions, temperature)
    expected = [naive_logprobs(model, *text, temperature) for text in texts]
    for ours, theirs in zip(values, expected, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=0)

    gradients = (
        torch.autograd.grad(sum(tensor.sum() for tensor in of), list(model.parameters()))
        for of in (values, expected)
    )
    for ours, theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-3, rtol=1e-4)


def test_a_model_may_return_the_logits_at_all_positions():
    """The longest text has 12 tokens, of which the last 5 are asked for."""
    prompts = encode_prompts(tokenizer(), PROMPTS)
    expected = logprobs(policy(), prompts, COMPLETIONS[2:])
    model = policy()
    forward = model.forward
    model.forward = lambda *args, logits_to_keep, **inputs: forward(*args, **inputs)
    for ours, theirs in zip(logprobs(model, prompts, COMPLETIONS[2:]), expected, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=0)


@pytest.mark.parametrize("wider", [0, 20])
def test_texts_in_a_batch_do_not_affect_each_other(wider):
    """Prompts and responses of very different lengths, with extra padding (`wider`)."""
    model, prompts = policy(), ["a", "the film", "the plot was never dull . the film was fine ."]
    rows = [[6, 0], [7, 8, 9, 10, 11, 12, 13, 5, 4, 3], [0]]
    tokens, mask = pad_responses(rows, 1)
    tokens, mask = F.pad(tokens, (0, wider), value=1), F.pad(mask, (0, wider))
    encoded = encode_prompts(tokenizer(), prompts)
    with torch.no_grad():
        logits, states = response_outputs(model, encoded, tokens, mask, hidden=True)
        trunk_states = response_states(model.model, encoded, tokens, mask)
        final = text_states(model.model, encoded, tokens, mask)[:, -1]
        for row, (prompt, ids) in enumerate(zip(prompts, rows, strict=True)):
            before = tokenizer()(prompt)["input_ids"]
            alone = model(input_ids=torch.tensor([before + ids]), output_hidden_states=True)
            at = slice(len(before) - 1, len(before) - 1 + len(ids))
            for actual, expected in (
                (logits[row, : len(ids)], alone.logits[0, at]),
                (states[row, : len(ids)], alone.hidden_states[-1][0, at]),
                (trunk_states[row, : len(ids)], alone.hidden_states[-1][0, at]),
                (final[row], alone.hidden_states[-1][0, -1]),
            ):
                torch.testing.assert_close(actual, expected, atol=1e-5, rtol=0)
