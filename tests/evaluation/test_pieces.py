"""The pieces of tokens join to their text."""

from __future__ import annotations

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from align_core.evaluation.text_pieces import text_pieces


def byte_level() -> PreTrainedTokenizerFast:
    """A byte-level tokenizer with few merges, which splits non-ASCII characters into tokens."""
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=270,
        special_tokens=["<end>", "<pad>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    core.train_from_iterator(["the film was good . the plot was dull ."] * 4, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=core, eos_token="<end>", pad_token="<pad>")


TEXTS = [
    "the film was good .",
    " été à Zürich",
    "日本の首都は東京 .",
    "👍👩‍👩‍👧 fine",
    "é",
    "",
]


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("ended", [True, False])
def test_pieces_join_to_the_text(text, ended):
    tokenizer = byte_level()
    ids = tokenizer(text)["input_ids"] + [tokenizer.eos_token_id] * ended
    logp = [-float(i + 1) for i in range(len(ids))]
    ref_logp = [-2.0 * (i + 1) for i in range(len(ids))]
    tokens = text_pieces(tokenizer, ids, logp, ref_logp)
    assert "".join(piece["text"] for piece in tokens) == text
    assert sum(piece["logp"] for piece in tokens) == pytest.approx(sum(logp))
    assert sum(piece["ref_logp"] for piece in tokens) == pytest.approx(sum(ref_logp))
    assert all("\N{REPLACEMENT CHARACTER}" not in piece["text"] for piece in tokens)


def test_the_bytes_of_one_character_are_one_piece():
    tokenizer = byte_level()
    ids = tokenizer("a日b")["input_ids"]
    assert len(ids) == 5
    tokens = text_pieces(tokenizer, ids, [-1.0, -2.0, -3.0, -4.0, -5.0], [0.0] * 5)
    assert [piece["text"] for piece in tokens] == ["a", "日", "b"]
    assert [piece["logp"] for piece in tokens] == [-1.0, -9.0, -5.0]


def test_the_end_token_is_a_piece_without_text():
    tokenizer = byte_level()
    tokens = text_pieces(
        tokenizer, [*tokenizer("é")["input_ids"], 0], [-1.0, -1.0, -7.0], [0.0] * 3
    )
    assert tokens[-1] == {"text": "", "logp": -7.0, "ref_logp": 0.0}


@pytest.mark.parametrize("ended", [True, False])
def test_a_truncated_character_still_joins_to_the_text(ended):
    """A sample may end within a character, or contain bytes that form none."""
    tokenizer = byte_level()
    whole = tokenizer("a日b")["input_ids"]
    for ids in (whole[:3], whole[:2] + whole[4:], whole[2:], [*whole[1:3], *whole[1:3], whole[4]]):
        ids = ids + [tokenizer.eos_token_id] * ended
        tokens = text_pieces(tokenizer, ids, [-1.0] * len(ids), [-1.0] * len(ids))
        text = tokenizer.decode(ids, skip_special_tokens=True)
        assert "".join(piece["text"] for piece in tokens) == text
        assert sum(piece["logp"] for piece in tokens) == -len(ids)
