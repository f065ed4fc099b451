"""Sampling: the values stored during a rollout equal those of a full forward pass."""

from __future__ import annotations

import pytest
import torch

from align_core.data.encoding import encode_prompts
from align_core.models import sampling
from align_core.models.loading import ModelError, load_policy, load_tokenizer
from align_core.models.logprobs import response_outputs
from align_core.models.sampling import (
    FixedDraw,
    Interrupted,
    RandomDraw,
    end_ids,
    sample,
)
from align_core.objectives import token_logprobs
from tests.toy import WORDS, policy, tokenizer

PROMPTS = ["the film", "a", "the plot was never dull . the film"]


def drawn_by(model, prompts, draw, **options):
    return sample(
        model,
        encode_prompts(tokenizer(), prompts),
        draw,
        **{"max_new_tokens": 12, "end_ids": [0], "pad_id": 1, **options},
    )


def test_kept_logprobs_equal_a_full_forward_pass():
    model, prompts = policy(), PROMPTS * 8
    drawn = drawn_by(model, prompts, RandomDraw(0, len(prompts)))
    encoded = encode_prompts(tokenizer(), prompts)
    with torch.no_grad():
        logits, _ = response_outputs(model, encoded, drawn.tokens, drawn.mask)
    again = token_logprobs(logits, drawn.tokens) * drawn.mask
    assert drawn.ended.any() and not drawn.ended.all(), "the test needs texts of both kinds"
    torch.testing.assert_close(drawn.logp, again, atol=1e-5, rtol=0)


@pytest.mark.parametrize("temperature", [1.0, 0.5])
def test_kept_outputs_equal_a_full_forward_pass(temperature):
    model, prompts = policy(), PROMPTS * 8
    drawn = drawn_by(
        model,
        prompts,
        RandomDraw(0, len(prompts)),
        temperature=temperature,
        keep_logits=True,
        keep_states=True,
    )
    encoded = encode_prompts(tokenizer(), prompts)
    with torch.no_grad():
        logits, states = response_outputs(model, encoded, drawn.tokens, drawn.mask, hidden=True)
    there = drawn.mask.unsqueeze(-1)
    torch.testing.assert_close(drawn.logits, logits / temperature * there, atol=1e-5, rtol=0)
    torch.testing.assert_close(drawn.states, states * there, atol=1e-5, rtol=0)
    assert drawn_by(model, prompts, RandomDraw(0, len(prompts))).logits is None


def decoded(model, prompt: list[int], most: int, draw) -> list[int]:
    """One text, each token sampled from a forward pass over those before it."""
    ids: list[int] = []
    while len(ids) < most and ids[-1:] != [model.config.eos_token_id]:
        logits = model(input_ids=torch.tensor([prompt + ids])).logits[:, -1]
        ids += draw(logits, torch.tensor([0]), len(ids)).tolist()
    return ids


def toy_model():
    return policy(), tokenizer(), PROMPTS


def embedded_model():
    prompts = ["The plot of this thriller", "Honestly,"]
    return load_policy("sft-reviews"), load_tokenizer("sft-reviews"), prompts


@pytest.mark.parametrize("made", [toy_model, embedded_model])
def test_the_cache_does_not_change_the_tokens(made):
    """Each token depends on all earlier ones; a model that ignored its cache would see one."""
    model, words, prompts = made()
    width, most = model.get_output_embeddings().weight.shape[0], 16
    drawn = sample(
        model,
        encode_prompts(words, prompts),
        FixedDraw(3, prompts, 1, most, width),
        max_new_tokens=most,
        end_ids=[words.eos_token_id],
        pad_id=words.pad_token_id,
    )
    with torch.no_grad():
        expected = [
            decoded(model, words(prompt)["input_ids"], most, FixedDraw(3, [prompt], 1, most, width))
            for prompt in prompts
        ]
    assert drawn.ids() == expected
    assert max(map(len, expected)) > 4, "the test needs texts that are longer than a word"


def test_mask_covers_the_end_token_and_nothing_after_it():
    drawn = drawn_by(policy(), PROMPTS * 8, RandomDraw(0, 8 * len(PROMPTS)))
    for tokens, mask, ended in zip(drawn.tokens, drawn.mask, drawn.ended, strict=True):
        length = int(mask.sum())
        assert mask[:length].all()
        assert (0 in tokens[:length]) == bool(ended)
        if ended:
            assert tokens[length - 1] == 0
        assert (tokens[length:] == 1).all()


def test_fixed_noise_does_not_depend_on_batching():
    model = policy()
    together = drawn_by(model, PROMPTS, FixedDraw(7, PROMPTS, 1, 12, 14)).ids()
    alone = [drawn_by(model, [p], FixedDraw(7, [p], 1, 12, 14)).ids()[0] for p in PROMPTS]
    assert together == alone
    assert together != drawn_by(model, PROMPTS, FixedDraw(8, PROMPTS, 1, 12, 14)).ids()


def test_fixed_noise_is_the_same_in_every_version():
    """Recorded runs and stored samples were made with it."""
    noise = FixedDraw(7, ["the film"], 1, 2, 3)._noise
    expected = torch.tensor([[[2.4275, 1.1313, 3.0406], [1.1444, 0.7249, 0.0517]]])
    torch.testing.assert_close(noise, expected, atol=1e-4, rtol=0)


def test_noise_too_large_to_store_is_drawn_again_unchanged(monkeypatch):
    stored = FixedDraw(7, PROMPTS, 2, 12, 14)
    texts = drawn_by(policy(), PROMPTS * 2, stored).ids()
    assert sampling._STORED_NOISE == 67_108_864
    monkeypatch.setattr(sampling, "_STORED_NOISE", 6 * 12 * 14)
    assert torch.equal(FixedDraw(7, PROMPTS, 2, 12, 14)._noise, stored._noise)
    monkeypatch.setattr(sampling, "_STORED_NOISE", 6 * 12 * 14 - 1)
    drawn = FixedDraw(7, PROMPTS, 2, 12, 14)
    assert drawn._noise is None
    for _ in range(2):
        assert drawn_by(policy(), PROMPTS * 2, drawn).ids() == texts


def test_random_numbers_belong_to_a_text_and_not_to_its_batch():
    """Sampling in two parts, as two processes do, gives the same texts as in one."""
    model, prompts = policy(), PROMPTS * 4
    together = drawn_by(model, prompts, RandomDraw(5, len(prompts))).ids()
    half = len(prompts) // 2
    parts = [
        drawn_by(model, prompts[first : first + half], RandomDraw(5, len(prompts), first)).ids()
        for first in (0, half)
    ]
    assert together == parts[0] + parts[1]
    assert together != drawn_by(model, prompts, RandomDraw(6, len(prompts))).ids()


def test_the_largest_random_number_draws_a_possible_token(monkeypatch):
    """In float32, cumulative sums may end above or below 1; torch.rand is at most 1 − 2⁻²⁴."""
    largest = 1 - 2**-24
    monkeypatch.setattr(torch, "rand", lambda *shape, **_: torch.full(shape, largest))
    logits = torch.randn(500, 1024, generator=torch.Generator().manual_seed(0))
    logits[:, -1] = -torch.inf
    ends = logits.softmax(-1).cumsum(-1)[:, -1]
    assert (ends < largest).any() and (ends > 1).any(), "the test needs sums of both kinds"
    drawn = RandomDraw(0, 500)(logits, torch.arange(500), 0)
    assert (drawn < 1023).all()


@pytest.mark.parametrize("kind", ["random", "fixed"])
def test_tokens_are_drawn_from_the_policy(kind):
    """The frequencies of 4,000 first tokens are the softmax's within four standard errors."""
    model, count = policy(), 4000
    draw = RandomDraw(3, count) if kind == "random" else FixedDraw(3, ["the film"], count, 1, 14)
    drawn = drawn_by(model, ["the film"] * count, draw, max_new_tokens=1)
    encoded = encode_prompts(tokenizer(), ["the film"])
    with torch.no_grad():
        p = model(input_ids=encoded.ids).logits[0, -1].softmax(-1)
    seen = torch.bincount(drawn.tokens[:, 0], minlength=14) / count
    assert ((seen - p).abs() < 4 * (p * (1 - p) / count).sqrt() + 1e-9).all()


def test_temperature_zero_takes_the_most_likely_token():
    first, second = (
        drawn_by(policy(), PROMPTS, RandomDraw(seed, len(PROMPTS)), temperature=0.0).ids()
        for seed in (0, 1)
    )
    assert first == second


def test_interruption_stops_between_tokens():
    with pytest.raises(Interrupted):
        drawn_by(policy(), PROMPTS, RandomDraw(0, len(PROMPTS)), interrupted=lambda: True)
    for ends, steps in (([], 5), (range(14), 1)):  # no token ends a text, or each does
        asked = []
        options = {"end_ids": ends, "max_new_tokens": 5, "interrupted": lambda a=asked: a.append(1)}
        drawn = drawn_by(policy(), ["the film"] * 2, RandomDraw(0, 2), **options)
        assert len(asked) == drawn.tokens.shape[1] == steps


def test_every_end_token_of_the_model_ends_a_text():
    model, chat = policy(), tokenizer()
    assert end_ids(model, chat) == [0]
    model.generation_config.eos_token_id = [3, 5]
    assert end_ids(model, chat) == [0, 3, 5]
    chat.add_special_tokens({"additional_special_tokens": ["<turn>"]})
    chat.chat_template = "{% for m in messages %}{{ m.content }}<turn>{% endfor %}"
    assert end_ids(model, chat) == [0, 3, 5, 14]
    drawn = drawn_by(model, PROMPTS * 8, RandomDraw(0, 24), end_ids=end_ids(model, chat))
    last = {row[-1] for row, ended in zip(drawn.ids(), drawn.ended, strict=True) if ended}
    assert {0, 3, 5} == last
    for row, ended in zip(drawn.ids(), drawn.ended, strict=True):
        assert not {0, 3, 5} & set(row[:-1]) and bool(ended) == (row[-1] in {0, 3, 5})


def test_the_end_token_is_not_in_the_text_though_it_is_a_word():
    model, prompts = policy(), PROMPTS * 8
    drawn = drawn_by(model, prompts, RandomDraw(0, len(prompts)), end_ids=[5])
    texts = drawn.texts(tokenizer(), encode_prompts(tokenizer(), prompts))
    assert drawn.ended.any()
    for text, ended in zip(texts, drawn.ended, strict=True):
        assert not (ended and WORDS[5] in text)


def test_a_model_without_an_end_token_is_refused():
    model, words = policy(), tokenizer()
    model.generation_config.eos_token_id = words.eos_token = None
    with pytest.raises(ModelError, match="expected a token that ends its texts, got none"):
        end_ids(model, words)


def test_an_end_token_that_is_named_by_its_text_is_refused():
    model = policy()
    model.generation_config.eos_token_id = [0, "</s>"]
    with pytest.raises(ModelError, match="expected numbers of tokens as eos_token_id, got '</s>'"):
        end_ids(model, tokenizer())
