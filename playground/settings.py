"""What the environment says of this server: the one place where it is read."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from align_core.config.errors import ConfigError, complaint
from align_core.config.messages import Message, plain
from align_core.config.task_card import TAKES

PUBLIC_LIMIT = 180.0  # seconds; long enough for every preset and for the defaults of each method
SHORTEST_KEY = 12  # characters; a presenter's key must not be guessed
_YES, _NO = ("1", "true", "yes"), ("", "0", "false", "no")


@dataclass(frozen=True)
class Settings:
    """How the page is server_functions, and what it allows to its visitors."""

    runs: Path  # the folder of the runs
    sessions: Path | None  # the folder of the votes; None: beside the runs
    host: str
    port: int
    address: str | None  # where phones reach the page; None: what `addresses.for_phones` finds
    proxied: bool  # who asks is told by the last proxy, in X-Forwarded-For
    runs_at_once: int
    time_limit: float | None  # seconds of a run
    public: bool
    presenter_key: str | None

    @classmethod
    def read(cls, environment: Mapping[str, str] = os.environ) -> Settings:
        """The settings in `environment`; README.md lists its variables.

        Raises:
            ConfigError: with one line for each variable that makes no sense.
        """
        lines: list[Message] = []

        def number(name: str, default: float | None, takes: str, most: float) -> float | None:
            text = environment.get(name, "").strip()
            try:
                value = float(text) if text else default
            except ValueError:
                value = -1
            if value is not None and not 1 <= value <= most:
                lines.append(complaint(name, text, f"{takes} from 1 to {most:g}"))
            return value

        def whole(name: str, default: int, most: int) -> int:
            value = number(name, default, "a whole number", most)
            if value % 1:
                lines.append(complaint(name, environment[name], f"a whole number from 1 to {most}"))
            return int(value)

        def folder(name: str) -> Path | None:
            return Path(text) if (text := environment.get(name)) else None

        on_spaces = "SPACE_ID" in environment
        said = environment.get("PLAYGROUND_PUBLIC", "").strip().lower()
        if said not in (*_YES, *_NO):
            lines.append(complaint("PLAYGROUND_PUBLIC", said, "1 or 0"))
        public = on_spaces or said in _YES
        space = environment.get("SPACE_HOST")
        address = environment.get("PLAYGROUND_ADDRESS") or (f"https://{space}" if space else "")
        key = environment.get("PLAYGROUND_PRESENTER_KEY", "") or None
        if key and len(key) < SHORTEST_KEY:
            line = f"PLAYGROUND_PRESENTER_KEY takes {SHORTEST_KEY} characters or more"
            lines.append(plain(line))
        default_limit = PUBLIC_LIMIT if public else None
        settings = cls(
            runs=folder("PLAYGROUND_RUNS") or Path("runs"),
            sessions=folder("PLAYGROUND_SESSIONS"),
            host=environment.get("GRADIO_SERVER_NAME") or ("0.0.0.0" if on_spaces else "127.0.0.1"),
            port=whole("GRADIO_SERVER_PORT", 7860, 65535),
            address=address.rstrip("/") or None,
            proxied=on_spaces,
            runs_at_once=whole("PLAYGROUND_RUNS_AT_ONCE", 1, 64),
            time_limit=number("PLAYGROUND_TIME_LIMIT", default_limit, "seconds", 86_400),
            public=public,
            presenter_key=key,
        )
        if lines:
            raise ConfigError(*lines)
        return settings


def parse_tasks(arguments: Sequence[str] | None = None) -> list[str]:
    """What each `--task` on the page's command line names; leaves where that makes no sense."""
    parser = argparse.ArgumentParser(
        prog="alignment-playground", description="Serve the page until Ctrl-C.", allow_abbrev=False
    )
    about = f"a task of your own to offer beside the built-in ones: {TAKES}; may come again"
    parser.add_argument("--task", action="append", default=[], help=about)
    return parser.parse_args(arguments).task


def check() -> None:
    """Leave, with one line for each variable of the environment that makes no sense."""
    try:
        Settings.read()
    except ConfigError as error:
        sys.exit(str(error))
