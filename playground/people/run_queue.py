"""The queue of runs that wait for a free slot: its order, its positions and its waiting times."""

from __future__ import annotations

import contextlib
import logging
import math
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextvars import copy_context
from dataclasses import dataclass
from functools import partial
from typing import Any

from align_core.config.errors import ConfigError
from align_core.config.messages import Message, plain
from align_core.config.run_config import resolve
from align_core.experiments.quick_runs import QuickRuns, folder_in
from align_core.runs.client import Busy, Client
from align_core.runs.events import FINAL
from playground.limits import Limits
from playground.people.attendance import HIDDEN_SECONDS, SECONDS, Attendance
from playground.people.client_address import client_address
from playground.people.no_place import AlreadyHasRun, NoPlace, QueueFull, refusal
from playground.people.queue_entry import Entry, owner_of
from playground.people.server_limits import check_server_limits
from playground.people.visitors import Visitor, Visitors
from playground.people.waiting_times import WaitingTimes

POLL_SECONDS = 0.25  # between two checks for a free slot, while the queue is not empty
MAX_REMEMBERED = 1000  # visitors whose last queued run or last start errors are remembered
GRACE = 20.0  # seconds past the time limit; a run checks it after a step, and steps can be long

_LOG = logging.getLogger(__name__)

# Name of a finished run -> options of the run that follows it, or None.
NextRun = Callable[[str], dict[str, Any] | None]


@dataclass(frozen=True)
class Position:
    """A place in the queue; `number` 1 is next.

    `seconds` until the run begins: an estimate if `estimated`, otherwise an upper bound; None if
    there is no bound.
    """

    number: int
    seconds: float | None
    estimated: bool


class RunQueue:
    """Runs, and the lab's experiments as `quick_runs`, that wait for a slot of `client`.

    First come, first served, but presenters go first. A queued run starts in its turn even if its
    visitor's page is closed. A visitor has at most one live or queued run or quick run; programs
    without a token have one at each address, and each experiment has at most one quick run. The
    queue is lost when the server stops. On a public server, while somebody waits, a run that its
    owner does not watch is stopped. Thread-safe.

    `time_limit` in seconds applies to every run and quick run; None means no limit.
    """

    def __init__(
        self,
        client: Client,
        visitors: Visitors,
        time_limit: float | None = None,
        quick_runs: QuickRuns | None = None,
        attendance: Attendance | None = None,
        limits: Limits = Limits(),  # noqa: B008 - frozen
    ) -> None:
        self.visitors = visitors
        self.time_limit = time_limit
        self._limits = limits
        self.quick_runs = quick_runs or QuickRuns(folder_in(client.root))
        self._client = client
        self._attendance = attendance or Attendance()
        self._waiting_times = WaitingTimes(client, self.quick_runs)
        self._lock = threading.Lock()
        self._entries: list[Entry] = []
        self._live: dict[str, str] = {}  # run or quick run -> its owner (`owner_of`)
        self._start_errors: dict[str, list[Message]] = {}  # owner -> errors
        self._begun: dict[str, str] = {}  # owner -> their queued run that began last
        self._thread_running = False

    def with_time_limit(self, options: dict[str, Any]) -> dict[str, Any]:
        """`options` of a run, with the queue's time limit if it has one."""
        return options if self.time_limit is None else {**options, "time_limit": self.time_limit}

    def join(
        self,
        visitor: Visitor,
        options: dict[str, Any],
        pace: float = 0.0,
        then: NextRun | None = None,
    ) -> str | None:
        """Start a run with the options of `Client.start` if a slot is free, else queue it.

        Returns the name of the run, or None if it is queued. `pace` is the delay between steps in
        seconds. When the run has finished, `then` is called, and the run it returns joins the
        queue.

        Raises:
            ConfigError: invalid options, or an error of `Client.start`.
            NoPlace: the visitor has another run or quick run, or too many wait.
        """
        options = self.with_time_limit(options)
        # So that invalid options are reported now, not when their turn comes.
        check_server_limits(resolve(**options), self._limits)
        self._client.make_room()
        start = partial(self._start, visitor, options, pace, then)
        bound = self.time_limit or math.inf
        duration = self._waiting_times.run_duration(options, bound, pace)
        return self._enqueue(Entry(visitor, start, duration, options))

    def join_quick_run(
        self,
        visitor: Visitor,
        name: str,
        seconds: float | None,
        command: Sequence[str] = (),
    ) -> None:
        """Start a quick run of an experiment, or the `command` of that name (`QuickRuns.start`), if
        a slot is free, else queue it.

        Does nothing if a quick run of this name is live or queued. `seconds` is how long it takes;
        None if unknown.

        Raises:
            NoPlace: the visitor has another run or quick run, or too many wait.
            OSError: there is no memory for a process, or no space on the disk.
        """
        bound = self.time_limit or math.inf
        duration = self._waiting_times.expect(name, min(bound, seconds or math.inf))

        def start() -> str:
            self.quick_runs.start(name, visitor, self.time_limit, command)
            return name

        self._enqueue(Entry(visitor, start, duration, quick_run=name))

    def configurations(self) -> list[Mapping[str, Any]]:
        """The configurations of live runs, and the options of queued ones."""
        configurations = [entry.options for entry in self._entries]
        for run in self._client.live():
            with contextlib.suppress(ConfigError):  # deleted by someone else
                configurations.append(self._client.config(run))
        return configurations

    def note_request(self, visitor: Visitor, hidden: bool) -> None:
        """Note a request of the visitor's page for new events; its tab may be `hidden`."""
        for run in self._client.live():
            if self.visitors.owns(visitor, run):
                self._attendance.extend(run, HIDDEN_SECONDS if hidden else SECONDS)

    def length(self) -> int:
        """The number of runs and quick runs that wait."""
        return len(self._entries)

    def has_free_slot(self) -> bool:
        """Whether a run could start now if the queue were empty."""
        taken = len(self._client.live()) + len(self.quick_runs.live())
        return self._client.free() and taken < self._client.at_once

    def live_quick_run_owner(self, visitor: Visitor) -> str | None:
        """ "own" if the live quick run is the visitor's, else "other"; None if there is none."""
        owners = [self._live.get(name) for name in self.quick_runs.live()]
        is_own = owner_of(visitor, client_address()) in owners
        return "own" if is_own else "other" if owners else None

    def may_stop_quick_run(self, visitor: Visitor, name: str) -> bool:
        """Whether the visitor may stop the quick run of an experiment."""
        started_by = (self.quick_runs.state(name) or {}).get("owner")
        is_own = not self.visitors.public if started_by is None else started_by == visitor
        return is_own or visitor in self.visitors.presenters

    def is_quick_run_queued(self, name: str) -> bool:
        """Whether a quick run of an experiment is queued."""
        return any(entry.quick_run == name for entry in self._entries)

    def queued_quick_run(self, visitor: Visitor) -> str | None:
        """The experiment whose quick run the visitor has queued; None if there is none."""
        owner = owner_of(visitor, client_address())
        return next((entry.quick_run for entry in self._entries if entry.owner == owner), None)

    def leave(self, visitor: Visitor) -> None:
        """Remove the visitor's run or quick run from the queue, if there is one."""
        owner = owner_of(visitor, client_address())
        with self._lock:
            self._entries = [entry for entry in self._entries if entry.owner != owner]
            self._waiting_times.forget()

    def position(self, visitor: Visitor) -> Position | None:
        """The position of the visitor's run or quick run; None if none is queued."""
        entries, owner = list(self._entries), owner_of(visitor, client_address())
        for i, entry in enumerate(entries):
            if entry.owner == owner:
                waits = self._waiting_times.of([other.duration for other in entries])
                return Position(i + 1, *waits[i])
        return None

    def start_errors(self, visitor: Visitor) -> list[Message]:
        """The reasons why the visitor's queued run could not start; empty after their next run was
        started or queued."""
        return self._start_errors.get(owner_of(visitor, client_address()), [])

    def last_begun(self, visitor: Visitor) -> str | None:
        """The visitor's last queued run that began; None once their next run is live or queued."""
        return self._begun.get(owner_of(visitor, client_address()))

    def _enqueue(self, entry: Entry) -> str | None:
        with self._lock:
            if self._has_run(entry):
                raise refusal(AlreadyHasRun)
            name = entry.quick_run
            if name and (name in self.quick_runs.live() or self.is_quick_run_queued(name)):
                return None
            self._start_errors.pop(entry.owner, None)
            self._begun.pop(entry.owner, None)
            if not self._entries and self.has_free_slot():
                with contextlib.suppress(Busy):  # the process of an ended run is still exiting
                    return self._begin(entry)
            place = len(self._entries)
            is_presenter = entry.visitor in self.visitors.presenters
            if not is_presenter and self._is_full_for(entry.address):
                raise refusal(QueueFull)
            if is_presenter:
                place = sum(other.visitor in self.visitors.presenters for other in self._entries)
            if not self._thread_running:
                threading.Thread(target=self._start_when_free, daemon=True).start()
                self._thread_running = True
            self._entries.insert(place, entry)
            self._waiting_times.forget()
        return None

    def _is_full_for(self, address: str) -> bool:
        same = sum(entry.address == address for entry in self._entries)
        too_many = bool(address) and same >= self._limits.waiting_by_address
        return too_many or len(self._entries) >= self._limits.waiting

    def _has_run(self, new: Entry) -> bool:
        runs = self._client.live()
        live = {*runs, *self.quick_runs.live()}
        self._live = {name: owner for name, owner in self._live.items() if name in live}
        owned = any(self.visitors.owns(new.visitor, run) for run in runs)
        return owned or new.owner in (
            *self._live.values(),
            *(entry.owner for entry in self._entries),
        )

    def _begin(self, entry: Entry) -> str:
        name = entry.context.copy().run(entry.start)
        self._live[name] = entry.owner
        return name

    def _start(
        self, visitor: Visitor, options: dict[str, Any], pace: float, then: NextRun | None
    ) -> str:
        run = self.visitors.start(visitor, options)
        self._attendance.extend(run)
        self._client.send(run, "set", delay=pace)
        if self.time_limit is not None:  # the client kills a run that does not obey
            timer = threading.Timer(self.time_limit + GRACE, self._client.send, [run, "stop"])
            timer.daemon = True
            timer.start()
        if then is not None:
            arguments = (self._follow_up, run, visitor, pace, then)
            threading.Thread(target=copy_context().run, args=arguments, daemon=True).start()
        return run

    def _start_first(self) -> None:
        """Start the first entry, or note why it cannot start. Raises Busy."""
        first = self._entries[0]
        try:
            name = self._begin(first)
            if first.quick_run is None:
                _remember(self._begun, first.owner, name)
        except Busy:
            raise
        except ConfigError as error:
            _remember(self._start_errors, first.owner, error.lines)
        except Exception as error:  # such as no memory for a process
            _LOG.exception("fault")
            _remember(self._start_errors, first.owner, [plain(str(error))])
        self._entries.pop(0)
        self._waiting_times.forget()

    def _start_when_free(self) -> None:
        """Start entries as slots become free, until the queue is empty or the client closed."""
        while True:
            try:
                self._client.make_room()
                if self._has_started_all():
                    return
            except Exception:  # if this thread ended, no queued run would ever start
                _LOG.exception("fault")
            time.sleep(POLL_SECONDS)

    def _has_started_all(self) -> bool:
        """Start entries while there are free slots; returns whether none is left to start."""
        with self._lock:
            if self.visitors.public:
                self._stop_unwatched()
            with contextlib.suppress(Busy):
                while self._entries and self.has_free_slot():
                    self._start_first()
            self._thread_running = bool(self._entries) and not self._client.closed
            return not self._thread_running

    def _stop_unwatched(self) -> None:
        text = "The run was stopped, since its visitor had gone and others waited."
        for run in self._attendance.take_unwatched(self._client.live()):
            self._client.send(run, "stop", reason=Message("unwatched", {}, text))

    def _follow_up(self, run: str, visitor: Visitor, pace: float, then: NextRun) -> None:
        """Queue the run that `then` returns, once `run` has finished without a stop or failure."""
        try:
            while (status := (self._client.status(run) or {}).get("status")) not in FINAL:
                time.sleep(POLL_SECONDS)
            options = then(run) if status == "finished" else None
            while options is not None:
                try:
                    self.join(visitor, options, pace)
                    return
                except NoPlace:  # the visitor has started another run, or the queue is full
                    time.sleep(POLL_SECONDS)
        except ConfigError as error:  # such as a deleted folder of the first run
            with self._lock:
                _remember(self._start_errors, owner_of(visitor, client_address()), error.lines)


def _remember(by_owner: dict[str, Any], owner: str, value: Any) -> None:
    """Store the owner's value, and forget the oldest one if there are too many."""
    by_owner[owner] = value
    if len(by_owner) > MAX_REMEMBERED:
        del by_owner[next(iter(by_owner))]
