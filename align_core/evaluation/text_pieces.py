"""Texts as tokens with log-probabilities, for display."""

from __future__ import annotations

from collections.abc import Sequence

from transformers import PreTrainedTokenizerBase

from align_core.data.encoding import decode


def text_pieces(
    tokenizer: PreTrainedTokenizerBase,
    ids: Sequence[int],
    logp: Sequence[float],
    ref_logp: Sequence[float],
    *,
    prompt: Sequence[int] = (),
    text: str | None = None,
) -> list[dict]:
    """A text as pieces, {"text", "logp", "ref_logp"}, which join to exactly the text.

    `prompt` has the token ids before the text; `text` is the text itself, by default the decoded
    `ids`.

    A piece is a token, or the tokens of one character that several tokens encode, with the sum of
    their log-probabilities in nats. The end token is a piece with an empty text.
    """
    stops = range(1, len(ids) + 1)
    beginnings = decode(tokenizer, [prompt] * len(ids), [ids[:stop] for stop in stops])
    rows, done, start = [], "", 0
    for stop, beginning in zip(stops, beginnings, strict=True):
        if beginning.endswith("�") and stop < len(ids):
            continue
        beginning = beginning if text is None else beginning[: len(text)]
        rows.append(
            {
                "text": beginning[len(done) :],
                "logp": sum(logp[start:stop]),
                "ref_logp": sum(ref_logp[start:stop]),
            }
        )
        done, start = beginning, stop
    return rows
