"""Claims on shifts of the prompts: the loss from each shift."""

from __future__ import annotations

from itertools import product

import pytest

from align_core.experiments import shift
from align_core.experiments.claims import render_verdicts
from tests.experiments.verdicts import mean, verdict_of


def shift_result(**lost):
    """The result of an experiment in which the methods have these losses under the two shifts."""
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


def test_the_shifts_under_which_each_method_loses_are_counted():
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
    assert first["claim"].startswith("DPO after SFT on the chosen texts recovers")
    assert first["verdict"] == expected
    assert second["claim"].startswith("iterated DPO recovers")
    assert f"loses in {sum(loss > 0.1 for loss in dpo)} of the shifts" in first["why"]


def test_without_a_shift_there_is_no_verdict():
    assert shift.verdicts({"rows": [{"source": "pretrained", "method": "dpo"}]}) == []
