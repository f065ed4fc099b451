"""Texts of stored samples, decoded without the model, and which of them are shown."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from align_core.optimum import ReferenceSamples

BETAS = (0.05, 20.0)  # the range of the sliders of β
QUANTILE = 0.25  # the text shown for a prompt is at this quantile of the optimum's rewards


def stored_texts(
    samples: ReferenceSamples,
    tokenizer: Tokenizer,
    last_tokens: Sequence[int] | None,
    chosen: NDArray[np.intp],
) -> list[str]:
    """The completion of the `chosen` [P] sample of each prompt, as from `data.encoding.decode`.

    Each is decoded after the last token of its prompt, or alone if `last_tokens` is None.
    """
    rows = np.arange(len(samples.prompts))
    # The end token counts in `lengths` and is not a part of the text.
    lengths = samples.lengths[rows, chosen] - samples.ended[rows, chosen].astype(np.uint8)
    ids = [
        tokens[:length].tolist()
        for tokens, length in zip(samples.tokens[rows, chosen], lengths, strict=True)
    ]
    if last_tokens is None:
        return tokenizer.decode_batch(ids)
    before = [[token] for token in last_tokens]
    sequences = [first + after for first, after in zip(before, ids, strict=True)]
    contexts, texts = tokenizer.decode_batch(before), tokenizer.decode_batch(sequences)
    return [text[len(context) :] for text, context in zip(texts, contexts, strict=True)]
