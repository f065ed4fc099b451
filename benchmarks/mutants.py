"""Break the code on purpose, one place at a time: what share of it do the unit tests notice?

    python -m benchmarks.mutants --seed 1 --seed 2        print what they do not notice
    python -m benchmarks.mutants --seed 1 --store fresh   store the result, write docs/benchmarks.md
    python -m benchmarks.mutants --render                 write the page from the stored results

The unit tests run once under coverage, which tells what lines each test executes; that is kept
until a file changes. Each mutant is written into a copy of the project. There a process that was
forked after the heavy imports runs the tests that execute the line, up to the first that fails;
then the others of their files, which may share what was made once; and where the line is executed
by an import or by no test, those of its room. A mutant that hangs is caught.

`mutants_unchanged.json` lists mutants that change nothing a test could see, with the reason. They
do not count.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import json
import os
import random
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.common import DOCS, ROOT, machine, table, write_section
from benchmarks.mutant_tests import Selection, copies, file_of, parallel, tested, traced
from benchmarks.mutations import Mutant, mutants

RESULTS = Path(__file__).with_name("mutants.json")
UNCHANGED = Path(__file__).with_name("mutants_unchanged.json")
PAGE = DOCS / "benchmarks.md"
BROKEN = (  # in align_core
    *("objectives.py", "optimum.py", "models/sampling.py", "evaluation", "trainers"),
    *("votes", "runs", "config"),
)
PLACES = 60
HEAVY = ("align_core.preload", "playground.app")  # for what they import of others
LABELS = {
    "before": "before a test was touched",
    "mended": "seeds that the tests were mended on",
    "fresh": "seeds that they had not seen",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, action="append", default=[], help="may be repeated")
    parser.add_argument("--places", type=int, default=PLACES, help="of each seed")
    parser.add_argument("--file", action="append", help="break only this one; may be repeated")
    parser.add_argument("--store", choices=sorted(LABELS), help="as what to store the results")
    parser.add_argument("--render", action="store_true", help="only write the page")
    given = parser.parse_args()
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    if not given.render:
        drawn = {seed: draw(seed, given.places, given.file or files()) for seed in given.seed}
        found = measure(drawn)
        for seed, result in found.items():
            print(f"seed {seed}: {result['caught']} of {result['places']} caught")
        if not given.store:
            return
        results["machine"] = machine(threads=1)
        results[given.store] = results.get(given.store, {}) | found
        RESULTS.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")
    text = render(results)
    write_section(PAGE, "mutants", text)
    print(text)


def files() -> list[str]:
    """The files whose code is broken."""
    paths = [ROOT / "align_core" / name for name in BROKEN]
    found = [file for path in paths for file in (path.rglob("*.py") if path.is_dir() else [path])]
    return sorted(str(file.relative_to(ROOT)) for file in found)


def draw(seed: int, places: int, files: Iterable[str]) -> list[Mutant]:
    """One way to break each of `places` places, drawn at random; not those that change nothing."""
    unchanged = {(one["file"], one["before"], one["after"]) for one in _unchanged()}
    rng = random.Random(seed)
    known = [place for file in files for place in mutants(file)]
    rng.shuffle(known)
    drawn = (rng.choice(ways) for ways in known)
    counted = [one for one in drawn if (one.file, one.before, one.after) not in unchanged]
    return counted[:places]


def measure(drawn: dict[int, list[Mutant]]) -> dict[str, Any]:
    """For each seed: how many places, how many of them were caught, and the mutants that survived.

    Raises RuntimeError where a test fails before anything is broken.
    """
    os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    os.environ |= {"JE_ARROW_MALLOC_CONF": "background_thread:false"}  # no threads before a fork
    for name in HEAVY:
        importlib.import_module(name)
    everyone = [one for some in drawn.values() for one in some]
    with copies() as folders:
        known = traced(folders, files())
        shares = parallel(
            folders, lambda copy, job: survive(copy, everyone[job :: len(folders)], known)
        )
    survivors = {Mutant(**one) for share in shares for one in share}
    return {
        str(seed): {
            "places": len(some),
            "caught": len([one for one in some if one not in survivors]),
            "survivors": [
                {"at": f"{one.file}:{one.line}", "before": one.before, "after": one.after}
                for one in some
                if one in survivors
            ],
        }
        for seed, some in drawn.items()
    }


def survive(folder: Path, some: Iterable[Mutant], known: dict[str, Any]) -> list[dict[str, Any]]:
    """The mutants, as dicts, that no test of the copy notices."""
    survivors = []
    for mutant in some:
        path, began = folder / mutant.file, time.monotonic()
        source = path.read_bytes()
        path.write_bytes(mutant.broken(source))
        caught = any(
            tested(
                folder,
                sorted({*map(file_of, chosen)}),
                Selection(chosen, known["seconds"], mutant.file),
            )
            != 0
            for chosen in stages(mutant, source.decode(), known)
        )
        path.write_bytes(source)
        if not caught:
            survivors.append(asdict(mutant))
        sign = "✓" if caught else "✗"
        print(
            f"{sign} {time.monotonic() - began:5.1f} s  {mutant.file}:{mutant.line}  "
            f"{mutant.before}  →  {mutant.after}",
            flush=True,
        )
    return survivors


def stages(mutant: Mutant, source: str, known: dict[str, Any]) -> Iterator[set[str]]:
    """The tests to run, in turn: those that reach the line, then the others of their files, and
    then all tests of the room if the line runs at import or no test reaches it."""
    reaching = set(known["lines"][mutant.file].get(str(mutant.line), []))
    asked = {file_of(test) for test in reaching}
    beside = {test for test in known["seconds"] if file_of(test) in asked}
    yield from filter(None, (reaching, beside - reaching))
    if not reaching or not _in_function(source, mutant.line):
        room = Path(mutant.file).parts[1].removesuffix(".py")
        own = (f"tests/{room}/", f"tests/test_{room}.py")
        yield {test for test in known["seconds"].keys() - beside if test.startswith(own)}


def render(results: dict[str, Any]) -> str:
    """A row for each time it was measured."""
    rows = []
    for label, what in LABELS.items():
        if seeds := results.get(label):
            places, caught = (sum(s[key] for s in seeds.values()) for key in ("places", "caught"))
            share = f"{100 * caught / places:.1f} %"
            rows.append([what, ", ".join(seeds), str(places), str(caught), share])
    intro = [
        "Written by `python -m benchmarks.mutants` from `benchmarks/mutants.json`: the share of",
        "changes that make the code wrong, one at a time at places drawn by a seed, that the",
        "quick tests of the broken rooms and of whole runs (`make unit` has more) notice.",
        f"{len(_unchanged())} changes that no test could see stand with",
        "their reasons in `benchmarks/mutants_unchanged.json` and do not count.\n\n",
    ]
    return "\n".join(intro) + table(["", "seeds", "places", "caught", "share"], rows)


def _unchanged() -> list[dict[str, str]]:
    return json.loads(UNCHANGED.read_text()) if UNCHANGED.exists() else []


def _in_function(source: str, line: int) -> bool:
    """Whether a line is of a function's body."""
    return any(
        node.body[0].lineno <= line <= node.end_lineno
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )


if __name__ == "__main__":
    main()
