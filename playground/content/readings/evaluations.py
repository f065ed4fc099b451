"""Rules on the evaluations: what became of the reward, of KL, and of the texts.

They speak only where chance would not. How far chance alone moves an evaluation was measured with
ten seeds on finished runs, as one standard deviation: between two trained policies the gold and the
proxy reward differ by ±0.05 nats; between a policy and its reference by ±0.04 (β = 50) to ±0.18
(the default β); a KL is known to ±5% (PPO) or ±12% (DPO).
"""

from __future__ import annotations

from math import sqrt
from statistics import fmean

from playground.content.readings.measures import SURE, WINDOW, Reading, Run, rise

# Rewards, in nats, and how many of the standard deviations above they are.
RISE = 0.2  # 4 from one step to another, and 5 for a policy that is still near its reference
PROXY_RISE = 0.25  # 5
FALL = 0.3  # 6; and 3 where β·KL is counted in, at β = 0.5 and a KL of 1
LEVEL = 0.1  # 2
BELOW = 0.5  # 3 of a trained policy against its reference
UNTOUCHED = 0.3  # 2 of an SFT model against the pretrained one

# KL, in nats.
FAR = 3.0  # the optimum is not known beyond (docs/metrics.md)
NEAR = 0.25  # half of the least with which a default run ends (0.41, docs/benchmarks.md)
# For a large β the optimum has a KL of about Var(r) / 2β² (π_ref·exp(r/β) to second order), and the
# gold rewards have a standard deviation of about 2 nats. Beyond this β even the optimum stays NEAR.
HOLDING_BETA = 2.0 / sqrt(2 * NEAR)

EFFICIENT = 0.8  # of the limit: the least that is asked of DPO's default run (docs/benchmarks.md)
WASTEFUL = 0.7  # the least that any default run reached is 0.78

ALIKE = 0.5  # of the first entropy: runs that go well keep 0.58 and more, PPO without β kept 0.23
LONGER = 1.5  # times the first length: 0.8 to 1.3 in runs that go well, 1.6 to 2.2 in runaway ones

# What became of the reward.


def over_optimised(run: Run) -> Reading | None:
    """The reward model's score rises and the gold reward does not (arXiv 2210.10760)."""
    proxy_then, proxy_now = (run.at("eval/proxy_reward", point) for point in (run.best, run.last))
    if run.config["reward_model"] == "gold" or proxy_now - proxy_then < PROXY_RISE:
        return None
    values = {"step": run.best.step, "proxy_then": proxy_then, "proxy_now": proxy_now}
    values |= {"gold_then": run.best.gold, "gold_now": run.last.gold}
    return Reading("over_optimised", "warning", values)


def past_best(run: Run) -> Reading | None:
    """The gold reward has fallen from a peak; in DPO the margin may grow on."""
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
    """Reward − β·KL has fallen from its best: at the optimum the last nat of KL brings β nats of
    reward, and these brought less."""
    paid = [point for point in run.points if point.step >= run.since]
    best, beta = max(paid, key=run.objective, default=run.last), run.config["beta"]
    price = beta * (run.last.kl - best.kl)
    loss = run.objective(best) - run.objective(run.last)
    if run.last.kl < NEAR or min(price, loss) < FALL:  # a policy so near is held: see `near`
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
    """How much of what this KL can bring has come; passed over where the limit is not known."""
    share = run.at("eval/frontier_efficiency", run.last)
    gain = run.gain(run.last)
    values = {"gain": gain, "kl": run.last.kl}
    if share >= EFFICIENT:
        # Chance can put it above the limit, a sentence cannot.
        share = round(100 * min(share, 1.0))
        return Reading("near_limit", "good", {"share": share, "kl": run.last.kl})
    if 0 < share < WASTEFUL and run.last.kl >= NEAR:
        possible = run.limit.at(run.last.kl) if run.on_frontier_chart else gain / share
        return Reading("wasteful", "note", values | {"possible": possible})
    if near(run):  # which says why it is not more
        return None
    return Reading("improved", "good", values)


def short_of_target(run: Run) -> Reading | None:
    """What the optimum of this β has beyond the run's end, of what both are to maximise."""
    if run.target is None or not run.on_frontier_chart:  # it began from another reference
        return None
    beta, gain = run.config["beta"], run.gain(run.last)
    short = (run.target.gain - beta * run.target.kl) - (gain - beta * run.last.kl)
    if short < LEVEL:
        return Reading("on_target", "good", {"beta": beta})
    values = {"beta": beta, "gain": run.target.gain, "kl": run.target.kl, "short": short}
    return Reading("short_of_target", "note", values)


# Whether the policy may move.


def near(run: Run) -> Reading | None:
    """It hardly moves; β is why where even the optimum would not."""
    if not run.past_halfway or run.last.kl >= NEAR:
        return None
    if run.config["beta"] >= HOLDING_BETA:
        values = {"kl": run.last.kl, "beta": run.config["beta"]}
        return Reading("held", "note", values)
    return Reading("timid", "note", {"kl": run.last.kl})


# What the texts are like.


def alike(run: Run) -> Reading | None:
    then, now = (run.at("eval/entropy", point) for point in (run.first, run.last))
    if now >= ALIKE * then:
        return None
    return Reading("alike", "note", {"then": then, "now": now})


def length(run: Run) -> Reading | None:
    """Drift in length, the commonest way to please a reward model cheaply (arXiv 2310.03716)."""
    then, now = (run.at("eval/length", point) for point in (run.first, run.last))
    if then / LONGER <= now <= LONGER * then:
        return None
    return Reading("longer" if now > then else "shorter", "note", {"then": then, "now": now})


# What demonstrations have taught.


def imitated_reward(run: Run) -> Reading | None:
    if not run.past_halfway:
        return None
    values = {"then": run.first.gold, "now": run.last.gold}
    taught = abs(run.last.gold - run.first.gold) >= UNTOUCHED
    return Reading("reward_taught" if taught else "reward_untouched", "note", values)
