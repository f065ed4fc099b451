"""Verdicts on the papers' claims, from a result's numbers."""

from __future__ import annotations

import json
from itertools import product

import pytest

from align_core import experiments
from align_core.experiments import coverage, frontier, overoptimisation, shift
from align_core.experiments.claims import (
    TESTED,
    WORDS,
    comparison_counts,
    conclusions,
    majority,
    render_verdicts,
    verdict,
    verdict_sentences,
)
from playground import text


def mean(value, half=0.1):
    return {"mean": value, "ci95": half, "n": 3}


def verdict_of(experiment, result, part):
    """(verdict, why) of the only part with this name."""
    verdicts = [row for row in experiment.verdicts(result) if row.part == part]
    (sentence,) = render_verdicts(verdicts, experiment.SENTENCES)
    return sentence["verdict"], sentence["why"]


def test_a_majority_is_more_than_half():
    assert majority([1, 1, 0]) == majority([1, 1, -1]) == 1
    assert majority([-1, -1, 0]) == -1
    assert majority([1, 1, -1, -1]) == majority([1, 0]) == majority([1, 0, -1]) == majority([]) == 0


def test_a_verdict_is_rendered_with_claim_and_reason():
    templates = {"grows": "{who} grows.", "grows_why": "By {n}.", "join": ", ", "it": "It"}
    verdicts = [verdict(sign, "grows", who=[("it", {})], n=2) for sign in (1, -1, 0)]
    assert verdict_sentences(verdicts, templates) == [
        "Holds here: It grows. By 2.",
        "Does not hold here: It grows. By 2.",
        "Not clear here: It grows. By 2.",
    ]
    first = {"verdict": "holds", "claim": "It grows.", "why": "By 2."}
    assert render_verdicts(verdicts, templates)[0] == first


# DPO minus PPO at each KL budget, as shares of the frontier.


def frontier_result(over_ppo, over_gold=(0.5, 0.5), dpo=(0.9, 0.9), ppo=(0.9, 0.9)):
    budgets = ("0.5", "1")
    return {
        "dpo_over_ppo": dict(zip(budgets, over_ppo, strict=True)),
        "shares": {
            "dpo": {
                budget: mean(0.4 + more) for budget, more in zip(budgets, over_gold, strict=True)
            },
            "ppo-gold": dict.fromkeys(budgets, mean(0.4)),
        },
        "win_rates": {
            "dpo": {"rates": [mean(rate, 0.03) for rate in dpo], "temperatures": [0.0, 1.0]},
            "ppo": {"rates": [mean(rate, 0.04) for rate in ppo]},
        },
    }


@pytest.mark.parametrize(
    "over_ppo, over_gold, expected",
    [
        # With a half-width of √(0.1² + 0.1²) = 0.141, the interval of 0.15 excludes 0; that of 0.14
        # does not.
        ([mean(0.2), mean(0.11)], (0.5, 0.15), "holds"),
        ([mean(0.2), mean(0.11)], (0.5, 0.14), "unclear"),
        ([mean(0.2), mean(0.11)], (0.5, -0.15), "fails"),
        ([mean(0.2), mean(0.09)], (0.5, 0.15), "unclear"),
        ([mean(0.2), mean(-0.11)], (0.5, 0.15), "fails"),
        ([mean(0.2), mean(0.2, None)], (0.5, 0.15), "unclear"),  # a single seed
    ],
)
def test_dpo_dominates_if_it_is_clearly_ahead_everywhere(over_ppo, over_gold, expected):
    result = frontier_result(over_ppo, over_gold)
    assert verdict_of(frontier, result, "dominates")[0] == expected


def test_the_budgets_at_which_each_method_is_ahead_are_counted():
    result = frontier_result([mean(-0.2), mean(0.2)], (0.0, -0.3))
    why = verdict_of(frontier, result, "dominates")[1]
    assert "Of 2 budgets of KL it is clearly ahead of PPO on a reward model in 1" in why
    assert "behind in 1; of PPO on the gold reward, ahead in 0 and behind in 1." in why


@pytest.mark.parametrize(
    "dpo, ppo, expected",
    [
        # The losses have half-widths of 0.03·√2 and 0.04·√2; their difference has 0.05·√2 = 0.0707.
        ((0.9, 0.8, 0.5), (0.9, 0.9, 0.7), "fails"),  # 0.4 against 0.2
        ((0.9, 0.5, 0.7), (0.9, 0.9, 0.5), "holds"),  # 0.2 against 0.4
        ((0.9, 0.70), (0.90, 0.63), "unclear"),  # 0.20 against 0.27
        ((0.9, 0.70), (0.90, 0.62), "holds"),  # 0.20 against 0.28
        ((0.5, 0.8), (0.8, 0.8), "unclear"),  # DPO gains 0.3, but PPO loses nothing
        ((0.5, 0.8), (0.8, 0.7), "holds"),
    ],
)
def test_a_method_that_loses_more_suffers_from_temperature(dpo, ppo, expected):
    result = frontier_result([mean(0.0)] * 2, dpo=dpo, ppo=ppo)
    assert verdict_of(frontier, result, "steadier")[0] == expected


def test_the_changes_by_temperature_are_reported():
    result = frontier_result([mean(0.0)] * 2, dpo=(0.5, 0.9, 0.8))
    why = verdict_of(frontier, result, "steadier")[1]
    expected = "From T = 0 to T = 1, DPO's win rate changes by 0.30 ± 0.04, PPO's by 0.00 ± 0.06."
    assert why == expected


def test_comparisons_are_counted():
    """Two budgets, each against PPO and PPO on gold, and three of the temperature: 7, of which that
    of 0.2 ± 0.1, both of 0.4 ± 0.14, and the loss of 0.2 ± 0.04 and its difference are clear."""
    result = frontier_result([mean(0.2), mean(0.05)], (0.4, 0.4), dpo=(0.9, 0.7))
    counts = comparison_counts(frontier, result)
    assert counts == {"tests": "7", "clear": "5", "chance": "0.4"}
    assert TESTED.format(**counts).startswith("“Clearly” is the result of 7 comparisons")


# Gold and proxy over √KL: (d, gold, proxy).

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


def test_without_a_fall_at_less_distance_than_it_takes_nothing_is_said():
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
    assert "end at a √KL of 2.00, 2.00, where the runs that fall" in why
    assert "lost 25% of their peak at 3.00 on average" in why


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


# The largest gain of an uncovered response, by setting of the coverage experiment.


def coverage_result(settings):
    """A result from {setting: (DPO's rise, DPO's minus PPO's)}; mean gold falls from 0.5 to 0.3."""
    rows = [
        {
            "responses": 4,
            "raters": "graded",
            "beta": 0.1,
            "reference": {"uncovered": mean(0.5)},
            "dpo": {"rise": rise, "uncovered": mean(0.3)},
            "dpo_over_ppo": {"rise": more},
            "best_covered": False,
        }
        for rise, more in settings
    ]
    nothing = {"rise": None, "uncovered": mean(0.0)}
    common = {"raters": "graded", "beta": 0.1, "best_covered": False}
    full = {**common, "responses": 8, "reference": nothing, "dpo": nothing}
    # Settings in which the best response is always covered are no part of the claim.
    best = {**(rows[0] if rows else full), "best_covered": True}
    return {"settings": [*rows, {**full, "dpo_over_ppo": {"rise": None}}, best]}


@pytest.mark.parametrize(
    "rises, expected",
    [((0.2, 0.0), "holds"), ((0.05, 0.0), "unclear"), ((-0.2, 0.0), "unclear")]
    + [((-0.2, -0.3), "fails")],
)
def test_a_rise_is_possible_if_dpo_clearly_has_one(rises, expected):
    result = coverage_result([(mean(rise), mean(0.0)) for rise in rises])
    assert verdict_of(coverage, result, "gives")[0] == expected


@pytest.mark.parametrize(
    "differences, expected",
    [
        ((0.2, 0.2, 0.0), "holds"),
        ((-0.2, -0.2, 0.2), "fails"),
        ((-0.2, 0.0, 0.0), "unclear"),
        ((0.2, -0.2), "unclear"),
    ],
)
def test_a_method_spreads_if_most_settings_clearly_show_it(differences, expected):
    result = coverage_result([(mean(0.0), mean(difference)) for difference in differences])
    assert verdict_of(coverage, result, "spreads")[0] == expected


def test_settings_with_uncovered_responses_are_counted():
    result = coverage_result([(mean(0.2), mean(-0.2)), (mean(0.0), mean(-0.2))])
    why = verdict_of(coverage, result, "gives")[1]
    # 0.3 − 0.5 = −0.2 ± 0.141
    assert why.startswith("Of 2 settings") and "gains in 1;" in why and "lose in 2." in why
    assert (
        "DPO in 0 of these settings, under PPO in 2." in verdict_of(coverage, result, "spreads")[1]
    )


# The loss from each shift.


def shift_result(**lost):
    """A result from the losses of each method by the two shifts."""
    lost = {"sft-dpo": lost.pop("sft", (0.0, 0.0)), "iterated": (0.0, 0.0)} | lost
    rows = [{"source": "own", "method": method, "more": mean(2.0)} for method in lost]
    rows += [
        {"source": source, "method": method, "lost": mean(lost[method][place])}
        for (place, source), method in product(enumerate(("pretrained", "shouted")), lost)
    ]
    return {"rows": rows}


@pytest.mark.parametrize(
    "dpo, ppo, expected",
    [
        ((0.5, 0.5), (0.0, 0.3), "holds"),  # 0.5 − 0.3 = 0.2 is more than 0.1 · √2
        ((0.5, 0.5), (0.4, 0.4), "unclear"),  # PPO's loss is not clearly smaller
        ((0.5, 0.0), (0.0, 0.0), "unclear"),
        ((0.05, 0.05), (-0.3, -0.3), "unclear"),  # PPO gains, but DPO has no clear loss
        ((0.5, 0.5), (0.8, 0.8), "fails"),
        ((-0.5, -0.5), (0.0, 0.0), "fails"),  # DPO gains
    ],
)
def test_dpo_suffers_if_it_clearly_loses_more_than_ppo(dpo, ppo, expected):
    assert verdict_of(shift, shift_result(dpo=dpo, ppo=ppo), "lose")[0] == expected


def test_the_shifts_by_which_each_method_loses_are_counted():
    why = verdict_of(shift, shift_result(dpo=(0.5, 0.5), ppo=(0.0, 0.2)), "lose")[1]
    assert why.startswith("DPO clearly loses in 2 of 2 shifts, PPO in 1;")
    assert why.endswith("PPO clearly loses less than DPO in 2.")


def mends(result):
    verdicts = [v for v in shift.verdicts(result) if v.part == "mends"]
    return render_verdicts(verdicts, shift.SENTENCES)


@pytest.mark.parametrize(
    "dpo, sft, expected",
    [
        ((0.5, 0.5), (0.0, 0.3), "holds"),
        ((0.5, 0.5), (0.0, 0.4), "unclear"),
        ((0.5, 0.5), (0.7, 0.7), "fails"),
        ((0.5, 0.0), (0.3, 0.7), "holds"),  # the second shift costs nothing
        ((0.0, 0.0), (-0.5, -0.5), "unclear"),
    ],
)
def test_a_remedy_clearly_loses_less_than_dpo(dpo, sft, expected):
    first, second = mends(shift_result(dpo=dpo, ppo=(0.0, 0.0), sft=sft))
    assert first["claim"].startswith("DPO after SFT on the chosen texts mends")
    assert first["verdict"] == expected
    assert second["claim"].startswith("iterated DPO mends")
    assert f"loses in {sum(loss > 0.1 for loss in dpo)} of the shifts" in first["why"]


def test_without_a_shift_there_is_no_verdict():
    assert shift.verdicts({"rows": [{"source": "pretrained", "method": "dpo"}]}) == []


# The recorded results.


@pytest.mark.parametrize("language", text.languages())
@pytest.mark.parametrize("name", experiments.NAMES)
def test_the_recorded_results_are_judged_in_every_language(name, language):
    words = text.load(language)["lab"]
    assert words["verdicts"].keys() == WORDS.keys()
    assert (words["verdicts"] == WORDS) == (language == "en")
    experiment, result = experiments.load(name), experiments.result(name)
    sentences = render_verdicts(experiment.verdicts(result), words["said"][name])
    assert len(sentences) >= 2
    assert "{" not in json.dumps([[sentence["claim"], sentence["why"]] for sentence in sentences])
    if language == "en":
        lines = conclusions(experiment, result)
        assert lines[: len(sentences)] == [
            f"{WORDS[sentence['verdict']]} {sentence['claim']} {sentence['why']}"
            for sentence in sentences
        ]
