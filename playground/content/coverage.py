"""The experiment that the Lab view trains while a slider moves: which responses are covered."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from align_core import experiments
from align_core.experiments import tabular

BETAS = (0.05, 2.0)
RESPONSES = (0, tabular.SIZE)
SEEDS = (0, 999)
MAPS = ("reference", "learned", "ppo", "dpo", "optimum")
POLICIES = ("reference", "ppo", "dpo", "optimum")
KEPT = 256  # outcomes; a room of phones asks about the same ones


def train(asked: Any, words: dict[str, Any]) -> dict[str, Any]:
    """What PPO and DPO make of one set of covered responses.

    `asked` is {"beta", "seed", "certain", "covered", "responses"}: `covered` is [8, 8] of booleans,
    or None, and then so many `responses` to each prompt are covered, chosen by the seed. An answer
    is {"outcome", "complaints"}: the outcome is None where there are complaints.
    """
    given = asked if isinstance(asked, dict) else {}
    complaints = [
        words["takes"].format(name=words["controls"][name], accepted=accepted, given=_short(value))
        for name, value, fits, accepted in _checks(given, words)
        if not fits
    ]
    if complaints:
        return {"outcome": None, "complaints": complaints}
    covered = given["covered"]
    if covered is None:
        covered = tabular.random_coverage(given["responses"], given["seed"]).tolist()
    rows = tuple(map(tuple, covered))
    outcome = _trained(rows, float(given["beta"]), given["seed"], given["certain"])
    return {"outcome": outcome, "complaints": []}


@lru_cache(KEPT)
def _trained(
    covered: tuple[tuple[bool, ...], ...], beta: float, seed: int, certain: bool
) -> dict[str, Any]:
    """Its matrices [8, 8] as lists; of each policy its numbers; what gains most of the uncovered.

    `pairs` is the number of preference pairs.
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
    """The uncovered response whose probability rises most, counted from 1; None: none rises."""
    rises = np.where(outcome.covered, 0.0, policy - outcome.reference)
    place = np.unravel_index(rises.argmax(), rises.shape)
    if rises[place] <= 0:
        return None
    prompt, response = (int(index) + 1 for index in place)
    before, after = (float(matrix[place]) for matrix in (outcome.reference, policy))
    return {"prompt": prompt, "response": response, "before": before, "after": after}


def _checks(given: dict[str, Any], words: dict[str, Any]) -> list[tuple[str, Any, bool, str]]:
    """(control, what it got, whether that fits, what it takes) of everything that is asked."""
    covered, responses = given.get("covered"), given.get("responses")
    beta, seed, certain = (given.get(name) for name in ("beta", "seed", "certain"))
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
