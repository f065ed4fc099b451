"""Rules on the evaluations: changes of the reward, of the KL and of the texts.

The thresholds are above the differences that chance alone makes. Their standard deviation was
measured with ten seeds on finished runs: ±0.05 nats for the difference in gold or proxy reward
between two trained policies, ±0.04 (β = 50) to ±0.18 (the default β) between a policy and its
reference, and ±5% (PPO) or ±12% (DPO) for a KL.
"""

from __future__ import annotations

from math import hypot, sqrt
from statistics import fmean

from align_core.config.methods import sought_optimum
from playground.content.readings.measures import SURE, WINDOW, Reading, Run, rise

# Thresholds for differences in reward, in nats. The comments give each in standard deviations of
# the noise of such a difference.
RISE = 0.2  # 4 between two steps, and 5 for a policy near its reference
PROXY_RISE = 0.25  # 5
FALL = 0.3  # 6; 3 for a difference that includes β·KL, at β = 0.5 and a KL of 1
LEVEL = 0.1  # 2
BELOW = 0.5  # 3, between a trained policy and its reference
UNTOUCHED = 0.3  # 2, between an SFT model and the pretrained one

# KL, in nats.
FAR = 3.0  # above it, the optimum is not known (docs/metrics.md)
NEAR = 0.25  # about half the smallest final KL of a default run (0.41, docs/benchmarks.md)
# For a large β the optimum has a KL of about Var(r) / 2β² (π_ref·exp(r/β) to second order), and the
# gold rewards have a standard deviation of about 2 nats. Above this β, even the optimum's KL is
# below NEAR.
HOLDING_BETA = 2.0 / sqrt(2 * NEAR)

# The gain as a share of the optimum's gain at the same KL.
EFFICIENT = 0.8  # the requirement on DPO's default run (docs/benchmarks.md)
WASTEFUL = 0.7  # the lowest share of any default run was 0.78

ALIKE = 0.5  # share of the initial entropy; good runs keep 0.58 or more, PPO without β kept 0.23
LONGER = 1.5  # times the initial length; 0.8 to 1.3 in good runs, 1.6 to 2.2 in diverging ones

# The reward.


def over_optimised(run: Run) -> Reading | None:
    """The proxy reward has risen since the best gold reward (arXiv 2210.10760)."""
    proxy_then, proxy_now = (run.at("eval/proxy_reward", point) for point in (run.best, run.last))
    if run.config["reward_model"] == "gold" or proxy_now - proxy_then < PROXY_RISE:
        return None
    values = {"step": run.best.step, "proxy_then": proxy_then, "proxy_now": proxy_now}
    values |= {"gold_then": run.best.gold, "gold_now": run.last.gold}
    return Reading("over_optimised", "warning", values)


def past_best(run: Run) -> Reading | None:
    """The gold reward has fallen from its peak; DPO's margin may have grown meanwhile."""
    if run.best == run.first or run.best.gold - run.last.gold < FALL:
        return None
    values = {"step": run.best.step, "then": run.best.gold, "now": run.last.gold}
    margins = run.series.get("rewards/margins", [])
    before = [value for step, value in margins if step <= run.best.step][-WINDOW:]
    after = [value for _, value in margins][-WINDOW:]
    if len(before) == WINDOW and rise(before, after) > SURE:
        values |= {"margin_then": fmean(before), "margin_now": fmean(after)}
        return Reading("pairs_past_best", "warning", values)
    return Reading("past_best", "warning", values)


def below_reference(run: Run) -> Reading | None:
    if run.first.gold - run.last.gold < BELOW:
        return None
    values = {"then": run.first.gold, "now": run.last.gold}
    return Reading("below_reference", "warning", values)


def overpaid(run: Run) -> Reading | None:
    """Reward − β·KL, which the method maximises, has fallen from its best. At the optimum, one more
    nat of KL brings β nats of reward; here it brought less."""
    if run.config["beta"] is None or sought_optimum(run.config) != "kl":
        return None
    points = [point for point in run.points if point.step >= run.beta_since]
    best, beta = max(points, key=run.objective, default=run.last), run.config["beta"]
    cost = beta * (run.last.kl - best.kl)
    loss = run.objective(best) - run.objective(run.last)
    if run.last.kl < NEAR or min(cost, loss) < FALL:  # below NEAR, the rule `near` applies
        return None
    values = {"step": best.step, "kl_then": best.kl, "kl_now": run.last.kl}
    values |= {"then": best.gold, "now": run.last.gold, "beta": beta}
    return Reading("overpaid", "warning", values)


def far(run: Run) -> Reading | None:
    if run.last.kl < FAR:
        return None
    return Reading("far", "warning", {"kl": run.last.kl})


def rising(run: Run) -> Reading | None:
    before = run.points[-2]
    if run.last.gold - before.gold < RISE:
        return None
    values = {"step": before.step, "then": before.gold, "now": run.last.gold, "kl": run.last.kl}
    return Reading("rising", "good", values)


def no_better(run: Run) -> Reading | None:
    if run.last.gold - run.first.gold >= RISE:
        return None
    return Reading("no_better", "note", {"then": run.first.gold, "now": run.last.gold})


def efficiency(run: Run) -> Reading | None:
    """The gain as a share of the optimum's gain at the same KL."""
    share = run.at("eval/frontier_efficiency", run.last)
    gain = run.gain(run.last)
    values = {"gain": gain, "kl": run.last.kl}
    if share >= EFFICIENT:
        # By chance the share can exceed 1, which a sentence should not claim.
        share = round(100 * min(share, 1.0))
        return Reading("near_limit", "good", {"share": share, "kl": run.last.kl})
    if 0 < share < WASTEFUL and run.last.kl >= NEAR:
        frontier = run.drawn_frontier
        possible = gain / share if frontier is None else frontier.at(run.last.kl)
        values |= {"possible": possible}
        if run.config["reward_model"] == "gold":
            return Reading("wasteful_gold", "note", values)
        return Reading("wasteful", "note", values)
    if near(run):  # its reading explains the small gain
        return None
    return Reading("improved", "good", values)


def short_of_target(run: Run) -> Reading | None:
    """The objectives at this β of the optimum and of the ended run."""
    beta, gain = run.config["beta"], run.gain(run.last)
    if not run.ended or beta is None or run.target is None or run.drawn_frontier is None:
        return None
    best, reached = run.target.gain - beta * run.target.kl, gain - beta * run.last.kl
    if best - reached < LEVEL:
        return Reading("on_target", "good", {"beta": beta})
    return Reading("short_of_target", "note", {"beta": beta, "best": best, "reached": reached})


def lost_by_reward_model(run: Run) -> Reading | None:
    """The two parts of the distance from the optimum: the errors of the reward model and of the
    training. The error of the training is negative if the run ended nearer to the optimum than the
    policy that is optimal for the learned reward."""
    gap, model = (run.at(f"eval/{name}optimum_gap", run.last) for name in ("", "learned_"))
    if gap < LEVEL or not model:
        return None
    widths = [run.at(f"eval/{name}optimum_gap_ci95", run.last) for name in ("", "learned_")]
    training, width = gap - model, hypot(*widths)
    values = {"beta": run.config["beta"], "model": model, "model_width": widths[1]}
    values |= {"gap": gap, "width": widths[0], "training_width": width}
    if training < -width:
        return Reading("better_than_learned", "note", values | {"better": -training})
    return Reading("two_parts", "note", values | {"training": training})


# The distance from the reference.


def near(run: Run) -> Reading | None:
    """The policy has hardly moved; β is the reason if even the optimum at this β is NEAR."""
    if not run.past_halfway or run.last.kl >= NEAR:
        return None
    if (run.config["beta"] or 0.0) >= HOLDING_BETA:
        values = {"kl": run.last.kl, "beta": run.config["beta"]}
        return Reading("held", "note", values)
    return Reading("timid", "note", {"kl": run.last.kl})


# The texts.


def alike(run: Run) -> Reading | None:
    then, now = (run.at("eval/entropy", point) for point in (run.first, run.last))
    if now >= ALIKE * then:
        return None
    return Reading("alike", "note", {"then": then, "now": now})


def length(run: Run) -> Reading | None:
    """The length has drifted, the most common way to exploit a reward model (arXiv 2310.03716)."""
    then, now = (run.at("eval/length", point) for point in (run.first, run.last))
    if then / LONGER <= now <= LONGER * then:
        return None
    return Reading("longer" if now > then else "shorter", "note", {"then": then, "now": now})


# SFT.


def imitated_reward(run: Run) -> Reading | None:
    if not run.past_halfway:
        return None
    values = {"then": run.first.gold, "now": run.last.gold}
    taught = abs(run.last.gold - run.first.gold) >= UNTOUCHED
    return Reading("reward_taught" if taught else "reward_untouched", "note", values)
