"""Win rates on hand-made rewards."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from align_core.evaluation.intervals import bootstrap_rows
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
    rates = win_rates(rewards)
    # First against second model: 2 > 1, 1 = 1, 0 < 0.5, 3 > 2, so (1 + 0.5 + 0 + 1) / 4.
    assert rates["win_rates"] == [[0.5, 0.625, 0], [0.375, 0.5, 0], [1, 1, 0.5]]
    # Two resampled prompts have a rate of 0.75 or 0.5 with probability 1/4 each, else 0.625.
    assert rates["ci95"][0][1] == rates["ci95"][1][0] == 0.125
    assert rates["ci95"][2][0] == 0  # all prompts have the same rate


def test_the_interval_of_a_win_rate_narrows_with_more_prompts():
    generator = torch.Generator().manual_seed(0)
    for prompts in (100, 400):
        ours, theirs = torch.randn(2, prompts, 1, generator=generator)
        width = win_rates(torch.stack([ours, theirs]))["ci95"][0][1]
        # The standard error of the share of heads of fair coins is 0.5/√prompts.
        assert width == pytest.approx(1.96 * 0.5 / prompts**0.5, rel=0.1)


def test_the_interval_of_a_win_rate_is_half_of_the_middle_95_percent():
    by_prompt = np.array([1.0, 0.0, 1.0, 0.5, 1.0, 0.0, 1.0])
    ours = torch.tensor(by_prompt)[:, None]  # against a text of reward ½
    width = win_rates(torch.stack([ours, torch.full_like(ours, 0.5)]))["ci95"][0][1]
    low, high = np.quantile(by_prompt[bootstrap_rows(7)].mean(1), [0.025, 0.975])
    assert width == pytest.approx((high - low) / 2, abs=1e-12)
