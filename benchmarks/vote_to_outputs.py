"""The time from the last of 200 votes to changed outputs on the screen.

    python -m benchmarks.vote_to_outputs            measure, write results and docs/benchmarks.md
    python -m benchmarks.vote_to_outputs --try      one session on one task; writes nothing
    python -m benchmarks.vote_to_outputs --render   write docs/benchmarks.md from stored results

The page is `app.py` in its own process, with the real worker and the embedded models. In each
session simulated raters cast all votes but the last, which is a click in Chromium, on the same
cores. "Train on these votes" is pressed as soon as that vote is saved.
"""

from __future__ import annotations

import argparse
import json
import time
from contextlib import closing
from pathlib import Path
from typing import Any

from benchmarks.browsing import DRAWN, browsing, serving
from benchmarks.common import DOCS, machine, spread, table, write_section

RESULTS = Path(__file__).with_name("vote_to_outputs.json")
PAGE = DOCS / "benchmarks.md"
TASKS = ("reviews", "capitals")
METHODS = {"dpo": "DPO", "reward": "reward model"}
REPEATS = 3
VOTES = 200
WITHIN = 30  # seconds
TIMEOUT = 180  # seconds; long, because slow responses are measured, too
SETTLED = 0.5  # seconds after which a ballot accepts a vote (SETTLE_MS of ballot.js)

# Changed outputs on the screen: first texts of the live policy that differ from the reference, and
# in the report texts of the trained policy, or predictions of the trained reward model.
LIVE = """() => {
  const {run} = window.playground;
  if (!run?.config.preferences || !run.step) return false;
  const said = (row, who) => row.querySelector(`.${who} .completion`).textContent;
  return [...document.querySelectorAll('#samples .row:not([hidden])')]
    .some((row) => said(row, 'policy') !== said(row, 'reference'));
}"""
OVER = "window.playground.run?.config.preferences && playground.run.status.name === 'finished'"
REPORTED = {"dpo": "#rate .report .run .texts", "reward": "#rate .report .run .foretells"}
OUTPUTS = "[...document.querySelectorAll('#rate .report .run .texts p')].map(p => p.textContent)"
PAINTED = "() => new Promise((done) => requestAnimationFrame(() => setTimeout(done)))"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--render", action="store_true", help="only write the page")
    parser.add_argument("--try", action="store_true", dest="once", help="one task, once; no result")
    args = parser.parse_args()
    if args.once:
        measure(TASKS[:1], 1)
        return
    if not args.render:
        results = {"machine": machine(), "votes": VOTES, **measure(TASKS, REPEATS)}
        RESULTS.write_text(json.dumps(results, indent=1) + "\n")
    text = render(json.loads(RESULTS.read_text()))
    write_section(PAGE, "vote to outputs", text)
    print(text)


def measure(tasks: tuple[str, ...], repeats: int) -> dict[str, list[dict[str, float]]]:
    """ "METHOD TASK" -> the results of `one_session`, with all methods and tasks in turn."""
    results: dict[str, list[dict[str, float]]] = {}
    with serving() as (address, runs):
        one_session(address, runs, tasks[0], "reward")  # starts the forkserver
        for _ in range(repeats):
            for task in tasks:
                for method in METHODS:
                    result = one_session(address, runs, task, method)
                    results.setdefault(f"{method} {task}", []).append(result)
                    print(method, task, json.dumps(result), flush=True)
    return results


def one_session(address: str, runs: Path, task: str, method: str) -> dict[str, float]:
    """Rate and train as a new visitor.

    Returns seconds from the last vote: `saved`; with DPO `live`, the first changed text during the
    run; `shown`, the changed outputs in the report. `training` is the duration of the run, `learnt`
    the number of its votes, `changed` the share of displayed texts that changed.
    """
    with browsing() as page:
        page.set_default_timeout(1000 * TIMEOUT)
        page.goto(address)
        page.wait_for_selector(DRAWN)
        page.click("#views [role=tab]:has-text('Rate')")
        page.click(f"#rate .tasks label:has([value={task}])")
        page.click(f"#rate .ways label:has([value={method}])")
        _others_vote(page, runs.with_name("sessions"), task)
        page.wait_for_selector("#rate .pair:not([hidden])")
        # Enabled when all votes are counted.
        page.wait_for_selector("#rate .train button:not([disabled])")
        time.sleep(SETTLED)

        began = time.monotonic()
        seconds: dict[str, float] = {}
        with page.expect_response(lambda answer: answer.url.endswith("/vote/cast")) as saved:
            page.click("#rate [data-choice=left]")
        if saved.value.status != 200:
            raise RuntimeError(f"the last vote was refused: {saved.value.text()}")
        seconds["saved"] = time.monotonic() - began
        page.click("#rate .train button")
        if method == "dpo":
            page.wait_for_function(LIVE)
            page.evaluate(PAINTED)
            seconds["live"] = time.monotonic() - began
        page.wait_for_function(OVER)
        page.click("#views [role=tab]:has-text('Rate')")
        page.wait_for_selector(REPORTED[method])
        page.evaluate(PAINTED)
        seconds["shown"] = time.monotonic() - began
        return seconds | _run(runs) | _changed(page.evaluate(OUTPUTS))


def _others_vote(page: Any, sessions: Path, task: str) -> None:
    """Cast all votes but one in the page's session, once its pairs are scored."""
    from align_core.votes import simulated_raters
    from align_core.votes.sessions import Sessions

    key = f"playground-rate-{task}-sft-{task}"
    page.wait_for_function("key => localStorage.getItem(key)", arg=key)
    name = json.loads(page.evaluate("key => localStorage.getItem(key)", key))["session"]
    with closing(Sessions(sessions)) as opened:
        session = opened.open(name)
        while any(pair["first_score"] is None for pair in session.pairs()):
            time.sleep(0.2)
        cast = simulated_raters.fill(
            session, "task", VOTES - 1, simulated_raters.RATERS, 0.0, seed=0
        )
    if cast != VOTES - 1:
        raise RuntimeError(f"expected {VOTES - 1} simulated votes, got {cast}")


def _run(runs: Path) -> dict[str, float]:
    """Duration and number of votes of the newest run."""
    from align_core.runs.client import Client

    client = Client(runs)
    name = client.runs()[0]
    learnt = Path(client.config(name)["preferences"]).stem.split("-")[1]
    return {"training": client.events(name)[0][-1]["seconds"], "learnt": int(learnt)}


def _changed(outputs: list[str]) -> dict[str, float]:
    """The share of texts that changed, from a report's texts before and after, in turn."""
    if not outputs:
        return {}
    pairs = list(zip(outputs[::2], outputs[1::2], strict=True))
    return {"changed": sum(before != after for before, after in pairs) / len(pairs)}


def render(results: dict[str, Any]) -> str:
    """A row for each method and task: seconds to changed outputs, and of training."""
    rows = []
    for method, name in METHODS.items():
        for task in TASKS:
            sessions = results[f"{method} {task}"]
            columns = {
                key: [session.get(key) for session in sessions]
                for key in ("learnt", "live", "shown", "training", "changed")
            }
            late = max(columns["shown"]) > WITHIN or 0 in columns["changed"]
            shown = spread(columns["shown"], 1)
            rows.append(
                [
                    name,
                    task,
                    spread(columns["learnt"], 0),
                    spread(columns["live"], 1),
                    f"**{shown} ✗**" if late else shown,
                    spread(columns["training"], 1),
                    spread(columns["changed"], 2),
                ]
            )
    intro = [
        "Written by `python -m benchmarks.vote_to_outputs` from `benchmarks/vote_to_outputs.json`.",
        f"Seconds from the last of {results['votes']} votes, a click in Chromium, until the screen",
        'shows what they have changed: "Train on these votes" is pressed when that vote is saved;',
        "votes on a quarter of the prompts are held out. Live: the first text of the policy that",
        "differs from the reference's, beside the curves. Outputs: the report has the texts of the",
        "trained policy beside the former ones, or the trained reward model's scores of the",
        "held-out votes. Training: the part of these seconds that the run took, with loading and",
        f"measurements. Medians of {REPEATS} sessions, lowest to highest in brackets; **✗**: a",
        f"session takes more than {WITHIN} s, or no shown text has changed.",
        f"Machine: {results['machine']}.\n\n",
    ]
    head = [
        "",
        "task",
        "votes learnt from",
        "live",
        "outputs",
        "training",
        "share of texts changed",
    ]
    return "\n".join(intro) + table(head, rows)


if __name__ == "__main__":
    main()
