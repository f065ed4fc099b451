"""The command line of people's votes: python -m align_core preferences {simulate,export,…}."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from contextlib import closing
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from align_core.cli import terminal
from align_core.cli.options import add_json, checked
from align_core.config.errors import (
    ConfigError,
    collect_errors,
    flag,
    option_error,
    raise_collected,
)
from align_core.config.fields import Float, Int, Seed
from align_core.config.messages import Message, plain
from align_core.config.methods import methods_with
from align_core.config.model_index import EXPECTED
from align_core.config.run_config import TaskName, model_errors
from align_core.config.task_card import BUILT_IN, card
from align_core.inference import in_process
from align_core.runs.directory import to_line
from align_core.tasks.loader import resolve_task
from align_core.votes import preference_files, statistics
from align_core.votes.session import Session
from align_core.votes.sessions import Sessions, check_name, folder
from align_core.votes.simulated_raters import CROWDS, RATERS, fill, simulate

MOST_PAIRS = 16_000  # stored for each task
_Crowd = Annotated[Literal[tuple(CROWDS)], Field(description="one of " + ", ".join(CROWDS))]
_Share = Annotated[Float, Field(ge=0, le=1, description="a share from 0 to 1")]
_HeldOut = Annotated[Float, Field(ge=0, lt=1, description="a share from 0 to below 1")]
_Pairs = Annotated[
    Int | None,
    Field(ge=1, le=MOST_PAIRS, description=f"a whole number of pairs from 1 to {MOST_PAIRS}"),
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


class _Import(BaseModel):
    task: TaskName


class _Stats(BaseModel):
    hold_out: _HeldOut = 0.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The commands and their options."""
    commands = parser.add_subparsers(dest="action", metavar="ACTION")
    subs = {}
    for name, (_, about) in _ACTIONS.items():
        sub = subs[name] = commands.add_parser(name, help=about, description=about)
        sub.add_argument("--session", metavar="NAME")
        sub.add_argument("--sessions", metavar="DIR", help="the folder of the sessions")
        add_json(sub)
    crowds = "; ".join(f"{name}: {crowd.about}" for name, crowd in CROWDS.items())
    options = {
        "--task": "what the texts are about; that of the session unless named",
        "--rater": crowds,
        "--votes": "how many votes",
        "--raters": f"how many raters cast them; {RATERS} unless named",
        "--pairs": "how many pairs a session without any gets; as many as votes unless named",
        "--model": "whose samples these pairs are; the task's SFT model unless named",
        "--reward-model": "what is to be least sure of the pairs; the task's unless named",
        "--active-share": "share of votes on pairs that the reward model is least sure of; 0",
        "--seed": None,
        "--output": "a new .jsonl or .parquet file, in place of --session",
    }
    for option, about in options.items():
        subs["simulate"].add_argument(option, help=about)
    subs["export"].add_argument("--output", metavar="FILE", help="a new .jsonl or .parquet file")
    subs["export"].add_argument("--ties", help="omit them, or count them as one vote for both")
    subs["import"].add_argument("file", metavar="FILE", nargs="?", help="JSONL or Parquet")
    subs["import"].add_argument("--task", help="of a new session")
    subs["stats"].add_argument("--reward-model", metavar="MODEL", help="measured on the votes")
    kept_back = {
        "export": "share of the prompts whose votes are left out, to measure on",
        "stats": "measure the reward model on that share of the prompts only",
    }
    for name, about in kept_back.items():
        subs[name].add_argument("--hold-out", metavar="P", help=about)


def execute(given: argparse.Namespace, lines: list[Message]) -> int:
    """Run one of them; raises ConfigError with every error at once."""
    if given.action is None:
        listed = [plain(f"  {name:<9} {about}") for name, (_, about) in _ACTIONS.items()]
        raise ConfigError(*lines, option_error("ACTION", None, "one of these:"), *listed)
    with closing(Sessions(given.sessions or folder())) as sessions:
        return _ACTIONS[given.action][0](given, lines, sessions)


def _simulate(given: argparse.Namespace, lines: list[Message], sessions: Sessions) -> int:
    vars(given).update(resolve_task({"task": given.task}, lines))
    if (given.session is None) == (given.output is None):
        lines.append(plain("expected either --session or --output, got both or neither"))
    session = None
    if given.session is not None:
        session = _session_for(given, lines, sessions)
    if session and session.tally()["pairs"] and (given.pairs or given.model):
        line = f"--pairs, --model: the session {session.name} has its pairs already"
        lines.append(plain(line))
    if given.output is not None:
        lines += preference_files.errors(given.output, "--output")
    for name, scores in (("model", False), ("reward_model", True)):
        if getattr(given, name) is not None:
            lines += model_errors(flag(name), getattr(given, name), scores)
    options = checked(_Simulate, given, lines)
    if options is not None:
        task, has_pairs = card(options.task), session and session.tally()["pairs"]
        reward_model = given.reward_model or task.reward_model
        if not (given.model or task.reference or has_pairs):
            lines.append(
                option_error("--model", None, f"{EXPECTED}: {task.title} has no reference")
            )
        if options.active_share and reward_model is None:
            lines.append(option_error("--reward-model", None, f"{EXPECTED}: {task.title} has none"))
    raise_collected(lines)

    how = options.votes, options.raters, options.active_share, options.seed
    pairs = (session.pairs() if session else []) or _new_pairs(options, given.model)
    if options.active_share:
        pairs = in_process.queries().score_pairs(pairs, reward_model)
    if given.output is not None:
        cast = simulate(pairs, CROWDS[options.rater], *how)
        rows = preference_files.preferences(
            {**pairs[vote.pair], "choice": vote.choice} for vote in cast
        )
        preference_files.write(given.output, rows)
        return _tell(given, votes=len(cast), rows=len(rows), file=given.output)
    session = session or sessions.create(given.session, options.task)
    if not session.tally()["pairs"]:
        ids = session.add_pairs(pairs)
        pairs = [{**pair, "id": new} for pair, new in zip(pairs, ids, strict=True)]
    if options.active_share:
        session.set_scores(pairs, reward_model)
    cast = fill(session, options.rater, *how)
    return _tell(given, votes=cast, session=session.name)


def _new_pairs(options: _Simulate, model: str | None) -> list[dict[str, Any]]:
    count = options.pairs or min(options.votes, MOST_PAIRS)
    reference = card(options.task).reference
    if options.task in BUILT_IN and model in (None, reference):
        return preference_files.pool_pairs(options.task, count, options.seed)
    return in_process.queries().candidates(options.task, model or reference, count, options.seed)


def _export(given: argparse.Namespace, lines: list[Message], sessions: Sessions) -> int:
    session = _existing(given, lines, sessions)
    options = checked(_Export, given, lines)
    lines += preference_files.errors(given.output, "--output")
    raise_collected(lines)
    kept, held_out = statistics.held_out(session.votes(), options.hold_out)
    rows = preference_files.preferences(kept, options.ties)
    preference_files.write(given.output, rows)
    told = {"votes": len(kept), "held_out": len(held_out), "rows": len(rows)}
    for method in methods_with("preferences"):
        how = preference_files.settings(method, session.task, len(rows))
        told[f"train_{method}"] = " ".join(f"{flag(name)} {value}" for name, value in how.items())
    return _tell(given, **told, file=given.output)


def _import(given: argparse.Namespace, lines: list[Message], sessions: Sessions) -> int:
    vars(given).update(resolve_task({"task": given.task}, lines))
    session = _session_for(given, lines, sessions)
    options = checked(_Import, given, lines)
    with collect_errors(lines):
        rows = preference_files.read(given.file)
    raise_collected(lines)
    session = session or sessions.create(given.session, options.task)
    return _tell(given, votes=preference_files.import_votes(session, rows), session=session.name)


def _stats(given: argparse.Namespace, lines: list[Message], sessions: Sessions) -> int:
    session = _existing(given, lines, sessions)
    options = checked(_Stats, given, lines)
    if given.reward_model is not None:
        lines += model_errors("--reward-model", given.reward_model, True)
    raise_collected(lines)
    cast = session.votes()
    report: dict[str, Any] = {"task": session.task, **statistics.stats(cast)}
    if given.reward_model is not None:
        measured_on = statistics.held_out(cast, options.hold_out)[1] if options.hold_out else cast
        scored = in_process.queries().score_pairs(session.pairs(), given.reward_model)
        report["reward_model"] = statistics.reward_model_metrics(
            statistics.with_scores(measured_on, scored)
        )
    report["disputed"] = statistics.disputed(cast)
    report["against_gold"] = statistics.against_gold(cast)
    if given.json:
        print(to_line(report))
        return 0
    report["kinds"] = ", ".join(f"{count} {kind}" for kind, count in report["kinds"].items())
    numbers = {name: value for name, value in report.items() if not isinstance(value, list | dict)}
    terminal.print_measurements(numbers, False)
    if "reward_model" in report:
        print("\nThe reward model on votes that it should not have seen")
        terminal.print_measurements(report["reward_model"], False)
    for title, name in (
        ("Most disputed", "disputed"),
        ("Most votes differ from the gold reward", "against_gold"),
    ):
        if report[name]:
            print(f"\n{title}")
            terminal.print_rows(report[name], False)
    return 0


def _delete(given: argparse.Namespace, lines: list[Message], sessions: Sessions) -> int:
    session = _existing(given, lines, sessions)
    raise_collected(lines)
    told = {"session": session.name, "votes": session.tally()["votes"]}
    deleted = sessions.delete(session.name)
    return _tell(given, **told, deleted=deleted if given.json else " ".join(deleted))


def _existing(
    given: argparse.Namespace, lines: list[Message], sessions: Sessions
) -> Session | None:
    """The session that is named; None, and its error's line, where there is none."""
    with collect_errors(lines):
        return sessions.open(given.session)


def _session_for(
    given: argparse.Namespace, lines: list[Message], sessions: Sessions
) -> Session | None:
    """The session that votes go to, of the task that is named, if any; None: it is yet to be."""
    session = None
    with collect_errors(lines):
        check_name(given.session)
        if given.session in sessions.names():
            session = sessions.open(given.session)
            if given.task not in (None, session.task):
                expected = f"{session.task}, the task of the session {session.name}"
                lines.append(option_error("--task", given.task, expected))
            given.task = session.task
    return session


def _tell(given: argparse.Namespace, **told: Any) -> int:
    print(to_line(told) if given.json else ", ".join(f"{k} {v}" for k, v in told.items()))
    return 0


_ACTIONS: dict[str, tuple[Callable[..., int], str]] = {
    "simulate": (_simulate, "votes of simulated raters, into a session or a file"),
    "export": (_export, "a session's votes as a file for train --preferences"),
    "import": (_import, "a file of preferences as votes into a session"),
    "stats": (_stats, "agreement, disputes and biases in a session's votes"),
    "delete": (_delete, "a session off the disk, with every vote in it; nothing is asked"),
}
