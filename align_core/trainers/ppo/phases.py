"""What PPO does at the moment, for a page that follows the training."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from transformers import PreTrainedTokenizerBase

from align_core.data.encoding import Prompts
from align_core.models.sampling import Responses


class Phases:
    """Calls `listener(phase, **details)`, if there is one, when a phase of PPO begins.

    writing:  `count` texts
    scoring:  `count` texts, with the `prompt` and the `text` of the first one
    updating: `count` updates on them
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self._tokenizer = tokenizer
        self.listener: Callable[..., Any] | None = None

    def write(self, prompts: Prompts) -> None:
        """Report that responses to these prompts are being written."""
        if self.listener is not None:
            self.listener("writing", count=len(prompts.ids))

    def score(self, prompts: Prompts, responses: Responses) -> None:
        """Report that the responses are written and are being scored."""
        if self.listener is None:
            return
        first, tokenizer = torch.tensor([0]), self._tokenizer
        (text,) = responses[first].texts(tokenizer, prompts[first])
        prompt = "" if tokenizer.chat_template else tokenizer.decode(prompts[first].real()[0])
        self.listener("scoring", count=len(prompts.ids), prompt=prompt, text=text)

    def update(self, count: int) -> None:
        """Report that the responses are scored and `count` updates on them begin."""
        if self.listener is not None:
            self.listener("updating", count=count)
