"""Rules on the training curves: policies that move too fast, and learning from data.

The thresholds lie between measured good and bad runs. A mean of noisy steps is compared with the
standard error of those steps.
"""

from __future__ import annotations

from itertools import pairwise
from math import log, sqrt
from statistics import fmean, stdev

from playground.content.readings.measures import SURE, WINDOW, Reading, Run, rise, standard_error

# Nats of KL for a whole run: the KL at which the optimum has an `eval/gain` of 1 (docs/metrics.md).
# One rollout with default settings adds 0.8 at most.
KL_BUDGET = 2.0
RECENT = 5  # rollouts
# The share of tokens whose ratio is clipped: at most 0.03 in good runs, and 0.06 to 0.1 at 12 times
# the default learning rate.
CLIPPED = 0.05
# The value loss, as a multiple of that of the first rollouts: 0.1 in good runs, 5 to 10 in unstable
# ones.
UNSTABLE = 2.0

LIKELY = 2.0  # standard errors; fewer than SURE, because a falling loss is expected, and no alarm
COIN = log(2)  # the loss of DPO or a reward model whose preferences are those of a fair coin
BY_HEART = 90  # % of pairs; the gold reward agrees with 82% of labels (reviews), 78% (capitals)
# Percentage points by which the accuracy on training pairs is above that on held-out pairs: 5
# standard errors.
MEMORISED = 15
RANKS_WELL = 80  # %; the requirement on the default reward model (docs/benchmarks.md)
GUESSING = 55  # %; 2 standard errors above chance on 512 held-out pairs

# Policies that move too fast.


def leapt(run: Run) -> Reading | None:
    """The updates on one rollout used the KL budget of a whole run."""
    recent = run.series.get("objective/kl", [])[-RECENT - 1 :]
    # A rollout's KL is that of the policy after the updates of the step before.
    leaps = [(now - then, step, then, now) for (step, then), (_, now) in pairwise(recent)]
    size, step, then, now = max(leaps, default=(0.0, 0, 0.0, 0.0))
    if size < KL_BUDGET:
        return None
    return Reading("leapt", "warning", {"step": step, "then": then, "now": now})


def clipped(run: Run) -> Reading | None:
    recent = run.values("policy/clipfrac_avg")[-RECENT:]
    if len(recent) < RECENT or fmean(recent) < CLIPPED:
        return None
    return Reading("clipped", "warning", {"share": round(100 * fmean(recent))})


def value_unstable(run: Run) -> Reading | None:
    losses = run.values("loss/value_avg")
    if len(losses) < 2 * RECENT:
        return None
    then, now = fmean(losses[:RECENT]), fmean(losses[-RECENT:])
    if now < UNSTABLE * then:
        return None
    return Reading("value_unstable", "warning", {"then": then, "now": now})


# Learning from pairs and from demonstrations.


def worse_than_a_coin(run: Run) -> Reading | None:
    """The loss is above that of guessing: the model is confident and wrong."""
    _, losses = run.last_windows("loss")
    if len(losses) < WINDOW or fmean(losses) - SURE * standard_error(losses) < COIN:
        return None
    return Reading("worse_than_a_coin", "warning", {"loss": fmean(losses), "coin": COIN})


def pairs(run: Run) -> Reading | None:
    """DPO's implicit rewards, β·log(π/π_ref), of the pairs' texts. Those of the chosen texts may
    fall, because only the margin is optimised (arXiv 2402.13228)."""
    names = ("rewards/margins", "rewards/accuracies", "rewards/chosen")
    (_, margins), (_, accuracies), (before, chosen) = map(run.last_windows, names)
    if len(margins) < WINDOW:
        return None
    margin, right = fmean(margins), round(100 * fmean(accuracies))
    from_reference = run.config["preferences"] is run.config.get("pair_source") is None
    if right >= BY_HEART and from_reference:
        return Reading("by_heart", "note", {"right": right})
    if margin < SURE * standard_error(margins):
        return None
    if fmean(chosen) > -SURE * standard_error(chosen):
        return Reading("pairs_apart", "note", {"margin": margin, "right": right})
    falling = len(before) == len(chosen) and rise(before, chosen) < -SURE
    values = {"chosen": fmean(chosen), "margin": margin}
    return Reading("chosen_falling" if falling else "chosen_below_zero", "note", values)


def ranking(run: Run) -> Reading | None:
    """A reward model's accuracy on training pairs and on held-out pairs."""
    held_out = run.series.get("eval/accuracy", [])
    training = run.values("accuracy")[-2 * RECENT :]
    if len(held_out) < 2 or len(training) < 2 * RECENT:
        return None
    step, share = held_out[-1]
    seen, unseen = round(100 * fmean(training)), round(100 * share)
    values = {"seen": seen, "unseen": unseen}
    if seen - unseen >= MEMORISED:
        return Reading("memorising", "warning", values)
    if unseen < GUESSING and step >= run.config["steps"] / 2:
        return Reading("guessing", "warning", {"unseen": unseen})
    if unseen >= RANKS_WELL:
        return Reading("ranks_well", "good", values)
    return Reading("ranks", "note", values)


def imitation(run: Run) -> Reading | None:
    """The loss of SFT: whether the latest losses are above the first, that of the pretrained model;
    if not, whether the last third of the losses is below the third before it."""
    losses = run.values("loss")
    recent = losses[-WINDOW:]
    if len(losses) <= WINDOW:
        return None
    # The standard error of the difference between one loss and the mean of WINDOW losses.
    error = stdev(recent) * sqrt(1 + 1 / WINDOW)
    if fmean(recent) - losses[0] > SURE * error:
        return Reading("loss_rose", "warning", {"then": losses[0], "now": fmean(recent)})
    third = len(losses) // 3
    if third < WINDOW:
        return None
    before, after = losses[-2 * third : -third], losses[-third:]
    falling = rise(before, after) < -LIKELY
    values = {"then": fmean(before), "now": fmean(after)}
    return Reading("loss_falling" if falling else "loss_level", "note", values)
