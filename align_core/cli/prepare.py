"""The commands `prepare` and `cache`: the optimum of a task and a model, and its cache."""

from __future__ import annotations

import argparse
import sys
import time
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from align_core.cli import options, terminal
from align_core.config import model_index
from align_core.config.errors import ConfigError, describe_error, option_error, raise_collected
from align_core.config.fields import Int, Seed
from align_core.config.messages import Message
from align_core.config.model_size import evaluation_size
from align_core.config.run_config import TaskName, validated
from align_core.config.task_card import EXPECTED, card, known_card
from align_core.runs.json_lines import to_line
from align_core.tasks import get_task
from align_core.tasks.loader import resolve_task


class _Options(BaseModel):
    model_config = ConfigDict(extra="forbid")

    task: TaskName
    model: str = Field(min_length=1, description=model_index.EXPECTED)
    samples: Int | None = Field(
        None, ge=2, le=65_536, description="a whole number of texts per prompt from 2 to 65536"
    )
    prompts: Int | None = Field(
        None, ge=1, le=100_000, description="a whole number of prompts from 1 to 100000"
    )
    seed: Seed = 0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `prepare`."""
    parser.add_argument("--task", help=EXPECTED)
    parser.add_argument("--model", metavar="MODEL", help=f"the reference: {model_index.EXPECTED}")
    parser.add_argument(
        "--samples",
        metavar="N",
        help="texts for each prompt (default: 1024; fewer for a model of over 18 M parameters)",
    )
    parser.add_argument(
        "--prompts",
        metavar="N",
        help="number of probe prompts, and of held-out prompts (default: as many as a run uses)",
    )
    parser.add_argument("--seed")
    options.add_json(parser)


def add_cache_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `cache`."""
    parser.add_argument("--clear", action="store_true", help="delete all that was prepared")


def execute(args: argparse.Namespace, lines: list[Message]) -> int:
    """Prepare the optimum of a task and a model, or print what is stored; returns the exit code.

    Raises:
        ConfigError: one message for every error.
    """
    arguments = resolve_task(options.option_values(args, *_Options.model_fields), lines)
    if arguments["model"] is None and (known := card(arguments["task"])):
        arguments["model"] = known.reference
    chosen, errors = validated(_Options, {k: v for k, v in arguments.items() if v is not None})
    lines += errors
    if arguments["model"] is not None:
        lines += model_index.model_errors("--model", arguments["model"], reward_model=False)
    if chosen and not known_card(chosen.task).has_gold:
        expected = f"a task with a reward: {known_card(chosen.task).title} has preferences only"
        lines.append(option_error("--task", chosen.task, expected))
    if chosen is None or lines:
        raise ConfigError(*lines)
    chosen = chosen.model_copy(update={"model": model_index.absolute(chosen.model)})
    try:
        facts = _prepared(chosen)
    except KeyboardInterrupt:
        print("stopped by Ctrl-C; the same command continues from here", file=sys.stderr)
        return 1
    _print_facts(facts, args.json)
    return 0


def _prepared(chosen: _Options) -> dict[str, Any]:
    """The facts of the stored optimum, after sampling if it is not complete."""
    from align_core.evaluation import prepared

    defaults = evaluation_size(chosen.model, get_task(chosen.task).max_new_tokens)
    settings = {
        "samples": chosen.samples or defaults.reference_samples,
        "prompts": chosen.prompts or defaults.prompts,
        "seed": chosen.seed,
    }
    try:
        entry = prepared.entry(chosen.task, chosen.model, **settings)
        if entry.complete:
            return entry.facts()
    except (OSError, ValueError) as error:
        raise ConfigError(option_error("--model", chosen.model, str(error))) from None
    from align_core.evaluation.preparation import Preparation
    from align_core.models.libraries import silence_libraries

    silence_libraries()
    preparation = Preparation(entry, chosen.task, chosen.model, **settings)
    progress = _Progress(preparation.texts)
    try:
        return preparation(progress.update)
    finally:
        progress.close()


class _Progress:
    """The progress bar of the sampling. After the first batch that is new, it prints how long the
    rest will take."""

    def __init__(self, texts: int) -> None:
        from tqdm import tqdm

        self._bar = tqdm(
            total=texts, desc="sampling", unit="text", file=sys.stderr, dynamic_ncols=True
        )
        self._clock: float | None = time.monotonic()

    def update(self, texts: int, new: bool) -> None:
        """Advance the bar by `texts`; unless `new`, they were sampled by an earlier command."""
        self._bar.update(texts)
        if not new:
            self._bar.initial += texts
            self._clock = time.monotonic()
        elif self._clock is not None:
            left = self._bar.total - self._bar.n
            seconds = (time.monotonic() - self._clock) / texts * left
            self._bar.write(f"{left} more texts will take {_duration(seconds)}", file=sys.stderr)
            self._clock = None

    def close(self) -> None:
        """Close the bar, leaving it visible."""
        self._bar.close()


def _duration(seconds: float) -> str:
    return f"about {seconds:.0f} s" if seconds < 100 else f"about {seconds / 60:.0f} min"


def _print_facts(facts: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print(to_line(facts))
        return
    numbers = {k: v for k, v in facts.items() if not isinstance(v, dict | list)}
    numbers |= {f"{split} prompts": count for split, count in facts["prompts"].items()}
    sizes = facts["effective_samples"].items()
    numbers |= {f"effective samples at a KL of {kl}": round(size) for kl, size in sizes}
    terminal.print_measurements(numbers, as_json=False)
    print("\ntexts of the model:")
    for text in facts["texts"]:
        line = " ".join(f"{text['prompt']} → {text['completion']}".split())
        print(f"{text['gold_reward']:+7.2f}  {line}")
    _print_size()


def execute_cache(args: argparse.Namespace, lines: list[Message]) -> int:
    """Print what the cache contains and its size, or delete it; returns the exit code."""
    raise_collected(lines)
    from align_core.evaluation import prepared

    try:
        if args.clear:
            print(f"{prepared.clear() / 1e6:.1f} MB deleted in {prepared.folder()}")
            return 0
        for entry in prepared.entries():
            state = "" if entry.complete else "  not complete: its `prepare` command continues it"
            print(f"{entry.size / 1e6:8.1f} MB  {entry.path.name}{state}")
    except ValueError as error:
        raise ConfigError(option_error("ALIGN_CACHE", None, str(error))) from None
    except OSError as error:
        raise ConfigError(describe_error(error, prepared.folder())) from None
    _print_size()
    return 0


def _print_size() -> None:
    from align_core.evaluation import prepared

    entries = prepared.entries()
    size = sum(entry.size for entry in entries)
    print(f"{prepared.folder()} has {len(entries)} prepared optima, {size / 1e6:.1f} MB")
