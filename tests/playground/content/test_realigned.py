"""The optimum that a policy mixed with its reference comes near."""

from __future__ import annotations

import pytest

from playground.content import optimum
from playground.content.realigned import optimum_at

CONFIG = {"task": "reviews", "model": "sft-reviews", "method": "ppo"}


def test_a_share_of_the_policy_is_the_optimum_at_beta_over_it():
    half = optimum_at(CONFIG, [[0, 0.7]], 0.5)
    assert half == {"trained": 0.7, "beta": 1.4, **optimum.of_task("reviews").point(1.4)}
    assert optimum_at(CONFIG, [[0, 0.7]], 0.15)["beta"] == 4.667  # 0.7 / 0.15 = 4.6667


@pytest.mark.parametrize(
    ("changed", "betas", "share"),
    [
        ({}, [[0, None]], 1.0),  # the method has no β
        ({}, [[0, 0.0]], 1.0),
        ({}, [[0, 0.7], [4, 0.2]], 1.0),  # β was changed during the run
        ({}, [[0, 0.7]], 0.0),  # the reference: β/λ is infinite
        ({"model": "pretrained"}, [[0, 0.7]], 1.0),  # its optimum is not known
        ({"method": "kto"}, [[0, 0.7]], 1.0),  # it seeks another optimum
    ],
)
def test_without_one_beta_and_its_optimum_there_is_none(changed, betas, share):
    assert optimum_at(CONFIG | changed, betas, share) is None
