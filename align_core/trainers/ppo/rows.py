"""The rows of a data set for each rollout."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from datasets import IterableDataset
from torch.utils.data import DataLoader

from align_core.trainers.mixins import TrainerMixin
from align_core.trainers.ppo.rollouts import Batch


class RolloutRows(TrainerMixin):
    """A mixin of PPOTrainer that chooses the rows of each rollout."""

    args: Any
    _waiting: list[Batch]  # set by PPOTrainer
    _metrics: dict[str, list[float]]

    def __init_subclass__(cls, **arguments: Any) -> None:
        """Raises TypeError for a trainer with its own `get_train_dataloader`, which TRL's PPO never
        calls when it trains, and which could not yield a rollout once for each micro-batch."""
        super().__init_subclass__(**arguments)
        if "get_train_dataloader" in vars(cls):
            line = "expected PPOTrainer's; pass the rows in your order as train_dataset, an "
            raise TypeError(f"get_train_dataloader: {line}IterableDataset, got {cls.__name__}'s")

    def get_train_dataloader(self) -> DataLoader:
        """Yields the row numbers of one rollout, once for each of its micro-batches."""
        self._waiting.clear()
        self._metrics.clear()
        self._rows, count = numbered(self.train_dataset)
        args = self.args
        size = args.local_episodes * self.accelerator.num_processes // args.texts_per_prompt
        batches = RolloutBatches(
            rows=count,
            size=size,
            rollouts=args.num_total_batches or 0,
            repeats=args.micro_batches_per_rollout,
            seed=args.seed,
        )
        numbers = range(count or len(batches) * size)
        return DataLoader(numbers, batch_sampler=batches, collate_fn=list)


def numbered(data: Any) -> tuple[Any, int | None]:
    """The data, whose rows can be read by number, and their count, which is None for a stream.

    Without data, both are None.
    """
    if data is None:
        return None, None
    return (data, len(data)) if hasattr(data, "__len__") else (StreamedRows(data), None)


class RolloutBatches:
    """Yields the row numbers of each rollout of all processes, once for each micro-batch of it.

    The order is a function of the seed alone, so that a resumed run gets the same prompts. `rows`
    is the number of rows, None for a stream, whose rows are taken in order.
    """

    def __init__(self, rows: int | None, size: int, rollouts: int, repeats: int, seed: int) -> None:
        self._rows, self._size, self._seed = rows, size, seed
        self._rollouts, self._repeats = rollouts, repeats

    def __len__(self) -> int:
        return self._rollouts * self._repeats

    def __iter__(self) -> Iterator[list[int]]:
        generator = torch.Generator().manual_seed(self._seed)
        waiting: list[int] = []
        for rollout in range(self._rollouts):
            if self._rows is None:
                waiting = list(range(rollout * self._size, (rollout + 1) * self._size))
            while len(waiting) < self._size:
                waiting += torch.randperm(self._rows, generator=generator).tolist()
            batch, waiting = waiting[: self._size], waiting[self._size :]
            for _ in range(self._repeats):
                yield batch


class StreamedRows:
    """The rows of a stream by number. The stream is read forwards, and restarts at its end.

    A resumed run begins with a number above 0 and skips the earlier rows.
    """

    def __init__(self, stream: IterableDataset) -> None:
        self._stream = stream
        self._rows: Iterator[dict[str, Any]] = iter(stream)
        self._next = 0

    def __getitem__(self, number: int) -> dict[str, Any]:
        """The row `number`. Raises LookupError if it has been read before."""
        if number < self._next:
            raise LookupError(f"expected row {self._next} of the stream or later, got {number}")
        while True:
            row = next(self._rows, None)
            if row is None:
                self._rows = iter(self._stream)
                row = next(self._rows)
            self._next += 1
            if self._next > number:
                return row
