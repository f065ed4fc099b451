"""Scores of texts by each part of a reward, computed by the code that training uses."""

from __future__ import annotations

import math
from typing import Any

from align_core.config.messages import Message
from align_core.tasks.folder import schema
from align_core.tasks.folder.parts import Completion, RewardModel


def scores(parts: list[dict[str, Any]], prompt: str, texts: list[str]) -> list[dict[str, Any]]:
    """For each part its `scores` of the texts, before its weight, and its `errors`.

    A score is None if it cannot be computed here: that of a part that needs the answer in a
    prompt's row, or of a reward model. The `scores` of a part with errors are all None.
    """
    content = {"title": "-", "explanation": "-", "max_new_tokens": 1, "reward": parts}
    errors: dict[int, list[Message]] = {}

    def report(path: schema.KeyPath, message: Message) -> None:
        if len(path) > 1 and isinstance(path[1], int):
            errors.setdefault(path[1], []).append(message)

    schema.checked({**content, "prompts": {"file": "-"}}, report)
    messages = [{"role": "user", "content": prompt}]
    completions = [Completion(messages, text, ended=True) for text in texts]
    return [
        {
            "scores": [None] * len(texts)
            if part is None or at in errors or isinstance(part, RewardModel)
            else [None if math.isnan(score) else score for score in part.scores(completions)],
            "errors": errors.get(at, []),
        }
        for at, part in enumerate(schema.readable_part(content).reward)
    ]
