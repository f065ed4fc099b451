"""The visitors of `benchmarks.strangers`, in one process: watchers, phones and attackers.

Each attack has a rate. Attacks come from 127.0.0.2, another address than that of the hall, so the
server counts their requests separately.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import secrets
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from benchmarks.vote_load import Connection, quantiles, vote

PAUSE = 0.4  # seconds between two polls of a page
PATIENCE = 20.0  # seconds after which an attacker gives up a request
ELSEWHERE = "127.0.0.2"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("address")
    parser.add_argument("plan", help="JSON of `play`'s arguments")
    args = parser.parse_args()
    print(json.dumps(asyncio.run(play(args.address, **json.loads(args.plan)))))


async def play(
    address: str,
    parts: dict[str, int],
    log: str,
    watchers: int,
    phones: int,
    phases: list[dict[str, Any]],
) -> dict[str, Any]:
    """Watch a run during the phases.

    Returns for each phase the age of updates in ms, the answers to the attacks, the votes, and the
    times of its beginning and end. A phase has a `name`, `seconds`, the names of `attacks`, and
    whether the phones `vote`. `parts` has the ids of the Gradio components of the page's parts.
    """
    attackers = Attackers(address, parts)
    hall = Watchers(address, parts["live"], Path(log))
    watching = [asyncio.create_task(hall.look())]
    watching += [asyncio.create_task(hall.page(number)) for number in range(watchers)]
    results = []
    for phase in phases:
        began, hall.ages = time.time(), []
        attackers.answers = Counter()
        tasks = [attackers.attack(name, phase["seconds"]) for name in phase["attacks"]]
        tasks.append(asyncio.sleep(phase["seconds"]))
        if phase["vote"]:
            tasks.append(vote(address, phones, phase["seconds"]))
        *_, last = await asyncio.gather(*tasks)
        results.append(
            {
                "name": phase["name"],
                "began": began,
                "ended": time.time(),
                "updates": len(hall.ages),
                "age": quantiles(hall.ages) if len(hall.ages) > 1 else None,
                "answers": dict(attackers.answers),
                "votes": last if phase["vote"] else None,
            }
        )
    for task in watching:
        task.cancel()
    return {"phases": results, "failed_polls": hall.failed}


class Watchers:
    """Pages that follow the run of a log, and the ages of their updates in ms."""

    def __init__(self, address: str, part: int, log: Path) -> None:
        self._host, self._part, self._log = urlsplit(address), part, log
        self._sizes: list[tuple[float, int]] = [(time.monotonic(), _size(log))]
        self.ages: list[float] = []
        self.failed = 0

    async def look(self) -> None:
        """Note when the log grows."""
        while True:
            if (size := _size(self._log)) > self._sizes[-1][1]:
                self._sizes.append((time.monotonic(), size))
            await asyncio.sleep(0.01)

    async def page(self, number: int) -> None:
        cookie = f"Cookie: playground_visitor={secrets.token_hex(32)}\r\n"
        while True:
            try:
                await self._follow(number, cookie)
            except (OSError, EOFError, ValueError, KeyError, TypeError):
                self.failed += 1
                await asyncio.sleep(PAUSE)

    async def _follow(self, number: int, cookie: str) -> None:
        connection = await asyncio.open_connection(self._host.hostname, self._host.port)
        line = Connection(*connection)
        cursor: dict[str, Any] = {"run": self._log.parent.name, "offset": 0, "chosen": True}
        line.headers = cookie + "Content-Type: application/json\r\n"
        while True:
            query = {"data": cursor, "component_id": self._part, "fn_name": "new_events"}
            query["session_hash"] = f"watcher{number}"
            status, answer = await line.post("/gradio_api/component_server", query)
            if status != 200:
                raise ValueError(status)
            now, known = time.monotonic(), cursor["offset"]
            cursor |= {"run": answer["run"], "offset": answer.get("offset", 0)}
            if cursor["offset"] > known >= self._sizes[0][1]:
                written = next((when for when, size in self._sizes if size > known), now)
                self.ages.append(1000 * (now - written))
            await asyncio.sleep(PAUSE)


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


class Attackers:
    """Senders of requests that no page sends; `answers` counts the answers by attack and status."""

    def __init__(self, address: str, parts: dict[str, int]) -> None:
        self._host, self._parts = urlsplit(address), parts
        self.answers: Counter[str] = Counter()

    async def attack(self, name: str, seconds: float) -> None:
        """Make this attack at its rate for these seconds, then cancel the pending requests."""
        rate, attempt = ATTACKS[name]
        end, under_way = time.monotonic() + seconds, set()
        while time.monotonic() < end:
            task = asyncio.create_task(self._attempt(name, attempt))
            under_way.add(task)
            task.add_done_callback(under_way.discard)
            await asyncio.sleep(1 / rate)
        for task in list(under_way):
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)

    async def _attempt(self, name: str, attempt: Attack) -> None:
        try:
            outcome = await asyncio.wait_for(attempt(self), PATIENCE)
        except (OSError, EOFError, TimeoutError, asyncio.IncompleteReadError) as error:
            outcome = type(error).__name__
        self.answers[f"{name} {outcome}"] += 1

    async def _send(self, path: str, body: bytes, *headers: str) -> str:
        """The status of the answer to a POST."""
        reader, writer = await self._connect()
        try:
            lines = [f"POST {path} HTTP/1.1", "Host: 127.0.0.1", "Connection: close"]
            lines += [f"Content-Length: {len(body)}", *headers]
            writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
            await writer.drain()
            return (await reader.readline()).decode().split(" ")[1]
        except IndexError:
            return "closed"
        finally:
            writer.close()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(
            self._host.hostname, self._host.port, local_addr=(ELSEWHERE, 0)
        )

    async def _call(self, part: str, function: str, data: Any) -> str:
        """The status of a server function, called by a new visitor."""
        query = {"data": data, "component_id": self._parts[part], "fn_name": function}
        body = json.dumps(query | {"session_hash": secrets.token_hex(4)}).encode()
        cookie = f"Cookie: playground_visitor={secrets.token_hex(32)}"
        content = "Content-Type: application/json"
        return await self._send("/gradio_api/component_server", body, cookie, content)

    async def visitors(self) -> str:
        return await self._call("live", "new_events", {"run": None, "offset": None})

    async def keys(self) -> str:
        return await self._call("visit", "sign_in", secrets.token_hex(8))

    async def questions(self) -> str:
        query = {"task": "reviews", "models": ["sft-reviews"], "prompt": "The film", "n": 16}
        query |= {"temperature": 1, "seed": secrets.randbelow(10**6)}
        return await self._call("try", "generate", query)

    async def sessions(self) -> str:
        model = secrets.choice(("pretrained", "sft-reviews", "sft-capitals"))
        body = json.dumps({"task": "reviews", "model": model}).encode()
        return await self._send("/vote/join", body)

    async def raters(self) -> str:
        return await self._send("/vote/join", b"{}")

    async def garbage(self) -> str:
        body = secrets.choice((b"[" * 50_000, b"{", b"\x00\xff", b'{"pair": 1e999}', b"null"))
        path = secrets.choice(("/vote/cast", "/gradio_api/component_server", "/own/save"))
        return await self._send(path, body, "Content-Type: application/json")

    async def bodies(self) -> str:
        body = json.dumps({"draft": "x" * 5_000_000}).encode()
        path = secrets.choice(("/vote/cast", "/gradio_api/component_server", "/own/save"))
        return await self._send(path, body, "Content-Type: application/json")

    async def headers(self) -> str:
        return await self._send("/vote/pair", b"{}", f"X-Rater: {secrets.token_hex(15_000)}")

    async def halves(self) -> str:
        _, writer = await self._connect()
        writer.write(b"POST /vote/cast HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100\r\n\r\n{")
        try:
            await asyncio.sleep(PATIENCE / 2)
        finally:
            writer.close()
        return "held"

    async def hangups(self) -> str:
        _, writer = await self._connect()
        writer.write(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        await writer.drain()
        writer.transport.abort()
        return "left"

    async def sites(self) -> str:
        origin = "Origin: https://evil.example"
        return await self._send("/vote/room", b'{"action": "open"}', origin)


Attack = Callable[[Attackers], Awaitable[str]]
# Attack -> its requests a second, and its function.
ATTACKS: dict[str, tuple[float, Attack]] = {
    "visitors": (20, Attackers.visitors),
    "keys": (10, Attackers.keys),
    "questions": (5, Attackers.questions),
    "sessions": (5, Attackers.sessions),
    "raters": (20, Attackers.raters),
    "garbage": (20, Attackers.garbage),
    "bodies": (1, Attackers.bodies),
    "headers": (20, Attackers.headers),
    "halves": (10, Attackers.halves),
    "hangups": (20, Attackers.hangups),
    "sites": (20, Attackers.sites),
}


if __name__ == "__main__":
    main()
