"""For `benchmarks.mutants`: trace the unit tests once, then run some in copies of the code."""

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
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from benchmarks.common import ROOT

OWN = ("align_core", "benchmarks", "playground", "tests")
UNIT = ("-m", "not slow")  # what `make unit` runs
NOT_COPIED = {"assets", "runs", "sessions"}  # beside the code
KEPT = ROOT / ".pytest_cache" / "mutants"
JOBS = os.cpu_count() or 1
PATIENCE = 30.0  # a test hangs when it takes these seconds and ten times as long as before
MEMORY = 8 << 30  # bytes that a mutant may allocate


@contextlib.contextmanager
def copies() -> Iterator[list[Path]]:
    """Copies of the project, one for each job, compiled so that changed sources are noticed."""
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
    """The results of `work(folder, job)`, run in a process for each folder and passed as JSON."""
    processes = []
    for job, folder in enumerate(folders):
        if not (process := os.fork()):
            (folder / "result.json").write_text(json.dumps(work(folder, job)))
            os._exit(0)
        processes.append(process)
    for process in processes:
        if os.waitpid(process, 0)[1]:
            raise RuntimeError("a job failed")
    return [json.loads((folder / "result.json").read_text()) for folder in folders]


def tested(folder: Path, paths: Iterable[str], *plugins: Any) -> int:
    """The exit code of pytest on these paths in a copy; minus the signal that ended it."""
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
        os.killpg(process, signal.SIGKILL)  # what it has started
    return code


class Selection:
    """A plugin of pytest: only the chosen tests, fastest file first; tests that hang are ended."""

    def __init__(self, chosen: set[str], seconds: dict[str, float]) -> None:
        self.chosen, self.seconds = chosen, seconds
        self.files: dict[str, float] = defaultdict(float)
        for test in chosen:
            self.files[file_of(test)] += seconds[test]

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        items[:] = [item for item in items if item.nodeid in self.chosen]
        items.sort(key=lambda item: self.files[file_of(item.nodeid)])

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.failed:
            os._exit(1)  # the first failure is enough; fixtures are not torn down

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        signal.alarm(round(PATIENCE + 10 * self.seconds[nodeid]))


class Tracer:
    """A plugin of pytest that notes what lines each test executes, and how long it takes."""

    def __init__(self, folder: Path, broken: Sequence[str]) -> None:
        import coverage

        self.folder, self.broken, self.current = folder, broken, ""
        include = [str(folder / file) for file in broken]
        self.coverage = coverage.Coverage(data_file=None, config_file=False, include=include)
        self.fixtures: dict[str, list[str]] = {}  # test -> the fixtures that it needs
        self.seconds: dict[str, float] = defaultdict(float)
        self.failed: list[str] = []

    def pytest_sessionstart(self) -> None:
        self.coverage.start()

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_protocol(self, item: Any) -> Iterator[None]:
        signal.alarm(0)
        self.current = item.nodeid
        self.fixtures[item.nodeid] = list(item.fixturenames)
        self.coverage.switch_context(item.nodeid)
        yield
        self.coverage.switch_context("")

    @pytest.hookimpl(hookwrapper=True)
    def pytest_fixture_setup(self, fixturedef: Any) -> Iterator[None]:
        """The lines of a shared fixture count as executed by each test that needs it."""
        if fixturedef.scope != "function":
            self.coverage.switch_context(f"{fixturedef.baseid}/{fixturedef.argname}")
        yield
        self.coverage.switch_context(self.current)

    def pytest_runtest_logreport(self, report: Any) -> None:
        self.seconds[report.nodeid] += report.duration
        if report.failed:
            self.failed.append(report.nodeid)

    def pytest_sessionfinish(self) -> None:
        self.coverage.stop()
        data = self.coverage.get_data()
        users = {test: {test} for test in self.fixtures}  # a context -> those that executed it
        for context in data.measured_contexts() - users.keys():
            base, _, fixture = context.rpartition("/")
            users[context] = {
                test
                for test, needed in self.fixtures.items()
                if fixture in needed and test.startswith(base)
            }
        traces: dict[str, Any] = {"failed": self.failed, "files": {}}
        for test, seconds in self.seconds.items():
            self._of(test, traces)["seconds"][test] = seconds
        for file in self.broken:
            lines = data.contexts_by_lineno(str(self.folder / file))
            for line, contexts in lines.items():
                for test in sorted(set().union(*(users[context] for context in contexts))):
                    reached = self._of(test, traces)["lines"].setdefault(file, {})
                    reached.setdefault(line, []).append(test)
        (self.folder / "traced.json").write_text(json.dumps(traces))

    def _of(self, test: str, traces: dict[str, Any]) -> dict[str, Any]:
        return traces["files"].setdefault(file_of(test), {"seconds": {}, "lines": {}})


def traced(folders: Sequence[Path], broken: Sequence[str]) -> dict[str, Any]:
    """What the unit tests execute: {"seconds": {test: s}, "lines": {file: {line: [test, …]}}}.

    The traces of a file of tests are kept until that file or the code changes. Raises RuntimeError
    where a test fails.
    """
    sources = {str(path.relative_to(folders[0])): path for path in folders[0].rglob("*.py")}
    tests = [file for file in sorted(sources) if Path(file).name.startswith("test_")]
    code = _hash(*(path.read_bytes() for file, path in sources.items() if file not in tests))
    kept = {
        file: KEPT / f"{_hash(code.encode(), file.encode(), sources[file].read_bytes())}.json"
        for file in tests
    }
    missing = [file for file in tests if not kept[file].exists()]

    def trace(folder: Path, job: int) -> dict[str, Any]:
        if assigned := missing[job :: len(folders)]:
            tested(folder, assigned, Tracer(folder, broken))
            return json.loads((folder / "traced.json").read_text())
        return {"failed": [], "files": {}}

    parts = parallel(folders, trace)
    failed = {test for part in parts for test in part["failed"]}
    KEPT.mkdir(parents=True, exist_ok=True)
    for older in set(KEPT.iterdir()) - {*kept.values()}:
        older.unlink()
    for file in sorted({*missing} - {file_of(test) for test in failed}):
        found = [part["files"][file] for part in parts if file in part["files"]]
        kept[file].write_text(json.dumps(found[0] if found else {"seconds": {}, "lines": {}}))
    if failed:
        raise RuntimeError(f"{sorted(failed)} failed before anything was broken")
    known: dict[str, Any] = {"seconds": {}, "lines": {file: {} for file in broken}}
    for file in tests:
        part = json.loads(kept[file].read_text())
        known["seconds"] |= part["seconds"]
        for name, lines in part["lines"].items():
            for line, reaching in lines.items():
                known["lines"][name].setdefault(line, []).extend(reaching)
    return known


def _hash(*contents: bytes) -> str:
    return hashlib.sha256(b"\0".join(contents)).hexdigest()[:16]


def file_of(test: str) -> str:
    """The file of a test's id."""
    return test.partition("::")[0]
