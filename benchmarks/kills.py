"""kill -9 of the page's processes at random moments: whether confirmed work is still there.

    python -m benchmarks.kills                 measure, write results and docs/benchmarks.md
    python -m benchmarks.kills --moments 4     fewer moments for each process; writes nothing
    python -m benchmarks.kills --render        write docs/benchmarks.md from the stored results

Somebody votes all the time. At each moment a run is started, and its worker, the forkserver, the
helper or the server is killed at a random time during the run, every second time while the run
saves its model. Then the page has to say how the run ended, and the next run and the next question
have to be answered. `export` and `prepare` are commands that are killed and given again. Two lanes
of these measurements go side by side. They took 108 minutes on two cores with other work, which
changes when a kill comes, but not what may be lost.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import httpx

from align_core.runs import forkserver
from benchmarks.common import DOCS, machine, table, write_section
from benchmarks.served import Served, new_visitor

RESULTS = Path(__file__).with_name("kills.json")
PAGE = DOCS / "benchmarks.md"
MOMENTS = 40
STEPS = 4  # rollouts of a run
RUN = {"method": "ppo", "task": "reviews", "steps": STEPS, "eval_every": STEPS, "batch_size": 32}
EVERY = 1.0  # seconds between two votes
WAIT = 300.0  # seconds, at most, for a run to end
PROCESSES = ("worker", "forkserver", "helper", "server")
LANES = (("server", "worker", "export"), ("forkserver", "helper", "prepare"))  # of equal length
COMMANDS = ("export", "prepare")
FINAL = ("finished", "stopped", "failed")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--render", action="store_true", help="only write the page")
    parser.add_argument("--moments", type=int, default=MOMENTS, help="for each process")
    parser.add_argument("--only", choices=(*PROCESSES, *COMMANDS), action="append")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    if not args.render:
        results: dict[str, Any] = {"machine": machine(), "moments": args.moments}

        def measure(lane: Sequence[str]) -> None:
            for name in lane:
                if not args.only or name in args.only:
                    kill = kill_process if name in PROCESSES else kill_command
                    results[name] = kill(name, args.moments, random.Random(f"{name} {args.seed}"))
                    print(name, json.dumps(results[name]), flush=True)

        with ThreadPoolExecutor(len(LANES)) as lanes:
            list(lanes.map(measure, LANES))
        if args.moments < MOMENTS or args.only:
            return
        RESULTS.write_text(json.dumps(results, indent=1) + "\n")
    text = render(json.loads(RESULTS.read_text()))
    write_section(PAGE, "kills", text)
    print(text)


def kill_process(name: str, moments: int, rng: random.Random) -> dict[str, Any]:
    """Kill one of the server's processes `moments` times; returns counts of runs and losses."""
    counts: Counter[str] = Counter()
    ends: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder, Served(Path(folder)) as server:
        visitor = new_visitor()
        voter = Voter(server)
        undisturbed(server, visitor)  # waits for the forkserver
        span = undisturbed(server, visitor)
        models: set[str] = set()  # runs that have a model, as the page has said
        for moment in range(moments):
            run = start(server, visitor)
            counts["runs"] += 1
            asked = ask(server, visitor) if name == "helper" else None
            if moment % 2:  # while it saves its model
                until(lambda run=run: steps(server, run) >= STEPS)
                time.sleep(rng.uniform(0, 0.1 * span))
            else:
                time.sleep(rng.uniform(0, span))
            counts["kills"] += server.kill(name)
            if name == "server":
                server.start()
            if asked is not None:
                counts["unsaid"] += not asked()
            status, message = end_of(server, visitor, run)
            ends[status] += 1
            counts["unsaid"] += status == "failed" and not message
            counts["lost_runs"] += status not in FINAL
            if status in ("finished", "stopped"):
                models.add(run)
            counts["lost_models"] += sum(
                not is_whole(server.runs / one / "model") for one in models
            )
        voter.stop()
        counts["votes"], counts["lost_votes"] = len(voter.answered), len(voter.lost())
        counts["unsaid"] += not ask(server, visitor)()
    return {**counts, "ends": dict(ends)}


def kill_command(name: str, moments: int, rng: random.Random) -> dict[str, Any]:
    """Kill `align-core export` or `prepare` `moments` times, and repeat it; returns counts."""
    counts: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        run, out = Path(folder) / "run", Path(folder) / "out"
        train = ("train", "dpo", "--task", "reviews", "--steps", "1", "--run-dir", str(run))
        command(*train, folder=folder).join()
        arguments = ("export", str(run), str(out))
        if name == "prepare":
            arguments = ("prepare", "--task", "reviews", "--model", str(run))
            arguments += ("--samples", "64", "--prompts", "2")
        began = time.monotonic()
        command(*arguments, folder=folder).join()
        span = time.monotonic() - began
        for moment in range(moments):
            again = Path(f"{out}-{moment}")
            given = tuple(str(again) if one == str(out) else one for one in arguments)
            given += ("--seed", str(moment + 1)) if name == "prepare" else ()
            process = command(*given, folder=folder)
            time.sleep(rng.uniform(0, span))
            process.kill()
            process.join()
            counts["kills"] += process.exitcode == -9
            if name == "export" and again.exists():
                counts["lost_models"] += not is_whole(again)
            if not (name == "export" and again.exists()):  # a whole export is refused as existing
                process = command(*given, folder=folder)
                process.join()
                counts["unsaid"] += process.exitcode != 0
            if name == "export":
                counts["lost_models"] += not is_whole(again)
    return dict(counts)


def command(*arguments: str, folder: str) -> BaseProcess:
    """The process of an `align_core` command whose cache is in `folder`. It is forked from one that
    has imported everything, so that the kill comes at its work and not at its imports."""
    forkserver.preload()
    process = forkserver.Process(target=_command, args=(arguments, folder))
    forkserver.start(process)
    return process


def _command(arguments: Sequence[str], folder: str) -> None:
    from align_core.cli.main import main as align_core

    os.chdir(folder)
    os.environ["XDG_CACHE_HOME"] = folder
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for output in (1, 2):
        os.dup2(nowhere, output)
    sys.exit(align_core([*arguments]))


def undisturbed(server: Served, visitor: str) -> float:
    """The seconds of a run that is not killed."""
    began = time.monotonic()
    run = start(server, visitor)
    status, message = end_of(server, visitor, run)
    if status != "finished":
        raise RuntimeError(f"the first run {status}: {message}")
    return time.monotonic() - began


def start(server: Served, visitor: str) -> str:
    """Start a run; returns its name from the page's answer."""
    return until(lambda: server.press_run(visitor, **RUN))


def steps(server: Served, run: str) -> int:
    return max((event["step"] for event in server.events(run)), default=0)


def end_of(server: Served, visitor: str, run: str) -> tuple[str, str]:
    """The final status of a run and its message on the visitor's page."""

    def ended() -> tuple[str, str] | None:
        cursor = {"run": run, "offset": None, "chosen": True}
        told = server.call(visitor, "live", "new_events", cursor)
        status = told.get("status") if told["run"] == run else None
        if status and status["name"] in FINAL:
            return status["name"], status["message"]
        return None

    return until(ended)


def ask(server: Served, visitor: str) -> Callable[[], bool]:
    """Ask a question in a thread.

    Returns a function that waits for it, and returns whether an answer or an error came.
    """
    answers: list[dict[str, Any]] = []
    query = {"task": "reviews", "models": ["sft-reviews"], "prompt": "The film was", "n": 16}
    query |= {"temperature": 1, "seed": random.randrange(10**6)}

    def wait() -> None:
        answers.append(server.call(visitor, "try", "generate", query))

    thread = threading.Thread(target=wait)
    thread.start()

    def answered() -> bool:
        thread.join()
        return bool(answers and (answers[0]["answers"] or answers[0]["errors"]))

    return answered


def until(condition: Callable[[], Any]) -> Any:
    """The value of a condition once it is true; it is retried while the server restarts."""
    end = time.monotonic() + WAIT
    while time.monotonic() < end:
        try:
            if value := condition():
                return value
        except httpx.TransportError:
            pass
        time.sleep(0.05)
    raise TimeoutError(f"expected the condition within {WAIT:g} s")


def is_whole(model: Path) -> bool:
    """Whether a folder has a model with all of its weights."""
    try:
        json.loads((model / "config.json").read_text())
        weights = (model / "model.safetensors").read_bytes()
        length = int.from_bytes(weights[:8], "little")
        header = json.loads(weights[8 : 8 + length])
    except (OSError, ValueError):
        return False
    ends = [one["data_offsets"][1] for name, one in header.items() if name != "__metadata__"]
    return len(weights) == 8 + length + max(ends)


class Voter:
    """A rater who votes all the time in their own session, and notes the answered votes."""

    def __init__(self, server: Served) -> None:
        self._server = server
        self._over = threading.Event()
        self.answered: list[int] = []  # pairs
        self._ballot = server.post(new_visitor(), "/vote/join", {"task": "capitals"})
        self._thread = threading.Thread(target=self._vote, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._over.set()
        self._thread.join()

    def lost(self) -> set[int]:
        """The pairs whose votes were answered, but are not in the session."""
        from align_core.votes.sessions import Sessions

        sessions = Sessions(self._server.sessions)
        kept = {vote["pair"] for vote in sessions.open(self._ballot["session"]).votes()}
        sessions.close()
        return set(self.answered) - kept

    def _vote(self) -> None:
        headers = {"X-Session": self._ballot["session"], "X-Rater": self._ballot["token"]}
        while not self._over.wait(EVERY):
            try:
                shown = self._server.post("", "/vote/pair", {}, **headers)["pair"]
                if shown is None:
                    return
                vote = {"pair": shown["id"], "choice": "left"}
                self._server.post("", "/vote/cast", vote, **headers)
                self.answered.append(shown["id"])
            except (httpx.HTTPError, ValueError):
                continue


def render(results: dict[str, Any]) -> str:
    """A row for each killed process."""
    names = ("kills", "votes", "lost_votes", "runs", "lost_runs", "lost_models", "unsaid")
    rows = []
    for name in (*PROCESSES, *COMMANDS):
        result = results[name]
        values = [result.get(one) for one in names]
        bad = ("lost_votes", "lost_runs", "lost_models", "unsaid")
        shown = [
            "–" if value is None else f"**{value} ✗**" if one in bad and value else str(value)
            for one, value in zip(names, values, strict=True)
        ]
        ends = ", ".join(f"{count} {status}" for status, count in result.get("ends", {}).items())
        rows.append([name, *shown, ends or "–"])
    intro = [
        "Written by `python -m benchmarks.kills` from `benchmarks/kills.json`: kill -9 at",
        f"{results['moments']} random moments each, half of them while a run saves its model.",
        "Lost: answered, but not there afterwards. Unsaid: the page does not say what happened, or",
        "does not go on. A worker, helper or forkserver may have ended by itself.",
        f"Machine: {results['machine']}.\n\n",
    ]
    head = [
        "killed",
        "kills",
        "votes",
        "lost",
        "runs",
        "lost",
        "models lost",
        "unsaid",
        "runs ended",
    ]
    return "\n".join(intro) + table(head, rows)


if __name__ == "__main__":
    main()
