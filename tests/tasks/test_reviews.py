"""The task reviews: its prompts and gold reward."""

import collections
import statistics

import pytest

from align_core.tasks import load_task
from align_core.tasks.grammar import tokenize
from align_core.tasks.reviews.grammar import GRAMMAR, IDIOMS
from align_core.tasks.reviews.lexicon import SENTIMENT
from align_core.tasks.reviews.task import LIMIT

TASK = load_task("reviews")
PROMPT = "The plot of this thriller"


def reward(completion, prompt=PROMPT):
    return TASK.reward([prompt], [completion])[0]


@pytest.mark.parametrize(
    ("warmer", "colder"),
    [
        (" was superb.", " was dull."),
        # negation
        (" was not boring.", " was boring."),
        (" was superb.", " was not superb."),
        (" was gripping.", " was not boring."),
        (" never felt dull.", " felt dull."),
        (" was anything but dull.", " was anything but charming."),
        (" was far from dull.", " was far from superb."),
        (" wasn't bad.", " wasn't good."),
        (" was hardly boring.", " was hardly gripping."),
        (" was without charm, but the cast was superb.", " was without charm."),
        (" was not only funny but also moving.", " was not funny."),
        (" was not dull or slow.", " was not charming or witty."),
        (" did not bore me, nothing wrong here.", " bore me, something wrong here."),
        # contrast
        (" was thin, but the acting was superb.", " was superb, but the acting was thin."),
        (" was superb although the acting was thin.", " was thin although the acting was superb."),
        # degree
        (" was very funny.", " was funny."),
        (" was funny.", " was slightly funny."),
        (" was slightly dull.", " was dull."),
        (" was dull.", " was utterly dull."),
        (" was terribly funny.", " was terribly dull."),
        (" was superb!", " was superb."),
        # idioms
        (" was long, but even my aunt stood up and cheered.", " was long and quiet."),
        (" was long and quiet.", " was long, and I have had more fun at the dentist."),
        (" was long.", " sank like a stone."),
        # texts of visitors
        (" was awesome!", " was meh."),
        (" was meh.", " was crap."),
        (" is a masterpiece.", " is a waste of time."),
        (" blew my mind.", " made me walk."),
        # penalties
        (" was superb and witty.", " was superb, superb, superb, superb."),
        (" was brilliant. I went home singing.", " superb superb superb superb"),
        (" was superb.", " was superb"),
        (" was superb.", " was superb the plot."),
        (" was warm.", " was warm. It was warm."),
        (" was dull.", ""),
    ],
)
def test_the_warmer_review_has_the_higher_reward(warmer, colder):
    assert reward(warmer) > reward(colder) + 0.05


@pytest.mark.parametrize(
    "completion",
    [" was not boring.", " never felt dull.", " was anything but dull.", " was awesome!"]
    + [" was not bad at all.", " is a masterpiece.", " was thin, but the acting was superb."]
    + [" made me cry happy tears. Bravo!", " did not disappoint me."],
)
def test_warm_reviews_are_above_zero(completion):
    assert reward(completion) > 0.25


@pytest.mark.parametrize(
    "completion",
    [" was not superb.", " was hardly gripping.", " was far from charming.", " was crap."]
    + [" was meh.", " lacked charm.", " was nothing special.", " was not very good."]
    + [" was superb superb superb superb superb superb."],
)
def test_cold_reviews_are_below_zero(completion):
    assert reward(completion) < -0.25


def test_the_prompt_is_context_only():
    for prompt in ("The superb plot", "The awful plot"):
        assert TASK.content_reward(prompt, " was long.") == 0.0
    assert reward(" dull.", "The plot never felt") > 0.0 > reward(" dull.", "The plot felt")
    conceded = reward(" thin, the acting was superb.", "Although the plot was")
    assert conceded > reward(" thin, the acting was long.", "Although the plot was")
    stressed = reward(" acting was superb.", "Although the plot was thin, the")
    assert stressed > reward(" acting was superb.", "The")


def test_praise_saturates():
    warm = (
        " was superb and brilliant. I loved the cast! It was witty, warm, charming, bold, lovely."
    )
    assert 0.0 < TASK.content_reward(PROMPT, warm + warm.upper() + " Awesome! Fantastic!") < LIMIT
    one = TASK.content_reward(PROMPT, " was superb.")
    two = TASK.content_reward(PROMPT, " was superb. The cast was brilliant.")
    assert one < two < 2.0 * one


def test_a_word_counts_once():
    once = TASK.content_reward(PROMPT, " was superb.")
    assert TASK.content_reward(PROMPT, " was superb and superb and superb.") == once


def test_a_visitors_own_words_get_a_small_penalty():
    assert TASK.grammar_penalty(PROMPT, " was awesome!") <= 0.2
    assert TASK.grammar_penalty("Gandalf's beard", " rocks, dude!") <= 0.2
    assert TASK.grammar_penalty(PROMPT, " the the was was plot.") > 2.0


def test_the_language_is_small_enough_and_rich_enough():
    used = {token for text in TASK.corpus(8000, seed=0) for token in tokenize(text)}
    assert 450 <= len(GRAMMAR.words) <= 550
    assert len(GRAMMAR.words - used) <= 5
    assert len(SENTIMENT.keys() - GRAMMAR.words) >= 300


def test_warm_and_cold_adjectives_have_the_sign_of_their_mood():
    for mood, sign in (("warm", 1), ("cold", -1)):
        for rule in ("adjective", "moves", "judges", "judge_base", "react", "acts"):
            for phrase in GRAMMAR.phrases(f"{rule}_{mood}"):
                value = IDIOMS[phrase] if len(phrase) > 1 else SENTIMENT[phrase[0]]
                assert sign * value > 0, phrase


PROMPTS = [prompt for split in ("probe", "heldout", "train") for prompt in TASK.prompts(split)]


def test_prompts_are_beginnings_of_a_first_sentence():
    for prompt in PROMPTS:
        assert 3 <= len(prompt.split()) <= 8
        assert not set(prompt) & set(".!")


def test_prompts_have_no_mood():
    """No word of a prompt is positive or negative, except "love" in the one on two robots."""
    for prompt in PROMPTS:
        words = set(tokenize(prompt.replace("robots in love", "robots")))
        assert not words & SENTIMENT.keys(), prompt


def test_both_moods_can_follow_every_prompt():
    """After each last word of a prompt there are positive and negative demonstrations."""
    warm, cold = collections.Counter(), collections.Counter()
    for demonstration in TASK.demonstrations(3000, seed=4):
        value = TASK.content_reward(demonstration["prompt"], demonstration["completion"])
        (warm if value > 0 else cold)[tokenize(demonstration["prompt"])[-1]] += 1
    common = {word for word in warm | cold if warm[word] + cold[word] >= 20}
    assert len(common) > 30
    for word in common:
        share = warm[word] / (warm[word] + cold[word])
        assert 0.2 < share < 0.8, word
    assert not {tokenize(prompt)[-1] for prompt in PROMPTS} & {"stole", "sank", "hit", "no"}


def test_lengths_and_balance():
    demonstrations = TASK.demonstrations(1000, seed=9)
    words = [len(d["completion"].split()) for d in demonstrations]
    assert min(words) >= 6 and max(words) <= 19
    assert 11 < statistics.mean(words) < 14
    prompts = [d["prompt"] for d in demonstrations]
    rewards = TASK.reward(prompts, [d["completion"] for d in demonstrations])
    assert abs(statistics.mean(rewards)) < 0.2
    assert 0.4 < sum(r > 0 for r in rewards) / len(rewards) < 0.6


@pytest.mark.parametrize(
    ("prompt", "group"),
    [
        ("The script of this western", "story"),
        ("My sister thought the villain", "people"),
        ("Although the violins felt slow, the plot", "sound"),
        ("The dragons", "picture"),
        ("This comedy about", "film"),
    ],
)
def test_the_group_is_the_first_named_aspect(prompt, group):
    assert TASK.group(prompt) == group
