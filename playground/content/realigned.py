"""The optimum that mixtures of a run's policy with its reference, π_ref^(1−λ)·π^λ, approximate
(arXiv 2402.02992)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from align_core.config.methods import sought_optimum
from playground.content import optimum
from playground.content.histories import History


def beta_at(config: Mapping[str, Any], betas: History, share: float) -> float | None:
    """β/λ to four digits, from the history of a run's β; `share` is λ. None if λ is 0, if β was not
    above 0 or was changed during the run, or if its method does not seek π_ref·exp(r/β)."""
    ((_, trained), *changes) = betas
    if not trained or changes or not share or sought_optimum(config) != "kl":
        return None
    return float(f"{trained / share:.4g}")


def optimum_at(config: Mapping[str, Any], betas: History, share: float) -> dict[str, Any] | None:
    """The optimum at β/λ, which the mixture approximates if the policy is the optimum at β.

    Returns the run's β as `trained`, β/λ as `beta`, and the `Optimum.point` at β/λ. None if
    `beta_at` is None, or if the optimum is not known for the run's task and model.
    """
    known = optimum.of_pair(config["task"], config["model"])
    if known is None or (beta := beta_at(config, betas, share)) is None:
        return None
    return {"trained": betas[0][1], "beta": beta, **known.point(beta)}
