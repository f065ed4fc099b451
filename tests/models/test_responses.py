"""Sampled responses: their selection and their contents."""

from __future__ import annotations

import torch

from align_core.models.sampling import Responses

# Prompts of three positions; the texts have one, four and two tokens.
MASK = torch.tensor([[1, 0, 0, 0], [1, 1, 1, 1], [1, 1, 0, 0]]).bool()
RESPONSES = Responses(
    tokens=torch.arange(12).view(3, 4),
    mask=MASK,
    ended=torch.tensor([True, False, True]),
    logp=-torch.arange(12.0).view(3, 4) * MASK,
    trunk_states=torch.arange(21.0).view(3, 7, 1),
)


def test_rows_are_cut_to_the_longest_of_them():
    rows = torch.tensor([2, 0])
    part = RESPONSES[rows]
    assert part.tokens.tolist() == [[8, 9], [0, 1]]
    assert part.mask.tolist() == [[True, True], [True, False]]
    assert part.ended.tolist() == [True, True]
    assert part.logp.tolist() == [[-8, -9], [0, 0]]
    assert part.trunk_states[..., 0].tolist() == [[14, 15, 16, 17, 18], [0, 1, 2, 3, 4]]
    assert part.logits is None and part.states is None


def test_ids_and_log_probabilities_are_those_of_real_tokens():
    assert RESPONSES.ids() == [[0], [4, 5, 6, 7], [8, 9]]
    assert RESPONSES.logps() == [[0.0], [-4.0, -5.0, -6.0, -7.0], [-8.0, -9.0]]
