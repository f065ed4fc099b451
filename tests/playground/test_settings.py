"""The settings of the page from environment variables and arguments."""

from __future__ import annotations

import importlib.util
import re
import socket
import sys
import tomllib
from pathlib import Path

import pytest

from align_core.config.errors import ConfigError
from playground import text
from playground.__main__ import NEEDED, main
from playground.limits import Limits
from playground.settings import PUBLIC_LIMIT, Settings, check, parse
from playground.views import visit
from tests.free_port import free_port


def test_a_local_server_has_no_limits():
    settings = Settings.read({})
    assert (settings.host, settings.port, settings.runs_at_once) == ("127.0.0.1", 7860, 1)
    assert (settings.time_limit, settings.public, settings.presenter_key) == (None, False, None)


@pytest.mark.parametrize("name, value", [("SPACE_ID", "me/mine"), ("PLAYGROUND_PUBLIC", "1")])
def test_a_public_machine_has_a_time_limit(name, value):
    assert Settings.read({name: value}).time_limit == PUBLIC_LIMIT
    assert Settings.read({name: value, "PLAYGROUND_TIME_LIMIT": "45"}).time_limit == 45
    assert (Settings.read({name: value}).host == "0.0.0.0") == (name == "SPACE_ID")
    assert Settings.read({name: value}).proxies == (None if name == "SPACE_ID" else 0)
    host = {name: value, "SPACE_HOST": "who-what.hf.space"}
    assert Settings.read(host).address == "https://who-what.hf.space"


def test_settings_from_the_environment():
    settings = Settings.read(
        {
            "PLAYGROUND_RUNS": "/x/runs",
            "PLAYGROUND_RUNS_AT_ONCE": "3",
            "PLAYGROUND_PRESENTER_KEY": "correct horse",
            "GRADIO_SERVER_PORT": "80",
            "PLAYGROUND_ADDRESS": "https://talk.example/",
            "PLAYGROUND_PROXIES": "2",
            "SPACE_HOST": "who-what.hf.space",
        }
    )
    assert (settings.address, settings.proxies) == ("https://talk.example", 2)
    assert (settings.runs, settings.runs_at_once, settings.port) == (Path("/x/runs"), 3, 80)
    assert settings.presenter_key == "correct horse"


def test_every_invalid_variable_gets_a_line():
    with pytest.raises(ConfigError) as error:
        Settings.read(
            {
                "PLAYGROUND_PUBLIC": "maybe",
                "PLAYGROUND_LOG_JSON": "yess",
                "PLAYGROUND_MCP": "on",
                "PLAYGROUND_RUNS_AT_ONCE": "1.5",
                "PLAYGROUND_TIME_LIMIT": "nan",
                "PLAYGROUND_PRESENTER_KEY": "secret",
                "GRADIO_SERVER_PORT": "x",
            }
        )
    assert [line.text for line in error.value.lines] == [
        "PLAYGROUND_PUBLIC got 'maybe', expected 1 or 0",
        "PLAYGROUND_PRESENTER_KEY: expected 12 characters or more, not all the same",
        "PLAYGROUND_MCP got 'on', expected 1 or 0",
        "GRADIO_SERVER_PORT got 'x', expected a whole number from 1 to 65535",
        "PLAYGROUND_RUNS_AT_ONCE got '1.5', expected a whole number from 1 to 64",
        "PLAYGROUND_TIME_LIMIT got 'nan', expected seconds from 1 to 86400",
        "PLAYGROUND_LOG_JSON got 'yess', expected 1 or 0",
    ]


def test_an_mcp_server_needs_its_package(monkeypatch):
    assert Settings.read({}).mcp is False
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
    assert Settings.read({"PLAYGROUND_MCP": "1"}).mcp is True
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match="^PLAYGROUND_MCP got '1', .*: pip install mcp$"):
        Settings.read({"PLAYGROUND_MCP": "1"})


def test_tasks_are_named_only_on_the_command_line():
    assert parse([]) == ([], [], False)
    assert parse(["--task", "a.py", "--task=b:C", "--model", "m", "--log-json"]) == (
        *(["a.py", "b:C"], ["m"], True),
    )
    with pytest.raises(SystemExit) as left:
        parse(["--tasks", "a.py"])
    assert left.value.code == 2


def test_a_missing_package_is_reported_in_one_line(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["alignment-playground"])
    monkeypatch.setitem(sys.modules, "gradio", None)
    monkeypatch.setitem(sys.modules, "plotly", None)
    with pytest.raises(SystemExit) as exit:
        main()
    assert exit.value.code == (
        "alignment-playground needs gradio, plotly: pip install alignment-playground[app]"
    )
    project = tomllib.loads(Path(__file__).parents[2].joinpath("pyproject.toml").read_text())
    extra = project["project"]["optional-dependencies"]["app"]
    assert [re.match(r"\w+", line)[0] for line in extra] == [*NEEDED]


def test_a_port_in_use_is_reported_in_one_line(monkeypatch):
    port = free_port()
    with socket.create_server(("127.0.0.1", port)):
        monkeypatch.setenv("GRADIO_SERVER_PORT", str(port))
        monkeypatch.delenv("GRADIO_SERVER_NAME", raising=False)
        with pytest.raises(
            SystemExit, match="^GRADIO_SERVER_PORT got .*PORT=8000 make app$"
        ) as end:
            check()
    assert str(port) in end.value.code and "\n" not in end.value.code
    check()


def test_the_limits_of_a_space_for_runs_are_reported():
    words = text.load("en")["visitors"]["terms"]
    assert visit.terms(words, Settings.read({})) == []
    zero_gpu = Settings.read({"SPACE_ID": "ada/align", "SPACES_ZERO_GPU": "true"})
    assert visit.terms(words, zero_gpu) == [
        "On this machine a run ends after 180 s; its model is kept.",
        "Models are trained on this Space’s CPU; they use no GPU quota.",
        "When this Space restarts, its runs and votes are deleted: save as files what you want "
        "to keep.",
        "Runs are deleted 7 days after their end.",
        "When all runs take more than 2000 MB, the oldest are deleted.",
        "Votes are deleted 7 days after the last one.",
    ]


def test_names_of_hosts_and_sites_that_may_frame_the_page():
    settings = Settings.read({})
    assert (settings.hosts, settings.frames) == (frozenset(), "")
    settings = Settings.read(
        {
            "PLAYGROUND_HOSTS": "Align.example.org, lab:8000",
            "PLAYGROUND_ADDRESS": "https://talk.example.org/align",
            "PLAYGROUND_FRAMES": "https://school.example https://*.example.org",
        }
    )
    assert settings.hosts == {"align.example.org", "lab:8000", "talk.example.org"}
    assert settings.frames == "https://school.example https://*.example.org"
    assert Settings.read({"PLAYGROUND_FRAMES": "*"}).frames is None
    assert Settings.read({"SPACE_ID": "ada/align"}).frames is None
    with pytest.raises(ConfigError) as error:
        Settings.read({"PLAYGROUND_HOSTS": "a b/c", "PLAYGROUND_FRAMES": "x; script-src *"})
    assert str(error.value).splitlines() == [
        "PLAYGROUND_HOSTS got 'a b/c', expected names of hosts, such as align.example.org",
        "PLAYGROUND_FRAMES got 'x; script-src *', expected addresses such as "
        "https://example.org, or *",
    ]


def test_limits_are_read_from_their_variables():
    assert Settings.read({}).limits == Limits()
    public = Settings.read({"PLAYGROUND_PUBLIC": "1", "PLAYGROUND_RUN_DAYS": "30"}).limits
    assert (public.run_days, public.vote_days, public.batch_size) == (30, 7, 256)
    assert Settings.read({"PLAYGROUND_WAITING": "9"}).limits.waiting == 9
    with pytest.raises(ConfigError) as error:
        Settings.read(
            {
                "PLAYGROUND_RATERS": "many",
                "PLAYGROUND_RUN_DAYS": "0",
                "PLAYGROUND_WAITING": "10000000001",
                "PLAYGROUND_PROXIES": "-1",
            }
        )
    assert [line.text for line in error.value.lines] == [
        "PLAYGROUND_PROXIES got '-1', expected a whole number from 0 to 9",
        "PLAYGROUND_RUN_DAYS got '0', expected a whole number from 1 to 1000000000",
        "PLAYGROUND_WAITING got '10000000001', expected a whole number from 1 to 1000000000",
        "PLAYGROUND_RATERS got 'many', expected a whole number from 1 to 1000000000",
    ]
