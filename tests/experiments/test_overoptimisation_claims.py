"""Claims on overoptimisation: gold and proxy over √KL, (d, gold, proxy)."""

from __future__ import annotations

import pytest

from align_core.experiments import overoptimisation
from align_core.experiments.claims import render_verdicts
from tests.experiments.verdicts import mean, verdict_of

RISES = [(0, 0, 0), (1, 2.0, 2.0), (2, 2.5, 4.0)]
FALLS = [(0, 0, 0), (1, 2.0, 2.0), (2, 1.4, 4.0)]
DIPS = [(0, 0, 0), (1, 2.0, 2.0), (2, 1.6, 4.0)]  # a fall of less than a quarter of 2
BOTH_FALL = [(0, 0, 0), (1, 2.0, 2.0), (2, 1.0, 1.9)]


def over_row(method, pairs, curves, layers=3, accuracy=0.8, beta=0.0):
    named = {"method": method, "pairs": pairs, "layers": layers, "beta": beta}
    peak = sum(max(gold for _, gold, _ in points) for points in curves) / len(curves)
    return {**named, "curves": curves, "accuracy": mean(accuracy), "peak": mean(peak)}


def over_result(*rows, penalty=()):
    """A result with these rows; other curves of PPO and best-of-n rise without a fall."""
    seeds = len(rows[0]["curves"]) if rows else 3
    known = {(row["method"], row["pairs"], row["layers"]) for row in rows}
    models = {(pairs, layers) for _, pairs, layers in known} | {(300, 3), (1000, 3)}
    missing = {(method, *model) for method in ("ppo", "best-of-n") for model in models} - known
    flat = [
        over_row(method, pairs, [RISES] * seeds, layers)
        for method, pairs, layers in sorted(missing)
    ]
    return {"rows": [*rows, *flat], "penalty": [{"beta": 1.0, "more": dict(enumerate(penalty))}]}


def falls(result):
    """Verdict -> (claim, why)."""
    verdicts = [v for v in overoptimisation.verdicts(result) if v.part in ("fall", "short")]
    sentences = render_verdicts(verdicts, overoptimisation.SENTENCES)
    return {sentence["verdict"]: (sentence["claim"], sentence["why"]) for sentence in sentences}


def test_the_fall_is_judged_for_each_number_of_pairs():
    result = over_result(
        over_row("ppo", 100, [FALLS, RISES, RISES]),
        over_row("ppo", 1000, [FALLS, FALLS, DIPS]),
        over_row("ppo", 1000, [FALLS, FALLS, RISES], layers=1),
    )
    verdicts = falls(result)
    claim, why = verdicts["holds"]
    assert claim.startswith("With PPO on 1,000 pairs, the gold reward peaks")
    assert why == "Gold falls by more than 25% of its peak in 4 of 6 runs."
    claim, why = verdicts["unclear"]
    assert claim.startswith("With PPO on 100 pairs, the") and "in 1 of 3 runs." in why
    claim, why = verdicts["fails"]
    assert claim.startswith("With PPO on 300 pairs, best-of-n up to √KL = 2.00, the")
    assert "in 0 of 3, 0 of 12 runs." in why  # four models, three seeds


def test_runs_that_end_before_the_usual_distance_of_a_fall_are_unclear():
    """The runs on 1,000 pairs lose a quarter of their peak at √KL = 2 and 4, on average 3."""
    late = [(0, 0, 0), (1, 2.0, 2.0), (4, 1.4, 4.0)]
    far = [(0, 0, 0), (3.5, 2.5, 4.0)]
    result = over_result(
        over_row("ppo", 100, [RISES, RISES]),
        over_row("ppo", 300, [far, far]),
        over_row("ppo", 1000, [FALLS, late]),
    )
    verdicts = falls(result)
    assert verdicts["fails"][0].startswith("With PPO on 300 pairs, the gold")
    claim, why = verdicts["unclear"]
    assert claim.startswith("With PPO on 100 pairs, best-of-n up to √KL = 2.00, the gold")
    assert "end at a √KL of 2.00, 2.00, and the runs that fall" in why
    assert "lost 25% of their peak only at 3.00, on average" in why


@pytest.mark.parametrize(
    "ppo, best_of_n, expected",
    [
        ((1.5, 2.5, 3.6), (1.5, 2.5, 3.6), "holds"),
        ((0.5, 1.5, 2.6), (0.5, 1.5, 2.6), "fails"),
        ((1.5, 2.5, 3.6), (1.0, 2.0, 3.0), "unclear"),
    ],
)
def test_pairs_are_compared_at_equal_distance(ppo, best_of_n, expected):
    """Runs on 1,000 pairs go on to √KL = 2 and lose all; at 1, where the others end, they are 0.5
    above or below them, seed by seed."""
    rows = []
    for method, golds in (("ppo", ppo), ("best-of-n", best_of_n)):
        rows += [over_row(method, 300, peaking(1, 2, 3))]
        longer = [[*points, (2, -9.0, 2)] for points in peaking(*golds)]
        rows += [over_row(method, 1000, longer)]
    verdict, why = verdict_of(overoptimisation, over_result(*rows), "further")
    assert verdict == expected
    assert "under PPO at √KL = 1.00" in why


@pytest.mark.parametrize("curve", [RISES, DIPS, BOTH_FALL])
def test_a_fall_needs_a_quarter_less_gold_and_more_proxy(curve):
    result = over_result(over_row("ppo", 300, [curve]), over_row("ppo", 1000, [FALLS]))
    verdicts = falls(result)
    assert "PPO on 300 pairs" in verdicts["fails"][0]
    assert "PPO on 1,000 pairs" in verdicts["holds"][0]


def peaking(*peaks):
    return [[(0, 0, 0), (1, peak, 1)] for peak in peaks]


@pytest.mark.parametrize(
    "ppo, best_of_n, expected",
    [
        # Paired with 1, 2, 3 by seed, a rise of 0.5 each is clear, although the seeds differ.
        ((1.5, 2.5, 3.6), (1.5, 2.5, 3.6), "holds"),
        ((0.5, 1.5, 2.6), (0.5, 1.5, 2.6), "fails"),
        ((1.5, 2.5, 3.6), (0.0, 3.0, 3.0), "unclear"),
        ((1.5, 2.5, 3.6), (0.5, 1.5, 2.6), "unclear"),
    ],
)
@pytest.mark.parametrize("by, part", [("pairs", "fed"), ("layers", "grown")])
def test_a_peak_is_higher_if_both_methods_say_so(ppo, best_of_n, expected, by, part):
    low = {"pairs": 1000, "layers": 3} | {by: 1}
    rows = []
    for method, peaks in (("ppo", ppo), ("best-of-n", best_of_n)):
        rows += [over_row(method, low["pairs"], peaking(1, 2, 3), low["layers"])]
        rows += [over_row(method, 1000, peaking(*peaks))]
    assert verdict_of(overoptimisation, over_result(*rows), part)[0] == expected


def test_the_rise_of_a_peak_is_reported():
    rows = [over_row("best-of-n", 300, peaking(1, 2, 3)), over_row("ppo", 300, peaking(1, 2, 3))]
    rows += [over_row("best-of-n", 1000, peaking(2, 3, 4)), over_row("ppo", 1000, peaking(1, 2, 3))]
    why = verdict_of(overoptimisation, over_result(*rows), "fed")[1]
    assert why.startswith("From 300 to 1,000 pairs the peak rises by 0.00 ± 0.00 nats under PPO, ")
    assert why.endswith("1.00 ± 0.00 under best-of-n.")


@pytest.mark.parametrize(
    "accuracies, expected",
    [
        ((0.8, 0.8), "fails"),  # ± 0.1 against 0.6
        ((0.45, 0.45), "holds"),
        ((0.65, 0.65), "unclear"),
        ((0.45, 0.8), "unclear"),
    ],
)
def test_an_accuracy_up_to_six_in_ten_is_little_better_than_chance(accuracies, expected):
    rows = [
        over_row("best-of-n", pairs, [RISES], accuracy=accuracy)
        for pairs, accuracy in zip((300, 1000), accuracies, strict=True)
    ]
    many = over_row("best-of-n", 5000, [RISES], accuracy=0.95)  # the claim is about fewer pairs
    verdict, why = verdict_of(overoptimisation, over_result(*rows, many), "few_pairs")
    assert verdict == expected
    assert "(300 pairs)" in why and "5,000" not in why


@pytest.mark.parametrize(
    "changes, expected",
    [
        # The peak is 2.5, so a change within ± 0.25 does not count.
        ([mean(0.1), mean(-0.1), None], "holds"),
        ([mean(0.1), mean(0.2)], "unclear"),
        ([mean(0.4), mean(-0.4)], "fails"),
        ([mean(0.4), mean(0.1)], "unclear"),
        ([mean(0.4), mean(-0.4), mean(0.0)], "fails"),
    ],
)
def test_a_penalty_changes_nothing_within_a_tenth_of_the_peak(changes, expected):
    verdict, why = verdict_of(overoptimisation, over_result(penalty=changes), "penalised")
    assert verdict == expected
    assert "below 0.25 nats, 10% of the peak" in why


def test_a_penalty_without_runs_at_that_kl_is_not_judged():
    parts = [v.part for v in overoptimisation.verdicts(over_result(penalty=[None]))]
    assert "penalised" not in parts and "few_pairs" in parts
