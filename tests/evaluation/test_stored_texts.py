"""The texts of stored samples."""

from __future__ import annotations

import numpy as np

from align_core.evaluation.stored_texts import stored_texts
from align_core.optimum import ReferenceSamples
from tests import toy


def test_a_text_ends_before_its_end_token():
    """ " film" is 4, " was" 6, " good" 8; after the text stand other tokens."""
    samples = ReferenceSamples(
        prompts=["the", "the"],
        tokens=np.array([[[4, 6, 8, 0, 9, 9]], [[4, 6, 8, 8, 9, 9]]], np.uint16),
        lengths=np.array([[4], [3]], np.uint8),
        ended=np.array([[True], [False]]),
        rewards=np.zeros((2, 1)),
    )
    core, chosen = toy.tokenizer().backend_tokenizer, np.array([0, 0])
    assert stored_texts(samples, core, None, chosen) == [" film was good"] * 2
    assert stored_texts(samples, core, [3, 3], chosen) == [" film was good"] * 2
