"""What a policy gains over its reference, as a share of what the optimum gains: at one KL for all
policies (`gain`, at `gain_kl`), and at the policy's own KL (`frontier_efficiency`)."""

from __future__ import annotations

from collections.abc import Sequence

from align_core.evaluation.intervals import bootstrap_rows, ci95
from align_core.optimum import FloatArray, Frontier, ReferenceSamples


class AgainstOptimum:
    """Compares policies with the frontier of their reference on some prompts.

    Means are over the prompts with samples in `stored`. The methods take three arrays [P], in nats:
    for each prompt, the mean gold rewards of the policy and of the reference, and the mean KL.
    """

    def __init__(self, prompts: Sequence[str], stored: ReferenceSamples | None) -> None:
        self._rows = [] if stored is None else stored.rows_in(prompts)
        self._frontier = None
        if stored is not None and self._rows:
            texts = [prompts[row] for row in self._rows]
            self._frontier = Frontier.of(stored.select(texts).rewards)

    def metrics(
        self, gold: FloatArray, ref_gold: FloatArray, kl: FloatArray
    ) -> dict[str, float | None]:
        """`eval/gain`, `eval/gain_kl` and `eval/frontier_efficiency`, None if there is no
        frontier."""
        if (frontier := self._frontier) is None:
            return {"eval/gain": None, "eval/gain_kl": None, "eval/frontier_efficiency": None}
        means = [float(values[self._rows].mean()) for values in (gold, ref_gold, kl)]
        return {
            "eval/gain": frontier.gain(*means[:2]),
            "eval/gain_kl": frontier.gain_kl,
            "eval/frontier_efficiency": frontier.efficiency(*means),
        }

    def half_widths(
        self, gold: FloatArray, ref_gold: FloatArray, kl: FloatArray
    ) -> dict[str, float | None]:
        """The half-widths of the 95% intervals of gain and frontier efficiency, by a bootstrap over
        prompts. All resamples use the `gain_kl` of the whole set of prompts."""
        if (frontier := self._frontier) is None:
            return {"eval/gain": None, "eval/frontier_efficiency": None}
        draws = bootstrap_rows(len(self._rows))
        means = (values[self._rows][draws].mean(1) for values in (gold, ref_gold, kl))
        redrawn = list(zip(frontier.resampled(draws), *means, strict=True))
        gains = [redraw.gain(g, r, frontier.gain_kl) for redraw, g, r, _ in redrawn]
        efficiencies = [redraw.efficiency(g, r, k) for redraw, g, r, k in redrawn]
        return {"eval/gain": ci95(gains), "eval/frontier_efficiency": ci95(efficiencies)}
