"""Where the chosen text's probability goes: rules on which text gained, and CHES scores."""

from __future__ import annotations

import pytest
import torch

from align_core.experiments import displacement, displacement_runs
from tests.experiments.verdicts import verdict_of


def text(name, before, after, gold=2.5):
    return {"text": name, "before": before, "after": after, "gold": gold}


def prompt(chosen=(0.3, 0.1), gained="c", gold=2.5):
    """A prompt whose chosen text a has gold 2.5, and whose text `gained` has this gold reward."""
    sides = {"chosen": text("a", *chosen), "rejected": text("b", 0.2, 0.0, -2.5)}
    return {"prompt": "p", **sides, "gained": text(gained, 0.0, 0.5, gold)}


def run(kind, seed, change, prompts):
    curve = [[0, 0.0, 0.0], [16, change / 2, -4.0], [32, change, -9.0]]
    mass = {name: [0.25, 0.25] for name in displacement_runs.CLASSES}
    found = {"curve": curve, "fell": 0.75, "prompts": prompts, "mass": mass}
    return {"settings": {"kind": kind, "seed": seed}, "measured": found}


def result(similar=-3.0, different=-1.0):
    """Three seeds that differ by 0.1 nats; the interval is ±0.248."""
    changes = {"similar": similar, "different": different}
    return displacement.summary(
        [
            run(kind, seed, change + 0.1 * seed, [prompt()])
            for kind, change in changes.items()
            for seed in range(3)
        ]
    )


@pytest.mark.parametrize(
    "similar, different, falls, further",
    [
        (-3.0, -1.0, "holds", "holds"),
        (-3.0, -0.1, "unclear", "holds"),
        (0.9, 2.0, "fails", "holds"),
        (-1.0, -3.0, "holds", "fails"),
    ],
)
def test_the_chosen_text_falls_with_both_kinds_and_further_with_similar_ones(
    similar, different, falls, further
):
    found = result(similar, different)
    assert verdict_of(displacement, found, "falls")[0] == falls
    assert verdict_of(displacement, found, "further")[0] == further
    # Seeds add 0, 0.1 and 0.2.
    why = verdict_of(displacement, found, "falls")[1]
    assert f"{similar + 0.1:.2f} ± 0.25 nats with similar".replace("-", "−") in why
    assert verdict_of(displacement, found, "often")[0] == "holds"  # 75% are more than 10%
    assert "“p”: chosen “a” 30.0% → 10.0%" in verdict_of(displacement, found, "opposite")[1]


def test_what_gained_is_a_third_text_or_one_of_the_pair():
    assert displacement._third([prompt(), prompt(gained="b"), prompt(), prompt(gained="a")]) == 0.5


def test_a_worse_text_counts_where_a_right_chosen_text_lost():
    worse, kept, as_good = prompt(gold=-1.0), prompt((0.1, 0.3), gold=-1.0), prompt(gold=2.4)
    assert displacement._opposite([worse, kept, as_good]) == 0.5, "the chosen text of one rose"
    assert displacement._opposite([kept]) is None


def test_the_texts_that_lost_most_are_named():
    many = [prompt((0.3, 0.3 - loss)) for loss in (0.1, 0.2, 0.05)]
    named = displacement._examples(many)
    assert [round(one["chosen"]["after"], 2) for one in named] == [0.1, 0.2, 0.25]
    values = displacement._named(named[0])
    assert displacement.SENTENCES["named"].format(**values) == (
        "“p”: chosen “a” 30.0% → 10.0%, rejected “b” 20.0% → 0.0%; “c” gains most, 0.0% → 50.0%."
    )


def test_ches_is_highest_for_states_that_are_alike():
    """⟨c, r⟩ − ‖c‖²: 1·1 − 1 = 0, 1·2 − 1 = 1, and −1 − 1 = −2."""
    chosen = torch.tensor([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0]])
    rejected = torch.tensor([[1.0, 0.0], [2.0, 3.0], [-1.0, 0.0]])
    assert displacement_runs.ches(chosen, rejected).tolist() == [0.0, 1.0, -2.0]
