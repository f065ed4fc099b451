"""What a run's own curves say, in plain words: rules on the numbers, sentences in the catalogue.

A method has questions. The rules of a question stand in order, and the first that holds answers it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from align_core.config.methods import Method, methods
from playground.content.readings import curves, evaluations
from playground.content.readings.measures import Frontier, Reading, Rule, Run, Series, Target

MOST = 3  # readings at once: the curves move while a visitor reads

_OF_REWARD = (evaluations.past_best, evaluations.below_reference, evaluations.overpaid)
_OF_REWARD += (evaluations.far, evaluations.rising, evaluations.no_better, evaluations.efficiency)
_AT_THE_END = ((evaluations.short_of_target,),)
_OF_TEXTS = ((evaluations.near,), (evaluations.alike,), (evaluations.length,))

Questions = tuple[tuple[Rule, ...], ...]
# The questions that two evaluations of a policy answer, by what its method learns from.
EVALUATIONS: dict[str, Questions] = {
    "rollouts": ((evaluations.over_optimised, *_OF_REWARD), *_AT_THE_END, *_OF_TEXTS),
    "pairs": (_OF_REWARD, *_AT_THE_END, *_OF_TEXTS),
    "demonstrations": ((evaluations.imitated_reward,),),
}
# The questions that the curves alone answer, of those rules that a method's record names.
CURVES: Questions = (
    (curves.leapt, curves.clipped),
    (curves.value_unstable,),
    (curves.worse_than_a_coin,),
    (curves.pairs,),
    (curves.ranking,),
    (curves.imitation,),
)


def readings(
    config: Mapping[str, Any],
    series: Series,
    status: Mapping | None,
    target: Target | None = None,
    since: int = 0,
    limit: Frontier | None = None,
) -> list[Reading]:
    """One to three readings of a run, the most important first.

    Args:
        config: of the run, with the β that holds now.
        series: metric -> (step, value), in order, without nulls; all metrics of the log.
        status: the newest status, {"name": …}; None before the first.
        target: of the β that holds now, where it is known; told of once the run is over.
        since: the step from which that β holds.
        limit: of the page's reference, where the run began from it.
    """
    name = status["name"] if status else "starting"
    over = name in ("finished", "stopped")
    run = Run(config, series, target if over else None, limit, since)
    method = methods()[config["method"]]
    questions = _of_curves(method)
    if len(run.points) > 1 and method.makes == "policy":
        questions = EVALUATIONS[method.learns_from] + questions
    found = [answer for question in questions if (answer := _answer(question, run))]
    step = max((points[-1][0] for points in series.values() if points), default=0)
    if name == "failed":
        found.insert(0, Reading("failed", "warning", {"step": step}))
    if not found and over:
        stopped = name == "stopped"
        found = [Reading("stopped_early" if stopped else "too_short", "note", {"step": step})]
    if not found:
        found = [Reading("nothing_yet", "note", {})]
    if any(reading.tone == "warning" for reading in found):  # praise beside it would play it down
        found = [reading for reading in found if reading.tone != "good"]
    return sorted(found, key=lambda reading: reading.tone != "warning")[:MOST]


def sentence(reading: Reading, words: Mapping[str, str]) -> str:
    """The sentence of a reading; `words` is the part "readings" of a catalogue."""
    return words[reading.key].format(
        **{name: format_number(value) for name, value in reading.values.items()}
    )


def format_number(value: float) -> str:
    """About two digits after the first, none of them idle, and a real minus: -0.531 -> "−0.53"."""
    size = abs(value)
    digits = next((d for d, least in enumerate((100, 10, 0.1, 0.01)) if size >= least), 4)
    text = f"{value:.{digits}f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text == "-0" else text.replace("-", "−")


def _of_curves(method: Method) -> Questions:
    asked = (tuple(rule for rule in q if rule.__name__ in method.readings) for q in CURVES)
    return tuple(filter(None, asked))


def _answer(question: tuple[Rule, ...], run: Run) -> Reading | None:
    return next((answer for rule in question if (answer := rule(run))), None)
