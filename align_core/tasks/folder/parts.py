"""The kinds of parts of a reward, each a table [[reward]] of task.toml.

A part contributes its `weight` times the score that its docstring defines. All except the reward
model are pure functions of the text. Their time is linear in the text, also for untrusted patterns
and texts.
"""

from __future__ import annotations

import importlib
import json
import math
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from align_core.config.messages import Invalid, problem
from align_core.data.formats import Messages

# The marks above, below and beside letters that Unicode writes separately: vowels of Hindi.
_MARKS = "".join(filter(lambda char: unicodedata.category(char)[0] == "M", map(chr, range(2**16))))
_LETTERS = rf"[^\W_]+(?:[{_MARKS}]+[^\W_]*)*"
_WORD = re.compile(rf"{_LETTERS}(?:['-]{_LETTERS})*")
_PART_NAME = r"^[a-z][a-z0-9_]*$"
_CLOSING = "\"'”’»)]}*_` \t\n"  # characters that may follow the final mark of a sentence
_REWARD_MODEL = "align_core.models.reward_parts:scorer"  # needs torch


@dataclass(frozen=True)
class Completion:
    """A completion to score.

    Args:
        messages: the prompt, with the system prompt.
        ended: whether it ended by itself, not at the token limit.
        row: the other columns of the prompt's row; empty for a prompt that the task does not have.
    """

    messages: Messages
    text: str
    ended: bool
    row: Mapping[str, Any] = field(default_factory=dict)


def _check_weight(weight: float) -> float:
    if weight == 0:
        raise ValueError("expected a weight other than 0, got 0")
    return weight


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    name: str | None = Field(
        None, pattern=_PART_NAME, max_length=40, description="a name of a-z, 0-9 and _"
    )
    weight: Annotated[
        float,
        AfterValidator(_check_weight),
        Field(allow_inf_nan=False, ge=-1e6, le=1e6, description="a number, -1e6 to 1e6, not 0"),
    ] = 1.0

    @property
    def label(self) -> str:
        """The name of its metric and column."""
        return self.name or self.kind  # type: ignore[attr-defined]  # each kind declares it

    def score(self, completion: Completion) -> float:
        """The score of a completion before the weight; NaN if unknown."""
        raise NotImplementedError

    def scores(self, completions: Sequence[Completion]) -> list[float]:
        """`score` of each completion."""
        return [self.score(completion) for completion in completions]


_Count = Annotated[int, Field(ge=1, le=100_000)]
_COUNTED = "a whole number of words from 1"


class Length(_Part):
    """−|words − aim| / aim, and −(words − most) / most for a text of more than `most` words."""

    kind: Literal["length"]
    aim: _Count | None = Field(None, description=_COUNTED)
    most: _Count | None = Field(None, description=_COUNTED)

    @model_validator(mode="after")
    def _check_limits(self) -> Length:
        if self.aim is None and self.most is None:
            raise Invalid(problem("aim_or_most", "expected aim or most"))
        if self.aim and self.most and self.aim > self.most:
            text = "expected an aim of at most {most}, got {got}"
            raise Invalid(problem("aim_above_most", text, most=self.most, got=self.aim))
        return self

    def score(self, completion: Completion) -> float:
        count, penalty = len(words(completion.text)), 0.0
        if self.aim is not None:
            penalty += abs(count - self.aim) / self.aim
        if self.most is not None:
            penalty += max(count - self.most, 0) / self.most
        return -penalty


def _check_phrases(entries: tuple[str, ...]) -> tuple[str, ...]:
    for entry in entries:
        if not words(entry):
            raise Invalid(problem("no_words", "expected words, got {got}", got=repr(entry)))
    return entries


_Words = Annotated[
    tuple[str, ...],
    AfterValidator(_check_phrases),
    Field(strict=False, max_length=20_000, description="a list of words, or of phrases of words"),
]


class Words(_Part):
    """n / (1 + |n|), with n the number of wanted minus unwanted words or phrases: 1/2 for one, 2/3
    for two. A `lexicon` adds the sentiment of the text, from -1 to 1."""

    kind: Literal["words"]
    wanted: _Words = ()
    unwanted: _Words = ()
    lexicon: Literal["vader"] | None = Field(
        None, description='"vader", a lexicon of English sentiment'
    )

    @model_validator(mode="after")
    def _check_words(self) -> Words:
        if not self.wanted and not self.unwanted and self.lexicon is None:
            raise Invalid(problem("wanted_or_unwanted", "expected wanted, unwanted or lexicon"))
        wanted, unwanted = ({*map(_phrase, part)} for part in (self.wanted, self.unwanted))
        if both := sorted(wanted & unwanted):
            text = "expected words that are either wanted or unwanted, got {got} as both"
            raise Invalid(problem("both_words", text, got=repr(" ".join(both[0]))))
        return self

    def score(self, completion: Completion) -> float:
        balance = 0
        if self.wanted or self.unwanted:
            values, longest = _values(self.wanted, self.unwanted)
            spoken = words(completion.text)
            balance = sum(
                values.get(tuple(spoken[start : start + size]), 0)
                for size in range(1, longest + 1)
                for start in range(len(spoken) - size + 1)
            )
        sentiment = 0.0
        if self.lexicon is not None:
            from vader import polarity_scores  # Hutto & Gilbert 2014, its "compound"

            sentiment = polarity_scores(completion.text)["compound"]
        return balance / (1 + abs(balance)) + sentiment


class Pattern(_Part):
    """1 if the text matches the pattern, in RE2's syntax, anywhere, else 0."""

    kind: Literal["pattern"]
    pattern: Annotated[
        str,
        AfterValidator(lambda pattern: _compiled(pattern) and pattern),
        Field(min_length=1, max_length=1000, description="a regular expression in RE2's syntax"),
    ]

    def score(self, completion: Completion) -> float:
        return float(_compiled(self.pattern).search(completion.text) is not None)


class Ends(_Part):
    """1 if the text ended by itself and its last character, except closing quotes and brackets, is
    one of `marks`, else 0. Without marks the last character does not matter."""

    kind: Literal["ends"]
    marks: str = Field(".!?…。！？", max_length=100, description="a text of at most 100 marks")

    def score(self, completion: Completion) -> float:
        text = completion.text.rstrip(_CLOSING)
        return float(completion.ended and (not self.marks or text[-1:] in [*self.marks]))


class Repetition(_Part):
    """Minus the share of runs of `n` words that are repetitions: from 0 to -1."""

    kind: Literal["repetition"]
    n: int = Field(3, ge=1, le=20, description="a whole number of words from 1 to 20")

    def score(self, completion: Completion) -> float:
        spoken = words(completion.text)
        runs = Counter(tuple(spoken[i : i + self.n]) for i in range(len(spoken) - self.n + 1))
        return len(runs) / runs.total() - 1 if runs else 0.0


class Answer(_Part):
    """1 if the text equals or contains the prompt's answer, or one of a list of answers, else 0.

    Case, repeated spaces, and punctuation around text and answer are ignored.
    """

    kind: Literal["answer"]
    column: str = Field(
        "answer", min_length=1, description="the name of a column of the prompts' rows"
    )
    match: Literal["equals", "contains"] = Field("equals", description='"equals" or "contains"')

    def score(self, completion: Completion) -> float:
        if self.column not in completion.row:
            return math.nan
        text = _plain(completion.text)
        right = [_plain(answer) for answer in self.answers(completion.row)]
        if self.match == "equals":
            return float(text in right)
        return float(any(_contains(text, answer) for answer in right))

    def answers(self, row: Mapping[str, Any]) -> list[str]:
        """The right answers of a row. Raises Invalid without a valid one."""
        value = row.get(self.column)
        answers = value if isinstance(value, list) else [value]
        if not answers or not all(isinstance(answer, str | int | float) for answer in answers):
            text = "{column}: expected a text, a number or a list of them"
            raise Invalid(problem("answer", text, column=self.column))
        texts = [text for answer in answers for text in _written(answer)]
        if not texts or not all(map(_plain, texts)):
            text = "{column}: expected an answer, got an empty one"
            raise Invalid(problem("empty_answer", text, column=self.column))
        return texts


class Json(_Part):
    """1 if the text is valid JSON (RFC 8259), else 0."""

    kind: Literal["json"]

    def score(self, completion: Completion) -> float:
        try:
            json.loads(completion.text, parse_constant=_no_json)
        except (ValueError, RecursionError):
            return 0.0
        return 1.0


class RewardModel(_Part):
    """The output of a reward model, which encodes the text with its own tokenizer."""

    kind: Literal["reward_model"]
    model: str = Field(
        min_length=1, description="an embedded reward model, a model in the folder, or a hub id"
    )

    def scores(self, completions: Sequence[Completion]) -> list[float]:
        return _scorer(self.model)(completions)


_PARTS = (Length, Words, Pattern, Ends, Repetition, Answer, Json, RewardModel)
KINDS = {get_args(kind.model_fields["kind"].annotation)[0]: kind for kind in _PARTS}
Part = Annotated[
    Length | Words | Pattern | Ends | Repetition | Answer | Json | RewardModel,
    Field(discriminator="kind"),
]


def words(text: str) -> list[str]:
    """The words of a text, case-folded: runs of letters and digits, with - and ' within. Equal
    letters and apostrophes that Unicode writes in two ways are equal here."""
    return _WORD.findall(_folded(text).replace("’", "'"))


def _folded(text: str) -> str:
    return unicodedata.normalize("NFC", text).casefold()


def _phrase(entry: str) -> tuple[str, ...]:
    return tuple(words(entry))


@lru_cache(maxsize=64)
def _values(wanted: tuple[str, ...], unwanted: tuple[str, ...]) -> tuple[dict, int]:
    """Phrase -> 1 if wanted, −1 if unwanted; and the number of words of the longest phrase."""
    values = dict.fromkeys(map(_phrase, wanted), 1) | dict.fromkeys(map(_phrase, unwanted), -1)
    return values, max(map(len, values))


@lru_cache(maxsize=64)
def _compiled(pattern: str) -> Any:
    """Compile a pattern with RE2 (github.com/google/re2), whose time is linear in the text for any
    pattern: it has no backreferences or look-around, and limits memory."""
    import re2

    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        reason = error.args[0]
        reason = reason.decode(errors="replace") if isinstance(reason, bytes) else reason
        text = "expected a regular expression in RE2's syntax: {why}"
        raise Invalid(problem("re2", text, why=reason)) from None


@lru_cache(maxsize=64)
def _scorer(model: str) -> Callable[[Sequence[Completion]], list[float]]:
    module, _, function = _REWARD_MODEL.partition(":")
    return getattr(importlib.import_module(module), function)(model)


def _written(answer: Any) -> list[str]:
    """The ways in which a text may write an answer: 42.0, from a table's column of numbers, also
    as 42. A missing number, NaN, is an empty text."""
    if not isinstance(answer, float):
        return [str(answer)]
    if math.isnan(answer):
        return [""]
    return [str(answer), *([str(int(answer))] if answer.is_integer() else [])]


def _plain(text: str) -> str:
    """An answer, case-folded, with single spaces and without punctuation around it."""
    return " ".join(_folded(text).split()).strip(" .,;:!?\"'`“”‘’()[]*")


def _contains(text: str, answer: str) -> bool:
    """Whether the text contains the answer, not as a part of another word or number."""
    start = text.find(answer)
    while start >= 0:
        before, after = text[max(start - 2, 0) : start], text[start + len(answer) :][:2]
        inside = before[-1:].isalnum() or after[:1].isalnum()
        in_number = re.search(r"(\d[.,]|-)$", before) and answer[:1].isdigit()
        in_number = in_number or (re.match(r"[.,]\d", after) and answer[-1:].isdigit())
        if not inside and not in_number:
            return True
        start = text.find(answer, start + 1)
    return False


def _no_json(constant: str) -> None:
    raise ValueError(f"expected JSON, got {constant}")
