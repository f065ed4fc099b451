"""Responses to evaluation prompts: their metrics, and a table of samples."""

from __future__ import annotations

import importlib
from collections.abc import Collection, Mapping
from typing import Any

import pandas
from datasets import Dataset
from rich.console import Console
from rich.table import Table
from transformers import Trainer, TrainerCallback, TrainerControl

from align_core.trainers.ppo.metrics import reward_means
from align_core.trainers.ppo.prompts import check_columns
from align_core.trainers.ppo.rollouts import Episodes

PRINTED = 5  # rows of a table


class Samples(Trainer):
    """A mixin of PPOTrainer that samples a response to each prompt, always with the same noise.

    Every process calls each method: they share the prompts.
    """

    control: TrainerControl  # of transformers.Trainer

    def evaluate(
        self,
        eval_dataset: Dataset | Mapping[str, Dataset] | None = None,
        metric_key_prefix: str = "eval",
        **_: Any,
    ) -> dict[str, float]:
        """Mean score, rewards and KL of an evaluation data set, or of each of several by name."""
        data = self._eval_data(eval_dataset)
        if isinstance(data, Mapping):
            metrics: dict[str, float] = {}
            for name, part in data.items():
                metrics |= self.evaluate(part, f"{metric_key_prefix}_{name}")
            return metrics
        episodes = self._samples(list(data))
        means = {"objective/scores": episodes.scores.mean(), "objective/kl": episodes.kl.mean()}
        means |= reward_means(episodes, self.reward_names)
        metrics = {f"{metric_key_prefix}_{name}": mean.item() for name, mean in means.items()}
        self.log(metrics)
        handler = self.callback_handler
        self.control = handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    def generate_completions(self, sampling: bool = False) -> list[dict[str, Any]]:
        """Sample a response to each prompt of the `eval_dataset`, and print the first as a table.

        A run that reports to trackio or wandb sends them the table as `completions`. With
        `sampling`, only the first `per_device_eval_batch_size` prompts are used. Returns a dict for
        each prompt: query, model response and score; [] without an `eval_dataset`.
        """
        if self.eval_dataset is None:
            return []
        data = self.eval_dataset
        rows = list(next(iter(data.values())) if isinstance(data, Mapping) else data)
        if sampling:
            rows = rows[: self.args.per_device_eval_batch_size]
        episodes = self._samples(rows)
        columns = {
            "query": _texts(self, episodes.prompt_ids, episodes.prompt_mask),
            "model response": _texts(self, episodes.tokens, episodes.mask),
            "score": [round(score, 3) for score in episodes.scores.tolist()],
        }
        table = [
            dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)
        ]
        if self.is_world_process_zero():
            _print(table[:PRINTED])
            _report(table, self.args.report_to, self.state.global_step)
        return table

    def _eval_data(self, given: Any) -> Any:
        sets = self.eval_dataset
        if isinstance(given, str):
            if not isinstance(sets, Mapping) or given not in sets:
                names = ", ".join(sets) if isinstance(sets, Mapping) else "a data set"
                raise ValueError(f"eval_dataset: expected {names}, got the name {given!r}")
            given = sets[given]
        data = sets if given is None else given
        if data is None:
            raise ValueError("eval_dataset: expected a data set for evaluate(), got None")
        if not isinstance(data, Mapping):
            check_columns("eval_dataset", data, self.data_collator is not list)
        return data

    def _samples(self, rows: list[dict[str, Any]]) -> Episodes:
        if self.reward_model is None:
            raise ValueError("reward_model: expected one for the scores of samples, got None")
        size = self.args.per_device_eval_batch_size
        return self._gathered(rows, size, self.args.seed, self.score)


class SampleTables(TrainerCallback):
    """Prints a table of samples in the first of every `rollouts` rollouts."""

    def __init__(self, trainer: Samples, rollouts: int) -> None:
        self._trainer, self._rollouts = trainer, rollouts

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        rollout, rest = divmod(state.global_step, args.updates_per_rollout)
        if rest == 0 and (rollout - 1) % self._rollouts == 0:
            self._trainer.generate_completions(sampling=True)


def _texts(trainer: Samples, ids: Any, mask: Any) -> list[str]:
    rows = [row[real.bool()].tolist() for row, real in zip(ids, mask, strict=True)]
    return trainer.processing_class.batch_decode(rows, skip_special_tokens=True)


def _report(rows: list[dict[str, Any]], report_to: Collection[str], step: int) -> None:
    for name in sorted({"trackio", "wandb"}.intersection(report_to)):
        library = importlib.import_module(name)
        table = pandas.DataFrame([{"step": step, **row} for row in rows])
        library.log({"completions": library.Table(dataframe=table)})


def _print(rows: list[dict[str, Any]]) -> None:
    table = Table(show_lines=True)
    for name in rows[0]:
        table.add_column(name)
    for row in rows:
        table.add_row(*map(str, row.values()))
    Console().print(table, markup=False)
