"""The divergence on texts that were sampled with or without a frozen trunk."""

from __future__ import annotations

import torch
from peft import get_peft_model

from align_core.data.encoding import encode_prompts
from align_core.evaluation.divergence import sequence_divergence
from align_core.models.frozen_trunk import frozen_trunk
from align_core.models.lora import lora_config
from align_core.models.sampling import RandomDraw, sample
from tests import toy


def test_texts_without_trunk_states_have_the_same_divergence():
    """An adapter on the last of two layers; the layer below is the frozen trunk."""
    torch.manual_seed(0)
    policy = get_peft_model(toy.policy(), lora_config(toy.policy(), 4, "CAUSAL_LM", 1)).eval()
    for name, parameter in policy.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.3)
    prompts = encode_prompts(toy.tokenizer(), ["the film", "a plot", "the plot was never"])
    frozen, options = frozen_trunk(policy), {"max_new_tokens": 6, "end_ids": [0], "pad_id": 1}
    plain = sample(policy, prompts, RandomDraw(3, 3), **options)
    kept = sample(policy, prompts, RandomDraw(3, 3), **options, frozen=frozen)
    assert plain.trunk_states is None and kept.tokens.equal(plain.tokens)
    expected = sequence_divergence(policy, None, prompts, plain, None, lambda: False)
    assert expected[0].min() > 0.01
    for responses, trunk in ((plain, frozen), (kept, frozen), (kept, None)):
        found = sequence_divergence(policy, None, prompts, responses, trunk, lambda: False)
        for ours, theirs in zip(found, expected, strict=True):
            if ours.dim() == 2:
                ours, theirs = ours[plain.mask], theirs[plain.mask]
            torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=0)
