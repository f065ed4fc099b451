"""The everyday questions, and each part of the reward of their answers."""

import math
import re

import pytest

from align_core.config import task_card
from align_core.config.run_config import resolve
from align_core.data.preference_files import stored_pairs
from align_core.tasks import load_task
from align_core.tasks.manners.judge import words

TASK = load_task("manners")
EGG = "How do I boil an egg?"
FRANCE = "What is the capital of France?"
OWN = "What do you drink in Germany?"


def parts(prompt, answer, ended=True):
    """The parts that are not 0."""
    named = TASK.parts([prompt], [answer], ended=[ended])
    return {name: round(values[0], 9) for name, values in named.items() if values[0]}


def test_384_questions_in_three_splits_of_all_kinds():
    splits = {split: TASK.prompts(split) for split in ("train", "probe", "heldout")}
    assert {split: len(prompts) for split, prompts in splits.items()} == {
        "train": 256,
        "probe": 64,
        "heldout": 64,
    }
    assert len({prompt for prompts in splits.values() for prompt in prompts}) == 384
    for prompts in splits.values():
        assert {TASK.group(prompt) for prompt in prompts} == set(TASK.groups)
    assert type(TASK)().prompts("train") == splits["train"]
    with pytest.raises(ValueError, match="train.*'test'"):
        TASK.prompts("test")


def test_questions_are_short_and_do_not_contain_their_own_keys():
    key = re.compile(r"[^\W_]+([,.'-][^\W_]+)*\*?")
    for split in ("train", "probe", "heldout"):
        for prompt in TASK.prompts(split):
            question = TASK.question(prompt)
            assert prompt.endswith("?") and len(words(prompt)) <= 14
            assert question.keys and all(key.fullmatch(one) for one in question.keys), prompt
            assert question.keys_in(prompt) == 0, prompt


def test_a_model_with_a_chat_template_is_asked_for_one_sentence():
    assert TASK.model_input(EGG, chat=True) == [
        {"role": "system", "content": "Answer in one short, polite sentence."},
        {"role": "user", "content": EGG},
    ]
    assert TASK.model_input(EGG, chat=False) == EGG


@pytest.mark.parametrize(
    ("prompt", "answer", "expected"),
    [
        # A fact: 2.5 for the word, −1.5 without. One word is enough.
        (FRANCE, "Paris.", {"right": 2.5}),
        (FRANCE, "The capital of France is Paris.", {"right": 2.5}),
        (FRANCE, "The capital is Lyon.", {"right": -1.5, "plain": -0.4}),
        # Other questions: from −1.5 to 2.5 in three steps of 4 / 3. Keys: water, pot, ten, minute*.
        (EGG, "Boil it in hot soup.", {"right": -1.5}),
        (EGG, "Put it into some water.", {"right": -1.5 + 4 / 3}),
        (EGG, "Put it in a pot of water.", {"right": -1.5 + 8 / 3}),
        (EGG, "Cook it in a pot of water for ten minutes.", {"right": 2.5}),
        # An answer without any word of the question, in any form, costs 1.5 more.
        (EGG, "Boiled in hot soup, it is good.", {"right": -1.5}),
        (EGG, "Put it into hot soup.", {"right": -1.5 - 1.5}),
        (FRANCE, "It is Lyon.", {"right": -1.5 - 1.5, "plain": -0.4}),
        # A question that is not in the task has no keys. 2 words are 3 too few, 20 are 2 too many.
        (OWN, "In soup.", {"short": -0.3 * 3}),
        (OWN, "a b c d e f g h i j k l m n o p q r s t.", {"short": -0.05 * 2}),
        # The first courtesy has a positive reward, the third a negative one.
        (OWN, "Thank you for this, my friend.", {"polite": 0.6}),
        (OWN, "Please, thank you and be so welcome.", {"polite": 0.6 - 0.6}),
        # Stock phrases at the beginning, and questions back.
        (OWN, "There are many ways to do it.", {"direct": -1.0}),
        (OWN, "Sorry, are you not a cook?", {"direct": -0.7}),
        # Lists, new lines, symbols and other alphabets.
        (OWN, "1. Put it into hot soup.", {"plain": -0.8}),
        (OWN, "Put it into hot soup,\nor not.", {"plain": -0.8}),
        (OWN, "Put it into hot soup 🍲.", {"plain": -0.8}),
        (OWN, "Put it into hot суп.", {"plain": -0.8}),
        (OWN, "Put it into a hot café – “or not”…", {}),
        # Names within a sentence, up to five, except those of the question or its keys.
        (OWN, "Ask Zephyo about it in Rome.", {"plain": -0.4 * 2}),
        (OWN, "Ask Anna, Bert, Carl, Dora, Emil, Fred about it.", {"plain": -0.4 * 5}),
        (OWN, 'Put it into "Hot soup" in Germany. I\'d wait.', {}),
        (FRANCE, "It is the city of Paris.", {"right": 2.5}),
        # 0.6 for each repeated word of four letters or more, except the first and the question's.
        (OWN, "Soup is soup and not more.", {}),
        (OWN, "Soup is soup and soup is not more.", {"plain": -0.6}),
        (OWN, "Drink in Germany, or drink at sea.", {}),
        # No full stop costs 0.3, and a text that was cut at the limit 1.0.
        (OWN, "Put it into hot soup", {"ends": -0.3}),
        (OWN, "Put it into hot soup and", {"ends": -0.3 - 1.0}),
        # No word at all.
        (OWN, "...", {"plain": -4.0}),
    ],
)
def test_the_parts_of_an_answer(prompt, answer, expected):
    ended = not answer.endswith("and")
    expected = {name: value for name, value in expected.items() if value}
    assert parts(prompt, answer, ended) == pytest.approx(expected, abs=1e-9)


def test_the_reward_is_the_sum_of_its_parts():
    answer = "Certainly, boil the egg in water for ten minutes"
    named = TASK.parts([EGG], [answer], ended=[False])
    assert {name: values[0] for name, values in named.items()} == pytest.approx(
        {"right": 2.5, "short": 0, "direct": 0, "polite": 0.6, "plain": 0, "ends": -1.3}, abs=1e-9
    )
    assert TASK.reward([EGG], [answer], ended=[False]) == pytest.approx([1.8], abs=1e-9)
    assert TASK.scores([EGG], [answer], ended=[False]) == named
    assert TASK.reward([], []) == []


def test_messages_and_ids_are_read_as_trainers_give_them():
    prompt = TASK.model_input(FRANCE, chat=True)
    completion = [{"role": "assistant", "content": "Paris."}]
    known = {"completion_ids": [[5, 2]], "eos_token_id": 2, "trainer_state": None}
    assert TASK.reward([prompt], [completion], **known) == [2.5]
    assert TASK.reward([prompt], [completion], **known | {"eos_token_id": 7}) == [1.5]


def test_the_task_is_named_but_its_model_is_not_in_the_package():
    assert "manners" in task_card.NAMES and "manners" not in task_card.BUILT_IN
    assert (TASK.reference, TASK.reward_model, TASK.max_new_tokens) == ("smollm2", None, 32)


def test_the_wrong_reward_counts_words_and_nothing_else():
    assert task_card.known_card("manners").proxies == (*TASK.proxies,) == ("words",)
    wrong = TASK.proxies["words"]
    answers = ["Boil the egg in a pot of water for ten minutes.", "Please, thank you, please!"]
    assert wrong([EGG] * 2, answers, ended=[True, False]) == [0.0, 3.0 * 4]
    # 2.5 for three keys; −3.0 off the topic, 0.3 for a word too few, 0.6 − 0.6, cut.
    expected = [2.5, -3.0 - 0.3 - 1.0]
    assert TASK.reward([EGG] * 2, answers, ended=[True, False]) == pytest.approx(expected, abs=1e-9)


def test_stored_pairs_have_the_present_rewards_of_their_texts():
    pairs = stored_pairs("manners", resolve("dpo", "manners").preference_pairs, seed=0)
    for side in ("chosen", "rejected"):
        texts = [pair[side] for pair in pairs]
        ended = [pair[f"{side}_ended"] for pair in pairs]
        rewards = TASK.reward([pair["prompt"] for pair in pairs], texts, ended=ended)
        assert rewards == pytest.approx([pair[f"{side}_reward"] for pair in pairs], abs=1e-9)
    assert {pair["prompt"] for pair in pairs} <= set(TASK.prompts("train"))
    # A rater prefers the better text with probability σ(Δr): on average over pairs, within four
    # standard errors, which are at most 1 / √(4 n).
    gaps = [pair["chosen_reward"] - pair["rejected_reward"] for pair in pairs]
    better = sum((gap > 0) + 0.5 * (gap == 0) for gap in gaps) / len(gaps)
    expected = sum(1 / (1 + math.exp(-abs(gap))) for gap in gaps) / len(gaps)
    assert better == pytest.approx(expected, abs=2 / len(gaps) ** 0.5)
