"""Stop strings of samples, and sampling from only the likeliest tokens."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase, TopKLogitsWarper, TopPLogitsWarper

from align_core.models.sampling import Draw


class StopStrings:
    """Whether the texts of responses, tokens [B, t], end with one of these strings.

    Only their last tokens are decoded, because a string has at most one token for each byte.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, strings: Sequence[str]) -> None:
        self._tokenizer, self._strings = tokenizer, [*strings]
        self._longest = max(len(string.encode()) for string in strings)

    def __call__(self, tokens: Tensor) -> Tensor:
        """Returns booleans [B]; a string may also end within the last token."""
        before = self._tokenizer.batch_decode(tokens[:, -self._longest - 1 : -1].tolist())
        texts = self._tokenizer.batch_decode(tokens[:, -self._longest - 1 :].tolist())
        ended = [
            any(string in text[max(0, len(start) - len(string) + 1) :] for string in self._strings)
            for start, text in zip(before, texts, strict=True)
        ]
        return torch.tensor(ended, device=tokens.device)


class TruncatedDraw:
    """Draws from the `top_k` likeliest tokens, and of these only from the fewest likeliest whose
    probabilities sum to `top_p`. Log-probabilities are still computed over all tokens."""

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
