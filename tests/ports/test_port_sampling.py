"""Sampling as scripts set it: several end tokens and stop strings, top-k and top-p."""

from __future__ import annotations

import pytest
import torch

from align_core.models.truncation import StopStrings, TruncatedDraw
from align_core.objectives import token_logprobs
from tests import toy
from tests.ports.ported import PROMPTS, history, made, trained

SETTINGS = {"response_length": 8, "per_device_train_batch_size": 32, "total_episodes": 32}


def responses(trainer) -> list[list[int]]:
    read = trainer.latest.episodes
    return [ids[mask].tolist() for ids, mask in zip(read.tokens, read.mask, strict=True)]


def test_strings_end_a_response_and_stay_in_it(tmp_path):
    """ "good" is token 8, "was" token 6 and "bad" token 9."""
    seen = []

    def reward(completions, **_):
        seen.extend(completions)
        return [0.0] * len(completions)

    strings = ["good", "was bad"]
    parts = {"missing_eos_penalty": 1.0, "reward": reward, "stop_token_id": [0, 13]}
    trainer = trained(tmp_path, stop_strings=strings, **parts, **SETTINGS)
    read = trainer.latest.episodes
    ways = set()
    for ids, ended, score in zip(responses(trainer), read.ended, read.scores, strict=True):
        at_end = ids[-1] in (0, 8, 13) or ids[-2:] == [6, 9]
        assert at_end == bool(ended) and score == (0.0 if at_end else -1.0)
        assert not {0, 8, 13} & {*ids[:-1]}
        ways.add(ids[-1] if at_end else None)
    assert {0, 8, 13, None} <= ways
    assert any(text.endswith(" good") for text in seen)
    assert history(trainer, "val/num_eos_tokens") == [read.ended.sum().item()]


def test_a_string_ends_where_its_last_token_does():
    stops = StopStrings(toy.tokenizer(), ["was bad", "plot"])
    tokens = torch.tensor([[5, 4, 6, 9], [9, 6, 9, 4], [9, 9, 4, 5], [6, 4, 9, 2]])
    assert stops(tokens).tolist() == [True, False, True, False]
    assert stops(tokens[:, :1]).tolist() == [True, False, False, False]


def test_unlikely_tokens_are_not_drawn():
    seen = []

    def draw(logits, rows, position):
        seen.append(logits)
        return logits.argmax(-1)

    logits = torch.tensor([[0.5, 0.3, 0.15, 0.05]]).log()
    for top_k, top_p, kept in ((2, None, 2), (None, 0.75, 2), (3, 0.9, 3), (1, 1.0, 1)):
        TruncatedDraw(draw, top_k, top_p)(logits, torch.tensor([0]), 0)
        assert seen[-1].isfinite().sum() == kept


def test_log_probabilities_and_kl_are_those_of_all_tokens(tmp_path):
    """The ratio of the first update is then 1, and the KL at the start is 0."""
    trainer = trained(tmp_path, top_k=3, top_p=0.9, num_ppo_epochs=1, **SETTINGS)
    read = trainer.latest.episodes
    assert history(trainer, "objective/kl")[0] < 1e-6
    assert history(trainer, "policy/approxkl_avg")[0] < 1e-10
    model = toy.policy()
    for row, ids in enumerate(responses(trainer)):
        prompt = read.prompt_ids[row][read.prompt_mask[row].bool()].tolist()
        with torch.no_grad():
            logits = model(torch.tensor([prompt + ids])).logits[0, len(prompt) - 1 : -1]
        logp = token_logprobs(logits, torch.tensor(ids))
        torch.testing.assert_close(read.logp[row][read.mask[row]], logp, atol=1e-5, rtol=0)
        likeliest = logits.topk(3).indices
        assert all(token in top for token, top in zip(ids, likeliest.tolist(), strict=True))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"top_k": 0}, "top_k got 0, expected a whole number above 0"),
        ({"top_p": 1.5}, "top_p got 1.5, expected a number above 0, at most 1"),
        ({"top_p": 0.0}, "top_p got 0.0"),
        ({"stop_strings": [""]}, "stop_strings got .*, expected texts"),
        ({"stop_token_id": [0, 14]}, r"stop_token_id got \[0, 14\], expected ids below 14"),
    ],
)
def test_invalid_settings_of_sampling_are_refused(tmp_path, settings, message):
    with pytest.raises(ValueError, match=message):
        made(tmp_path, **settings)
    assert made(tmp_path, stop_strings=PROMPTS, top_k=1, top_p=1.0).args.top_k == 1
    assert made(tmp_path, stop_strings="was bad").args.stop_strings == ["was bad"]
    every = [*range(14)]  # each token of the vocabulary may end a response
    assert made(tmp_path, stop_token_id=every).ends == every
