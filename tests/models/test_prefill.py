"""The common start of prompts is computed once, without any other effect."""

from __future__ import annotations

import pytest
import torch
from transformers import (
    DynamicCache,
    GPT2Config,
    GPT2LMHeadModel,
    MistralConfig,
    MistralForCausalLM,
)

from align_core.data.encoding import Prompts
from align_core.models.frozen_trunk import frozen_trunk
from align_core.models.logprobs import response_outputs, upper_states
from align_core.models.prefill import SHORTEST, SharedPrompts
from align_core.models.sampling import RandomDraw, sample
from tests.models.test_frozen_trunk import FAMILIES, SIZES, WORDS, adapted

START = list(range(20, 20 + SHORTEST + 1))
# The first two tokens and the last two are common. The longest prompt has no padding, the shortest
# has more columns of padding than common tokens, and the others have fewer.
SHORT, LONG, MIDDLE = [*START, 7], [*START, 8, *range(4, 16)], [*START, 9, *range(4, 12)]
ROWS = [SHORT, SHORT, LONG, MIDDLE, MIDDLE]
WIDTH = max(map(len, ROWS))
PROMPTS = Prompts(
    torch.tensor([[1] * (WIDTH - len(row)) + row for row in ROWS]),
    torch.tensor([[0] * (WIDTH - len(row)) + [1] * len(row) for row in ROWS]),
)
RANDOM = {
    f"{family} with adapter": lambda made=made: adapted(made()) for family, made in FAMILIES.items()
} | {
    "learnt positions": lambda: GPT2LMHeadModel(
        GPT2Config(vocab_size=WORDS, n_embd=32, n_layer=2, n_head=2, eos_token_id=0)
    ),
    "sliding window": lambda: MistralForCausalLM(
        MistralConfig(sliding_window=6, num_key_value_heads=1, **SIZES)
    ),
}


@pytest.mark.parametrize("family", RANDOM)
def test_samples_equal_those_of_full_passes(family):
    """Logits and states at each token equal those of one pass without a cache."""
    torch.manual_seed(0)
    policy = RANDOM[family]().eval()
    frozen = frozen_trunk(policy)
    assert (frozen is not None) == ("adapter" in family)
    drawn = sample(policy, PROMPTS, RandomDraw(1, len(ROWS)), max_new_tokens=6, end_ids=range(12),
                   pad_id=1, keep_logits=True, keep_states=True, frozen=frozen)  # fmt: skip
    assert len({*drawn.mask.sum(1).tolist()}) > 2, (
        "the test needs texts that end at different times"
    )
    batch = PROMPTS, drawn.tokens, drawn.mask
    with torch.no_grad():
        logits, states = response_outputs(policy, *batch, hidden=True)
    there = drawn.mask
    torch.testing.assert_close(drawn.logits[there], logits[there], atol=2e-6, rtol=0)
    torch.testing.assert_close(drawn.states[there], states[there], atol=1e-5, rtol=0)
    if frozen is not None:
        with torch.no_grad():
            ours = upper_states(frozen, drawn.trunk_states, *batch)
        torch.testing.assert_close(ours[there], states[there], atol=1e-5, rtol=0)


@pytest.mark.parametrize("family", FAMILIES)
def test_upper_layers_give_the_states_and_gradients_of_full_passes(family):
    """From trunk states, with the start of all prompts computed once, and never twice."""
    torch.manual_seed(0)
    policy = adapted(FAMILIES[family]()).double().eval()  # in float32, rounding decides
    frozen = frozen_trunk(policy)
    tokens = torch.randint(2, WORDS, (len(ROWS), 4))
    mask = torch.arange(4) < torch.tensor([4, 1, 2, 3, 1])[:, None]
    attention = torch.cat([PROMPTS.mask, mask.long()], 1)
    kept = frozen.states(
        input_ids=torch.cat([PROMPTS.ids, tokens], 1),
        attention_mask=attention,
        position_ids=(attention.cumsum(1) - 1).clamp(min=0),
    )
    _, whole = response_outputs(policy, PROMPTS, tokens, mask, hidden=True)
    first = whole[mask].square().sum()
    expected = torch.autograd.grad(first, [p for p in policy.parameters() if p.requires_grad])
    ours = upper_states(frozen, kept, PROMPTS, tokens, mask)
    torch.testing.assert_close(ours[mask].float(), whole[mask], atol=1e-6, rtol=1e-6)
    gradients = torch.autograd.grad(
        ours[mask].square().sum(), [p for p in policy.parameters() if p.requires_grad]
    )
    for one, other in zip(gradients, expected, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)

    computed = []
    frozen._upper.layers[0].register_forward_pre_hook(
        lambda _, args, kwargs: computed.append(args[0].shape[:2]), with_kwargs=True
    )
    upper_states(frozen, kept, PROMPTS, tokens, mask)
    assert computed == [(1, len(START)), (len(ROWS), WIDTH + 2 - len(START))]


def passes(prompts: Prompts, sliding: bool = False) -> list[tuple[int, ...]]:
    """The shapes of the token ids in passes that fill the cache."""
    config = MistralConfig(sliding_window=6 if sliding else None, num_key_value_heads=1, **SIZES)
    model, cache, shapes = MistralForCausalLM(config).eval(), DynamicCache(config=config), []

    def forward(ids, attention, positions):
        shapes.append(tuple(ids.shape))
        output = model(input_ids=ids, attention_mask=attention, position_ids=positions,
                       cache=cache, use_cache=True)  # fmt: skip
        return output.logits[:, -1], None

    shared = SharedPrompts.of(prompts, cache)
    logits, _ = shared.prefill(forward, cache)
    assert len(logits) == len(cache.layers[0].keys) == len(prompts.ids)
    return shapes


@torch.no_grad()
def test_each_common_token_is_computed_once():
    common = len(START)
    assert passes(PROMPTS) == [(1, common), (3, WIDTH - common)]
    # A single prompt has no common start; two tokens are not worth a pass.
    assert passes(PROMPTS[:2]) == [(1, common + 1)]
    short = PROMPTS.ids.clone()
    short[2, 2] += 1  # the third token of the longest
    assert passes(Prompts(short, PROMPTS.mask)) == [(3, WIDTH)]
    # The last token of a prompt that others continue stays for the pass with its outputs.
    ids = torch.tensor([[1, *START], [*START, 7]])
    mask = torch.tensor([[0] + [1] * common, [1] * (common + 1)])
    assert passes(Prompts(ids, mask)) == [(1, common - 1), (2, 2)]


@torch.no_grad()
def test_no_start_is_shared_in_a_cache_that_forgets():
    assert passes(PROMPTS, sliding=True) == [(len(ROWS), WIDTH)]
