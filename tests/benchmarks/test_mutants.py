"""Mutants: every kind of change, and no change without an effect."""

from __future__ import annotations

import ast
import json

import pytest

from benchmarks import mutant_tests, mutants, mutations
from benchmarks.common import ROOT

CODE = '''
"""A docstring, of 3 words."""
def f(x: int = 1, mask=None) -> "a + b":
    if not x >= 2 or x is None:
        raise ValueError(f"{x + 1}")
    _LOG.warning("%s", 4, 5)
    return (x - 7) * mask
def g(y, z):
    return min(y, z), h(y, *z), h(y, z), -y
'''


@pytest.fixture
def changes(tmp_path, monkeypatch):
    """The mutants of CODE: (before, after)."""
    monkeypatch.setattr(mutations, "ROOT", tmp_path)
    (tmp_path / "code.py").write_text(CODE)
    return [one for ways in mutations.mutants("code.py") for one in ways]


def test_each_kind_of_change_is_made_and_no_other(changes):
    condition, product = "if not x >= 2 or x is None:", "return (x - 7) * mask"
    signature = 'def f(x: int = 1, mask=None) -> "a + b":'
    calls = "return min(y, z), h(y, *z), h(y, z), -y"
    assert sorted((one.before, one.after) for one in changes) == sorted(
        [
            *((condition, f"if {test}:") for test in (
                "False", "not x >= 2 and x is None", "not x >= 2 or x is not None",
                "(x >= 2) or x is None", "not x > 2 or x is None", "not x < 2 or x is None",
                "not x >= (3) or x is None", "not x >= (1) or x is None",
            )),
            *((product, f"return {given}") for given in (
                "(x - 7) / mask", "(x - 7)", "(x + 7) * mask", "(x - (8)) * mask",
                "(x - (6)) * mask",
            )),
            *((calls, changed) for changed in (
                "return min(y, z), h(y, *z), h(z, y), -y",
                "return min(y, z), h(y, *z), h(y, z), (y)",
            )),
            *((signature, signature.replace("= 1", f"= ({n})")) for n in (0, 2)),
        ]
    )  # fmt: skip


def test_a_mutant_is_a_program_that_differs_in_its_line(changes):
    for one in changes:
        broken = one.broken(CODE.encode())
        ast.parse(broken)
        rows = zip(CODE.splitlines(), broken.decode().splitlines(), strict=True)
        assert [row for row, (was, now) in enumerate(rows, 1) if was != now] == [one.line]


def test_a_seed_draws_the_same_places_and_none_twice_and_no_equivalent_mutant(
    tmp_path, monkeypatch
):
    files = ["align_core/objectives.py"]
    drawn = mutants.draw(3, 20, files)
    assert drawn == mutants.draw(3, 20, files) != mutants.draw(4, 20, files)
    assert len({(one.start, one.end) for one in drawn}) > 17
    monkeypatch.setattr(mutants, "UNCHANGED", tmp_path / "unchanged.json")
    every = mutants.draw(3, 10**6, files)
    assert len(every) == len(mutations.mutants(files[0]))
    unchanged = [{name: getattr(every[0], name) for name in ("file", "before", "after")}]
    (tmp_path / "unchanged.json").write_text(json.dumps(unchanged))
    assert every[0] not in mutants.draw(3, 10**6, files)


def test_the_tests_that_a_mutant_runs(monkeypatch):
    monkeypatch.setattr(mutants, "BUDGET", 42.0)  # all of them
    seconds = {
        "tests/votes/test_a.py::slow": 9.0,
        "tests/votes/test_a.py::fast": 2.0,
        "tests/votes/test_b.py::reaches": 3.0,
        "tests/votes/test_code.py::reaches": 20.0,
        "tests/votes/test_code.py::same_file": 1.0,
        "tests/config/test_c.py::constants": 0.5,
        "tests/runs/test_d.py::another_package": 1.0,
        "tests/ports/test_e.py::another_line": 4.0,
        "tests/attacks/test_f.py::of_votes": 1.5,
    }
    slow, fast, reaches, near, same_file, constants, _, elsewhere, attack = seconds
    file, source = "align_core/votes/code.py", "LIMIT = 1\ndef f():\n    return 2\n"
    trace = {"seconds": seconds, "lines": {file: {"2": [slow, reaches]}}}

    def selected(line):
        return mutants.tests_of(mutations.Mutant(file, line, 0, 0, "", "", ""), source, trace)

    package = [same_file, near, constants, attack, reaches, fast, slow]
    assert selected(3) == package, "no test executes it"
    trace["lines"][file]["5"] = [elsewhere]
    with_elsewhere = [same_file, near, constants, attack, reaches, elsewhere, fast, slow]
    assert selected(3) == with_elsewhere, "nor this one, but another one"
    assert selected(2) == with_elsewhere, "an import executes it, too"
    trace["lines"][file]["3"] = [slow, near]
    assert selected(3) == [near, slow, same_file, fast, constants, attack, reaches, elsewhere]
    monkeypatch.setattr(mutants, "BUDGET", 30.0)  # 20 + 9 + 1
    assert selected(3) == [near, slow, same_file]


def test_the_folders_of_tests_exist():
    """`traced` would skip one that was renamed."""
    assert {path.name for path in (ROOT / "tests").iterdir()} >= {
        folder.split("/")[1] for folder in mutant_tests.SELECTED
    }
    assert {"attacks", "inference", "training"} <= {
        folder for folders in mutant_tests.ALSO_IN.values() for folder in folders
    }


def test_the_share_counts_all_seeds_of_a_row():
    seeds = {"1": {"places": 60, "caught": 57}, "2": {"places": 60, "caught": 60}}
    row = mutants.render({"machine": "", "fresh": seeds}).splitlines()[-1]
    assert row == "| new seeds | 1, 2 | 120 | 117 | 97.5 % |"
