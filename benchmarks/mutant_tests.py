"""Runs unit tests for `benchmarks.mutants` in copies of the project.

All tests run once under coverage; selected ones then run on each mutant.
"""

from __future__ import annotations

import compileall
import contextlib
import hashlib
import json
import os
import py_compile
import resource
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from benchmarks.common import ROOT

OWN = ("align_core", "benchmarks", "playground", "tests")
UNIT = ("-m", "not slow")  # what `make unit` runs
NOT_COPIED = {"assets", "runs", "sessions"}  # folders of the project without code
# A changed package -> the other folders that have tests of it.
ALSO_IN = {
    "evaluation": ("inference", "training"),
    "models": ("inference",),
    "runs": ("attacks", "training"),
    "trainers": ("training",),
    "votes": ("attacks",),
}
# The folders with tests of the changed packages, of the command line and of ported scripts.
SELECTED = tuple(
    f"tests/{folder}/"
    for folder in (
        *("cli", "config", "evaluation", "models", "objectives", "optimum", "ports", "runs"),
        *("trainers", "votes"),
        *sorted({folder for folders in ALSO_IN.values() for folder in folders}),
    )
)
KEPT = ROOT / ".pytest_cache" / "mutants"
JOBS = len(os.sched_getaffinity(0))
PATIENCE = 60.0  # seconds; a test that takes longer than that and ten times its usual time hangs
HUNG = -signal.SIGALRM  # the exit code of a hanging test
MEMORY = 8 << 30  # bytes that a mutant may allocate


@contextlib.contextmanager
def copies() -> Iterator[list[Path]]:
    """Yields a folder with a copy of the project for each job. Bytecode is validated by hash."""
    with tempfile.TemporaryDirectory() as made:
        folders = [Path(made) / str(job) for job in range(JOBS)]
        for folder in folders:
            shutil.copytree(ROOT, folder, ignore=_left_out)
            (folder / "assets").symlink_to(ROOT / "assets")
            by_content = py_compile.PycInvalidationMode.CHECKED_HASH
            for name in ("align_core", "playground"):
                compileall.compile_dir(folder / name, quiet=2, invalidation_mode=by_content)
        yield folders


def _left_out(folder: str, names: list[str]) -> set[str]:
    hidden = {name for name in names if name.startswith(".") or name == "__pycache__"}
    return hidden | NOT_COPIED if Path(folder) == ROOT else hidden


def parallel(folders: Sequence[Path], work: Callable[[Path, int], Any]) -> list[Any]:
    """The results of `work(folder, job)`, run in one process for each folder; passed as JSON."""
    processes = []
    for job, folder in enumerate(folders):
        if not (process := os.fork()):
            (folder / "returned.json").write_text(json.dumps(work(folder, job)))
            os._exit(0)
        processes.append(process)
    for process in processes:
        if os.waitpid(process, 0)[1]:
            raise RuntimeError("a job failed")
    return [json.loads((folder / "returned.json").read_text()) for folder in folders]


def tested(folder: Path, paths: Iterable[str], *plugins: Any) -> int:
    """The exit code of pytest on these paths in a copy.

    If a signal killed pytest, the signal's negative number.
    """
    if not (process := os.fork()):
        os.setsid()
        os.chdir(folder)
        sys.path[:] = [str(folder), *(path for path in sys.path if path not in ("", str(ROOT)))]
        for name in [name for name in sys.modules if name.split(".")[0] in OWN]:
            del sys.modules[name]
        sys.dont_write_bytecode = True
        os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
        output = os.open(folder / "output.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(output, 1)
        os.dup2(output, 2)
        signal.alarm(round(10 * PATIENCE))  # until the first test
        options = ["-p", "no:cacheprovider", f"--basetemp={folder}/.tmp", *UNIT]
        code = pytest.main([*options, *paths], plugins=[*plugins])
        os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process, signal.SIGKILL)  # processes that the tests started
    return code


class Selection:
    """A pytest plugin that runs the chosen tests in their order and kills those that hang."""

    def __init__(self, chosen: Sequence[str], seconds: dict[str, float]) -> None:
        self.rank = {test: rank for rank, test in enumerate(chosen)}
        self.seconds = seconds

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        items[:] = [item for item in items if item.nodeid in self.rank]
        items.sort(key=lambda item: self.rank[item.nodeid])

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.failed:
            os._exit(1)  # without teardown: one failure is enough

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        signal.alarm(round(PATIENCE + 10 * self.seconds[nodeid]))


class Tracer:
    """A pytest plugin that records the lines that each test executes, and its processor time."""

    def __init__(self, folder: Path, broken: Sequence[str]) -> None:
        import coverage

        self.folder, self.broken, self.current = folder, broken, ""
        include = [str(folder / file) for file in broken]
        self.coverage = coverage.Coverage(data_file=None, config_file=False, include=include)
        self.fixtures: dict[str, list[str]] = {}  # test -> its fixtures
        self.seconds: dict[str, float] = {}
        self.failed: set[str] = set()

    def pytest_sessionstart(self) -> None:
        self.coverage.start()

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_protocol(self, item: Any) -> Iterator[None]:
        signal.alarm(0)
        self.current = item.nodeid
        self.fixtures[item.nodeid] = list(item.fixturenames)
        self.coverage.switch_context(item.nodeid)
        began = sum(os.times()[:4])  # of this process and its children
        yield
        self.seconds[item.nodeid] = sum(os.times()[:4]) - began
        self.coverage.switch_context("")

    @pytest.hookimpl(hookwrapper=True)
    def pytest_fixture_setup(self, fixturedef: Any) -> Iterator[None]:
        """Attributes the lines of a shared fixture to each test that uses it."""
        if fixturedef.scope != "function":
            self.coverage.switch_context(f"{fixturedef.baseid}/{fixturedef.argname}")
        yield
        self.coverage.switch_context(self.current)

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.failed:
            self.failed.add(report.nodeid)

    def pytest_sessionfinish(self) -> None:
        self.coverage.stop()
        data = self.coverage.get_data()
        users = {test: {test} for test in self.fixtures}  # context -> tests that executed it
        for context in data.measured_contexts() - users.keys():
            base, _, fixture = context.rpartition("/")
            users[context] = {
                test
                for test, needed in self.fixtures.items()
                if fixture in needed and test.startswith(base)
            }
        traces: dict[str, Any] = {
            file: {"seconds": {}, "lines": {}, "failed": []} for file in map(file_of, self.fixtures)
        }
        for test, seconds in self.seconds.items():
            traces[file_of(test)]["seconds"][test] = seconds
        for test in sorted(self.failed):
            traces[file_of(test)]["failed"].append(test)
        for file in self.broken:
            lines = data.contexts_by_lineno(str(self.folder / file))
            for line, contexts in lines.items():
                for test in sorted(set().union(*(users[context] for context in contexts))):
                    reached = traces[file_of(test)]["lines"].setdefault(file, {})
                    reached.setdefault(line, []).append(test)
        (self.folder / "traced.json").write_text(json.dumps(traces))


def traced(folders: Sequence[Path], broken: Sequence[str]) -> dict[str, Any]:
    """Processor times and lines: {"seconds": {test: s}, "lines": {file: {line: [test, …]}}}.

    They are stored for each test file until it or a file to break changes. A test that fails on the
    unchanged code is printed and left out.
    """
    sources = {str(path.relative_to(folders[0])): path for path in folders[0].rglob("*.py")}
    tests = [
        file
        for file, path in sorted(sources.items())
        if file.startswith(SELECTED) and path.name.startswith("test_")
    ]
    version = _hash(*(sources[file].read_bytes() for file in broken))
    kept = {
        file: KEPT / f"{_hash(version.encode(), file.encode(), sources[file].read_bytes())}.json"
        for file in tests
    }
    missing = [file for file in tests if not kept[file].exists()]

    def trace(folder: Path, job: int) -> dict[str, Any]:
        if mine := missing[job :: len(folders)]:
            tested(folder, mine, Tracer(folder, broken))
            return json.loads((folder / "traced.json").read_text())
        return {}

    KEPT.mkdir(parents=True, exist_ok=True)
    for older in set(KEPT.iterdir()) - {*kept.values()}:
        older.unlink()
    empty: dict[str, Any] = {"seconds": {}, "lines": {}, "failed": []}
    traces = {file: part for parts in parallel(folders, trace) for file, part in parts.items()}
    for file in missing:
        kept[file].write_text(json.dumps(traces.get(file, empty)))
    known: dict[str, Any] = {"seconds": {}, "lines": {file: {} for file in broken}}
    for file in tests:
        part = json.loads(kept[file].read_text())
        for test in part["failed"]:
            print(f"{test} fails on the unchanged code")
        passed = part["seconds"].keys() - {*part["failed"]}
        known["seconds"] |= {test: part["seconds"][test] for test in passed}
        for name, lines in part["lines"].items():
            for line, reaching in lines.items():
                known["lines"][name].setdefault(line, []).extend(passed & {*reaching})
    return known


def _hash(*contents: bytes) -> str:
    return hashlib.sha256(b"\0".join(contents)).hexdigest()[:16]


def file_of(test: str) -> str:
    """The file of a test's id."""
    return test.partition("::")[0]
