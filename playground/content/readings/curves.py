"""Rules on the training curves: whether a policy moves too fast, and what data has taught a model.

Thresholds lie between runs that go well and runs that do not; what is a mean of noisy steps is held
against the scatter of those steps.
"""

from __future__ import annotations

from itertools import pairwise
from math import log, sqrt
from statistics import fmean, stdev

from playground.content.readings.measures import SURE, WINDOW, Reading, Run, rise, standard_error

# Nats of KL of a whole run: where gain is 1 (docs/metrics.md); a default rollout adds 0.8 at most.
BUDGET = 2.0
UPDATES = 5  # rollouts looked back at
CLIPPED = 0.05  # of tokens: 0.03 at most in runs that go well, 0.06 to 0.1 at 12 times their rate
UNSTABLE = 2.0  # times the first value loss; a tenth where all is well, 5 to 10 where it was not

LIKELY = 2.0  # standard errors; enough for what is no warning and is expected
COIN = log(2)  # the loss of DPO, or of a reward model, that knows nothing of any pair
BY_HEART = 90  # % of pairs: the gold reward itself orders 82% (reviews), 78% (capitals) as labelled
MEMORISED = 15  # points of training over held-out accuracy: 5 standard errors
RANKS_WELL = 80  # %: what is asked of the default reward model (docs/benchmarks.md)
GUESSING = 55  # %: 2 standard errors of the 512 held-out pairs above a coin

# Whether the policy moves too fast.


def leapt(run: Run) -> Reading | None:
    """One rollout's updates spent what a whole run may spend."""
    recent = run.series.get("objective/kl", [])[-UPDATES - 1 :]
    # A rollout shows what the updates of the step before it did.
    leaps = [(now - then, step, then, now) for (step, then), (_, now) in pairwise(recent)]
    size, step, then, now = max(leaps, default=(0.0, 0, 0.0, 0.0))
    if size < BUDGET:
        return None
    return Reading("leapt", "warning", {"step": step, "then": then, "now": now})


def clipped(run: Run) -> Reading | None:
    recent = run.values("policy/clipfrac_avg")[-UPDATES:]
    if len(recent) < UPDATES or fmean(recent) < CLIPPED:
        return None
    return Reading("clipped", "warning", {"share": round(100 * fmean(recent))})


def value_unstable(run: Run) -> Reading | None:
    losses = run.values("loss/value_avg")
    if len(losses) < 2 * UPDATES:
        return None
    then, now = fmean(losses[:UPDATES]), fmean(losses[-UPDATES:])
    if now < UNSTABLE * then:
        return None
    return Reading("value_unstable", "warning", {"then": then, "now": now})


# What pairs and demonstrations have taught.


def worse_than_a_coin(run: Run) -> Reading | None:
    """A loss above that of not knowing: sure of itself, and wrong."""
    _, losses = run.last_windows("loss")
    if len(losses) < WINDOW or fmean(losses) - SURE * standard_error(losses) < COIN:
        return None
    return Reading("worse_than_a_coin", "warning", {"loss": fmean(losses), "coin": COIN})


def pairs(run: Run) -> Reading | None:
    """DPO's own rewards, β·log(π/π_ref) of the given texts. That of the chosen ones may fall too:
    only the margin is optimised (arXiv 2402.13228)."""
    names = ("rewards/margins", "rewards/accuracies", "rewards/chosen")
    (_, margins), (_, accuracies), (before, chosen) = map(run.last_windows, names)
    if len(margins) < WINDOW:
        return None
    margin, right = fmean(margins), round(100 * fmean(accuracies))
    of_reference = run.config["preferences"] is run.config.get("pair_source") is None
    if right >= BY_HEART and of_reference:
        return Reading("by_heart", "note", {"right": right})
    if margin < SURE * standard_error(margins):
        return None
    if fmean(chosen) > -SURE * standard_error(chosen):
        return Reading("pairs_apart", "note", {"margin": margin, "right": right})
    falling = len(before) == len(chosen) and rise(before, chosen) < -SURE
    values = {"chosen": fmean(chosen), "margin": margin}
    return Reading("chosen_falling" if falling else "chosen_below_zero", "note", values)


def ranking(run: Run) -> Reading | None:
    """How a reward model orders pairs that it has seen, and pairs that it has not."""
    held_out = run.series.get("eval/accuracy", [])
    training = run.values("accuracy")[-2 * UPDATES :]
    if len(held_out) < 2 or len(training) < 2 * UPDATES:
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
    """The loss of SFT: against the pretrained model's, then from a third of the run to the next."""
    losses = run.values("loss")
    recent = losses[-WINDOW:]
    if len(losses) <= WINDOW:
        return None
    error = stdev(recent) * sqrt(1 + 1 / WINDOW)  # of one step's loss against the mean of WINDOW
    if fmean(recent) - losses[0] > SURE * error:
        return Reading("loss_rose", "warning", {"then": losses[0], "now": fmean(recent)})
    third = len(losses) // 3
    if third < WINDOW:
        return None
    before, after = losses[-2 * third : -third], losses[-third:]
    falling = rise(before, after) < -LIKELY
    values = {"then": fmean(before), "now": fmean(after)}
    return Reading("loss_falling" if falling else "loss_level", "note", values)
