"""Tasks whose texts a grammar writes: their splits and the common charges of their gold rewards."""

from __future__ import annotations

from abc import abstractmethod
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

from align_core.config.task_card import TaskCard
from align_core.tasks.grammar import PUNCTUATION, Grammar, join, tokenize
from align_core.tasks.task import Message, Task, have_ended

# Charges in nats, the same for all of them. A reference sample has a standard deviation of about
# 2 nats, so one broken sentence costs about as much as one wrong word of praise.
EMPTY = 4.0  # a completion without a word
UNENDED = 2.0  # cut at the token limit, or never sent off
REPEATED_WORD = 0.6  # each further use of a content word
REPEATED_TRIPLE = 0.6  # each further use of three words in a row
REPETITION_LIMIT = 4.0
BROKEN_PAIR = 0.7  # two words of content, or two without, that never stand side by side
BROKEN_SENTENCE = 0.8  # a sentence of known words that does not parse
STRANGE_SENTENCE = 0.2  # the same with words of a visitor's own
STRANGE_TEXT = 0.2  # sound sentences in an order that the grammar does not write
NO_FULL_STOP = 0.4
GRAMMAR_LIMIT = 3.0

# Words that carry a sentence rather than its content. They may come back without charge, and stand
# beside words of content that the grammar never puts them beside.
FUNCTION_WORDS = frozenset(
    """
    a all an and are as at be been but by can could did do does for from had has have he i in is
    it me my no not of on or so than that the them then there they this to was we were when where
    which will with would you some
    """.split()
)
_CONTENT_LENGTH = 4  # shorter words may come back without charge, too


class GrammarTask(Task):
    """A task whose texts a grammar writes: a corpus, demonstrations, and common charges.

    `prompts` gives three disjoint splits: train, probe (64) and heldout (128). What the program
    knows without running a task's code is on its card.
    """

    grammar: ClassVar[Grammar]
    repeatable: ClassVar[frozenset[str]] = frozenset()  # words that may come back once, free
    splits: dict[str, list[str]]

    def __init_subclass__(cls, card: TaskCard) -> None:
        for known in ("name", "title", "explanation", "reference", "reward_model", "groups"):
            setattr(cls, known, getattr(card, known))

    @abstractmethod
    def corpus(self, n: int, seed: int) -> list[str]:
        """`n` documents for pretraining, plain text."""

    @abstractmethod
    def content_reward(self, prompt: str, completion: str) -> float:
        """What the completion says, in nats, before the common charges."""

    def prompts(self, split: str) -> list[str]:
        """The prompts of "train", "probe" or "heldout"; raises ValueError for another name."""
        if split not in self.splits:
            raise ValueError(f"no split {split!r}: there are {', '.join(self.splits)}")
        return list(self.splits[split])

    def parses(self, prompt: str, completion: str) -> bool:
        """Whether prompt + completion is a whole text of the task's grammar, spaced as English is
        and with capitals where sentences start."""
        text = prompt + completion
        return is_well_written(text) and self.grammar.parses(self.tokens(text), "text")

    def tokens(self, text: str) -> list[str]:
        """What the grammar and the reward read."""
        return tokenize(text)

    def units(self, text: str) -> list[str]:
        """What must not come again: words, unless a task knows names of several words."""
        return self.tokens(text)

    def reward(
        self,
        prompts: Sequence[Message],
        completions: Sequence[Message],
        completion_ids: Sequence[Sequence[int]] | None = None,
        ended: Sequence[bool] | None = None,
        eos_token_id: int = 0,
        **_: Any,
    ) -> list[float]:
        """Gold rewards in nats, one for each completion; TRL's signature of a reward function.

        Prompts and completions are texts or lists of messages; `have_ended` tells which ended.
        """
        ended = have_ended(completions, completion_ids, ended, eos_token_id)
        return [
            self._reward(_content(prompt), _content(completion), done)
            for prompt, completion, done in zip(prompts, completions, ended, strict=True)
        ]

    def _reward(self, prompt: str, completion: str, ended: bool) -> float:
        unended = 0.0 if ended else UNENDED
        if PUNCTUATION.issuperset(self.tokens(completion)):
            return -EMPTY - unended
        return (
            self.content_reward(prompt, completion)
            - unended
            - repetition_charge(self.units(completion), self.repeatable)
            - self.grammar_charge(prompt, completion)
        )

    def grammar_charge(self, prompt: str, completion: str) -> float:
        """0 for a text of the grammar; otherwise what is broken, up to GRAMMAR_LIMIT.

        Words that the grammar does not know break no pair: a visitor may bring their own.
        """
        tokens = self.tokens(join_text(prompt, completion))
        if self.grammar.parses(tokens, "text"):
            return 0.0
        charge = 0.0 if tokens[-1] in ".!?" else NO_FULL_STOP
        start = len(self.tokens(prompt))
        words = self.grammar.words
        for left, right in zip(tokens[max(start - 1, 0) :], tokens[max(start, 1) :], strict=False):
            known = left in words and right in words
            alike = (left in FUNCTION_WORDS) == (right in FUNCTION_WORDS)
            charge += BROKEN_PAIR * (known and alike and (left, right) not in self.grammar.pairs)
        for end, sentence in sentences(tokens):
            if end > start and not self._is_sentence(sentence):
                strange = any(token not in words and token not in PUNCTUATION for token in sentence)
                charge += STRANGE_SENTENCE if strange else BROKEN_SENTENCE
        return min(max(charge, STRANGE_TEXT), GRAMMAR_LIMIT)

    def _is_sentence(self, sentence: list[str]) -> bool:
        """Whether the words before the end mark are a sentence, whatever the mark."""
        words = sentence[:-1] if sentence[-1] in ".!?" else sentence
        return not words or any(self.grammar.parses([*words, end], "sentence") for end in ".!?")


def join_text(prompt: str, completion: str) -> str:
    """The whole text; a visitor's completion may lack its leading space."""
    return prompt.rstrip() + " " + completion.lstrip()


def is_well_written(text: str) -> bool:
    """Whether spaces and the capitals of sentences stand where `join` writes them."""
    written = join(tokenize(text))
    return len(written) == len(text) and all(
        ours == theirs or (ours.islower() and ours == theirs.lower())
        for ours, theirs in zip(written, text, strict=True)
    )


def sentences(tokens: list[str]) -> Iterator[tuple[int, list[str]]]:
    """Each sentence and where it ends; split after full stop, exclamation and question mark."""
    start = 0
    for end, token in enumerate(tokens, start=1):
        if token in ".!?" or end == len(tokens):
            yield end, tokens[start:end]
            start = end


def repetition_charge(tokens: list[str], repeatable: frozenset[str] = frozenset()) -> float:
    """A charge for content words and for runs of three words that come again."""
    words = [token for token in tokens if token not in PUNCTUATION]
    content = [w for w in words if len(w) >= _CONTENT_LENGTH and w not in FUNCTION_WORDS]
    again = sum(
        max(times - (2 if word in repeatable else 1), 0) for word, times in Counter(content).items()
    )
    triples = [
        triple
        for triple in zip(words, words[1:], words[2:], strict=False)
        if not repeatable.issuperset(triple)
    ]
    charge = REPEATED_WORD * again
    charge += REPEATED_TRIPLE * (len(triples) - len(set(triples)))
    return min(charge, REPETITION_LIMIT)


def _content(message: Message) -> str:
    return message if isinstance(message, str) else message[-1]["content"]
