"""Verdicts on the parts of a paper's claim, by rules on the result of an experiment.

A rule combines the signs of cases (`statistics.sign`): 1 where a claim clearly holds, −1 where its
opposite does, 0 otherwise. A claim about every case has the min() of these signs, a claim that
something is possible has their max(), and a claim about most cases has their majority().
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import ModuleType
from typing import Any, NamedTuple

from align_core.experiments.sentences import render_findings

WORDS = {"holds": "Holds here:", "fails": "Does not hold here:", "unclear": "Not clear here:"}
LEVEL = 0.05  # significance level of a clear comparison, by its 95% interval
TESTED = (
    "“Clearly” means significant at the 5% level, without a correction for the number of "
    "comparisons. Of {tests} comparisons, {clear} are clear; if nothing differed, about {chance} "
    "would be clear by chance."
)
_BY_SIGN = {1: "holds", -1: "fails", 0: "unclear"}


class Verdict(NamedTuple):
    """The verdict, a key of WORDS, on a part of the claim.

    The templates `part` and `part`_why say what is claimed and what was measured; they are filled
    with `values`, like those of a finding.
    """

    verdict: str
    part: str
    values: Mapping[str, Any]


def verdict(sign: int, part: str, **values: Any) -> Verdict:
    """The verdict on a part; integers among the values are counts."""
    texts = {
        name: str(value) if isinstance(value, int) else value for name, value in values.items()
    }
    return Verdict(_BY_SIGN[sign], part, texts)


def majority(signs: Sequence[int]) -> int:
    """1 or −1 if more than half of the cases have this sign, else 0."""
    return next((sign for sign in (1, -1) if 2 * signs.count(sign) > len(signs)), 0)


def comparison_counts(experiment: ModuleType, result: dict[str, Any]) -> dict[str, str]:
    """The values of TESTED: how many comparisons are behind an experiment's verdicts, how many are
    clear, and how many would be clear by chance if nothing differed."""
    signs = [sign for part_signs in experiment.comparisons(result).values() for sign in part_signs]
    clear = len(signs) - signs.count(0)
    return {
        "tests": str(len(signs)),
        "clear": str(clear),
        "chance": f"{LEVEL * len(signs):.1f}",
    }


def render_verdicts(
    verdicts: Iterable[Verdict], templates: Mapping[str, str]
) -> list[dict[str, str]]:
    """{"verdict", "claim", "why"} of each: a key of WORDS and two sentences."""
    return [
        {
            "verdict": kind,
            "claim": render_findings([(part, values)], templates)[0],
            "why": render_findings([(f"{part}_why", values)], templates)[0],
        }
        for kind, part, values in verdicts
    ]


def verdict_sentences(verdicts: Iterable[Verdict], templates: Mapping[str, str]) -> list[str]:
    """A line for each verdict, in English."""
    rows = render_verdicts(verdicts, templates)
    return [f"{WORDS[row['verdict']]} {row['claim']} {row['why']}" for row in rows]


def conclusions(experiment: ModuleType, result: dict[str, Any]) -> list[str]:
    """The verdicts and findings of an experiment on a result, as lines in English."""
    verdicts = verdict_sentences(experiment.verdicts(result), experiment.SENTENCES)
    return verdicts + render_findings(experiment.findings(result), experiment.SENTENCES)
