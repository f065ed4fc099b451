"""Questions to models: python -m align_core {evaluate,generate,score} MODEL."""

from __future__ import annotations

import argparse

from align_core.cli import options, terminal
from align_core.config import model_index
from align_core.config.fields import EXPECTED_SHARE
from align_core.config.messages import Message
from align_core.config.task_card import EXPECTED
from align_core.inference import in_process
from align_core.tasks.loader import resolve_task


def add_evaluate_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the model, what it is compared with, and the size of the evaluation."""
    _add_model(parser)
    parser.add_argument("--reference", metavar="MODEL")
    parser.add_argument("--prompts", metavar="N")
    parser.add_argument("--samples", metavar="N", help=in_process.EXPECTED_SAMPLES)
    parser.add_argument(
        "--beta",
        metavar="B",
        help="the β of the optimum to which the distance is measured; by default the β of the run",
    )
    parser.add_argument(
        "--coverage",
        metavar="GROUPS",
        help="groups of prompts to report separately from the others",
    )
    parser.add_argument("--seed")
    _add_decoding(parser)


def add_generate_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the model, the prompts, and how texts are sampled."""
    _add_model(parser)
    parser.add_argument("--prompt", action="append", metavar="TEXT")
    parser.add_argument("-n", metavar="N", help="samples for each prompt")
    parser.add_argument("--temperature")
    parser.add_argument("--seed")
    _add_decoding(parser)


def add_score_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the model, and a prompt with its completions."""
    _add_model(parser)
    parser.add_argument("--prompt", metavar="TEXT")
    parser.add_argument("--completion", action="extend", nargs="+", metavar="TEXT")


def _add_model(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help=model_index.EXPECTED, nargs="?")
    parser.add_argument("--task", help=EXPECTED)
    options.add_json(parser)


def _add_decoding(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--realign",
        metavar="LAMBDA",
        help="mix the policy with its reference at each token, as if trained with β/λ: "
        f"{EXPECTED_SHARE}",
    )
    parser.add_argument(
        "--best-of",
        metavar="N",
        help=f"keep the text with the highest reward of N: {in_process.EXPECTED_COUNT}",
    )
    parser.add_argument(
        "--reward-model",
        metavar="MODEL",
        help=f"the reward by which --best-of chooses: {in_process.EXPECTED_REWARD}",
    )


def evaluate(args: argparse.Namespace, lines: list[Message]) -> int:
    """Measure a model on held-out prompts; returns the exit code. Raises ConfigError."""
    names = ("task", "reference", "prompts", "samples", "coverage", "seed", "realign", "best_of")
    arguments = options.option_values(args, *names, "reward_model", "beta")
    result = in_process.evaluate(args.model, lines, **resolve_task(arguments, lines))
    terminal.print_measurements(result, args.json)
    return 0


def generate(args: argparse.Namespace, lines: list[Message]) -> int:
    """Sample texts from a model; returns the exit code. Raises ConfigError."""
    names = ("task", "n", "temperature", "seed", "realign", "best_of", "reward_model")
    arguments = resolve_task(options.option_values(args, *names), lines)
    rows = in_process.generate(args.model, args.prompt, lines, **arguments)
    terminal.print_rows(rows, args.json)
    return 0


def score(args: argparse.Namespace, lines: list[Message]) -> int:
    """Score given completions; returns the exit code. Raises ConfigError."""
    arguments = resolve_task(options.option_values(args, "task"), lines)
    rows = in_process.score(args.model, args.prompt, args.completion, lines, **arguments)
    terminal.print_rows(rows, args.json)
    return 0
