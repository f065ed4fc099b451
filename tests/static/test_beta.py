"""core/beta.js: β on a logarithmic slider."""

from __future__ import annotations

import pytest

RANGE = [0.05, 20]


@pytest.mark.parametrize("place, beta", [(0, 0.05), (0.5, 1), (1, 20), (0.25, 0.22), (0.44, 0.7)])
def test_beta_has_two_digits(call, place, beta):
    """From 0.05 to 20 is a factor of 400: 0.05 · 400^¼ = 0.224."""
    assert call("core/beta.js", "betaAt", place, RANGE) == beta


def test_the_slider_position_follows_from_beta(call):
    for place in (0, 0.25, 0.5, 1):
        beta = 0.05 * 400**place
        assert call("core/beta.js", "positionOf", beta, RANGE) == pytest.approx(place)
    assert call("core/beta.js", "positionOf", 0.01, RANGE) == 0, "outside of the slider"
    assert call("core/beta.js", "positionOf", 99, RANGE) == 1
