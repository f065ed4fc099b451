"""Grammars: the texts that they write and recognise."""

import random

import pytest

from align_core.tasks.grammar import Grammar, join, tokenize

RULES = """
text = 3 the <part> was <quality> . | I left !
part = plot | old song
quality = <adjective> | <adjective> and
  <adjective> | an <adjective> mess
adjective = dull | honest | odd
"""
GRAMMAR = Grammar(RULES)


def parses(text):
    return GRAMMAR.parses(tokenize(text), "text")


@pytest.mark.parametrize(
    "text",
    [
        "The plot was dull.",
        "The old song was dull and honest.",
        "The plot was an odd mess.",
        "The plot was a dull mess.",
        "the plot was an honest mess.",
        "I left!",
    ],
)
def test_a_grammar_recognises_its_own_texts(text):
    assert parses(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "The plot was.",
        "The plot was dull",
        "The plot was dull. I left!",
        "The plot was dull and.",
        "The song was dull.",
        "The plot was a odd mess.",
        "The plot was an dull mess.",
        "The plot was superb.",
    ],
)
def test_a_grammar_recognises_no_other_texts(text):
    assert not parses(text)


def test_everything_written_is_recognised_and_every_phrase_is_written():
    rng = random.Random(0)
    written = {GRAMMAR.generate("text", rng) for _ in range(2000)}
    assert all(parses(text) for text in written)
    assert {tuple(tokenize(text)) for text in written} == set(GRAMMAR.phrases("text"))
    # 2 parts × (3 + 3 × 3 + 3) qualities, plus one sentence
    assert len(written) == 31


def test_weights_are_frequencies():
    rng = random.Random(1)
    left = sum(GRAMMAR.generate("text", rng) == "I left!" for _ in range(4000))
    assert abs(left / 4000 - 0.25) < 4 * (0.25 * 0.75 / 4000) ** 0.5


def test_given_words_replace_a_rule():
    rng = random.Random(3)
    words = {"part": "long opera", "adjective": "slow"}
    written = {GRAMMAR.generate("text", rng, words) for _ in range(200)}
    assert written == {
        "I left!",
        "The long opera was slow.",
        "The long opera was slow and slow.",
        "The long opera was a slow mess.",
    }


def test_pairs_are_exactly_the_adjacent_tokens_of_all_texts():
    texts = GRAMMAR.phrases("text")
    seen = {pair for text in texts for pair in zip(text, text[1:], strict=False)}
    assert GRAMMAR.pairs == seen


def test_join_writes_english():
    tokens = "a honest film , a mess . I saw a one man show !".split()
    assert join(tokens) == "An honest film, a mess. I saw a one man show!"


def test_same_seed_same_text():
    first, again = random.Random(7), random.Random(7)
    assert GRAMMAR.generate("text", first) == GRAMMAR.generate("text", again)


@pytest.mark.parametrize(
    ("rules", "name"),
    [("text = the <plot> .", "<plot>"), ("text = a <text>", "<text>")],
)
def test_unknown_and_recursive_rules_are_refused(rules, name):
    with pytest.raises(ValueError, match=name):
        Grammar(rules)
