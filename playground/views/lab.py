"""The Lab view: experiments of papers, with recorded results.

The coverage experiment trains again whenever its controls move. The others have quick runs, which
are shorter and have fewer seeds.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from align_core import experiments
from align_core.experiments import collapse, tabular
from align_core.experiments.claims import comparison_counts, render_verdicts
from align_core.experiments.sentences import render_findings
from playground.content import coverage
from playground.handlers.links import FIELDS
from playground.handlers.quick_runs import QuickRunHandlers
from playground.people.requests import with_visitor
from playground.text.machines import machine
from playground.views.parts import PLOTLY_HEAD, part
from playground.views.shared import Shared

# Links to runs in the Train view that show the same effect: {experiment: {link: settings}}.
LIVE: dict[str, dict[str, dict[str, Any]]] = {
    "kl_in_loss": {
        "rloo": {"task": "reviews", "method": "rloo", "beta": 0.7},
        "grpo": {"task": "reviews", "method": "grpo", "beta": 0.7},
    },
    "frontier": {
        "ppo": {"task": "reviews", "method": "ppo"},
        "dpo": {"task": "reviews", "method": "dpo"},
    },
    "overoptimisation": {
        "few": {
            "task": "capitals",
            "method": "ppo",
            "reward_model": "few",
            "beta": 0.1,
            "steps": 50,
        },
        "penalised": {
            "task": "capitals",
            "method": "ppo",
            "reward_model": "few",
            "beta": 1.0,
            "steps": 50,
        },
    },
    "shift": {
        "dpo": {"task": "reviews", "method": "dpo", "pair_source": "pretrained"},
        "own": {"task": "reviews", "method": "dpo"},
        "ppo": {"task": "reviews", "method": "ppo", "reward_model": "off"},
    },
}
_LAB = '<div class="lab"></div>'
_FIRST = {"responses": 4, "beta": 0.5, "seed": 0}  # the settings of the recorded example


def build(shared: Shared) -> None:
    """Lay out the view. The coverage experiment trains on request, which takes 0.05 seconds; quick
    runs of the others go through the run queue."""
    words = shared.words
    handlers = QuickRunHandlers(shared.queue, words)
    bind = partial(with_visitor, shared.visitors)

    def train(settings: Any) -> dict[str, Any]:
        return coverage.train(settings, words["lab"]["live"])

    part(
        "lab",
        _LAB,
        "lab/lab",
        server_functions=[
            train,
            bind("states", handlers.states),
            bind("start", handlers.start),
            bind("stop", handlers.stop),
        ],
        quick_runs=handlers.labels(),
        words=words["lab"],
        saving=words["saving"],
        cards={name: card(name, words) for name in experiments.NAMES},
        first={**_FIRST, "certain": False, "covered": None},
        fields=list(FIELDS),
        size=tabular.SIZE,
        bounds={
            "beta": coverage.BETAS,
            "responses": coverage.RESPONSES,
            "seed": coverage.SEEDS,
            "collapse": (collapse.LOWEST, collapse.BETAS[0]),
        },
        texts=example_texts(),
        table_1=experiments.load("coverage").table_1(),
        head=PLOTLY_HEAD,
    )


def example_texts() -> dict[str, Any] | None:
    """The texts whose optimum moves with β; None if they are not recorded."""
    try:
        return experiments.result("collapse")["example"]
    except OSError:
        return None


def card(name: str, words: dict[str, Any]) -> dict[str, Any]:
    """The data of an experiment's card: its `live` links, and its `measured` result, or None."""
    live = LIVE.get(name, {})
    try:
        result = experiments.result(name)
    except OSError:
        return {"live": live, "measured": None}
    made_on, words = machine(result["machine"], words["presets"]), words["lab"]
    experiment, sentences = experiments.load(name), words["said"][name]
    measured = {
        "verdicts": render_verdicts(experiment.verdicts(result), sentences),
        "tested": words["tested"].format(**comparison_counts(experiment, result)),
        "findings": render_findings(experiment.findings(result), sentences),
        "panels": experiment.panels(result, words["figures"]),
        "minutes": round(result["core_seconds"] / 60, 1),
        "machine": made_on,
        **{key: result[key] for key in ("runs", "seeds")},
    }
    return {"live": live, "measured": measured}
