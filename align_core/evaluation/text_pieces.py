"""Texts as tokens with log-probabilities, for display."""

from __future__ import annotations

from collections.abc import Sequence

from transformers import PreTrainedTokenizerBase


def text_pieces(
    tokenizer: PreTrainedTokenizerBase,
    ids: Sequence[int],
    logp: Sequence[float],
    ref_logp: Sequence[float],
) -> list[dict]:
    """A text as pieces, {"text", "logp", "ref_logp"}, which join to exactly the text.

    A piece is a token, or the tokens of one character that several tokens encode, with the sum of
    their log-probabilities in nats. The end token is a piece with an empty text.
    """
    rows, done, start = [], "", 0
    for stop in range(1, len(ids) + 1):
        text = tokenizer.decode(ids[:stop], skip_special_tokens=True)
        if text.endswith("�") and stop < len(ids):
            continue
        rows.append(
            {
                "text": text[len(done) :],
                "logp": sum(logp[start:stop]),
                "ref_logp": sum(ref_logp[start:stop]),
            }
        )
        done, start = text, stop
    return rows
