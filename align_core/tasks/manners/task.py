"""Everyday questions to a real model: people prefer short, direct, polite and right answers."""

from __future__ import annotations

import random
import tomllib
from collections.abc import Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from align_core.config.task_card import known_card
from align_core.data.formats import Text
from align_core.tasks.manners.judge import Question, content, judge
from align_core.tasks.manners.wanted_words import wanted_words
from align_core.tasks.task import Task, have_ended

# Without it, the reference ends only one in ten answers to "How do I …?" within the token limit.
SYSTEM_PROMPT = "Answer in one short, polite sentence."
_CARD = known_card("manners")
_QUESTIONS = Path(__file__).with_name("questions.toml")


class Manners(Task):
    """384 questions in five kinds, and a gold reward that is a sum of parts (`judge`)."""

    name, title, explanation = _CARD.name, _CARD.title, _CARD.explanation
    reference, groups = _CARD.reference, _CARD.groups
    proxies = MappingProxyType({"words": wanted_words})
    max_new_tokens = 32

    def __init__(self) -> None:
        tables = tomllib.loads(_QUESTIONS.read_text(encoding="utf-8"))
        self._questions = {
            text: Question(text, kind, tuple(keys.casefold().split()))
            for kind, rows in tables.items()
            for text, keys in rows.items()
        }
        self._splits = self._split_prompts()

    def prompts(self, split: str) -> list[str]:
        """The prompts of "train", "probe" or "heldout"; raises ValueError for another name."""
        if split not in self._splits:
            raise ValueError(f"expected a split of {', '.join(self._splits)}, got {split!r}")
        return list(self._splits[split])

    def group(self, prompt: str) -> str:
        """The kind of a question; "" for a question that the task does not have."""
        return self.question(prompt).kind

    def model_input(self, prompt: str, chat: bool) -> Text:
        if not chat:
            return prompt
        system = {"role": "system", "content": SYSTEM_PROMPT}
        return [system, {"role": "user", "content": prompt}]

    def parts(
        self, prompts: Sequence[Text], completions: Sequence[Text], **columns: Any
    ) -> dict[str, list[float]]:
        known = ("ended", "completion_ids", "eos_token_id")
        ended = have_ended(completions, **{k: v for k, v in columns.items() if k in known})
        judged = [
            judge(self.question(content(prompt)), content(completion), has_ended)
            for prompt, completion, has_ended in zip(prompts, completions, ended, strict=True)
        ]
        return {name: [row[name] for row in judged] for name in judged[0]} if judged else {}

    def scores(
        self, prompts: Sequence[Text], completions: Sequence[Text], **columns: Any
    ) -> dict[str, list[float]]:
        """The parts, which have no weights."""
        return self.parts(prompts, completions, **columns)

    def reward(
        self, prompts: Sequence[Text], completions: Sequence[Text], **columns: Any
    ) -> list[float]:
        parts = self.parts(prompts, completions, **columns)
        return [sum(values) for values in zip(*parts.values(), strict=True)]

    def question(self, prompt: str) -> Question:
        """The question of a prompt; without a kind and keys if the task does not have it."""
        return self._questions.get(prompt, Question(prompt))

    def _split_prompts(self) -> dict[str, list[str]]:
        """Of six questions, shuffled within their kind, one is probe, one held-out, four train."""
        rng = random.Random("manners prompts")
        ordered: list[str] = []
        for kind in self.groups:
            texts = [text for text, question in self._questions.items() if question.kind == kind]
            ordered += rng.sample(texts, len(texts))
        return {
            "train": [text for i, text in enumerate(ordered) if i % 3],
            "probe": ordered[::6],
            "heldout": ordered[3::6],
        }
