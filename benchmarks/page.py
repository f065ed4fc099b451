"""The cost of the page: start-up, response times, updates of an open page, watched runs.

    python -m benchmarks.page                  measure all, write results and docs/benchmarks.md
    python -m benchmarks.page --only target    only this part; the others keep their results
    python -m benchmarks.page --render         write docs/benchmarks.md from the stored results

The page is `app.py` in its own process, with the real worker. Only updates are measured on a page
in this process, whose scripted worker (tests/playground/scripted.py) writes twenty steps a second.
All processes, Chromium included, share the cores.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from benchmarks.browsing import DRAWN, browsing, free_port, serving
from benchmarks.common import DOCS, child, machine, table, write_section
from benchmarks.vote_load import Connection

RESULTS = Path(__file__).with_name("page.json")
PAGE = DOCS / "benchmarks.md"
REPEATS = 3
BETAS = tuple(0.1 * 1.2**i for i in range(20))
UPDATES = 1000  # the least number of updates over all runs but the first
UPDATED_STEPS = 400  # the steps of each run, which takes 20 s and brings some fifty updates
WATCHERS, WATCHED_SECONDS = 50, 30
USABLE = "#run"

# Moves β's slider; resolves to the milliseconds until the new target is painted.
MOVE = """beta => new Promise((done) => {
  const slider = document.querySelector('#field-beta [type=range]');
  slider.value = Math.log(beta / 0.05) / Math.log(20 / 0.05);
  const began = performance.now();
  const painted = () => setTimeout(() => done(performance.now() - began));
  const framed = () => requestAnimationFrame(painted);
  const before = window.playground.target;
  slider.dispatchEvent(new Event('input'));
  const look = () => window.playground.target === before ? setTimeout(look) : framed();
  look();
})"""
# Replaces `set` of the page's store, to record how long the page's scripts take for each update.
NOTE_UPDATES = """
window.updates = [];
export function set(changes) {
  const update = (changes.run ?? get().run) !== get().run;
  const began = performance.now();
  change(changes);
  if (update) window.updates.push(performance.now() - began);
}
"""
STATUS = "window.playground.run?.status.name"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--render", action="store_true", help="only write the page")
    parser.add_argument("--only", choices=PARTS, action="append", help="only these parts")
    parser.add_argument("--watch", nargs=2, metavar=("ADDRESS", "LOG"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.watch:
        print(json.dumps(asyncio.run(watch(*args.watch))))
        return
    if not args.render:
        results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
        results["machine"] = machine()
        for name in args.only or PARTS:
            results[name] = PARTS[name]()
            print(name, json.dumps(results[name]), flush=True)
            RESULTS.write_text(json.dumps(results, indent=1) + "\n")
    text = render(json.loads(RESULTS.read_text()))
    write_section(PAGE, "page", text)
    print(text)


# Each part returns lists of measured values


def visit() -> dict[str, list[float]]:
    """Seconds from the start of app.py to a usable page and to its chart; megabytes sent."""
    times: dict[str, list[float]] = {"usable": [], "drawn": [], "megabytes": []}
    for _ in range(REPEATS):
        began = time.monotonic()
        with serving() as (address, _), browsing() as page:
            sent = _sent(page)
            page.goto(address)
            page.wait_for_selector(USABLE)
            times["usable"].append(time.monotonic() - began)
            page.wait_for_selector(DRAWN)
            times["drawn"].append(time.monotonic() - began)
            page.wait_for_load_state("networkidle")
            times["megabytes"].append(sum(sent) / 1e6)
    return times


def press() -> dict[str, list[float]]:
    """Seconds from Run to the first point on the screen, and from Stop to a stopped run."""
    times: dict[str, list[float]] = {"first": [], "stopped": []}
    with serving() as (address, _), browsing() as page:
        page.goto(address)
        page.wait_for_selector(DRAWN)
        for _ in range(REPEATS + 1):  # the first one waits for the forkserver
            page.click("#run")
            began = time.monotonic()
            page.wait_for_function(
                f"{STATUS} === 'running' && window.playground.run.series['eval/kl']?.x.length"
            )
            times["first"].append(time.monotonic() - began)
            time.sleep(3)
            began = time.monotonic()
            page.click("#stop")
            page.wait_for_function(f"{STATUS} === 'stopped'")
            times["stopped"].append(time.monotonic() - began)
            page.wait_for_selector(USABLE)
    return {name: seconds[1:] for name, seconds in times.items()}


def target() -> dict[str, list[float]]:
    """Milliseconds from a change of β to its target, on the server and painted on the screen."""
    from playground.content import optimum

    optimum.warm()
    server = []
    for beta in BETAS:
        began = time.perf_counter()
        optimum.of_task("reviews").at(beta)
        server.append(1000 * (time.perf_counter() - began))
    with serving() as (address, _), browsing() as page:
        page.goto(address)
        page.wait_for_selector(DRAWN)
        page.wait_for_function("window.playground.target")
        screen = [page.evaluate(MOVE, beta) for beta in BETAS]
    return {"server": server, "screen": screen}


def updates() -> dict[str, Any]:
    """Script time of an open page for each update, and its heap and nodes after each run."""
    from align_core.runs.client import Client
    from playground import app

    after_runs: list[dict[str, float]] = []
    counts: list[int] = []  # updates so far, at the end of each run
    with tempfile.TemporaryDirectory() as folder, browsing() as page:
        client = Client(folder, training="tests.playground.scripted")
        built = app.build(client)
        options = app.launch_options() | {"server_port": free_port()}
        _, address, _ = built.launch(**options, prevent_thread_lock=True)
        page.route("**/core/store.js", _note_updates)
        page.goto(f"{address}?method=ppo&task=reviews&steps={UPDATED_STEPS}&eval_every=8")
        page.wait_for_selector(DRAWN)
        page.evaluate("window.updates.length = 0")
        session = page.context.new_cdp_session(page)
        session.send("HeapProfiler.enable")
        session.send("Performance.enable")
        while True:
            before = page.evaluate("window.playground.run?.name")
            page.click("#run")
            page.wait_for_function(
                f"before => window.playground.run?.name !== before && {STATUS} === 'finished'",
                arg=before,
                timeout=120_000,
            )
            now = _metrics(session)
            after_runs.append({name: now[name] for name in ("Nodes", "JSHeapUsedSize")})
            counts.append(page.evaluate("window.updates.length"))
            if counts[-1] - counts[:2][-1] >= UPDATES:
                break
        script = page.evaluate("window.updates")
        client.close()
        page.goto("about:blank")
        built.close()
    return {
        "updates": len(script),
        "script_ms": sorted(script),
        "nodes": [row["Nodes"] for row in after_runs],
        "heap_mb": [row["JSHeapUsedSize"] / 1e6 for row in after_runs],
    }


def watchers() -> dict[str, Any]:
    """Rollouts a second of the default PPO run, alone and watched, and the delay of its events."""
    times: dict[str, list] = {"alone": [], "watched": [], "ages": []}
    with serving() as (address, runs):
        from align_core.runs.client import Client

        for repeat in range(REPEATS):
            for watched in (False, True) if repeat % 2 else (True, False):
                client = Client(runs)
                name = client.start(method="ppo", task="reviews", steps=1000, eval_every=10)
                log = runs / name / "events.jsonl"
                while _steps(log) < 2:
                    time.sleep(0.1)
                if watched:
                    seen = child("benchmarks.page", "--watch", address, str(log))
                    times["ages"].append(seen["ages"])
                    times["watched"].append(seen["rate"])
                else:
                    times["alone"].append(_rate(log))
                client.close()
    return times


async def watch(address: str, log: str) -> dict[str, Any]:
    """Follow a run with WATCHERS pages.

    Returns the `rate` in rollouts a second, and the sorted `ages` of events in seconds, from
    writing to arrival.
    """
    path, host = Path(log), urlsplit(address)
    live = await asyncio.to_thread(_live_component, address)
    sizes: list[tuple[float, int]] = [(time.monotonic(), path.stat().st_size)]
    ages: list[float] = []
    end = time.monotonic() + WATCHED_SECONDS

    async def look() -> None:
        while time.monotonic() < end:
            if (size := path.stat().st_size) > sizes[-1][1]:
                sizes.append((time.monotonic(), size))
            await asyncio.sleep(0.01)

    async def page(number: int) -> None:
        line = Connection(*await asyncio.open_connection(host.hostname, host.port))
        cursor: dict[str, Any] = {"run": path.parent.name, "offset": 0}
        while time.monotonic() < end:
            query = {"data": cursor, "component_id": live, "fn_name": "new_events"}
            query["session_hash"] = f"watcher{number}"
            _, answer = await line.post("/gradio_api/component_server", query)
            now, known = time.monotonic(), cursor["offset"]
            cursor = {"run": answer["run"], "offset": answer.get("offset", 0)}
            if cursor["offset"] > known >= sizes[0][1]:
                written = next((when for when, size in sizes if size > known), now)
                ages.append(now - written)
            await asyncio.sleep(0.4)

    rate, *_ = await asyncio.gather(
        asyncio.to_thread(_rate, path), look(), *(page(number) for number in range(WATCHERS))
    )
    return {"rate": rate, "ages": sorted(ages)}


PARTS = {
    "visit": visit,
    "press": press,
    "target": target,
    "updates": updates,
    "watchers": watchers,
}


def _sent(page: Any) -> list[float]:
    """The transferred bytes of each response; the list grows while the page loads."""
    sent: list[float] = []
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    session.on("Network.loadingFinished", lambda one: sent.append(one["encodedDataLength"]))
    return sent


def _note_updates(route: Any) -> None:
    """Serve the page's store with NOTE_UPDATES."""
    answer = route.fetch()
    store = answer.text().replace("export function set(", "function change(")
    route.fulfill(response=answer, body=store + NOTE_UPDATES)


def _live_component(address: str) -> int:
    """The id of the Gradio component that follows a run."""
    with urllib.request.urlopen(f"{address}/config") as answer:
        parts = json.load(answer)["components"]
    return next(one["id"] for one in parts if one["props"].get("elem_id") == "live")


def _metrics(session: Any) -> dict[str, float]:
    session.send("HeapProfiler.collectGarbage")
    return {one["name"]: one["value"] for one in session.send("Performance.getMetrics")["metrics"]}


def _steps(log: Path) -> int:
    lines = log.read_text().splitlines() if log.exists() else []
    return max((json.loads(line)["step"] for line in lines), default=0)


def _rate(log: Path) -> float:
    """Rollouts a second of a live run over the next WATCHED_SECONDS."""
    began, first = time.monotonic(), _steps(log)
    time.sleep(WATCHED_SECONDS - 1)
    return (_steps(log) - first) / (time.monotonic() - began)


def render(results: dict) -> str:
    """A Markdown table with a row for each figure: its name, its value and the limit."""
    middle = statistics.median
    visited, pressed, moved = results["visit"], results["press"], results["target"]
    updated, watched = results["updates"], results["watchers"]
    ages = sorted(age for run in watched["ages"] for age in run)
    pairs = zip(watched["alone"], watched["watched"], strict=True)
    lost = middle(1 - with_pages / alone for alone, with_pages in pairs)
    script = updated["script_ms"]
    runs = len(updated["nodes"])
    growth = updated["heap_mb"][-1] - updated["heap_mb"][1]
    rows = [
        ("second start until the page can be used", middle(visited["usable"]), 6, "s"),
        ("and until its chart is drawn", middle(visited["drawn"]), None, "s"),
        ("transferred at a first visit, compressed", middle(visited["megabytes"]), 3, "MB"),
        ("Run to the first point on the screen", middle(pressed["first"]), 2, "s"),
        ("Stop to a run that has stopped", middle(pressed["stopped"]), 1, "s"),
        ("target and texts after β has moved, on the server", max(moved["server"]), 50, "ms"),
        ("and painted on the screen, the slowest of 20", max(moved["screen"]), 200, "ms"),
        ("the page's scripts for an update, 95th percentile", _high(script), 50, "ms"),
        ("heap gained from the second to the last run", growth, 1, "MB"),
        ("nodes gained", updated["nodes"][-1] - updated["nodes"][1], 50, ""),
        (f"age of the events on {WATCHERS} pages, 95th percentile", _high(ages), 1, "s"),
        ("slowdown of the run by these pages and the program that plays them", 100 * lost, 15, "%"),
    ]
    intro = [
        "Written by `python -m benchmarks.page` from `benchmarks/page.json`. Chromium and, for the",
        "last two rows, the program that plays the pages run on the same two cores. Medians of",
        f"{REPEATS} measurements, unless the row says otherwise.",
        f"{updated['updates']:,} updates in {runs} successive runs in one open page;",
        "heap and nodes are counted after a garbage collection.",
        "**Bold ✗**: beyond the limit.",
        f"Machine: {results['machine']}.\n\n",
    ]
    return "\n".join(intro) + table(["", "measured", "at most"], [_row(*row) for row in rows])


def _high(values: list[float]) -> float:
    return sorted(values)[int(0.95 * (len(values) - 1))]


def _row(name: str, value: float, most: float | None, unit: str) -> list[str]:
    shown = f"{value:.0f}" if abs(value) >= 20 or unit == "" else f"{value:.2g}"
    shown = f"{shown} {unit}".strip()
    if most is None:
        return [name, shown, "–"]
    return [name, shown if value <= most else f"**{shown} ✗**", f"{most:g} {unit}".strip()]


if __name__ == "__main__":
    main()
