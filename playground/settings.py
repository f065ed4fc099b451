"""The settings of the server. The environment and the command line are read only here."""

from __future__ import annotations

import argparse
import importlib.util
import os
import re
import socket
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from align_core.config.errors import ConfigError, option_error, raise_collected
from align_core.config.messages import Message, plain
from align_core.config.task_card import EXPECTED
from playground.limits import Limits

PUBLIC_LIMIT = 180.0  # seconds; enough for every preset and for each method's defaults
MIN_KEY_LENGTH = 12  # characters, so that a presenter's key cannot be guessed
_HOST = re.compile(r"[A-Za-z0-9.-]+(:\d+)?|\[[0-9A-Fa-f:]+\](:\d+)?", re.ASCII)
_FRAME = re.compile(rf"\*|https?://(\*\.)?({_HOST.pattern})", re.ASCII)
_YES, _NO = ("1", "true", "yes"), ("", "0", "false", "no")


@dataclass(frozen=True)
class Settings:
    """The settings of the server and the rights of its visitors."""

    runs: Path  # the folder of the runs
    sessions: Path | None  # the folder of the votes; None for one beside the runs
    tasks: Path | None  # the folder of visitors' own tasks; None for one beside the runs
    host: str
    port: int
    address: str | None  # the URL for phones; None for that of `addresses.for_phones`
    hosts: frozenset[str]  # further names of the server, in lower case
    frames: str | None  # the sites that may frame the page, in the syntax of CSP; None for all
    proxies: int | None  # how many are in front of the server; None on a Space: unknown
    runs_at_once: int
    time_limit: float | None  # of a run, in seconds; None for no limit
    public: bool  # whether strangers use this server
    on_space: bool  # whether the server is a Hugging Face Space, which loses its disk at a restart
    zero_gpu: bool  # whether the Space lends a GPU for single calls, which the page does not use
    presenter_key: str | None
    limits: Limits
    log_json: bool  # whether a line of the log is a JSON object
    mcp: bool  # whether the endpoints for programs are also the tools of an MCP server

    @classmethod
    def read(cls, environment: Mapping[str, str] = os.environ) -> Settings:
        """The settings in `environment`; README.md lists the variables.

        Raises:
            ConfigError: one message for each invalid variable.
        """
        variables = _Variables(environment)
        on_space = "SPACE_ID" in environment
        public = variables.flag("PLAYGROUND_PUBLIC") or on_space
        space = environment.get("SPACE_HOST")
        address = environment.get("PLAYGROUND_ADDRESS") or (f"https://{space}" if space else "")
        key = _presenter_key(variables)
        expected = "names of hosts, such as align.example.org"
        names = variables.words("PLAYGROUND_HOSTS", _HOST, expected)
        expected = "addresses such as https://example.org, or *"
        frames = variables.words("PLAYGROUND_FRAMES", _FRAME, expected)
        mcp = _mcp(variables)
        default_limit = PUBLIC_LIMIT if public else None
        settings = cls(
            runs=variables.folder("PLAYGROUND_RUNS") or Path("runs"),
            sessions=variables.folder("PLAYGROUND_SESSIONS"),
            tasks=variables.folder("PLAYGROUND_TASKS"),
            host=environment.get("GRADIO_SERVER_NAME") or ("0.0.0.0" if on_space else "127.0.0.1"),
            port=variables.integer("GRADIO_SERVER_PORT", 7860, 65535),
            address=address.rstrip("/") or None,
            hosts=frozenset(name.lower() for name in (*names, urlsplit(address).netloc) if name),
            frames=None if on_space or "*" in frames else " ".join(frames),
            proxies=None if on_space else variables.integer("PLAYGROUND_PROXIES", 0, 9, minimum=0),
            runs_at_once=variables.integer("PLAYGROUND_RUNS_AT_ONCE", 1, 64),
            time_limit=variables.number("PLAYGROUND_TIME_LIMIT", default_limit, "seconds", 86_400),
            public=public,
            on_space=on_space,
            zero_gpu=bool(environment.get("SPACES_ZERO_GPU")),
            presenter_key=key,
            limits=Limits.read(environment, public, variables.errors),
            log_json=variables.flag("PLAYGROUND_LOG_JSON"),
            mcp=mcp,
        )
        raise_collected(variables.errors)
        return settings


class _Variables:
    """Reads variables of an environment; a message for each invalid one is added to `errors`."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.environment = environment
        self.errors: list[Message] = []

    def number(
        self, name: str, default: float | None, expected: str, maximum: float, minimum: float = 1
    ) -> float | None:
        text = self.environment.get(name, "").strip()
        try:
            value = float(text) if text else default
        except ValueError:
            value = -1
        if value is not None and not minimum <= value <= maximum:
            accepted = f"{expected} from {minimum:g} to {maximum:g}"
            self.errors.append(option_error(name, text, accepted))
        return value

    def integer(self, name: str, default: int, maximum: int, minimum: int = 1) -> int:
        value = self.number(name, default, "a whole number", maximum, minimum)
        assert value is not None, "the default is a number"
        if value % 1:
            accepted = f"a whole number from {minimum} to {maximum}"
            self.errors.append(option_error(name, self.environment[name], accepted))
        return int(value)

    def flag(self, name: str) -> bool:
        text = self.environment.get(name, "").strip().lower()
        if text not in (*_YES, *_NO):
            self.errors.append(option_error(name, text, "1 or 0"))
        return text in _YES

    def folder(self, name: str) -> Path | None:
        return Path(text) if (text := self.environment.get(name)) else None

    def words(self, name: str, pattern: re.Pattern[str], expected: str) -> list[str]:
        words = self.environment.get(name, "").replace(",", " ").split()
        if not all(map(pattern.fullmatch, words)):
            self.errors.append(option_error(name, self.environment[name], expected))
        return words


def _presenter_key(variables: _Variables) -> str | None:
    key = variables.environment.get("PLAYGROUND_PRESENTER_KEY", "") or None
    if key and (len(key) < MIN_KEY_LENGTH or len(set(key)) == 1):
        expected = f"expected {MIN_KEY_LENGTH} characters or more, not all the same"
        variables.errors.append(plain(f"PLAYGROUND_PRESENTER_KEY: {expected}"))
    return key


def _mcp(variables: _Variables) -> bool:
    mcp = variables.flag("PLAYGROUND_MCP")
    if mcp and importlib.util.find_spec("mcp") is None:
        needed = "0, or 1 where the package mcp is installed: pip install mcp"
        variables.errors.append(option_error("PLAYGROUND_MCP", "1", needed))
    return mcp


def parse(arguments: Sequence[str] | None = None) -> tuple[list[str], list[str], bool]:
    """The values of `--task`, `--model` and `--log-json` on the page's command line. Exits if an
    argument is invalid."""
    parser = argparse.ArgumentParser(
        prog="alignment-playground", description="Serve the page until Ctrl-C.", allow_abbrev=False
    )
    help_text = f"a task to offer in addition to the built-in ones: {EXPECTED}; repeatable"
    parser.add_argument("--task", action="append", default=[], help=help_text)
    help_text = "a language model to offer for visitors' own tasks; repeatable"
    parser.add_argument("--model", action="append", default=[], help=help_text)
    help_text = "log in JSON, one object per line, as with PLAYGROUND_LOG_JSON=1"
    parser.add_argument("--log-json", action="store_true", help=help_text)
    parsed = parser.parse_args(arguments)
    return parsed.task, parsed.model, parsed.log_json


def check() -> None:
    """Exit with one line for each invalid variable of the environment, or if the port is taken."""
    try:
        settings = Settings.read()
        _check_port(settings.host, settings.port)
    except ConfigError as error:
        sys.exit(str(error))


def _check_port(host: str, port: int) -> None:
    """Raises ConfigError if no server can be opened there."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        socket.create_server((host, port), family=family).close()
    except OSError as error:
        expected = (
            f"a port that can be opened on {host} ({error.strerror}); "
            "with make, the variable is PORT: PORT=8000 make app"
        )
        raise ConfigError(option_error("GRADIO_SERVER_PORT", port, expected)) from None
