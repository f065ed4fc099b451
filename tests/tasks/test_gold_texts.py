"""Gold rewards of hand-written texts, like visitors', and of models' texts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer

from align_core.config import model_index
from align_core.tasks import load_task

TEXTS = Path(__file__).parent / "texts"
REVIEWS, CAPITALS = load_task("reviews"), load_task("capitals")
MOODS = {
    "warm": lambda reward: reward > 0.3,
    "cold": lambda reward: reward < -0.3,
    "even": lambda reward: abs(reward) <= 0.5,  # praise and blame that balance, or a fair verdict
    "unread": lambda reward: True,  # nothing is recognised, or nothing for sure
}
KINDS = {
    "right": lambda reward: reward > 0.6,
    "listed": lambda reward: -1.0 < reward < 0.6,
    "evasive": lambda reward: -2.2 < reward < -0.5,
    "wrong": lambda reward: reward < -2.2,
    "unjudged": lambda reward: abs(reward) <= 0.3,
}


def lines(name):
    return [
        tuple(cell.strip() for cell in line.split("|"))
        for line in (TEXTS / name).read_text(encoding="utf-8").splitlines()
    ]


def question(country):
    return f"What is the capital of {country}?"


def test_there_are_at_least_300_texts():
    assert len(lines("reviews.txt")) + len(lines("capitals.txt")) >= 300


def test_a_review_is_as_warm_as_a_reader_finds_it():
    read = [(mood, text, REVIEWS.content_reward("", text)) for mood, text in lines("reviews.txt")]
    assert not [row for row in read if not MOODS[row[0]](row[2])]


def test_a_review_is_not_called_neutral_where_nothing_is_recognised():
    judged = [(mood, text, REVIEWS.can_judge("", text)) for mood, text in lines("reviews.txt")]
    assert not [row for row in judged if row[2] != (row[0] != "unread")]


def test_praise_in_the_prompt_does_not_make_a_completion_readable():
    assert not REVIEWS.can_judge("The superb plot", " was long.")
    assert REVIEWS.can_judge("The superb plot", " was thin.")


def test_an_answer_is_judged_as_a_reader_judges_it():
    judged = [
        (country, kind, text, CAPITALS.reward([question(country)], [text])[0])
        for country, kind, text in lines("capitals.txt")
    ]
    assert not [row for row in judged if not KINDS[row[1]](row[3])]
    assert not [
        row
        for row in judged
        if CAPITALS.can_judge(question(row[0]), row[2]) != (row[1] != "unjudged")
    ]


def test_the_longest_right_answer_is_as_good_as_the_shortest():
    def reward(text):
        return CAPITALS.content_reward(question("South Africa"), text)

    full = "Pretoria (executive), Cape Town (legislative) and Bloemfontein (judicial)."
    assert reward(full) == reward("Pretoria.") == 2.5


def test_two_spellings_of_a_name_are_the_same_answer():
    first, second = CAPITALS.reward(
        [question("the United States")] * 2, ["Washington, D.C.", "Washington DC."]
    )
    assert first == second == 2.5


@pytest.mark.parametrize(
    "text",
    ["Le film était magnifique.", "Una obra maestra.", "Der Film war langweilig.", "最悪の映画"]
    + ["这部电影太棒了", "Ужасный фильм", "Questo film è noioso", "asdf qwer zxcv"],
)
def test_other_languages_are_not_judged(text):
    assert not REVIEWS.can_judge("The film", text)
    assert REVIEWS.can_judge("The film")


@pytest.mark.parametrize("text", ["Je ne sais pas du tout.", "Das weiß ich leider nicht."])
def test_an_answer_in_another_language_is_judged_by_the_place_that_it_names(text):
    assert not CAPITALS.can_judge(question("France"), text)
    assert CAPITALS.can_judge(question("France"), "La capitale est Paris.")


@pytest.mark.parametrize("task", [REVIEWS, CAPITALS], ids=lambda task: task.name)
def test_texts_of_the_reference_still_have_their_stored_rewards(task):
    """Rules for visitors' texts do not affect models' texts, so that recorded runs stay valid."""
    with np.load(model_index.ASSETS / "reference" / f"{task.name}-probe.npz") as stored:
        arrays = {name: stored[name] for name in stored}
    tokenizer = Tokenizer.from_file(
        str(model_index.ASSETS / "models" / "pretrained" / "tokenizer.json")
    )
    for place, prompt in enumerate(arrays["prompts"]):
        ids, lengths, ended, rewards = (
            arrays[name][place, :8] for name in ("tokens", "lengths", "ended", "rewards")
        )
        rows = [row[:length] for row, length in zip(ids.tolist(), lengths, strict=True)]
        texts = tokenizer.decode_batch(rows)
        again = task.reward([str(prompt)] * len(texts), texts, ended=ended.tolist())
        np.testing.assert_allclose(again, rewards, atol=1e-5)
