"""The rater prefers a text with probability σ(difference in reward)."""

from __future__ import annotations

import math

import pytest

from align_core.tasks.rater import preference


@pytest.mark.parametrize(
    ("margin", "share"), [(0.0, 0.5), (math.log(3), 0.75), (-math.log(3), 0.25), (1e4, 1.0)]
)
def test_a_margin_in_nats_is_the_logarithm_of_the_odds(margin, share):
    assert preference(margin) == pytest.approx(share, abs=1e-15)


def test_the_probabilities_of_both_orders_sum_to_one():
    for margin in (0.1, 1.0, 7.5, 800.0):
        assert preference(margin) + preference(-margin) == pytest.approx(1.0, abs=1e-15)
