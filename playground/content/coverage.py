"""The Lab view's coverage experiment, which trains its policies again at each change."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from align_core import experiments
from align_core.experiments import tabular

# The smallest and the largest value of each control.
BETAS = (0.05, 2.0)
RESPONSES = (0, tabular.SIZE)
SEEDS = (0, 999)
MAPS = ("reference", "learned", "ppo", "dpo", "optimum")
POLICIES = ("reference", "ppo", "dpo", "optimum")
MAX_CACHED = 256  # outcomes; many visitors at once try the same settings


def train(settings: Any, words: dict[str, Any]) -> dict[str, Any]:
    """Train PPO and DPO on the pairs of one set of covered responses.

    `settings` are {"beta", "seed", "certain", "covered", "responses"}: `covered` is a matrix [8, 8]
    of booleans, with a row for each prompt, or None to cover `responses` random responses to each
    prompt; the other settings are those of `tabular.train`. Returns {"outcome", "errors"}; the
    outcome (`_train`) is None if there are errors.
    """
    settings = settings if isinstance(settings, dict) else {}
    errors = [
        words["takes"].format(name=words["controls"][name], accepted=accepted, given=_short(value))
        for name, value, valid, accepted in _checks(settings, words)
        if not valid
    ]
    if errors:
        return {"outcome": None, "errors": errors}
    covered, seed = settings["covered"], settings["seed"]
    if covered is None:
        covered = tabular.random_coverage(settings["responses"], seed).tolist()
    rows = tuple(map(tuple, covered))
    outcome = _train(rows, float(settings["beta"]), seed, settings["certain"])
    return {"outcome": outcome, "errors": []}


@lru_cache(MAX_CACHED)
def _train(
    covered: tuple[tuple[bool, ...], ...], beta: float, seed: int, certain: bool
) -> dict[str, Any]:
    """The outcome of the experiment.

    covered:  [8, 8] booleans
    pairs:    the number of preference pairs
    maps:     the matrices of MAPS, [8, 8]
    numbers:  policy -> `experiments.coverage.numbers`, for each of POLICIES
    rises:    by method, the uncovered response that gains most (`_most_gained`)
    """
    outcome = tabular.train(np.array(covered), beta, seed, certain)
    numbers = experiments.load("coverage").numbers
    counts = outcome.covered.sum(1)
    return {
        "covered": covered,
        "pairs": int((counts * (counts - 1) // 2).sum()),
        "maps": {name: getattr(outcome, name).round(4).tolist() for name in MAPS},
        "numbers": {name: numbers(outcome, getattr(outcome, name)) for name in POLICIES},
        "rises": {name: _most_gained(outcome, getattr(outcome, name)) for name in ("ppo", "dpo")},
    }


def _most_gained(outcome: tabular.Outcome, policy: tabular.FloatArray) -> dict[str, Any] | None:
    """The uncovered response whose probability rises most, counted from 1; None if none rises."""
    rises = np.where(outcome.covered, 0.0, policy - outcome.reference)
    cell = np.unravel_index(rises.argmax(), rises.shape)
    if rises[cell] <= 0:
        return None
    prompt, response = (int(index) + 1 for index in cell)
    before, after = (float(matrix[cell]) for matrix in (outcome.reference, policy))
    return {"prompt": prompt, "response": response, "before": before, "after": after}


def _checks(settings: dict[str, Any], words: dict[str, Any]) -> list[tuple[str, Any, bool, str]]:
    """(control, value, whether it is valid, accepted values) of each setting."""
    covered, responses = settings.get("covered"), settings.get("responses")
    beta, seed, certain = (settings.get(name) for name in ("beta", "seed", "certain"))
    whole, number = words["whole"], words["number"]
    return [
        ("beta", beta, _within(beta, BETAS, int, float), number.format(*BETAS)),
        ("seed", seed, _within(seed, SEEDS, int), whole.format(*SEEDS)),
        ("certain", certain, isinstance(certain, bool), words["switch"]),
        ("covered", covered, covered is None or _is_grid(covered), words["grid"]),
        (
            "responses",
            responses,
            covered is not None or _within(responses, RESPONSES, int),
            whole.format(*RESPONSES),
        ),
    ]


def _within(value: Any, bounds: tuple[float, float], *types: type) -> bool:
    return type(value) in types and bounds[0] <= value <= bounds[1]


def _is_grid(value: Any) -> bool:
    rows = value if isinstance(value, list) else []
    return len(rows) == tabular.SIZE and all(
        isinstance(row, list)
        and len(row) == tabular.SIZE
        and all(isinstance(cell, bool) for cell in row)
        for row in rows
    )


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else text[:39] + "…"
