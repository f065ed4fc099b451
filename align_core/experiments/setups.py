"""The set-ups of the experiments beside those of the papers, to explain different results."""

from __future__ import annotations

from typing import NamedTuple

from align_core.experiments import coverage, frontier, overoptimisation_runs, shift


class Row(NamedTuple):
    """One part of a set-up, in the paper and here."""

    part: str
    paper: str
    here: str


def _joined(values: tuple[float, ...]) -> str:
    return ", ".join(f"{value:,g}" for value in values)


SETUPS = {
    "frontier": (
        Row(
            "task", "films, by gpt2-large; the temperature on TL;DR summaries", "reviews, for both"
        ),
        Row("gold reward", "a classifier's probability, 0 to 1", "−8 to 3 nats"),
        Row(
            "labels", "certain: the higher gold reward", "by σ(Δr): 18% go against the gold reward"
        ),
        Row("pairs", "150,000", f"{frontier.PAIRS:,}"),
        Row(
            "sweep",
            "DPO's β 0.05, 0.1, 1, 5; PPO's target KL 3, 6, 9, 12",
            f"β {_joined(frontier.BETAS)} for both",
        ),
        Row("KL compared", "to some 15 nats", f"to {frontier.BUDGETS[-1]:g} nats"),
    ),
    "overoptimisation": (
        Row("gold reward", "a reward model of 6 B parameters", "a formula, at most 3 nats"),
        Row("reward models", "3 M to 3 B parameters", "0.34 M to 0.77 M parameters"),
        Row(
            "pairs",
            "up to 90,000",
            f"{overoptimisation_runs.PAIRS[0]:,} to {overoptimisation_runs.PAIRS[-1]:,}",
        ),
        Row("best-of-n", "n to 60,000", f"n to {overoptimisation_runs.BEST_OF}"),
    ),
    "coverage": (
        Row("prompts and responses", "8 and 8, MLPs on one-hot inputs", "the same"),
        Row("raters", "certain", "certain, and graded by σ(Δr)"),
        Row("pairs", "random, with limited coverage", "all pairs of covered responses"),
        Row("shown", "one example", f"means over {coverage.SEEDS} seeds, 42 settings"),
    ),
    "shift": (
        Row("task", "SafeRLHF: helpfulness and harm of answers", "reviews and capitals"),
        Row(
            "pairs", "SafeRLHF's, not of the reference's answers", "three shifts of one's own texts"
        ),
        Row("judged by", "reward models of help and of harm", "the gold reward"),
        Row("iterated DPO", "4 rounds", f"{shift.FULL['rounds']} rounds"),
        Row("β", "0.1 in PPO", f"{shift.BETA:g} in all methods"),
    ),
}
