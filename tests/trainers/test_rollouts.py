"""Episodes of several processes, and the batches that a process learns from."""

from __future__ import annotations

from dataclasses import fields, replace
from types import SimpleNamespace

import pytest
import torch

from align_core.data.encoding import Prompts
from align_core.trainers.online_dpo import PairBatch
from align_core.trainers.ppo.rollouts import Batch, Episodes, epochs

PAD = 7


def episodes(rows: range, prompt: int, response: int, trunk: bool = False) -> Episodes:
    """Episodes whose numbers are ten times their row, plus the place of the token."""

    def column(width: int, dtype=torch.float32, *, depth: int = 0):
        numbers = 10 * torch.tensor([*rows])[:, None] + torch.arange(width)
        return numbers[..., None].repeat(1, 1, depth).to(dtype) if depth else numbers.to(dtype)

    of_row = torch.tensor([float(row) for row in rows])
    return Episodes(
        prompt_ids=column(prompt, torch.long),
        prompt_mask=torch.ones(len(rows), prompt, dtype=torch.long),
        tokens=column(response, torch.long),
        mask=torch.ones(len(rows), response, dtype=torch.bool),
        logp=column(response),
        ref_logp=column(response),
        values=column(response),
        token_scores=column(response),
        by_reward=of_row[:, None],
        ended=of_row > 1,
        kl=of_row,
        entropy=of_row,
        prompt_trunk=column(prompt, depth=2) if trunk else None,
        trunk=column(response, depth=2) if trunk else None,
    )


class Process:
    """One of two processes: gathers after its own tensors those that the other one has passed."""

    num_processes, device = 2, torch.device("cpu")

    def __init__(self, other: list | None = None) -> None:
        self.passed, self.other = [], other

    def pad_across_processes(self, part, dim, pad_index, pad_first):
        assert dim == 1 and part.dtype != torch.bool, "accelerate cannot pad booleans"
        width = 3 if pad_first else 4
        missing = part.new_full((len(part), width - part.shape[1], *part.shape[2:]), pad_index)
        return torch.cat([missing, part] if pad_first else [part, missing], 1)

    def gather(self, part):
        self.passed.append(part)
        return torch.cat([part, part if self.other is None else self.other.pop(0)])


def test_episodes_are_gathered_in_the_order_of_their_rows_and_padded():
    """Three rows in two processes: both have row 1, of which the second one counts."""
    shares = [range(0, 2), range(1, 3)]
    second = Process()
    episodes(shares[1], prompt=3, response=1, trunk=True).gathered(second, PAD, shares)
    first = Process(second.passed)
    own = episodes(shares[0], prompt=2, response=4, trunk=True)
    own.tokens[1] = 99  # the first process's row 1
    whole = own.gathered(first, PAD, shares)
    assert whole.prompt_ids.tolist() == [[PAD, 0, 1], [10, 11, 12], [20, 21, 22]]
    assert whole.prompt_mask.tolist() == [[0, 1, 1], [1, 1, 1], [1, 1, 1]]
    assert whole.tokens.tolist() == [[0, 1, 2, 3], [10, PAD, PAD, PAD], [20, PAD, PAD, PAD]]
    assert whole.mask.dtype == torch.bool
    assert whole.mask.tolist() == [[True] * 4, *[[True, False, False, False]] * 2]
    assert whole.logp.tolist() == [[0, 1, 2, 3], [10, 0, 0, 0], [20, 0, 0, 0]]
    assert whole.kl.tolist() == [0, 1, 2] and whole.ended.tolist() == [False, False, True]
    assert whole.prompt_trunk[..., 1].tolist() == [[0, 0, 1], [10, 11, 12], [20, 21, 22]]
    assert whole.trunk[..., 1].tolist() == [[0, 1, 2, 3], [10, 0, 0, 0], [20, 0, 0, 0]]
    assert whole.turn_of is None


def test_one_process_has_all_episodes():
    own = episodes(range(3), prompt=2, response=3)
    assert own.gathered(SimpleNamespace(num_processes=1), PAD, [range(3)]) is own


def test_episodes_are_joined_with_padding_before_prompts_and_after_responses():
    parts = [episodes(range(0, 1), prompt=1, response=3), episodes(range(1, 2), 3, 1)]
    whole = Episodes.joined(parts, PAD)
    assert whole.prompt_ids.tolist() == [[PAD, PAD, 0], [10, 11, 12]]
    assert whole.tokens.tolist() == [[0, 1, 2], [10, PAD, PAD]]
    assert whole.mask.tolist() == [[True] * 3, [True, False, False]]
    assert whole.prompt_mask.tolist() == [[0, 0, 1], [1, 1, 1]]
    assert whole.values.tolist() == [[0, 1, 2], [10, 0, 0]]
    assert whole.kl.tolist() == [0, 1] and whole.by_reward.tolist() == [[0], [1]]
    assert whole.scores.tolist() == [3, 10]
    assert Episodes.joined(parts[:1], PAD) is parts[0]


def batch(lengths: list[int], kind: type[Batch] = Batch) -> Batch:
    """Responses of these lengths; every column but the mask has the row's number."""
    rows = torch.arange(len(lengths))[:, None].repeat(1, max(lengths))
    prompts = Prompts(rows[:, :2], torch.ones_like(rows[:, :2]))
    columns = {field.name: rows.float() for field in fields(Batch)}
    mask = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
    columns |= {"prompts": prompts, "tokens": rows, "mask": mask, "weight": 1.0}
    width = 2 + max(lengths)  # of the texts
    columns["trunk_states"] = torch.arange(width).float()[None, :, None].repeat(len(lengths), 1, 1)
    return kind(**columns)


def test_rows_are_cut_to_the_longest_of_their_responses():
    part = batch([1, 2, 4])[torch.tensor([1, 0])]
    assert part.tokens.tolist() == [[1, 1], [0, 0]] and part.prompts.ids.shape == (2, 2)
    assert part.mask.tolist() == [[True, True], [True, False]]
    assert part.trunk_states[0, :, 0].tolist() == [0, 1, 2, 3], "two tokens of each"
    assert batch([1, 2, 4])[torch.tensor([2])].trunk_states.shape[1] == 6
    assert replace(batch([1, 2]), trunk_states=None)[torch.tensor([0])].trunk_states is None


def of_processes(made: Batch, minibatches: int, pieces: int, processes: int) -> list[list[Batch]]:
    """The micro-batches of an epoch of each process."""
    return [
        [*made.micro_batches(minibatches, pieces, process, processes, seeded())]
        for process in range(processes)
    ]


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.mark.parametrize(("minibatches", "pieces", "processes"), [(1, 1, 2), (2, 2, 1), (2, 1, 3)])
def test_micro_batches_weigh_as_much_as_their_tokens(minibatches, pieces, processes):
    """Weighted and averaged over pieces and processes, their means are that of the minibatch."""
    lengths = [1, 5, 2, 2, 7, 1, 3, 4, 1, 1, 6, 2]
    made = batch(lengths)
    shares = of_processes(made, minibatches, pieces, processes)
    assert [len(share) for share in shares] == [minibatches * pieces] * processes
    order = torch.randperm(len(lengths), generator=seeded())
    for number, rows in enumerate(order.tensor_split(minibatches)):
        parts = [
            part for share in shares for part in share[number * pieces : (number + 1) * pieces]
        ]
        assert sorted(part.tokens[row, 0].item() for part in parts
                      for row in range(len(part.tokens))) == sorted(rows.tolist())  # fmt: skip
        tokens = [row for row in rows.tolist() for _ in range(lengths[row])]
        means = [part.tokens[part.mask].float().mean() * part.weight for part in parts]
        averaged = sum(means) / (pieces * processes)
        assert averaged.item() == pytest.approx(sum(tokens) / len(tokens), abs=1e-5)


def test_micro_batches_of_pairs_weigh_as_much_as_their_pairs():
    """Three pairs: two for one process, one for the other."""
    shares = of_processes(batch([2] * 6, PairBatch), 1, 1, 2)
    weights = {len(part.tokens): part.weight for (part,) in shares}
    assert weights == {4: pytest.approx(2 * 2 / 3), 2: pytest.approx(2 * 1 / 3)}
    rows = [part.tokens[:, 0].tolist() for (part,) in shares]
    assert sorted(first for share in rows for first in share[::2]) == [0, 2, 4]
    assert all(first + 1 == second for share in rows
               for first, second in zip(share[::2], share[1::2], strict=True))  # fmt: skip
    (pieces,) = of_processes(batch([2] * 6, PairBatch), 1, 2, 1)
    assert [part.weight for part in pieces] == pytest.approx([2 * 2 / 3, 2 * 1 / 3])


def test_each_epoch_has_all_minibatches_in_a_new_order():
    args = SimpleNamespace(gradient_accumulation_steps=1, num_ppo_epochs=3, num_mini_batches=2)
    process = SimpleNamespace(process_index=0, num_processes=1)
    parts = epochs(batch([1] * 8), args, process, seed=0)
    assert [len(part.tokens) for part in parts] == [4] * 6
    rows = [[row for part in parts[i : i + 2] for row in part.tokens[:, 0].tolist()]
            for i in (0, 2, 4)]  # fmt: skip
    assert all(sorted(one) == [*range(8)] for one in rows) and rows[0] != rows[1] != rows[2]
    args.gradient_accumulation_steps = 4
    assert [len(part.tokens) for part in epochs(batch([1] * 8), args, process, seed=0)] == [1] * 24
