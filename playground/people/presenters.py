"""Presenters, who are visitors with the presenter's key, and delays after wrong keys."""

from __future__ import annotations

import hmac
import threading
import time
import unicodedata
from collections import OrderedDict, deque
from typing import Any
from urllib.parse import unquote, unquote_plus

from playground.people import log

MAX_WRONG_KEYS = 5  # of one visitor, within WRONG_KEY_SECONDS
WRONG_KEY_SECONDS = 60.0
# The delay before the key of an attempt is read grows with the wrong keys that were entered within
# WRONG_KEY_SECONDS.
SECONDS_IN_ALL = 0.05  # for each wrong key, from whichever address it came
SECONDS_BY_ADDRESS = 0.2  # in addition, for each wrong key from the address of this attempt
MAX_SECONDS = 3.0  # the longest delay
MAX_KEY_LENGTH = 1000  # characters; the rest of a longer key is not read, to save time
MAX_REMEMBERED = 1000  # wrong keys, and as many visitors who entered one


class Presenters:
    """The visitors who entered `key`; without a key there are none. Thread-safe.

    After MAX_WRONG_KEYS wrong keys a visitor is refused for a while. Addresses are shared, in a
    hall or behind a proxy, so wrong keys of others only make an attempt wait: a visitor whose first
    key is right always gets in.
    """

    def __init__(self, key: str | None) -> None:
        self._key = key
        self._visitors: set[str] = set()
        self._lock = threading.Lock()
        self._wrong_by_visitor: OrderedDict[str, list[float]] = OrderedDict()  # times
        self._wrong: deque[tuple[float, str]] = deque(maxlen=MAX_REMEMBERED)  # time and address

    def __contains__(self, visitor: str | None) -> bool:
        return visitor in self._visitors

    @property
    def exist(self) -> bool:
        """Whether there is a key, so that somebody may become a presenter."""
        return self._key is not None

    def begin_attempt(self, address: str) -> float:
        """Count a wrong key from this address, until `sign_in` finds that it is right; returns the
        seconds that the attempt has to wait, at most MAX_SECONDS.

        So keys that are sent at the same time wait as long as keys that are sent in turn.
        """
        now = time.monotonic()
        with self._lock:
            recent = [sender for then, sender in self._wrong if now - then < WRONG_KEY_SECONDS]
            self._wrong.append((now, address))
        seconds = SECONDS_BY_ADDRESS * recent.count(address) + SECONDS_IN_ALL * len(recent)
        return min(seconds, MAX_SECONDS)

    def sign_in(self, visitor: str | None, key: Any, address: str) -> bool:
        """Make the visitor a presenter if `key` is right; returns whether it is. Call this after
        the wait that `begin_attempt` returns.

        `key` is as typed, or as in a URL, where characters may be encoded.
        """
        if self._key is None or visitor is None or not isinstance(key, str):
            return False
        is_right = any(_same(reading, self._key) for reading in _readings(key[:MAX_KEY_LENGTH]))
        with self._lock:
            now = time.monotonic()
            wrong = self._wrong_by_visitor.pop(visitor, [])
            wrong = [then for then in wrong if now - then < WRONG_KEY_SECONDS]
            if len(wrong) < MAX_WRONG_KEYS:
                if is_right:
                    self._visitors.add(visitor)
                    self._withdraw(address)
                    return True
                log.refused("key", "wrong")
                wrong.append(now)
            self._wrong_by_visitor[visitor] = wrong
            if len(self._wrong_by_visitor) > MAX_REMEMBERED:
                self._wrong_by_visitor.popitem(last=False)
            return False

    def _withdraw(self, address: str) -> None:
        """Do not count the latest attempt from this address."""
        senders = [sender for _, sender in self._wrong]
        if address in senders:
            del self._wrong[len(senders) - 1 - senders[::-1].index(address)]


def _readings(key: str) -> tuple[str, str, str]:
    return key, unquote(key), unquote_plus(key)


def _same(key: str, other: str) -> bool:
    return hmac.compare_digest(_normal(key), _normal(other))


def _normal(key: str) -> bytes:
    """The bytes of a key in one form of Unicode, because keyboards and terminals differ in how they
    compose accents."""
    return unicodedata.normalize("NFC", key).encode(errors="surrogatepass")
