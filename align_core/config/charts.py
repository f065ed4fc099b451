"""The charts of a run: which metrics the page draws, and how; and the charts that methods share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, StringConstraints

# The record of another package is checked, charts included, and none of its values is converted.
CHECKED = ConfigDict(strict=True, revalidate_instances="always")
Text = Annotated[str, StringConstraints(min_length=1)]


@dataclass(frozen=True)
class Curve:
    """One metric of a chart, drawn in a colour (a name in the page's palette) and a dash."""

    __pydantic_config__ = CHECKED

    metric: Text
    colour: Literal["gold", "proxy", "kl", "loss", "policy"]
    dash: Literal["solid", "dash", "dot"] = "solid"


@dataclass(frozen=True)
class Chart:
    """A chart of a run. The page draws those curves whose metric the run logged.

    Args:
        below: drawn below the sampled texts instead of beside the reward–KL chart.
        range: Plotly's rangemode of the y axis: "tozero" always shows 0, "nonnegative" never shows
            values below 0.
        optional: hidden for a run that logged none of its metrics.
    """

    __pydantic_config__ = CHECKED

    id: Text
    curves: Annotated[tuple[Curve, ...], Field(min_length=1)]
    below: bool = False
    range: Literal["normal", "tozero", "nonnegative"] = "normal"
    optional: bool = False


REWARD = Chart(
    "reward", (Curve("eval/gold_reward", "gold"), Curve("eval/proxy_reward", "proxy", "dash"))
)
KL = Chart("kl", (Curve("eval/kl", "kl"),), range="tozero")
LOSS = Chart("loss", (Curve("loss", "loss"),), below=True, range="nonnegative")
COVERED = Chart(
    "covered",
    (
        Curve("eval/gold_reward_covered", "gold"),
        Curve("eval/gold_reward_uncovered", "loss", "dash"),
    ),
    below=True,
    optional=True,
)
CLIP = Chart("clip", (Curve("policy/clipfrac_avg", "policy"),), below=True, range="tozero")
ENTROPY = Chart("entropy", (Curve("objective/entropy", "kl"),), below=True, range="nonnegative")
IMPLICIT = Chart(
    "implicit",
    (
        Curve("rewards/chosen", "gold"),
        Curve("rewards/rejected", "proxy", "dash"),
        Curve("rewards/margins", "policy", "dot"),
    ),
    below=True,
)
CORRECT = Chart(
    "accuracy", (Curve("rewards/accuracies", "policy"),), below=True, range="nonnegative"
)
LOGPS = Chart(
    "logps", (Curve("logps/chosen", "gold"), Curve("logps/rejected", "proxy", "dash")), below=True
)
# The charts of PPO, RLOO and GRPO; PPO adds one of its losses.
ROLLOUT_CHARTS = (REWARD, KL, COVERED, CLIP, ENTROPY)
