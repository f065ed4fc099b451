"""What ends a sample besides end tokens, and what leaves unlikely tokens out of it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase, TopKLogitsWarper, TopPLogitsWarper

from align_core.models.sampling import Draw


class StopStrings:
    """Whether responses, tokens [B, t], end in a text that has one of these strings at its end.

    Only their last tokens are decoded: a string has at most one for each of its bytes.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, strings: Sequence[str]) -> None:
        self._tokenizer, self._strings = tokenizer, [*strings]
        self._longest = max(len(string.encode()) for string in strings)

    def __call__(self, tokens: Tensor) -> Tensor:
        """A boolean [B]; the string may end within the last token."""
        before = self._tokenizer.batch_decode(tokens[:, -self._longest - 1 : -1].tolist())
        texts = self._tokenizer.batch_decode(tokens[:, -self._longest - 1 :].tolist())
        found = [
            any(string in text[max(0, len(start) - len(string) + 1) :] for string in self._strings)
            for start, text in zip(before, texts, strict=True)
        ]
        return torch.tensor(found, device=tokens.device)


class TruncatedDraw:
    """Draws from the `top_k` likeliest tokens, and of these from the likeliest with a probability
    of `top_p` together. Log-probabilities stay those of all tokens."""

    def __init__(self, draw: Draw, top_k: int | None, top_p: float | None) -> None:
        self._draw = draw
        self._warpers = []
        if top_k is not None:
            self._warpers.append(TopKLogitsWarper(top_k))
        if top_p is not None:
            self._warpers.append(TopPLogitsWarper(top_p))

    def __call__(self, logits: Tensor, rows: Tensor, position: int) -> Tensor:
        for warper in self._warpers:
            logits = warper(None, logits)
        return self._draw(logits, rows, position)
