"""The page among strangers: a voting hall, watchers and attackers during a PPO run.

    python -m benchmarks.strangers                 measure, write results and docs/benchmarks.md
    python -m benchmarks.strangers --scale 0.1     a tenth of the load and time; writes nothing
    python -m benchmarks.strangers --render        write docs/benchmarks.md from the stored results

The same clients then visit a stub server during the same run, which shows how much the clients
alone slow the run down. All processes share the cores.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat
from pathlib import Path
from typing import Any

from align_core.runs.events import FINAL
from benchmarks.common import DOCS, child, machine, table, write_section
from benchmarks.served import Served, new_visitor
from benchmarks.strangers_clients import ATTACKS
from benchmarks.stub_server import stub
from benchmarks.vote_load import EVERY, WITHIN, open_room

RESULTS = Path(__file__).with_name("strangers.json")
PAGE = DOCS / "benchmarks.md"
PHONES, WATCHERS = 500, 50
HALL_SECONDS = 60.0  # of votes beside all attacks at once
PHASE_SECONDS = 8.0  # of each attack alone, and of the quiet after it
SOAK_MINUTES = 10.0  # of attacks and votes, over which memory may grow; includes the phases
SHORT_RUNS = 200
PPO = {"method": "ppo", "task": "reviews", "steps": 100_000, "eval_every": 20}
SHORT = {
    **{"method": "reward", "task": "reviews", "steps": 1},
    **{"preference_pairs": 32, "label_noise": 0},
}
PARTS = ("live", "visit", "try")
MAX = {"age": 1000, "lost": 15, "cores": 0.3, "memory": 50, "start": 6, "poll": 1}
WAIT = 600.0  # seconds, at most, for a run to begin or to end


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--render", action="store_true", help="only write the page")
    parser.add_argument("--scale", type=float, default=1.0, help="of all loads and times")
    parser.add_argument("--only", choices=MEASURES, action="append", help="only these parts")
    args = parser.parse_args()
    if not args.render:
        whole = args.scale == 1
        results = json.loads(RESULTS.read_text()) if whole and RESULTS.exists() else {}
        results["machine"] = machine()
        for name in args.only or MEASURES:
            results[name] = MEASURES[name](args.scale)
            print(name, json.dumps(results[name]), flush=True)
            if whole:
                RESULTS.write_text(json.dumps(results, indent=1) + "\n")
        if not whole:
            if not args.only:
                print(render(results))
            return
    text = render(json.loads(RESULTS.read_text()))
    write_section(PAGE, "strangers", text)
    print(text)


# The parts of the measurement


def cold_start(scale: float) -> dict[str, float]:
    """Seconds from the start of app.py to its first answer, and of the slowest answer to a poll
    while the first run waits for the forkserver's imports."""
    with tempfile.TemporaryDirectory() as folder, Served(Path(folder)) as server:
        owner, other = new_visitor(), new_visitor()
        pressing = threading.Thread(target=server.press_run, args=[owner], kwargs=PPO)
        pressing.start()
        longest, began = 0.0, time.monotonic()
        while not (server.processes().get("worker") and any(map(server.events, _runs(server)))):
            asked = time.monotonic()
            server.call(other, "live", "new_events", {"run": None, "offset": None})
            longest = max(longest, time.monotonic() - asked)
            if time.monotonic() - began > WAIT:
                raise TimeoutError("the first run did not begin")
            time.sleep(0.1)
        pressing.join()
        return {"start": server.starting, "poll": longest, "run": time.monotonic() - began}


def hall(scale: float) -> dict[str, Any]:
    """The phases against the page, then the one with all attacks against a stub, during one PPO
    run; memory and disk."""
    phones, watchers = max(5, round(PHONES * scale)), max(3, round(WATCHERS * scale))
    hall_seconds, quiet = max(10.0, HALL_SECONDS * scale), max(2.0, PHASE_SECONDS * scale)
    phases = [_phase("before", quiet)]
    for name in ATTACKS:
        phases += [_phase(name, quiet, [name]), _phase(f"after {name}", quiet)]
    everything = _phase("all", hall_seconds, list(ATTACKS), vote=True)
    phases += [everything, _phase("after all", quiet)]
    with tempfile.TemporaryDirectory() as folder, Served(Path(folder)) as server:
        room = open_room(f"{server.address}/")
        run = _begun(server)
        log = server.runs / run / "events.jsonl"
        progress = Progress(log)
        parts = {name: server.part(name) for name in PARTS}
        plan = {"parts": parts, "log": str(log), "watchers": watchers, "phones": phones}
        memory = [_memory(server)]
        seconds_before, then = _cpu(server), time.monotonic()
        played = _play(server.address, plan | {"phases": phases})
        cores = (_cpu(server) - seconds_before) / (time.monotonic() - then)
        *_, together, _ = played["phases"]
        with_page = progress.rate(together["began"], together["ended"])
        kept = _votes(server, room.session)
        with stub() as address:
            (against_stub,) = _play(address, plan | {"phases": [everything]})["phases"]
        with_stub = progress.rate(against_stub["began"], against_stub["ended"])
        left = SOAK_MINUTES * 60 * scale - sum(phase["seconds"] for phase in phases)
        soak = _phase("soak", max(HALL_SECONDS / 3, left), list(ATTACKS), vote=True)
        _play(server.address, plan | {"phases": [soak]})
        memory.append(_memory(server))
        server.call(new_visitor(), "live", "new_events", {"run": None, "offset": None})
        alive = server.health()
        return {
            **{"phones": phones, "watchers": watchers, "seconds": hall_seconds, "quiet": quiet},
            **{"phases": played["phases"], "failed_polls": played["failed_polls"], "kept": kept},
            **{"with_page": with_page, "with_stub": with_stub, "cores": cores, "memory": memory},
            "live": alive["live"] if alive else 0,
            "disk": _size(Path(folder)) / 1e6,
            "log": server.log.stat().st_size / 1e6,
            "soak_minutes": SOAK_MINUTES * scale,
        }


def short_runs(scale: float) -> dict[str, Any]:
    """Memory of the page's process in MB after the first short runs, and after all."""
    count = max(4, round(SHORT_RUNS * scale))
    memory = []
    two = {"PLAYGROUND_RUNS_AT_ONCE": "2"}
    with tempfile.TemporaryDirectory() as folder, Served(Path(folder), **two) as server:
        visitors = [new_visitor() for _ in range(2)]
        for part in (2, count - 2):  # the first two load what stays
            with ThreadPoolExecutor(len(visitors)) as pressing:
                shares = [part // 2, part - part // 2]
                list(pressing.map(_run_to_their_ends, repeat(server), visitors, shares))
            memory.append(_memory(server))
        return {"runs": count, "memory": memory, "disk": _size(Path(folder)) / 1e6}


MEASURES = {"cold_start": cold_start, "hall": hall, "short_runs": short_runs}


def _phase(
    name: str, seconds: float, attacks: list[str] | None = None, vote: bool = False
) -> dict[str, Any]:
    return {"name": name, "seconds": seconds, "attacks": attacks or [], "vote": vote}


def _play(address: str, plan: dict[str, Any]) -> dict[str, Any]:
    return child("benchmarks.strangers_clients", address, json.dumps(plan))


def _runs(server: Served) -> list[str]:
    return [path.parent.name for path in server.runs.glob("*/config.json")]


def _begun(server: Served) -> str:
    """Start a PPO run; returns its name once it trains."""
    run = server.press_run(new_visitor(), **PPO)
    assert run is not None, "a new server has a free slot"
    end = time.monotonic() + WAIT
    while not any("eval/kl" in event.get("metrics", ()) for event in server.events(run)):
        if time.monotonic() > end:
            raise TimeoutError(f"{run} did not begin")
        time.sleep(0.5)
    return run


def _run_to_their_ends(server: Served, visitor: str, count: int) -> None:
    """Short runs of a visitor, one after the other."""
    for _ in range(count):
        end = time.monotonic() + WAIT
        while (run := server.press_run(visitor, **SHORT)) is None:  # its last run still exits
            _pause(end)
        while not any(event.get("status") in FINAL for event in server.events(run)):
            _pause(end)


def _pause(end: float) -> None:
    if time.monotonic() > end:
        raise TimeoutError("a short run did not end")
    time.sleep(0.05)


class Progress:
    """Notes the last step of a log twice a second, in its own thread."""

    def __init__(self, log: Path) -> None:
        self._log, self._steps = log, [(time.time(), _last_step(log))]
        threading.Thread(target=self._watch, daemon=True).start()

    def rate(self, began: float, ended: float) -> float:
        """Steps a second between two times."""
        steps = [(then, step) for then, step in self._steps if began <= then <= ended]
        if len(steps) < 2:
            return 0.0
        (first, low), (last, high) = steps[0], steps[-1]
        return (high - low) / (last - first)

    def _watch(self) -> None:
        while self._log.exists():
            self._steps.append((time.time(), _last_step(self._log)))
            time.sleep(0.5)


def _last_step(log: Path) -> int:
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 200_000))
        lines = file.read().split(b"\n")[1:-1]
    return max((json.loads(line)["step"] for line in lines), default=0)


def _votes(server: Served, session: str) -> int:
    from align_core.votes.sessions import Sessions

    sessions = Sessions(server.sessions)
    votes = sessions.open(session).votes()
    sessions.close()
    return len({(vote["rater"], vote["pair"]) for vote in votes})


def _memory(server: Served) -> float:
    return server.process.memory_info().rss / 2**20


def _cpu(server: Served) -> float:
    times = server.process.cpu_times()
    return times.user + times.system


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def render(results: dict[str, Any]) -> str:
    """The figures and their limits, and the ages of updates around each attack."""
    hall, cold, short = results["hall"], results["cold_start"], results["short_runs"]
    phases = {phase["name"]: phase for phase in hall["phases"]}
    votes = phases["all"]["votes"]
    lost = 100 * (1 - hall["with_page"] / hall["with_stub"]) if hall["with_stub"] else 100.0
    grown = hall["memory"][1] - hall["memory"][0]
    rows = [
        ("votes answered", votes["answered"], None, ""),
        ("of which lost", max(0, votes["answered"] - hall["kept"]), 0, ""),
        ("refused", sum(votes["refused"].values()), 0, ""),
        ("answer to a vote, 95th percentile", votes["cast"]["p95"], WITHIN, "ms"),
        ("slowdown of the run, compared with the same clients on a stub", lost, MAX["lost"], "%"),
        ("or cores used by the page's own process", hall["cores"], MAX["cores"], "cores"),
        (f"memory gained in {hall['soak_minutes']:g} minutes", grown, MAX["memory"], "MB"),
        (
            f"memory gained in {short['runs']} short runs",
            *(short["memory"][1] - short["memory"][0], MAX["memory"], "MB"),
        ),
        ("disk taken by the hall", hall["disk"], None, "MB"),
        (f"disk taken by {short['runs']} short runs", short["disk"], None, "MB"),
        ("of which the log", hall["log"], None, "MB"),
        ("cold start to the first answer", cold["start"], MAX["start"], "s"),
        ("longest answer to a poll while the first run starts", cold["poll"], MAX["poll"], "s"),
    ]
    ages = [_age_row(name, phases) for name in (*ATTACKS, "all")]
    intro = [
        "Written by `python -m benchmarks.strangers` from `benchmarks/strangers.json`:",
        f"{hall['phones']} phones, each with a vote every {EVERY:g} s, for {hall['seconds']:g} s,",
        f"during a PPO run, with {hall['watchers']} watchers and all attacks at once. **Bold ✗**:",
        "beyond the limit; either the run's slowdown or the page's cores must be within its limit.",
        f"Machine: {results['machine']}.\n\n",
    ]
    after = (
        f"\nAge of updates on the watchers' pages in ms, 95th percentile, at most {MAX['age']}; "
        f"{hall['failed_polls']} polls failed. Each attack alone for {hall['quiet']:g} s.\n\n"
    )
    return (
        "\n".join(intro)
        + table(["", "measured", "at most"], [_row(*row) for row in rows])
        + after
        + table(["attack", "a second", "before", "during", "after"], ages)
    )


def _row(name: str, value: float, most: float | None, unit: str) -> list[str]:
    shown = f"{value:.0f}" if abs(value) >= 20 or unit == "" else f"{value:.2g}"
    shown = f"{shown} {unit}".strip()
    if most is None:
        return [name, shown, "–"]
    return [name, shown if value <= most else f"**{shown} ✗**", f"{most:g} {unit}".strip()]


def _age_row(name: str, phases: dict[str, Any]) -> list[str]:
    names = list(phases)
    before = names[names.index(name) - 1]
    rate = f"{ATTACKS[name][0]:g}" if name in ATTACKS else "together"
    cells = []
    for phase in (before, name, f"after {name}"):
        age = phases[phase]["age"]
        if age is None:
            cells.append("–")
        else:
            shown = f"{age['p95']:.0f}"
            cells.append(shown if age["p95"] <= MAX["age"] else f"**{shown} ✗**")
    return [name, rate, *cells]


if __name__ == "__main__":
    main()
