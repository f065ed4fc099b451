"""Visitors: which run is whose, and who presents.

A visitor is a random token that their browser keeps (visitor.js). Beside a run lies the token's
hash, never the token, so that a run has the same owner after a restart and no file tells how to
pass for somebody.

A run belongs to the visitor who started it. A run that no visitor started, from the command line
say, belongs to everyone; so do those of browsers that keep no token.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import re
import threading
import time
from collections import OrderedDict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from align_core.config.errors import ConfigError
from align_core.config.messages import Message
from align_core.inference.client import Unanswered
from align_core.runs.client import Client, no_run
from align_core.runs.files import write_whole
from playground.people.addresses import is_loopback

COOKIE = "playground_visitor"
MAX_WRONG_KEYS, WRONG_KEY_SECONDS = 5, 60.0  # from one address, in so many seconds
MAX_QUESTIONS = 2  # of one visitor at once; the helper has eight in hand
_TOKEN = re.compile(r"[0-9a-f]{64}", re.ASCII)
_FILE = "owner.json"

Visitor = str | None  # the hash of a token; None: a browser that keeps none


@dataclass(frozen=True)
class _Owner:
    """What lies beside a run. `visitor` is None where it is everyone's."""

    visitor: Visitor = None
    shared: bool = False


class Visitors:
    """Who may see and steer which run of `client`. Threads may share them.

    `key` makes a visitor a presenter, who may see and steer all; None: there is none. `public`:
    strangers use this machine.
    """

    def __init__(self, client: Client, key: str | None = None, public: bool = False) -> None:
        self._client = client
        self._key = key
        self._public = public
        self._lock = threading.Lock()
        self._owners: dict[str, _Owner] = {}
        self._presenters: set[str] = set()
        self._failed_attempts: OrderedDict[str, list[float]] = OrderedDict()
        self._open_questions: dict[Visitor, int] = {}
        self._seen: set[str] = set()  # two visitors at most: are there several?

    def from_token(self, token: Any) -> Visitor:
        """The visitor of a token; None for whatever is no token."""
        if not isinstance(token, str) or not _TOKEN.fullmatch(token):
            return None
        visitor = hashlib.sha256(token.encode()).hexdigest()
        if len(self._seen) < 2:
            self._seen.add(visitor)
        return visitor

    def from_cookies(self, cookies: Mapping[str, str]) -> Visitor:
        """The visitor whose browser sent `cookies` with a request."""
        return self.from_token(cookies.get(COOKIE))

    @property
    def has_several(self) -> bool:
        """Whether more than one visitor has come since the server was started."""
        return len(self._seen) > 1

    # Presenters

    def become_presenter(self, visitor: Visitor, key: Any, address: str) -> bool:
        """Make `visitor` a presenter if `key` is the key, and say whether they are one.

        After MAX_WRONG_KEYS wrong ones from an address, no key from there counts for a while.
        """
        if self._key is None or visitor is None or not isinstance(key, str):
            return False
        with self._lock:
            now = time.monotonic()
            wrong = [
                then
                for then in self._failed_attempts.pop(address, [])
                if now - then < WRONG_KEY_SECONDS
            ]
            if len(wrong) < MAX_WRONG_KEYS:
                if hmac.compare_digest(key.encode(errors="replace"), self._key.encode()):
                    self._presenters.add(visitor)
                    return True
                wrong.append(now)
            self._failed_attempts[address] = wrong
            if len(self._failed_attempts) > 1000:
                self._failed_attempts.popitem(last=False)
            return False

    def is_presenter(self, visitor: Visitor) -> bool:
        return visitor in self._presenters

    def may_open_room(self, visitor: Visitor, address: str) -> bool:
        """Whether a visitor may open the room: a presenter or, where there is no key and no
        stranger, whoever sits at this machine."""
        unguarded = self._key is None and not self._public
        return self.is_presenter(visitor) or (unguarded and is_loopback(address))

    # Runs

    def start(self, visitor: Visitor, options: dict[str, Any]) -> str:
        """Start a run that is `visitor`'s. Returns and raises as `Client.start` does."""
        with self._lock:  # nobody asks whose it is before that is known
            run = self._client.start(**options)
            if visitor is not None:
                self._keep(run, _Owner(visitor))
        return run

    def owns(self, visitor: Visitor, run: str) -> bool:
        """Whether the visitor started a run."""
        return self._owner(run).visitor == visitor

    def may_control(self, visitor: Visitor, run: str) -> bool:
        """Whether the visitor finds a run in their lists and may pause, turn and stop it. Anyone
        may watch one while it is live."""
        owner = self._owner(run)
        return owner.shared or owner.visitor in (None, visitor) or self.is_presenter(visitor)

    def check_access(self, visitor: Visitor, named: Collection[Any]) -> None:
        """Raises ConfigError where the visitor does not see a run that is `named`."""
        for run in self._client.runs():
            if run in named and not self.may_control(visitor, run):
                raise ConfigError(no_run(run))

    def runs(self, visitor: Visitor) -> list[str]:
        """The names of all runs that the visitor may see and steer, newest first."""
        return [run for run in self._client.runs() if self.may_control(visitor, run)]

    def shared(self, visitor: Visitor, run: str) -> bool | None:
        """Whether the visitor's own run is shared; None for a run that is not theirs to share."""
        return self._owner(run).shared if visitor and self.owns(visitor, run) else None

    def share(self, visitor: Visitor, run: Any, on: bool) -> None:
        """Let everyone see and steer an own run, or no longer. Other runs stay as they are."""
        if run in self._client.runs() and self.shared(visitor, run) is not None:
            with self._lock:
                self._keep(run, _Owner(visitor, on))

    def _owner(self, run: str) -> _Owner:
        with self._lock:
            if run not in self._owners:
                self._owners[run] = self._read(run)
            return self._owners[run]

    def _read(self, run: str) -> _Owner:
        try:
            content = json.loads((self._client.root / run / _FILE).read_text(encoding="utf-8"))
            return _Owner(str(content["visitor"]), content["shared"] is True)
        except FileNotFoundError:
            return _Owner()
        except (OSError, ValueError, LookupError, TypeError):
            return _Owner("unreadable")  # nobody's, rather than everyone's

    def _keep(self, run: str, owner: _Owner) -> None:
        self._owners[run] = owner
        with contextlib.suppress(OSError):  # a full disk: the run itself will tell
            write_whole(self._client.root / run / _FILE, json.dumps(asdict(owner)))

    # Questions

    @contextlib.contextmanager
    def question_slot(self, visitor: Visitor) -> Iterator[None]:
        """While a question of this visitor is in hand.

        Raises Unanswered where MAX_QUESTIONS of theirs are already: nobody takes all the places.
        """
        with self._lock:
            if self._open_questions.get(visitor, 0) >= MAX_QUESTIONS:
                line = "Your earlier questions are still being answered."
                raise Unanswered(Message("still_answering", {}, line))
            self._open_questions[visitor] = self._open_questions.get(visitor, 0) + 1
        try:
            yield
        finally:
            with self._lock:
                self._open_questions[visitor] -= 1
                if not self._open_questions[visitor]:
                    del self._open_questions[visitor]
