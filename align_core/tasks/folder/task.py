"""A task in a folder: prompts and rows from files, and a gold reward that is a sum of parts."""

from __future__ import annotations

import copy
import math
import random
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from align_core.config.errors import ConfigError
from align_core.config.messages import plain
from align_core.data.formats import Messages, Text
from align_core.tasks.folder.contents import Contents, Prompt, read, text_of
from align_core.tasks.folder.parts import Completion
from align_core.tasks.task import Rows, Task, have_ended

_NOT_IN_A_NAME = re.compile(r"[^a-z0-9]+")


class FolderTask(Task):
    """The task in `folder`.

    Its reward is in points, the weighted sum of its parts; `scaled` converts it to nats. Without
    parts it is unknown, NaN.

    Raises:
        ConfigError: one message for each error in the folder, which begins with `option`.
    """

    def __init__(self, folder: str | Path, option: str = "") -> None:
        path = Path(folder).expanduser()
        self._contents: Contents = read(path, option)
        file = self._contents.file
        self.folder: str = str(path.resolve())
        self.name = _NOT_IN_A_NAME.sub("_", path.resolve().name.lower()).strip("_") or "task"
        if not self.name[0].isalpha():
            self.name = f"task_{self.name}"
        self.title, self.explanation = file.title, file.explanation
        self.max_new_tokens = file.max_new_tokens
        self.reward_std = file.reward_std if file.reward else None
        self.has_gold = bool(file.reward)
        self._scale = 1.0  # nats per point
        self._prompts: dict[str, Prompt] = self._contents.prompts
        self.demonstrations = _drawn_from(self._contents.demonstrations)
        self.preferences = _drawn_from(self._contents.preferences)

    @property
    def pairs(self) -> int:
        """The number of the task's pairs for training."""
        return len(self._contents.preferences or ())

    def prompts(self, split: str) -> list[str]:
        return [*self._contents.splits[split]]

    def origin(self, prompt: str) -> str:
        """The file and line of a prompt: "prompts.csv, line 3"."""
        return str(Path(self.folder, self._prompts[prompt].place.text))

    def as_messages(self, prompt: str) -> Messages:
        """The prompt as messages, after the task's system prompt unless it has its own.

        A prompt that is not the task's becomes a message of the user.
        """
        known = self._prompts.get(prompt)
        messages = known.messages if known else [{"role": "user", "content": prompt}]
        system = self._contents.file.system_prompt
        if system is None or messages[0]["role"] == "system":
            return messages
        return [{"role": "system", "content": system}, *messages]

    def model_input(self, prompt: str, chat: bool) -> Text:
        messages = self.as_messages(prompt)
        return messages if chat else as_plain_text(messages)

    def scaled(self, nats: float) -> FolderTask:
        """The task with rewards in nats: one point is worth `nats`."""
        task = copy.copy(self)
        task._scale = nats
        return task

    def reward(
        self, prompts: Sequence[Text], completions: Sequence[Text], **columns: Any
    ) -> list[float]:
        parts = self.parts(prompts, completions, **columns)
        if not parts:
            return [math.nan] * len(completions)
        return [sum(values) for values in zip(*parts.values(), strict=True)]

    def parts(
        self, prompts: Sequence[Text], completions: Sequence[Text], **columns: Any
    ) -> dict[str, list[float]]:
        weights = {part.label: self._scale * part.weight for part in self._contents.file.reward}
        scores = self.scores(prompts, completions, **columns)
        return {name: [weights[name] * v for v in values] for name, values in scores.items()}

    def scores(
        self, prompts: Sequence[Text], completions: Sequence[Text], **columns: Any
    ) -> dict[str, list[float]]:
        """The score of each part for the texts, before weight and scale; NaN if unknown."""
        known = ("ended", "completion_ids", "eos_token_id")
        ended = have_ended(completions, **{k: v for k, v in columns.items() if k in known})
        texts = [
            self._with_row(prompt, completion, has_ended)
            for prompt, completion, has_ended in zip(prompts, completions, ended, strict=True)
        ]
        return {part.label: part.scores(texts) for part in self._contents.file.reward}

    def _with_row(self, prompt: Text, completion: Text, ended: bool) -> Completion:
        text = completion if isinstance(completion, str) else completion[-1]["content"]
        text = text.encode(errors="replace").decode()  # replaces lone surrogates
        task_prompt = self._prompt_of(prompt)
        known = self._prompts.get(task_prompt)
        return Completion(self.as_messages(task_prompt), text, ended, known.row if known else {})

    def _prompt_of(self, model_input: Text) -> str:
        """The prompt of a model input: the inverse of `model_input`."""
        system = self._contents.file.system_prompt
        if isinstance(model_input, str):
            return model_input if system is None else model_input.removeprefix(f"{system}\n\n")
        messages = [
            {"role": message["role"], "content": message["content"]} for message in model_input
        ]
        if messages[0] == {"role": "system", "content": system}:
            messages = messages[1:]
        return text_of(messages)


def as_plain_text(messages: Messages) -> str:
    """The input of a model without a chat template: one message, after a system prompt if any.

    Raises:
        ConfigError: there are several messages.
    """
    *before, _ = messages
    if [message["role"] for message in before] not in ([], ["system"]):
        shown = text_of(messages)
        shown = " ".join(shown[:60].split())
        line = f"expected a model with a chat template for a prompt of several messages: {shown!r}…"
        raise ConfigError(plain(line))
    return "\n\n".join(message["content"] for message in messages)


def _drawn_from(rows: list[dict[str, str]] | None) -> Rows | None:
    """f(n, seed) -> a random sample of at most `n` rows; None if there are no rows."""
    if rows is None:
        return None
    return lambda n, seed: random.Random(seed).sample(rows, min(n, len(rows)))
