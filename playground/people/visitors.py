"""Visitors: the owners of runs, and the access to runs.

A visitor is identified by a random token, which their browser keeps in a cookie; if cookies are
blocked, their tab sends it in a header (visitor.js). A file beside a run has a hash of its owner's
token, so that the owner is known after a restart although no file contains a token.

A run belongs to the visitor who started it. A run that was not started here, such as one from the
command line, belongs to everyone. A program may send no token: on a public server its run belongs
to nobody, and only a presenter may stop it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from align_core.config.errors import ConfigError
from align_core.config.messages import Message
from align_core.config.safe_files import read_object
from align_core.inference.client import Unanswered
from align_core.runs.client import Client
from align_core.runs.files import write_atomically
from align_core.runs.index import unknown_run
from playground.content import page_names
from playground.limits import Limits
from playground.people.addresses import is_loopback
from playground.people.client_address import client_address
from playground.people.own_tasks import OwnTasks
from playground.people.presenters import Presenters

COOKIE, HEADER = "playground_visitor", "x-visitor"
MAX_QUERIES = 2  # at a time for each visitor; the helper process accepts eight in total
MAX_SPEAKERS = 100  # visitors without a key who gave a talk
_TOKEN = re.compile(r"[0-9a-f]{64}", re.ASCII)
_FILE = "owner.json"
NEW_SECONDS = 5.0  # a run younger than this may still lack its owner's file

_NO_TOKEN = "no token"  # the owner of a run that a request without a token started

Visitor = str | None  # the hash of a token; None for a program that sends none


class Request(Protocol):
    """A request of Gradio or of Starlette."""

    @property
    def headers(self) -> Mapping[str, str]: ...
    @property
    def cookies(self) -> Mapping[str, str]: ...


@dataclass(frozen=True)
class _Owner:
    """The content of a run's owner.json. `visitor` is None if the run belongs to everyone."""

    visitor: Visitor = None
    shared: bool = False


class Visitors:
    """The owners of the runs of `client`, and the access of visitors to them. Thread-safe.

    A visitor who enters `key` becomes one of the `presenters`, who may see and control all runs;
    without a key there are none. `public` means that strangers use this server. `own` are the tasks
    that visitors made.
    """

    def __init__(
        self,
        client: Client,
        key: str | None = None,
        public: bool = False,
        own: OwnTasks | None = None,
        limits: Limits = Limits(),  # noqa: B008 - frozen
    ) -> None:
        self.own = own or OwnTasks(client.root.with_name("tasks"), places=limits)
        self._client = client
        self.presenters = Presenters(key)
        self.public = public
        self._lock = threading.Lock()
        self._owners: dict[str, _Owner] = {}
        self._limits = limits
        self._queries: Counter[Visitor] = Counter()  # in progress, by visitor
        self._queries_from: Counter[str] = Counter()  # the same by address
        self._seen: set[str] = set()  # two visitors at most: enough for `has_several`
        self._speakers: OrderedDict[Visitor, None] = OrderedDict()  # besides the presenters

    def from_token(self, token: Any) -> Visitor:
        """The visitor with this token; None for anything that is not a token."""
        if not isinstance(token, str) or not _TOKEN.fullmatch(token):
            return None
        visitor = hashlib.sha256(token.encode()).hexdigest()
        if len(self._seen) < 2:
            self._seen.add(visitor)
        return visitor

    def sender(self, request: Request) -> Visitor:
        """The visitor who sent a request."""
        return self.from_token(request.headers.get(HEADER) or request.cookies.get(COOKIE))

    @property
    def has_several(self) -> bool:
        """Whether more than one visitor has come since the server started."""
        return len(self._seen) > 1

    def may_open_room(self, visitor: Visitor, address: str) -> bool:
        """Whether the visitor may open a voting room: a presenter, or, if there is no key and the
        server is not public, a visitor on this machine."""
        return visitor in self.presenters or (self._unguarded and is_loopback(address))

    @property
    def _unguarded(self) -> bool:
        return not self.presenters.exist and not self.public

    # Talks

    def present(self, visitor: Visitor) -> None:
        """Note that the visitor has opened a voting room, or the page for a projector.

        If there is no key and the server is not public, they give a talk from now on.
        """
        if self._unguarded and visitor is not None:
            with self._lock:
                self._speakers[visitor] = None
                self._speakers.move_to_end(visitor)
                if len(self._speakers) > MAX_SPEAKERS:
                    self._speakers.popitem(last=False)

    def in_talk(self, run: str) -> bool:
        """Whether the run belongs to a visitor who gives a talk, as presenters do: the pages of
        other visitors follow such a run."""
        owner = self.owner(run)
        return owner in self.presenters or owner in self._speakers

    # Runs

    def start(self, visitor: Visitor, options: dict[str, Any]) -> str:
        """Start a run that belongs to the visitor. Returns and raises as `Client.start` does."""
        with self._lock:  # no owner is read before it is written
            run = self._client.start(**options)
            self._set_owner(run, _Owner(visitor or _NO_TOKEN))
        return run

    def owner(self, run: str) -> Visitor:
        """The visitor who started the run; None if it belongs to everyone."""
        return self._owner(run).visitor

    def owns(self, visitor: Visitor, run: str) -> bool:
        """Whether the visitor started the run. Programs without a token count as one visitor; on a
        public server they own nothing, because they may be strangers to each other."""
        owner = self.owner(run)
        if visitor is None:
            return owner in (None, _NO_TOKEN) and not self.public
        return owner == visitor

    def may_control(self, visitor: Visitor, run: str) -> bool:
        """Whether the visitor may list, pause, change and stop the run. Anyone may watch a live
        run."""
        owner = self._owner(run)
        is_free = owner.shared or owner.visitor is None
        return is_free or self.owns(visitor, run) or visitor in self.presenters

    def check_access(self, visitor: Visitor, models: Collection[Any]) -> None:
        """Raises ConfigError if `models` name a run that the visitor may not see."""
        for run in filter(self._client.has, models):
            if not self.may_control(visitor, run):
                raise ConfigError(unknown_run(run))

    def may_see(self, visitor: Visitor, run: Any) -> bool:
        """Whether `run` is one of the visitor's `runs`."""
        return self._client.has(run) and self.may_control(visitor, run)

    def runs(self, visitor: Visitor) -> list[str]:
        """The names of all runs that the visitor may see and control, newest first."""
        return [run for run in self._client.runs() if self.may_control(visitor, run)]

    def page_config(self, visitor: Visitor, config: Mapping[str, Any]) -> dict[str, Any]:
        """A run's configuration as the visitor's page gets it: without paths of this server."""
        return {
            **page_names.page_config(config),
            "task": self.own.page_name(visitor, config["task"]),
        }

    def shared(self, visitor: Visitor, run: str) -> bool | None:
        """Whether the visitor shares the run; None for a run that is not theirs."""
        return self._owner(run).shared if visitor and self.owns(visitor, run) else None

    def share(self, visitor: Visitor, run: Any, on: bool) -> None:
        """Share the visitor's run with everyone, or stop sharing it. Does nothing for a run that is
        not theirs."""
        if self._client.has(run) and self.shared(visitor, run) is not None:
            with self._lock:
                self._set_owner(run, _Owner(visitor, on))

    def _owner(self, run: str) -> _Owner:
        owner = self._owners.get(run)
        if owner is None:
            with self._lock:  # `start` writes the owner before anyone reads it
                owner = self._owners.get(run) or self._read_owner(run)
        return owner

    def _read_owner(self, run: str) -> _Owner:
        folder = f"{self._client.root}/{run}"
        try:
            content = read_object(f"{folder}/{_FILE}")
            owner = _Owner(str(content["visitor"]), content["shared"] is True)
        except FileNotFoundError:
            owner = _Owner()
            with contextlib.suppress(OSError):
                if time.time() - os.stat(folder).st_mtime < NEW_SECONDS:
                    return owner  # another server may be about to write it
        except (OSError, ValueError, LookupError):
            owner = _Owner("unreadable")  # nobody's, rather than everyone's
        self._owners[run] = owner
        return owner

    def _set_owner(self, run: str, owner: _Owner) -> None:
        self._owners[run] = owner
        with contextlib.suppress(OSError):  # if the disk is full, the run itself reports it
            write_atomically(self._client.root / run / _FILE, json.dumps(asdict(owner)))

    # Queries

    @contextlib.contextmanager
    def query_slot(self, visitor: Visitor) -> Iterator[None]:
        """A context that counts as a query of the visitor and of their address, so that nobody
        occupies the whole helper process. Programs without a token count only by their address.

        Raises Unanswered if either has too many queries in progress.
        """
        address = client_address()
        with self._lock:
            taken = self._queries_from[address] if address else 0
            queries = self._queries[visitor] if visitor or not address else 0
            if queries >= MAX_QUERIES or taken >= self._limits.questions_by_address:
                text = "Your earlier questions are still being answered."
                raise Unanswered(Message("still_answering", {}, text))
            self._queries[visitor] += 1
            self._queries_from[address] += 1
        try:
            yield
        finally:
            with self._lock:
                _drop(self._queries, visitor)
                _drop(self._queries_from, address)


def _drop(counts: Counter[Any], key: Any) -> None:
    counts[key] -= 1
    if not counts[key]:
        del counts[key]
