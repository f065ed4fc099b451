"""The page's server for benchmarks: `app.py` in a process that can be killed and restarted."""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import psutil

from align_core.config.environment import QUESTION_NICE
from benchmarks.browsing import free_port
from benchmarks.common import ROOT, THREADS

START_TIMEOUT = 300.0  # seconds; starting takes 5 s on two quiet cores
FORKSERVER = "multiprocessing.forkserver"


class Served:
    """The server, a context, with its runs and votes in `folder`.

    `environment` is added to the variables of this process.
    """

    def __init__(self, folder: Path, **environment: str) -> None:
        self.runs, self.sessions = folder / "runs", folder / "sessions"
        self.log = folder / "server.log"
        self.address = f"http://127.0.0.1:{free_port()}"
        port = self.address.rpartition(":")[2]
        own = {"GRADIO_SERVER_PORT": port, "PLAYGROUND_RUNS": str(self.runs)}
        own["OMP_NUM_THREADS"] = str(THREADS)
        self._environment = os.environ | own | environment
        self._process: subprocess.Popen | None = None
        # No certificates are read, and no connection is kept that the server may just be closing.
        once = httpx.Limits(max_keepalive_connections=0)
        self._http = httpx.Client(verify=False, timeout=120, limits=once)
        self.starting = 0.0  # seconds that the last start took, to the first answer

    def __enter__(self) -> Served:
        self.start()
        return self

    def __exit__(self, *_: Any) -> None:
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(60)
            except subprocess.TimeoutExpired:
                self._process.kill()

    def start(self) -> None:
        """Start the server, and wait for its first answer."""
        began = time.monotonic()
        with self.log.open("a") as log:
            self._process = subprocess.Popen(
                [sys.executable, "app.py", "--log-json"],
                cwd=ROOT,
                env=self._environment,
                stdout=subprocess.DEVNULL,
                stderr=log,
            )
        while self.health() is None:
            if time.monotonic() - began > START_TIMEOUT:
                raise TimeoutError(f"the page did not start: see {self.log}")
            time.sleep(0.02)
        self.starting = time.monotonic() - began
        config = self._http.get(f"{self.address}/config").json()
        self._components = {one["id"]: one["props"] for one in config["components"]}
        self._parts: dict[str, int] = {}
        for number, props in self._components.items():  # those of the first language
            self._parts.setdefault(props.get("elem_id", ""), number)
        (self._start, *_) = (
            one for one in config["dependencies"] if one.get("api_name") == "start"
        )

    @property
    def process(self) -> psutil.Process:
        return psutil.Process(self._process.pid)

    def health(self) -> dict[str, Any] | None:
        """The answer of `/health`, or None if none comes."""
        try:
            return self._http.get(f"{self.address}/health", timeout=10).json()
        except (httpx.HTTPError, ValueError):
            return None

    def part(self, name: str) -> int:
        """The id of the Gradio component of a part of the page."""
        return self._parts[name]

    def call(self, visitor: str, part: str, function: str, data: Any) -> Any:
        """The answer of a server function of a part."""
        query = {"data": data, "component_id": self.part(part), "fn_name": function}
        return self.post(visitor, "/gradio_api/component_server", query | {"session_hash": "b"})

    def press_run(self, visitor: str, **settings: Any) -> str | None:
        """Press Run; returns the name of the run, None if it was queued or refused."""
        values = []
        for number in self._start["inputs"]:
            props = self._components[number]
            name = str(props.get("elem_id", "")).removeprefix("field-")
            values.append(settings.get(name, props.get("value")))
        query = {"data": values, "fn_index": self._start["id"], "session_hash": "b"}
        _, live = self.post(visitor, "/gradio_api/run/predict", query)["data"]
        return live["run"]

    def post(self, visitor: str, path: str, content: Any, **headers: str) -> Any:
        """The JSON answer to a POST of a visitor.

        Raises httpx.HTTPStatusError for any other answer, with its text and the end of the server's
        log.
        """
        headers = {"Cookie": f"playground_visitor={visitor}", **headers}
        answer = self._http.post(f"{self.address}{path}", json=content, headers=headers)
        if answer.is_error:
            log = self.log.read_text()[-2000:]
            message = f"{path}: {answer.status_code} {answer.text[:500]}\n{log}"
            raise httpx.HTTPStatusError(message, request=answer.request, response=answer)
        return answer.json()

    def processes(self) -> dict[str, psutil.Process]:
        """The live processes by name: "server", "forkserver", "worker" and "helper"."""
        found = {"server": self.process}
        for child in self.process.children(recursive=True):
            try:
                if child.status() == psutil.STATUS_ZOMBIE or FORKSERVER not in " ".join(
                    child.cmdline()
                ):
                    continue
                if child.ppid() == self.process.pid:
                    found["forkserver"] = child
                else:  # the helper yields to the runs
                    above = child.nice() - self.process.nice()
                    found["helper" if above >= QUESTION_NICE else "worker"] = child
            except psutil.Error:
                continue
        return found

    def kill(self, name: str) -> bool:
        """kill -9 one of the `processes`; returns whether it was there."""
        process = self.processes().get(name)
        if process is None:
            return False
        process.send_signal(signal.SIGKILL)
        if name == "server":
            self._process.wait()
        return True

    def events(self, run: str) -> list[dict[str, Any]]:
        """The complete lines of a run's log."""
        log = self.runs / run / "events.jsonl"
        content = log.read_text() if log.exists() else ""
        return [json.loads(line) for line in content.splitlines(keepends=True) if line[-1] == "\n"]


def new_visitor() -> str:
    """The token of a new visitor."""
    return secrets.token_hex(32)
