"""The load of a voting lecture hall during a PPO run: lost votes, response times, memory growth.

    python -m benchmarks.vote_load            measure, write results and the page
    python -m benchmarks.vote_load --render   write docs/benchmarks.md from the stored results

The page runs in this process, the phones in another one that shares the cores. Each phone joins
within the first three seconds, then votes every three seconds.
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
WITHIN = 500  # ms, the limit of the 95th percentile of response times
SETTLED = 1 / 3  # the share of the time after which memory should no longer grow
PPO = {"task": "reviews", "method": "ppo", "steps": 100_000, "eval_every": 20}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--render", action="store_true", help="only write the page")
    parser.add_argument("--phones", type=int, default=PHONES)
    parser.add_argument("--seconds", type=float, default=SECONDS)
    parser.add_argument("--address", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.address:
        print(json.dumps(asyncio.run(vote(args.address, args.phones, args.seconds))))
        return
    if not args.render:
        results = {"machine": machine(), "phones": args.phones, "seconds": args.seconds}
        results |= {
            name: measure(args.phones, args.seconds, name == "ppo") for name in ("idle", "ppo")
        }
        RESULTS.write_text(json.dumps(results, indent=1) + "\n")
    text = render(json.loads(RESULTS.read_text()))
    write_section(PAGE, "vote load", text)
    print(text)


def measure(phones: int, seconds: float, with_ppo: bool) -> dict[str, Any]:
    """The results of one lecture on a new page, with or without a PPO run."""
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
                    time.sleep(0.5)  # wait until it trains
            session = open_room(address)
            pairs = page.voting.session(session).pairs
            while any(pair["first_score"] is None for pair in pairs()):
                time.sleep(0.5)  # wait until the reward model has scored the pairs
            memory = Monitor(lambda: psutil.Process().memory_info().rss / 2**20)
            result = child(
                *("benchmarks.vote_load", "--address", address),
                *("--phones", str(phones), "--seconds", str(seconds)),
            )
            memory.stop()
            votes = page.voting.session(session).votes()
            alive = not with_ppo or client.current() == run
            return result | {
                "kept": len({(vote["rater"], vote["pair"]) for vote in votes}),
                "memory": memory.between(SETTLED, 1),
                "trained_on": alive,
            }
        finally:
            client.close()
            page.close()


def open_room(address: str) -> Any:
    """As a presenter, create a session and open its room."""
    import httpx

    from playground.voting.rater_states import Rater

    rater = httpx.post(f"{address}vote/join", json={"task": "reviews"}).raise_for_status().json()
    headers = {"X-Session": rater["session"], "X-Rater": rater["token"]}
    body = {"action": "open"}
    httpx.post(f"{address}vote/room", json=body, headers=headers).raise_for_status()
    return Rater(rater["session"], rater["token"])


class Monitor:
    """Reads a value once a second in its own thread."""

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
    """Simulate all phones: the number of answered votes, response times, and refused requests."""
    host = urlsplit(address)
    waits: dict[str, list[float]] = {"join": [], "cast": []}
    refused: Counter = Counter()
    end = time.monotonic() + seconds

    async def phone(seed: int) -> None:
        rng = random.Random(seed)
        await asyncio.sleep(rng.uniform(0, EVERY))
        line = Connection(*await asyncio.open_connection(host.hostname, host.port))

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
            line.headers = f"X-Session: {ballot['session']}\r\nX-Rater: {ballot['token']}\r\n"
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


class Connection:
    """The connection of a phone. With 500 of them, httpx would take longer than the server."""

    headers = ""  # they identify the rater

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def post(self, path: str, content: dict[str, Any]) -> tuple[int, Any]:
        """The status and the JSON body of the response."""
        body = json.dumps(content)
        head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n"
        self._writer.write(f"{head}{self.headers}\r\n{body}".encode())
        response = (await self._reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(re.search(r"content-length: (\d+)", response)[1])
        return int(response.split()[1]), json.loads(await self._reader.readexactly(length))


def quantiles(values: list[float]) -> dict[str, float]:
    """The median, 95th and 99th percentile and maximum of the values."""
    cuts = statistics.quantiles(values, n=100, method="inclusive")
    return {"p50": cuts[49], "p95": cuts[94], "p99": cuts[98], "max": max(values)}


def render(results: dict[str, Any]) -> str:
    """A row for a lecture without a run, and one while PPO runs."""
    rows = []
    for name, what in (("idle", "no run"), ("ppo", "PPO runs")):
        result = results[name]
        cast, lost = result["cast"], result["answered"] - result["kept"]
        refused = sum(result["refused"].values())
        slow = cast["p95"] > WITHIN
        p95 = f"{cast['p95']:.0f}"
        start, end = result["memory"]
        rows.append(
            [
                what,
                str(result["answered"]),
                f"**{lost} ✗**" if lost > 0 else "0",
                str(refused),
                f"{cast['p50']:.0f}",
                f"**{p95} ✗**" if slow else p95,
                f"{cast['p99']:.0f}",
                f"{result['join']['p95']:.0f}",
                f"{start:.0f} → {end:.0f}",
            ]
        )
    intro = [
        "Written by `python -m benchmarks.vote_load` from `benchmarks/vote_load.json`:",
        f"{results['phones']} phones, each with a vote every {EVERY:g} s, for "
        f"{results['seconds']:g} s, from the page's own",
        "machine. A vote is lost if it was answered, but is not in the session. Answer times are",
        f"in ms; the limit of the 95th percentile is {WITHIN}. Memory of the page's process, in",
        "MB, after a third of the time and at the end.",
        f"Machine: {results['machine']}.\n\n",
    ]
    head = ["", "votes", "lost", "refused", "median", "95%", "99%", "join, 95%", "memory"]
    return "\n".join(intro) + table(head, rows)


if __name__ == "__main__":
    main()
