"""The verdict on one claim, and means with intervals."""

from __future__ import annotations

from align_core.experiments.claims import render_verdicts


def mean(value, half=0.1):
    return {"mean": value, "ci95": half, "n": 3}


def verdict_of(experiment, result, part):
    """(verdict, why) of the only part with this name."""
    verdicts = [row for row in experiment.verdicts(result) if row.part == part]
    (sentence,) = render_verdicts(verdicts, experiment.SENTENCES)
    return sentence["verdict"], sentence["why"]
