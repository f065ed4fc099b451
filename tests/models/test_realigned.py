"""Sampling and measuring of a policy mixed with its reference, against passes of each alone."""

from __future__ import annotations

import pytest
import torch
from transformers import LlamaForCausalLM

from align_core.data.encoding import encode_prompts
from align_core.evaluation.evaluator import Evaluator
from align_core.models.realigned import Realigned
from align_core.models.sampling import FixedDraw, sample
from tests import toy

PROMPTS = ["the film was never dull and the plot " + end for end in ("was", "is good . a film")]


def reference() -> LlamaForCausalLM:
    """Another model, of one layer more than the policy."""
    torch.manual_seed(5)
    return LlamaForCausalLM(toy.config(num_hidden_layers=3)).eval()


def plain_logp(share: float, prompt: list[int], ids: list[int]) -> torch.Tensor:
    """log of π_ref^(1−λ)·π^λ / Z [T, V], from one pass of each model over the whole text."""
    rows = []
    for model in (toy.policy(0), reference()):
        with torch.no_grad():
            logits = model(torch.tensor([prompt + ids])).logits[0, len(prompt) - 1 : -1]
        rows.append(logits.double().softmax(-1))
    weights = rows[0] ** share * rows[1] ** (1 - share)
    return (weights / weights.sum(-1, keepdim=True)).log()


@pytest.mark.parametrize("share", [0.5, 3.0])
def test_sampling_with_both_caches_equals_full_passes(share):
    """Prompts are repeated and share their start, and texts end at different times."""
    encoded = encode_prompts(toy.tokenizer(), PROMPTS).repeat(8)
    drawn = sample(
        Realigned(toy.policy(0), reference(), share),
        encoded,
        FixedDraw(0, PROMPTS, 8, 12, len(toy.WORDS)),
        max_new_tokens=12,
        end_ids=[0],
        pad_id=1,
        keep_logits=True,
    )
    assert drawn.ended.any() and not drawn.ended.all()
    texts = zip(encoded.real(), drawn.ids(), drawn.logits, drawn.logp, strict=True)
    for prompt, ids, logits, logp in texts:
        expected = plain_logp(share, prompt, ids)
        kept = logits[: len(ids)].double().log_softmax(-1)
        torch.testing.assert_close(kept, expected, atol=1e-5, rtol=0)
        of_tokens = expected[range(len(ids)), ids].float()
        torch.testing.assert_close(logp[: len(ids)], of_tokens, atol=1e-5, rtol=0)


@pytest.mark.parametrize("share", [0.5, 3.0])
def test_reward_and_kl_are_those_of_the_mixtures_own_texts(share):
    tokenizer = toy.tokenizer()
    settings = {"gold": toy.reward, "proxy": None, "stored": None, "max_new_tokens": 10, "seed": 0}
    evaluator = Evaluator(PROMPTS, tokenizer, reference(), **settings)
    evaluation = evaluator(Realigned(toy.policy(0), reference(), share))
    texts = evaluation.policy
    assert texts.gold.tolist() == toy.reward(None, texts.completions, texts.completion_ids)
    assert texts.completions != evaluator(toy.policy(0)).policy.completions
    for row, ids in enumerate(texts.completion_ids):
        prompt = tokenizer(texts.prompts[row])["input_ids"]
        ours, theirs = (plain_logp(each, prompt, ids) for each in (share, 0.0))
        kl = (ours.exp() * (ours - theirs)).sum().item()
        assert evaluation.kl[row].item() == pytest.approx(kl, abs=1e-5)
        own = ours[range(len(ids)), ids].tolist()
        assert evaluation.logp[row] == pytest.approx(own, abs=1e-5)
