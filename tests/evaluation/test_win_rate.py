"""Win rates on rewards made by hand."""

from __future__ import annotations

import pytest
import torch

from align_core.evaluation.win_rate import win_rates, wins


def test_a_win_is_a_higher_reward_and_a_tie_half_of_one():
    ours, theirs = torch.tensor([2.0, 1.0, -3.0, 0.5]), torch.tensor([1.0, 1.0, 0.0, 0.0])
    assert wins(ours, theirs).tolist() == [1.0, 0.5, 0.0, 1.0]
    assert (wins(ours, theirs) + wins(theirs, ours) == 1).all()


def test_win_rates_count_texts_prompt_by_prompt_and_ties_half():
    rewards = torch.tensor(
        [
            [[2.0, 1.0], [0.0, 3.0]],  # two prompts, two texts each
            [[1.0, 1.0], [0.5, 2.0]],
            [[9.0, 9.0], [9.0, 9.0]],
        ]
    )
    found = win_rates(rewards)
    # First against second: 2 > 1, 1 = 1, 0 < 0.5, 3 > 2, so (1 + 0.5 + 0 + 1) / 4.
    assert found["win_rates"] == [[0.5, 0.625, 0], [0.375, 0.5, 0], [1, 1, 0.5]]
    # A redrawn pair of prompts has the rate 0.75, 0.625 or 0.5; the outer two in 1 of 4 each.
    assert found["ci95"][0][1] == found["ci95"][1][0] == 0.125
    assert found["ci95"][2][0] == 0  # every prompt says the same


def test_the_interval_of_a_win_rate_narrows_with_more_prompts():
    chance = torch.Generator().manual_seed(0)
    for prompts in (100, 400):
        ours, theirs = torch.randn(2, prompts, 1, generator=chance)
        width = win_rates(torch.stack([ours, theirs]))["ci95"][0][1]
        # The standard error of a share of fair coins is 0.5/√prompts.
        assert width == pytest.approx(1.96 * 0.5 / prompts**0.5, rel=0.1)
