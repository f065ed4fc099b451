"""The command `preferences`: python -m align_core preferences {simulate,export,…}."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from contextlib import closing
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from align_core.cli import terminal
from align_core.cli.options import add_actions, add_json, check_action, checked
from align_core.config.errors import (
    ConfigError,
    collect_errors,
    flag,
    option_error,
    raise_collected,
)
from align_core.config.fields import Float, Int, Seed
from align_core.config.messages import Message, plain
from align_core.config.methods import methods, methods_with
from align_core.config.model_index import EXPECTED, model_errors
from align_core.config.run_config import TaskName
from align_core.config.task_card import BUILT_IN, known_card
from align_core.inference import in_process
from align_core.runs.json_lines import to_line
from align_core.tasks.loader import resolve_task
from align_core.votes import preference_files, statistics
from align_core.votes.session import Session
from align_core.votes.sessions import Sessions, check_name, folder
from align_core.votes.simulated_raters import CROWDS, RATERS, fill, simulate

MAX_PAIRS = 16_000  # the size of the pool of each task
_Crowd: Any = Annotated[Literal[tuple(CROWDS)], Field(description="one of " + ", ".join(CROWDS))]
_Share = Annotated[Float, Field(ge=0, le=1, description="a share from 0 to 1")]
_HeldOut = Annotated[Float, Field(ge=0, lt=1, description="a share from 0 to below 1")]
_Pairs = Annotated[
    Int | None,
    Field(ge=1, le=MAX_PAIRS, description=f"a whole number of pairs from 1 to {MAX_PAIRS}"),
]


class _Simulate(BaseModel):
    task: TaskName
    rater: _Crowd = "task"
    votes: Int = Field(ge=1, le=100_000, description="a whole number of votes from 1 to 100000")
    raters: Int = Field(
        RATERS, ge=1, le=1000, description="a whole number of raters from 1 to 1000"
    )
    pairs: _Pairs = None
    active_share: _Share = 0.0
    seed: Seed = 0


class _Export(BaseModel):
    ties: Literal["omit", "both"] = Field("omit", description="omit or both")
    hold_out: _HeldOut = 0.0
    rows: Literal["pairs", "ratings"] = Field("pairs", description="pairs or ratings")


class _Import(BaseModel):
    task: TaskName


class _Stats(BaseModel):
    hold_out: _HeldOut = 0.0


def _about() -> dict[str, str]:
    return {name: about for name, (_, about) in _ACTIONS.items()}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the actions and their options."""
    subs = add_actions(parser, _about())
    for sub in subs.values():
        sub.add_argument("--session", metavar="NAME")
        sub.add_argument("--sessions", metavar="DIR", help="the folder of the sessions")
        add_json(sub)
    crowds = "; ".join(f"{name}: {crowd.about}" for name, crowd in CROWDS.items())
    options = {
        "--task": "the task of the texts; by default that of the session",
        "--rater": crowds,
        "--votes": "number of votes",
        "--raters": f"number of raters; {RATERS} by default",
        "--pairs": "number of new pairs, unless the session has pairs; by default as many as votes",
        "--model": "the model that writes the new pairs; by default the task's SFT model",
        "--reward-model": "the reward model that selects pairs; by default the task's",
        "--active-share": "share of votes on pairs the reward model is least sure about; default 0",
        "--seed": None,
        "--output": "a new .jsonl or .parquet file, in place of --session",
    }
    for option, about in options.items():
        subs["simulate"].add_argument(option, help=about)
    subs["export"].add_argument("--output", metavar="FILE", help="a new .jsonl or .parquet file")
    subs["export"].add_argument(
        "--ties", help="omit ties, or count each as one vote for each of its texts"
    )
    subs["export"].add_argument(
        "--rows",
        help="pairs of a chosen and a rejected text, or single texts with a label, for KTO",
    )
    subs["import"].add_argument("file", metavar="FILE", nargs="?", help="JSONL or Parquet")
    subs["import"].add_argument("--task", help="the task of a new session")
    subs["stats"].add_argument(
        "--reward-model", metavar="MODEL", help="a reward model to evaluate on the votes"
    )
    held_out = {
        "export": "share of prompts whose votes are left out, to evaluate on",
        "stats": "evaluate the reward model only on this share of prompts",
    }
    for name, about in held_out.items():
        subs[name].add_argument("--hold-out", metavar="P", help=about)


def execute(args: argparse.Namespace, lines: list[Message]) -> int:
    """Execute an action; returns the exit code.

    Raises:
        ConfigError: one message for every error.
    """
    check_action(args, _about(), lines)
    with closing(Sessions(args.sessions or folder())) as sessions:
        return _ACTIONS[args.action][0](args, lines, sessions)


def _simulate(args: argparse.Namespace, lines: list[Message], sessions: Sessions) -> int:
    vars(args).update(resolve_task({"task": args.task}, lines))
    if (args.session is None) == (args.output is None):
        lines.append(plain("expected either --session or --output, got both or neither"))
    session = None
    if args.session is not None:
        session = _session_for(args, lines, sessions)
    if session and session.tally()["pairs"] and (args.pairs or args.model):
        line = f"--pairs, --model: expected neither, as the session {session.name} has pairs"
        lines.append(plain(line))
    if args.output is not None:
        lines += preference_files.errors(args.output)
    for name, scores in (("model", False), ("reward_model", True)):
        if getattr(args, name) is not None:
            lines += model_errors(flag(name), getattr(args, name), scores)
    options = checked(_Simulate, args, lines)
    if options is not None:
        task, has_pairs = known_card(options.task), session and session.tally()["pairs"]
        reward_model = args.reward_model or task.reward_model
        if not (args.model or task.reference or has_pairs):
            lines.append(
                option_error("--model", None, f"{EXPECTED}: {task.title} has no reference")
            )
        if options.active_share and reward_model is None:
            lines.append(option_error("--reward-model", None, f"{EXPECTED}: {task.title} has none"))
    raise_collected(lines)

    settings = options.votes, options.raters, options.active_share, options.seed
    pairs = (session.pairs() if session else []) or _new_pairs(options, args.model)
    if options.active_share:
        pairs = in_process.queries().score_pairs(pairs, reward_model)
    if args.output is not None:
        cast = simulate(pairs, CROWDS[options.rater], *settings)
        rows = preference_files.preferences(
            {**pairs[vote.pair], "choice": vote.choice} for vote in cast
        )
        preference_files.write(args.output, rows)
        return _report(args, votes=len(cast), rows=len(rows), file=args.output)
    session = session or sessions.create(args.session, options.task)
    if not session.tally()["pairs"]:
        ids = session.add_pairs(pairs)
        pairs = [{**pair, "id": number} for pair, number in zip(pairs, ids, strict=True)]
    if options.active_share:
        assert reward_model is not None  # checked above
        session.set_scores(pairs, reward_model)
    votes = fill(session, options.rater, *settings)
    return _report(args, votes=votes, session=session.name)


def _new_pairs(options: _Simulate, model: str | None) -> list[dict[str, Any]]:
    count = options.pairs or min(options.votes, MAX_PAIRS)
    reference = known_card(options.task).reference
    if options.task in BUILT_IN and model in (None, reference):
        return preference_files.pool_pairs(options.task, count, options.seed)
    return in_process.queries().candidates(options.task, model or reference, count, options.seed)


def _export(args: argparse.Namespace, lines: list[Message], sessions: Sessions) -> int:
    session = _existing(args, lines, sessions)
    options = checked(_Export, args, lines)
    lines += preference_files.errors(args.output)
    if session is None or lines:
        raise ConfigError(*lines)
    kept, held_out = statistics.held_out(session.votes(), options.hold_out)
    if options.rows == "ratings":
        rows = preference_files.ratings(kept)
    else:
        rows = preference_files.preferences(kept, options.ties)
    preference_files.write(args.output, rows)
    report: dict[str, Any] = {"votes": len(kept), "held_out": len(held_out), "rows": len(rows)}
    for method in methods_with("preferences"):
        if options.rows == "ratings" and methods()[method].learns_from != "ratings":
            continue
        settings = preference_files.settings(method, session.task, len(rows)).items()
        report[f"train_{method}"] = " ".join(f"{flag(name)} {value}" for name, value in settings)
    return _report(args, **report, file=args.output)


def _import(args: argparse.Namespace, lines: list[Message], sessions: Sessions) -> int:
    vars(args).update(resolve_task({"task": args.task}, lines))
    session = _session_for(args, lines, sessions)
    options = checked(_Import, args, lines)
    with collect_errors(lines):
        rows = preference_files.read(args.file)
    raise_collected(lines)
    session = session or sessions.create(args.session, options.task)
    return _report(args, votes=preference_files.import_votes(session, rows), session=session.name)


def _stats(args: argparse.Namespace, lines: list[Message], sessions: Sessions) -> int:
    session = _existing(args, lines, sessions)
    options = checked(_Stats, args, lines)
    if args.reward_model is not None:
        lines += model_errors("--reward-model", args.reward_model, True)
    if session is None or lines:
        raise ConfigError(*lines)
    cast = session.votes()
    report: dict[str, Any] = {"task": session.task, **statistics.stats(cast)}
    if args.reward_model is not None:
        measured_on = statistics.held_out(cast, options.hold_out)[1] if options.hold_out else cast
        scored = in_process.queries().score_pairs(session.pairs(), args.reward_model)
        report["reward_model"] = statistics.reward_model_metrics(
            statistics.with_scores(measured_on, scored)
        )
    report["disputed"] = statistics.disputed(cast)
    report["against_gold"] = statistics.against_gold(cast)
    if args.json:
        print(to_line(report))
        return 0
    report["kinds"] = ", ".join(f"{count} {kind}" for kind, count in report["kinds"].items())
    numbers = {name: value for name, value in report.items() if not isinstance(value, list | dict)}
    terminal.print_measurements(numbers, False)
    if "reward_model" in report:
        print("\nThe reward model on votes that it should not have been trained on")
        terminal.print_measurements(report["reward_model"], False)
    for title, name in (
        ("Most disputed pairs", "disputed"),
        ("Pairs on which most votes contradict the gold reward", "against_gold"),
    ):
        if report[name]:
            print(f"\n{title}")
            terminal.print_rows(report[name], False)
    return 0


def _delete(args: argparse.Namespace, lines: list[Message], sessions: Sessions) -> int:
    session = _existing(args, lines, sessions)
    if session is None or lines:
        raise ConfigError(*lines)
    report = {"session": session.name, "votes": session.tally()["votes"]}
    deleted = sessions.delete(session.name)
    return _report(args, **report, deleted=deleted if args.json else " ".join(deleted))


def _existing(args: argparse.Namespace, lines: list[Message], sessions: Sessions) -> Session | None:
    """The session that --session names. If there is none, appends an error to `lines` and returns
    None."""
    with collect_errors(lines):
        return sessions.open(args.session)


def _session_for(
    args: argparse.Namespace, lines: list[Message], sessions: Sessions
) -> Session | None:
    """The session that --session names, or None if it does not exist yet. Its task becomes
    `args.task`."""
    session = None
    with collect_errors(lines):
        check_name(args.session)
        if args.session in sessions.names():
            session = sessions.open(args.session)
            if args.task not in (None, session.task):
                expected = f"{session.task}, the task of the session {session.name}"
                lines.append(option_error("--task", args.task, expected))
            args.task = session.task
    return session


def _report(args: argparse.Namespace, **values: Any) -> int:
    """Print the values; returns the exit code 0."""
    print(to_line(values) if args.json else ", ".join(f"{k} {v}" for k, v in values.items()))
    return 0


_ACTIONS: dict[str, tuple[Callable[..., int], str]] = {
    "simulate": (_simulate, "add votes of simulated raters to a session or a file"),
    "export": (_export, "write a session's votes to a file for train --preferences"),
    "import": (_import, "add a preference file as votes to a session"),
    "stats": (_stats, "print agreement, disputed pairs and biases of a session's votes"),
    "delete": (_delete, "delete a session with all votes, without confirmation"),
}
