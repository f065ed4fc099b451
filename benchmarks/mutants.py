"""Mutation testing: the share of faults, put into the code one at a time, that unit tests catch.

    python -m benchmarks.mutants --seed 1 --seed 2        print the faults that they miss
    python -m benchmarks.mutants --seed 1 --store fresh   store the result, write docs/benchmarks.md
    python -m benchmarks.mutants --render                 write the page from the stored results

The unit tests run once under coverage, which records the lines that each test executes; the record
of a test file is kept until it or the code to break changes. Each mutant is written into a copy of
the project. A process forked after the slow imports runs the tests there, up to the first failure.
The tests that execute the line come first, then the other tests in their files, which may share a
cache or a fixture with them. Then come the tests of the changed package and of the configuration,
which has the tests of constants, and those that execute another line of the module, because a line
that runs at import is executed by no test. Tests beyond the first 60 seconds are not run. A mutant
that hangs counts as caught.

`mutants_unchanged.json` lists equivalent mutants, whose behaviour no test can distinguish from the
original's, each with the reason. They are not counted.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import json
import os
import random
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict
from itertools import accumulate
from pathlib import Path
from typing import Any

import pytest

from benchmarks.common import DOCS, ROOT, machine, table, write_section
from benchmarks.mutant_tests import (
    ALSO_IN,
    HUNG,
    Selection,
    copies,
    file_of,
    parallel,
    tested,
    traced,
)
from benchmarks.mutations import Mutant, mutants

RESULTS = Path(__file__).with_name("mutants.json")
UNCHANGED = Path(__file__).with_name("mutants_unchanged.json")
PAGE = DOCS / "benchmarks.md"
BROKEN = (  # in align_core
    *("objectives.py", "optimum.py", "models/sampling.py", "evaluation", "trainers"),
    *("votes", "runs", "config"),
)
PLACES = 60
BUDGET = 60.0  # seconds of traced processor time for the tests of one mutant
SLOW_IMPORTS = ("align_core.preload", "playground.app")  # they import torch and gradio
LABELS = {
    "before": "before any test was improved",
    "mended": "seeds on which the tests were improved",
    "fresh": "new seeds",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, action="append", default=[], help="may be repeated")
    parser.add_argument("--places", type=int, default=PLACES, help="mutants for each seed")
    parser.add_argument("--file", action="append", help="break only this file; may be repeated")
    parser.add_argument(
        "--store", choices=sorted(LABELS), help="the group of results to add these to"
    )
    parser.add_argument("--render", action="store_true", help="write the page without measuring")
    args = parser.parse_args()
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    if not args.render:
        drawn = {seed: draw(seed, args.places, args.file or files()) for seed in args.seed}
        measured = measure(drawn)
        for seed, result in measured.items():
            print(f"seed {seed}: {result['caught']} of {result['places']} caught")
        if not args.store:
            return
        results["machine"] = machine(threads=1)
        results[args.store] = results.get(args.store, {}) | measured
        RESULTS.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")
    text = render(results)
    write_section(PAGE, "mutants", text)
    print(text)


def files() -> list[str]:
    """The files whose code is broken."""
    paths = [ROOT / "align_core" / name for name in BROKEN]
    paths = [file for path in paths for file in (path.rglob("*.py") if path.is_dir() else [path])]
    return sorted(str(file.relative_to(ROOT)) for file in paths)


def draw(seed: int, places: int, files: Iterable[str]) -> list[Mutant]:
    """One random mutant at each of at most `places` random places, without equivalent mutants."""
    unchanged = {(one["file"], one["before"], one["after"]) for one in _unchanged()}
    rng = random.Random(seed)
    candidates = [ways for file in files for ways in mutants(file)]
    rng.shuffle(candidates)
    drawn = (rng.choice(ways) for ways in candidates)
    counted = [one for one in drawn if (one.file, one.before, one.after) not in unchanged]
    return counted[:places]


def measure(drawn: dict[int, list[Mutant]]) -> dict[str, Any]:
    """{seed: {"places": number of mutants, "caught": number caught, "survivors": the others}}.

    Raises:
        RuntimeError: a process of the measurement failed.
    """
    os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    os.environ |= {"JE_ARROW_MALLOC_CONF": "background_thread:false"}  # no threads before a fork
    for name in SLOW_IMPORTS:
        importlib.import_module(name)
    everyone = [mutant for mutants in drawn.values() for mutant in mutants]
    with copies() as folders:
        trace = traced(folders, files())
        shares = parallel(
            folders, lambda copy, job: survive(copy, everyone[job :: len(folders)], trace)
        )
    survivors = {Mutant(**one) for share in shares for one in share}
    return {
        str(seed): {
            "places": len(mutants),
            "caught": len([one for one in mutants if one not in survivors]),
            "survivors": [
                {"at": f"{one.file}:{one.line}", "before": one.before, "after": one.after}
                for one in mutants
                if one in survivors
            ],
        }
        for seed, mutants in drawn.items()
    }


def survive(folder: Path, drawn: Iterable[Mutant], trace: dict[str, Any]) -> list[dict[str, Any]]:
    """The mutants, as dicts, that no test catches in the copy of the project in `folder`."""
    survivors = []
    for mutant in drawn:
        path, began = folder / mutant.file, time.monotonic()
        source = path.read_bytes()
        path.write_bytes(mutant.broken(source))
        chosen = tests_of(mutant, source.decode(), trace)
        files = dict.fromkeys(map(file_of, chosen))
        code = tested(folder, files, Selection(chosen, trace["seconds"])) if files else 0
        path.write_bytes(source)
        if survived := code in (0, pytest.ExitCode.NO_TESTS_COLLECTED):
            survivors.append(asdict(mutant))
        sign = "✗" if survived else "hung" if code == HUNG else "✓"
        print(
            f"{sign} {time.monotonic() - began:5.1f} s  {mutant.file}:{mutant.line}  "
            f"{mutant.before}  →  {mutant.after}",
            flush=True,
        )
    return survivors


def tests_of(mutant: Mutant, source: str, trace: dict[str, Any]) -> list[str]:
    """The tests to run, in this order, for a mutant of the file with this source.

    First those that execute the line, unless it runs at import; then the others in their files;
    then those of the package and of the configuration, and those that execute another line of the
    file. In each group, files named after the module or its folder come before others, fast files
    before slow ones, and in each file fast tests before slow ones.
    """
    seconds, lines = trace["seconds"], trace["lines"][mutant.file]
    reaching = set()
    if _in_function(source, mutant.line):
        reaching = set(lines.get(str(mutant.line), []))
    reaching_files = {file_of(test) for test in reaching}
    same_files = {test for test in seconds if file_of(test) in reaching_files}
    package = Path(mutant.file).parts[1].removesuffix(".py")
    folders = (package, *ALSO_IN.get(package, ()), "config")
    own = (*(f"tests/{folder}/" for folder in folders), f"tests/test_{package}.py")
    others = {test for test in seconds if test.startswith(own)}.union(*lines.values())
    groups = [reaching, same_files - reaching, others - same_files]

    names = {Path(mutant.file).stem, Path(mutant.file).parent.name} - {"config", "align_core"}
    ordered: list[str] = []
    for group in groups:
        total = Counter[str]()
        for test in group:
            total[file_of(test)] += seconds[test]

        def rank(test: str, total: Counter[str] = total) -> tuple[Any, ...]:
            file = file_of(test)
            far = not any(name in Path(file).stem for name in names)
            return far, total[file], file, seconds[test], test

        ordered += sorted(group, key=rank)
    used = accumulate(seconds[test] for test in ordered)
    return [test for test, sum_ in zip(ordered, used, strict=True) if sum_ <= BUDGET]


def render(results: dict[str, Any]) -> str:
    """The Markdown table of the results, a row for each group of seeds, under an introduction."""
    rows = []
    for label, what in LABELS.items():
        if seeds := results.get(label):
            places, caught = (sum(s[key] for s in seeds.values()) for key in ("places", "caught"))
            share = f"{100 * caught / places:.1f} %"
            rows.append([what, ", ".join(seeds), str(places), str(caught), share])
    intro = [
        "Written by `python -m benchmarks.mutants` from `benchmarks/mutants.json`: the share of",
        "faults, put into the code one at a time at random places, that the quick tests of the",
        "changed packages, of the command line and of ported scripts catch: for each fault",
        f"the nearest and fastest {BUDGET:.0f} seconds (`make unit` has more tests).",
        f"{len(_unchanged())} equivalent mutants, which no test can catch, are listed with",
        "their reasons in `benchmarks/mutants_unchanged.json` and do not count.\n\n",
    ]
    return "\n".join(intro) + table(["", "seeds", "places", "caught", "share"], rows)


def _unchanged() -> list[dict[str, str]]:
    return json.loads(UNCHANGED.read_text()) if UNCHANGED.exists() else []


def _in_function(source: str, line: int) -> bool:
    """Whether a line is in the body of a function."""
    return any(
        node.body[0].lineno <= line <= node.end_lineno
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )


if __name__ == "__main__":
    main()
