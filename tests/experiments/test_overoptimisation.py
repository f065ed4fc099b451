"""The experiment on over-optimisation: its fits and its summary."""

from __future__ import annotations

import math

import pytest

from align_core.experiments import overoptimisation as over
from align_core.experiments import overoptimisation_runs
from align_core.experiments.claims import conclusions


def run(method, pairs, layers, seed, points, beta=None):
    """(KL, gold, proxy) along a run, in the format of `measure`."""
    curve = [{"kl": kl, "gold": gold, "proxy": proxy} for kl, gold, proxy in points]
    own = {"accuracy": 0.8, "parameters": 1} if method == "best-of-n" else {}
    settings = {"method": method, "pairs": pairs, "layers": layers, "seed": seed}
    settings |= {} if beta is None else {"beta": beta}
    return {"settings": settings, "measured": {"curve": curve, **own}, "seconds": 1.0}


def test_a_fitted_curve_is_the_mean_of_the_seeds_fits_up_to_their_kl():
    alphas, betas, bends = (1.0, 3.0), (0.2, 0.6), {"best-of-n": lambda d: d, "ppo": math.log}
    curve = [
        run(method, 300, 3, seed, points, beta=0.0 if method == "ppo" else None)
        for method, bend in bends.items()
        for seed, (alpha, beta) in enumerate(zip(alphas, betas, strict=True))
        for ds in [(0.5, 1.5, 2.5, 3.0 + seed)]
        for points in [[(0, 0, 0), *((d**2, d * (alpha - beta * bend(d)), 0) for d in ds)]]
    ]
    result = over.summary(curve)
    for method, bend in bends.items():
        start, *rest = overoptimisation_runs.fitted(over.row(result, method=method))
        assert start == [0.0, 0.0] and rest[-1][0] == 4.0
        for d, reward in rest:
            assert reward == pytest.approx(d * (2.0 - 0.4 * bend(d)), abs=1e-9)
    assert overoptimisation_runs.fitted({"fit": None}) == []


def test_a_summary_is_relative_to_the_reference():
    rise_and_fall = [(0.0, 1.0, 0.2), (1.0, 3.0, 1.2), (4.0, 2.0, 5.2)]
    summaries = [
        *(run("best-of-n", 300, 3, seed, rise_and_fall) for seed in range(2)),
        *(run("ppo", 300, 3, seed, rise_and_fall, beta=0.0) for seed in range(2)),
        *(run("ppo", 300, 3, seed, [(0, 1.0, 0.0), (1.0, 3.5, 1.0)], beta=0.3) for seed in (0, 1)),
    ]
    result = over.summary(summaries)
    row = over.row(result, method="ppo", beta=0.0)
    assert row["curves"][0] == [[0.0, 0.0, 0.0], [1.0, 2.0, 1.0], [2.0, 1.0, 5.0]]
    assert (row["peak"]["mean"], row["peak_d"]["mean"]) == (2.0, 1.0)
    assert (row["end"]["mean"], row["end_proxy"]["mean"]) == (1.0, 5.0)
    penalty = result["penalty"][0]
    assert penalty["beta"] == 0.3
    assert penalty["more"]["0.5"]["mean"] == pytest.approx(0.25)
    assert penalty["more"]["1"]["mean"] == pytest.approx(0.5)
    assert penalty["more"]["2"] is None  # no run reached that KL
    assert conclusions(over, result)


def test_the_size_equals_the_one_on_the_page():
    models, policies = over.stages(quick=False)
    assert len(models) == 6 * over.SEEDS and len(policies) == (6 + 3) * over.SEEDS
    for settings in policies.values():
        assert f"reward-{settings['pairs']}-{settings['layers']}-{settings['seed']}" in models
