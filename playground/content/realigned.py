"""The optimum that a run's policy comes near when it is mixed with its reference: π_ref^(1−λ)·π^λ
(arXiv 2402.02992)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from playground.content import optimum
from playground.content.histories import History


def optimum_at(config: Mapping[str, Any], betas: History, share: float) -> dict[str, Any] | None:
    """The optimum at β/λ, which the mixture comes near if the policy is the optimum at β.

    `betas` is the history of the run's β, `share` is λ. Returns `trained`, the run's β, `beta`, β/λ
    to four digits, and `kl`, `gain`, `samples` and `known` of `Optimum.point`; None if λ is 0, if
    the run had no β above 0 or several, or if the optimum of its task and model is not known.
    """
    ((_, trained), *changes) = betas
    if not trained or changes or not share:
        return None
    if (known := optimum.of_pair(config["task"], config["model"])) is None:
        return None
    beta = float(f"{trained / share:.4g}")
    return {"trained": trained, "beta": beta, **known.point(beta)}
