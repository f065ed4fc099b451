"""A lecture hall votes while PPO runs: is every vote kept, how long is an answer, does memory grow?

    python -m benchmarks.vote_load            measure, write results and the page
    python -m benchmarks.vote_load --render   write docs/benchmarks.md from the stored results

The page is this process. The phones are another one on the same machine, and take their part of its
cores: each joins within the first three seconds, then votes every three.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import re
import statistics
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from benchmarks.common import DOCS, child, machine, table, write_section

RESULTS = Path(__file__).with_name("vote_load.json")
PAGE = DOCS / "benchmarks.md"
PHONES, SECONDS, EVERY = 500, 60.0, 3.0
WITHIN = 500  # ms, of 95% of the answers
SETTLED = 1 / 3  # of the time, after which memory is to stay as it is
PPO = {"task": "reviews", "method": "ppo", "steps": 100_000, "eval_every": 20}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--render", action="store_true", help="only write the page")
    parser.add_argument("--phones", type=int, default=PHONES)
    parser.add_argument("--seconds", type=float, default=SECONDS)
    parser.add_argument("--address", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.address:
        print(json.dumps(asyncio.run(vote(given.address, given.phones, given.seconds))))
        return
    if not given.render:
        found = {"machine": machine(), "phones": given.phones, "seconds": given.seconds}
        found |= {
            name: measure(given.phones, given.seconds, name == "ppo") for name in ("idle", "ppo")
        }
        RESULTS.write_text(json.dumps(found, indent=1) + "\n")
    text = render(json.loads(RESULTS.read_text()))
    write_section(PAGE, "vote load", text)
    print(text)


def measure(phones: int, seconds: float, with_ppo: bool) -> dict[str, Any]:
    """One hall on a fresh page, while PPO runs or not."""
    import psutil

    from align_core.runs.client import Client
    from playground import app

    with tempfile.TemporaryDirectory() as folder:
        client = Client(Path(folder) / "runs")
        page = app.build(client)
        options = app.launch_options() | {"server_name": "127.0.0.1", "server_port": None}
        _, address, _ = page.launch(**options, prevent_thread_lock=True)
        try:
            if with_ppo:
                run = client.start(**PPO)
                while not any("eval/kl" in e.get("metrics", ()) for e in client.events(run)[0]):
                    time.sleep(0.5)  # the models are loaded, and it trains from now on
            session = open_room(address)
            pairs = page.voting.session(session).pairs
            while any(pair["first_score"] is None for pair in pairs()):
                time.sleep(0.5)  # the reward model scores them: over before a hall has joined
            memory = Watched(lambda: psutil.Process().memory_info().rss / 2**20)
            told = child(
                *("benchmarks.vote_load", "--address", address),
                *("--phones", str(phones), "--seconds", str(seconds)),
            )
            memory.stop()
            kept = page.voting.session(session).votes()
            alive = not with_ppo or client.current() == run
            return told | {
                "kept": len({(vote["rater"], vote["pair"]) for vote in kept}),
                "memory": memory.between(SETTLED, 1),
                "trained_on": alive,
            }
        finally:
            client.close()
            page.close()


def open_room(address: str) -> Any:
    """The presenter: begins a session and opens it to the room."""
    import httpx

    from playground.voting.room import Rater

    told = httpx.post(f"{address}vote/join", json={"task": "reviews"}).raise_for_status().json()
    known = {"X-Session": told["session"], "X-Rater": told["token"]}
    asked = {"action": "open"}
    httpx.post(f"{address}vote/room", json=asked, headers=known).raise_for_status()
    return Rater(told["session"], told["token"])


class Watched:
    """A value, read once a second by a thread of its own."""

    def __init__(self, read: Any) -> None:
        self._values: list[float] = []
        self._read, self._over = read, threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._over.set()
        self._thread.join()

    def between(self, *shares: float) -> list[float]:
        """The values at these shares of the time."""
        last = len(self._values) - 1
        return [self._values[round(share * last)] for share in shares]

    def _watch(self) -> None:
        while not self._over.wait(1):
            self._values.append(self._read())


async def vote(address: str, phones: int, seconds: float) -> dict[str, Any]:
    """All phones for so long: how many votes were answered, how fast, and what was refused."""
    host = urlsplit(address)
    waits: dict[str, list[float]] = {"join": [], "cast": []}
    refused: Counter = Counter()
    end = time.monotonic() + seconds

    async def phone(seed: int) -> None:
        rng = random.Random(seed)
        await asyncio.sleep(rng.uniform(0, EVERY))
        line = Line(*await asyncio.open_connection(host.hostname, host.port))

        async def ask(path: str, content: dict[str, Any]) -> Any:
            began = time.perf_counter()
            try:
                status, answer = await asyncio.wait_for(line.post(f"/vote/{path}", content), 30)
            except (OSError, EOFError, TimeoutError) as error:
                refused[type(error).__name__] += 1
                return None
            if status != 200:
                refused[str(status)] += 1
                return None
            waits[path].append(1000 * (time.perf_counter() - began))
            return answer

        ballot = await ask("join", {})
        if ballot:
            line.known = f"X-Session: {ballot['session']}\r\nX-Rater: {ballot['token']}\r\n"
        while ballot and ballot["pair"] and time.monotonic() + EVERY < end:
            await asyncio.sleep(EVERY)
            choice = rng.choice(("left", "right"))
            ballot = await ask("cast", {"pair": ballot["pair"]["id"], "choice": choice})

    await asyncio.gather(*map(phone, range(phones)))
    return {
        "answered": len(waits["cast"]),
        "refused": dict(refused),
        **{name: quantiles(values) for name, values in waits.items()},
    }


class Line:
    """One phone's connection. httpx takes longer for a request, with 500 open, than the server."""

    known = ""  # headers that tell who asks

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def post(self, path: str, content: dict[str, Any]) -> tuple[int, Any]:
        """The status of the answer, and what it says."""
        body = json.dumps(content)
        head = f"POST {path} HTTP/1.1\r\nHost: hall\r\nContent-Length: {len(body)}\r\n"
        self._writer.write(f"{head}{self.known}\r\n{body}".encode())
        told = (await self._reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(re.search(r"content-length: (\d+)", told)[1])
        return int(told.split()[1]), json.loads(await self._reader.readexactly(length))


def quantiles(values: list[float]) -> dict[str, float]:
    """Median, 95% and 99% of the values, and the largest, in ms."""
    cuts = statistics.quantiles(values, n=100, method="inclusive")
    return {"p50": cuts[49], "p95": cuts[94], "p99": cuts[98], "max": max(values)}


def render(results: dict[str, Any]) -> str:
    """A row for a hall without a run, and one while PPO runs."""
    rows = []
    for name, what in (("idle", "no run"), ("ppo", "PPO runs")):
        one = results[name]
        lost = one["answered"] - one["kept"]
        refused = sum(one["refused"].values())
        slow = one["cast"]["p95"] > WITHIN
        p95 = f"{one['cast']['p95']:.0f}"
        start, end = one["memory"]
        rows.append(
            [
                what,
                str(one["answered"]),
                f"**{lost} ✗**" if lost > 0 else "0",
                str(refused),
                f"{one['cast']['p50']:.0f}",
                f"**{p95} ✗**" if slow else p95,
                f"{one['cast']['p99']:.0f}",
                f"{one['join']['p95']:.0f}",
                f"{start:.0f} → {end:.0f}",
            ]
        )
    intro = [
        "Written by `python -m benchmarks.vote_load` from `benchmarks/vote_load.json`:",
        f"{results['phones']} phones, each with a vote every {EVERY:g} s, for "
        f"{results['seconds']:g} s, from the page's own",
        "machine. A vote is lost where it was answered and is not in the session; answers are in",
        f"ms, 95% of them to be within {WITHIN}. Memory of the page's process, in MB, from a third",
        "of the time to its end.",
        f"Machine: {results['machine']}.\n\n",
    ]
    head = ["", "votes", "lost", "refused", "median", "95%", "99%", "join, 95%", "memory"]
    return "\n".join(intro) + table(head, rows)


if __name__ == "__main__":
    main()
