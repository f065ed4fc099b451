"""Rows of prompts for a query: repeated, encoded, and with the rewards of responses to them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from align_core.config.errors import ConfigError, option_error
from align_core.data.encoding import Prompts, encode_prompts
from align_core.data.formats import Text
from align_core.inference.loaded import LoadedModels
from align_core.models.prompts import model_inputs, room_for
from align_core.models.sampling import Responses
from align_core.tasks.task import Task


@dataclass(frozen=True)
class PromptRows:
    """Prompts, each repeated `n` times: as texts, as model inputs, and encoded. Its methods compute
    the rewards of responses to these rows."""

    task: Task
    loaded: LoadedModels
    prompts: list[str]
    inputs: list[Text]
    encoded: Prompts

    @classmethod
    def of(cls, task: Task, loaded: LoadedModels, prompts: list[str], n: int) -> PromptRows:
        """`n` rows for each prompt. Raises ConfigError if one is empty, or too long."""
        inputs = model_inputs(loaded.tokenizer, task, prompts)
        encoded = encode_prompts(loaded.tokenizer, inputs)
        room = room_for(task.max_new_tokens, loaded.policy)
        for prompt, length in zip(prompts, encoded.mask.sum(1).int().tolist(), strict=True):
            check_length("--prompt", prompt, length, room)
        rows = [prompt for prompt in prompts for _ in range(n)]
        row_inputs = [model_input for model_input in inputs for _ in range(n)]
        return cls(task, loaded, rows, row_inputs, encoded.repeat(n))

    def gold_rewards(self, responses: Responses) -> list[float]:
        ended = responses.ended.tolist()
        return self.task.reward(self.prompts, self._texts(responses), ended=ended)

    def proxy_rewards(self, responses: Responses) -> Sequence[float | None]:
        return self.loaded.proxy_rewards(self.inputs, self._texts(responses), responses.ids())

    def scored(self, responses: Responses) -> list[dict[str, Any]]:
        """Each prompt with its completion and both rewards."""
        return [
            {
                "prompt": prompt,
                "completion": text,
                "ended": ended,
                **gold_facts(reward=gold, judged=self.task.can_judge(prompt)),
                "proxy_reward": proxy,
            }
            for prompt, text, ended, gold, proxy in zip(
                self.prompts,
                self._texts(responses),
                responses.ended.tolist(),
                self.gold_rewards(responses),
                self.proxy_rewards(responses),
                strict=True,
            )
        ]

    def _texts(self, responses: Responses) -> list[str]:
        return responses.texts(self.loaded.tokenizer, self.encoded)


def gold_facts(reward: float, judged: bool) -> dict[str, Any]:
    """The gold reward of a text, None if it is unknown; and "judged": False if the task's reward
    cannot judge the text."""
    gold = {"gold_reward": None if math.isnan(reward) else reward}
    return gold if judged else {**gold, "judged": False}


def check_length(option: str, text: str, tokens: int, room: float) -> None:
    """Raise ConfigError unless `tokens` is at least 1 and at most `room`."""
    if not 0 < tokens <= room:
        expected = f"a text of 1 to {room:.0f} tokens; this one has {tokens}"
        line = option_error(option, text, expected, "length", most=int(room), tokens=tokens)
        raise ConfigError(line)
