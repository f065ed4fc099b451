"""Readings: sentences on the state of a run, chosen by rules on its curves.

The rules come in groups. The rules of a group are tried in order, and the first that applies gives
the group's reading. Its sentence is in the catalogue.
"""

from __future__ import annotations

from collections.abc import Mapping

from align_core.config.methods import Method, methods
from playground.content.readings import curves, evaluations
from playground.content.readings.measures import Reading, Rule, Run

MAX_READINGS = 3  # at once; nobody can read more while the curves move

_REWARD_RULES: tuple[Rule, ...] = (
    evaluations.past_best,
    evaluations.below_reference,
    evaluations.overpaid,
    evaluations.far,
    evaluations.rising,
    evaluations.no_better,
    evaluations.efficiency,
)
_END_RULES = ((evaluations.lost_by_reward_model, evaluations.short_of_target),)
_TEXT_RULES = ((evaluations.near,), (evaluations.alike,), (evaluations.length,))

RuleGroups = tuple[tuple[Rule, ...], ...]
# For a policy with two evaluations or more: `learns_from` of its method -> the groups of rules.
EVALUATIONS: dict[str, RuleGroups] = {
    "rollouts": ((evaluations.over_optimised, *_REWARD_RULES), *_END_RULES, *_TEXT_RULES),
    "pairs": (_REWARD_RULES, *_END_RULES, *_TEXT_RULES),
    "ratings": (_REWARD_RULES, *_END_RULES, *_TEXT_RULES),
    "demonstrations": ((evaluations.imitated_reward,),),
}
# Rules on the training curves. The record of a method names those that apply to it.
CURVES: RuleGroups = (
    (curves.leapt, curves.clipped),
    (curves.value_unstable,),
    (curves.worse_than_a_coin,),
    (curves.pairs,),
    (curves.ranking,),
    (curves.imitation,),
)


def readings(run: Run) -> list[Reading]:
    """One to three readings of a run, the most important first."""
    method = methods()[run.config["method"]]
    groups = _curve_rules(method)
    if len(run.points) > 1 and method.makes == "policy":
        groups = EVALUATIONS[method.learns_from] + groups
    chosen = [reading for group in groups if (reading := _first_reading(group, run))]
    step = max((points[-1][0] for points in run.series.values() if points), default=0)
    kl = run.series.get("eval/kl", ())
    if len(kl) > 1 and not run.points:
        chosen.append(Reading("no_gold", "note", {"kl": kl[-1][1]}))
    if run.status == "failed":
        chosen.insert(0, Reading("failed", "warning", {"step": step}))
    if not chosen and run.ended:
        stopped = run.status == "stopped"
        chosen = [Reading("stopped_early" if stopped else "too_short", "note", {"step": step})]
    if not chosen:
        chosen = [Reading("nothing_yet", "note", {})]
    if any(reading.tone == "warning" for reading in chosen):  # good news would weaken it
        chosen = [reading for reading in chosen if reading.tone != "good"]
    return sorted(chosen, key=lambda reading: reading.tone != "warning")[:MAX_READINGS]


def sentence(reading: Reading, words: Mapping[str, str]) -> str:
    """The sentence of a reading; `words` is the part "readings" of a catalogue."""
    return words[reading.key].format(
        **{name: format_number(value) for name, value in reading.values.items()}
    )


def format_number(value: float) -> str:
    """Two or three significant digits, no trailing zeros, and a real minus: -0.531 -> "−0.53"."""
    size = abs(value)
    digits = next((d for d, bound in enumerate((100, 10, 0.1, 0.01)) if size >= bound), 4)
    text = f"{value:.{digits}f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text == "-0" else text.replace("-", "−")


def _curve_rules(method: Method) -> RuleGroups:
    groups = (tuple(rule for rule in group if rule.__name__ in method.readings) for group in CURVES)
    return tuple(filter(None, groups))


def _first_reading(group: tuple[Rule, ...], run: Run) -> Reading | None:
    return next((reading for rule in group if (reading := rule(run))), None)
