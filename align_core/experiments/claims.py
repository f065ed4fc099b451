"""What becomes of a paper's claim here: a verdict on each part of it, by a rule on the result.

A rule counts sides (`statistics.sign`) of cases: 1 where the claim is clearly borne out, −1 where
its opposite is, 0 else. What is claimed of every case takes their min(), what is claimed to be
possible their max(), and what is claimed as a rule their majority().
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import ModuleType
from typing import Any, NamedTuple

from align_core.experiments.sentences import render_findings

WORDS = {"holds": "Holds here:", "fails": "Does not hold here:", "unclear": "Not clear here:"}
_BY_SIGN = {1: "holds", -1: "fails", 0: "unclear"}


class Verdict(NamedTuple):
    """One of WORDS on a part of the claim; the templates `part` and `part`_why, which say what is
    claimed and what was found, take the values, as those of a finding do."""

    verdict: str
    part: str
    values: Mapping[str, Any]


def verdict(sign: int, part: str, **values: Any) -> Verdict:
    """The verdict on a part; a number is a count."""
    told = {name: str(one) if isinstance(one, int) else one for name, one in values.items()}
    return Verdict(_BY_SIGN[sign], part, told)


def majority(signs: Sequence[int]) -> int:
    """The side of more than half of the cases; 0 where neither has so many."""
    return next((sign for sign in (1, -1) if 2 * signs.count(sign) > len(signs)), 0)


def render_verdicts(
    verdicts: Iterable[Verdict], templates: Mapping[str, str]
) -> list[dict[str, str]]:
    """Of each {"verdict", "claim", "why"}: one of WORDS and a sentence each."""
    return [
        {
            "verdict": one.verdict,
            "claim": render_findings([(one.part, one.values)], templates)[0],
            "why": render_findings([(f"{one.part}_why", one.values)], templates)[0],
        }
        for one in verdicts
    ]


def verdict_sentences(verdicts: Iterable[Verdict], templates: Mapping[str, str]) -> list[str]:
    """A line for each verdict, in English."""
    rows = render_verdicts(verdicts, templates)
    return [f"{WORDS[row['verdict']]} {row['claim']} {row['why']}" for row in rows]


def conclusions(experiment: ModuleType, result: dict[str, Any]) -> list[str]:
    """The verdicts and findings of an experiment on a result, as lines in English."""
    verdicts = verdict_sentences(experiment.verdicts(result), experiment.SENTENCES)
    return verdicts + render_findings(experiment.findings(result), experiment.SENTENCES)
