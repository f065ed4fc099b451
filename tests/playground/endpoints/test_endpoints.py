"""The functions for programs, called by `gradio_client` and MCP clients on a real server."""

from __future__ import annotations

import json
import re
import threading
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import gradio as gr
import httpx
import numpy as np
import pytest
from gradio import networking
from gradio_client import Client as Program
from gradio_client.exceptions import AppError

from align_core.config import model_index, task_card
from align_core.inference.client import InferenceClient
from align_core.optimum import ReferenceSamples
from align_core.runs.client import Client
from playground import text
from playground.content import recordings
from playground.endpoints import routes
from playground.endpoints.questions import Questions
from playground.endpoints.routes import EndpointRoutes
from playground.people.rate_limit import RateLimit
from playground.people.threads import Threads
from playground.people.visitors import Visitors
from playground.server.page import Page
from playground.settings import Settings
from tests import loops
from tests.waiting import until

ROOT = Path(__file__).parents[3]
DOCS = ROOT / "docs" / "deploy.md"
SCORES = {"gold_reward": 1.5, "proxy_reward": 0.5, "logp": -9.0, "ref_logp": -8.0}


class Helper(InferenceClient):
    """A helper that checks questions, and answers with SCORES once `go_on` is set."""

    def __init__(self, client):
        super().__init__(client)
        self.go_on, self.error = threading.Event(), None
        self.asked = []

    def _query(self, query, arguments):
        self.asked.append(arguments)
        assert self.go_on.wait(60)
        if self.error:
            raise self.error
        return [{**SCORES, "model": arguments["model"]}]


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """A server of the endpoints alone, with the page's protections."""
    client = Client(tmp_path_factory.mktemp("endpoints") / "runs")
    helper, visitors = Helper(client), Visitors(client)
    questions = Questions(
        visitors, helper, recordings.recorded(), text.load("en"), Threads("questions", 1)
    )
    endpoints = EndpointRoutes(questions, mcp=find_spec("mcp") is not None)
    with Page() as page:
        gr.HTML("")
    page.server, page.mcp_tools = Settings.read({}), endpoints.mcp_server
    page.extra_routes = endpoints.routes()
    with pytest.MonkeyPatch.context() as patched:
        # A server has three seconds to answer, which a busy machine may need.
        patched.setattr(networking, "url_ok", lambda url: True)
        page.launch(prevent_thread_lock=True, quiet=True)
    page.questions, page.helper = questions, helper
    yield page
    page.close()
    client.close()


@pytest.fixture
def helper(served):
    """The server's helper, which answers at once."""
    served.helper.go_on.set()
    yield served.helper
    served.helper.go_on.set()
    served.helper.error = None


@pytest.fixture
def address(served, helper, monkeypatch):
    monkeypatch.setattr(served.questions, "_limit", RateLimit(1000.0, 1000))
    return f"{served.local_url}api"


def program_at(address):
    # Without certificates, which each request would load.
    options = {"ssl_verify": False, "verbose": False, "analytics_enabled": False}
    return Program(address, **options, download_files=False)


@pytest.fixture(scope="module")
def one_program(served):
    return program_at(f"{served.local_url}api")


@pytest.fixture
def program(address, one_program):
    return one_program


@pytest.fixture(scope="module")
def browser():
    with httpx.Client(verify=False) as browser:
        yield browser


def test_the_optimum_at_a_beta(program):
    samples = ReferenceSamples.load(model_index.reference_samples("reviews", "probe"))
    rewards, beta = samples.rewards.astype(float), 0.5
    ratios = np.exp(rewards / beta)
    ratios /= ratios.mean(-1, keepdims=True)  # π*/π_ref of each sample
    reward = (ratios * rewards).mean()
    best = program.predict(beta=beta, prompts=3, api_name="/optimum")
    assert (best["task"], best["beta"], best["known"]) == ("reviews", beta, True)
    assert best["reward"] == pytest.approx(reward, abs=2e-4)
    assert best["gain"] == pytest.approx(reward - rewards.mean(), abs=2e-4)
    assert best["kl"] == pytest.approx((ratios * np.log(ratios)).mean(), abs=2e-4)
    assert [row["prompt"] for row in best["prompts"]] == list(samples.prompts[:3])
    for row, own, of_texts in zip(best["prompts"], rewards, ratios, strict=False):
        assert len(row["texts"]) > 1
        for shown in row["texts"]:
            nearest = np.abs(own - shown["gold_reward"]).argmin()
            assert shown["odds"] == pytest.approx(of_texts[nearest], rel=0.01)
        gold = [shown["gold_reward"] for shown in row["texts"]]
        assert gold == sorted(gold)


def test_without_a_price_the_optimum_has_no_kl_and_no_odds(program):
    best = program.predict("capitals", 0, 1, api_name="/optimum")
    assert [best[name] for name in ("reward", "gain", "kl", "known")] == [None, None, None, False]
    (row,) = best["prompts"]
    assert [shown["odds"] for shown in row["texts"]] == [None]


def test_the_score_of_a_text(program, helper):
    asked = {"prompt": "The plot was", "completion": " superb.", "api_name": "/score"}
    assert program.predict(**asked) == {**SCORES, "model": "sft-reviews"}
    assert program.predict(**asked, model="reward-reviews")["model"] == "reward-reviews"
    assert program.predict(**asked, task="capitals")["model"] == "sft-capitals"
    assert helper.asked[-1]["completions"] == [" superb."]


def test_a_recorded_run(program):
    run = program.predict("healthy-ppo", api_name="/recorded_run")
    folder = model_index.ASSETS / "presets" / "healthy-ppo"
    events = [json.loads(line) for line in (folder / "events.jsonl").open()]
    assert run["config"]["beta"] == json.loads((folder / "config.json").read_text())["beta"]
    kls = [
        [event["step"], event["metrics"]["eval/kl"]]
        for event in events
        if event.get("metrics", {}).get("eval/kl") is not None
    ]
    assert run["curves"]["eval/kl"] == kls
    last = [event for event in events if event["kind"] == "samples"][-1]
    assert run["texts"][-1]["step"] == last["step"]
    (first, *_), (row, *_) = run["texts"][-1]["rows"], last["samples"]
    assert first["policy"]["text"] == row["policy"]["text"] and "tokens" not in first["policy"]
    assert first["reference"] == row["reference"]


def test_the_examples_of_the_documentation(address, helper, capsys):
    examples = DOCS.read_text(encoding="utf-8").partition("<!-- endpoints -->")[2]
    examples = examples.partition("<!-- end of endpoints -->")[0]
    code = "\n".join(re.findall(r"```python\n(.+?)```", examples, re.DOTALL))
    assert code.count("http://127.0.0.1:7860/api") == 1
    exec(code.replace("http://127.0.0.1:7860/api", address), names := {})
    names["client"].close()
    said = capsys.readouterr().out
    assert f"{SCORES['gold_reward']} {SCORES['proxy_reward']}" in said


OPTIMUM, SCORE, RECORDED = ({"api_name": f"/{n}"} for n in ("optimum", "score", "recorded_run"))
TEXT = {**SCORE, "prompt": "The plot was", "completion": " superb."}


@pytest.mark.parametrize(
    "call, line",
    [
        ({**OPTIMUM, "task": "none"}, "Task must be an existing task (you entered 'none')."),
        ({**OPTIMUM, "task": ["a"]}, "Task must be an existing task (you entered ['a'])."),
        ({**OPTIMUM, "task": "own"}, "Task must be an existing task (you entered 'own')."),
        ({**OPTIMUM, "beta": -1}, "β"),
        ({**OPTIMUM, "beta": "x" * 9000}, "β"),
        ({**OPTIMUM, "beta": True}, "β"),
        ({**OPTIMUM, "prompts": 0}, "prompts got 0, expected a whole number of prompts from 1 to"),
        ({**OPTIMUM, "prompts": 1e300}, "prompts"),
        ({**TEXT, "prompt": " "}, "Your prompt"),
        ({**TEXT, "completion": "a" * 2001}, "Your answer must be one to eight texts"),
        ({**TEXT, "completion": {"path": "/etc/passwd"}}, "Your answer must be one to eight texts"),
        ({**TEXT, "model": "/etc"}, "There is no run /etc here"),
        ({**TEXT, "model": "../runs"}, "There is no run ../runs here"),
        ({**TEXT, "reference": "reward-reviews"}, "Reference"),
        ({**RECORDED, "preset": "../healthy-ppo"}, "preset got '../healthy-ppo', expected one of"),
        ({**RECORDED, "preset": None}, "preset got nothing, expected one of"),
    ],
)
def test_bad_input_is_refused_in_one_line(program, call, line):
    with pytest.raises(AppError) as refused:
        program.predict(**call)
    assert line in refused.value.message and "\n" not in refused.value.message
    assert len(refused.value.message) < 600 and str(ROOT) not in refused.value.message


def test_a_task_without_prepared_samples_has_no_optimum(program):
    card = task_card.known_card("reviews")
    task_card.register(replace(card, name="warm", folder="/srv/warm", reference="pretrained"))
    with pytest.raises(AppError, match="task got '.*warm', expected a task whose optimum was"):
        program.predict(**OPTIMUM, task="/srv/warm")


def test_a_fault_of_the_server_shows_nothing_of_it(program, helper, caplog):
    helper.error = RuntimeError("/secret/folder")
    with pytest.raises(AppError, match="the server failed to answer") as refused:
        program.predict(**TEXT)
    assert "secret" not in str(refused.value.__dict__)
    assert [record.message for record in caplog.records if record.exc_info] == ["fault"]


def test_a_slow_question_holds_no_other(program, helper):
    helper.go_on.clear()
    helper.asked.clear()
    slow = program.submit(**TEXT)
    until(lambda: helper.asked)
    assert program.predict(**OPTIMUM)["known"]  # of the same session, and then of another one
    assert program_at(program.src).predict(**OPTIMUM)["known"] and not slow.done()
    helper.go_on.set()
    assert slow.result(60)["gold_reward"] == SCORES["gold_reward"]


def test_an_address_may_ask_only_so_often(served, program, monkeypatch):
    monkeypatch.setattr(served.questions, "_limit", RateLimit(0.001, 1))
    assert program.predict(**OPTIMUM)["known"]
    with pytest.raises(AppError, match=r"too many requests: try again in \d+\.\d s"):
        program.predict(**OPTIMUM)


# Without gradio_client

JOIN, DATA = "/gradio_api/queue/join", "/gradio_api/queue/data"
CALL = {"fn_index": 0, "data": ["reviews", 0.7, 1], "session_hash": "mine"}


def test_odd_calls_are_refused(address, browser):
    def statuses(calls, **headers):
        url = f"{address}{JOIN}"
        return [browser.post(url, json=call, headers=headers).status_code for call in calls]

    odd = ({}, [], 7, {**CALL, "fn_index": 3}, {**CALL, "fn_index": "0"}, {**CALL, "data": {}})
    assert statuses(odd) == [422, 422, 422, 404, 422, 422]
    odd = [{**CALL, "data": CALL["data"] * times} for times in (0, 2)]
    odd += [{**CALL, "session_hash": name} for name in ("", "a" * 65, None, 3)]
    assert statuses(odd) == [422] * 6
    assert statuses([{**CALL, "data": ["a" * routes.MAX_BYTES]}]) == [413]
    assert statuses([CALL], Origin="https://evil.example") == [403]
    assert browser.get(f"{address}{DATA}?session_hash=nobody").status_code == 404
    assert browser.get(f"{address}{JOIN}").status_code == 405


@pytest.mark.parametrize(
    "path",
    (
        *("upload", "file=/etc/passwd", "file/etc/passwd", "proxy=https://evil.example"),
        *("call/optimum", "run/optimum", "api/optimum", "heartbeat/x", "stream/x", "cancel"),
        *("reset", "component_server", "deep_link", "mcp/sse", "mcp/messages/", "mcp/schema"),
    ),
)
def test_gradios_other_routes_do_not_exist(address, browser, path):
    for method in ("GET", "POST"):
        answer = browser.request(method, f"{address}/gradio_api/{path}")
        assert answer.status_code in (404, 405), (method, answer.text)


def test_the_pages_own_queue_stays_closed(served, address, browser):
    for path in (JOIN, f"{DATA}?session_hash=x", "/gradio_api/call/optimum"):
        assert browser.get(f"{served.local_url}{path[1:]}").status_code == 403
    description = browser.get(f"{address}/config").json()
    assert len(description["dependencies"]) == 3 and not description["connect_heartbeat"]


# MCP


def test_the_functions_are_tools_of_an_mcp_server(served, address, program, browser, monkeypatch):
    pytest.importorskip("mcp")
    from mcp import ClientSession
    from mcp.client.streamable_http import streamable_http_client

    async def used():
        async with (
            streamable_http_client(f"{address}/gradio_api/mcp") as (read, write, _),
            ClientSession(read, write) as session,
        ):
            await session.initialize()
            tools = (await session.list_tools()).tools
            best = await session.call_tool("optimum", {"beta": 0.5, "prompts": 1})
            wrong = await session.call_tool("recorded_run", {"preset": "none"})
        return tools, best, wrong

    tools, best, wrong = loops.run(used())
    assert [tool.name for tool in tools] == ["optimum", "score", "recorded_run"]
    assert "β" in tools[0].description and tools[0].inputSchema["properties"].keys() == {
        *("task", "beta", "prompts")
    }
    assert json.loads(best.content[0].text) == program.predict(beta=0.5, prompts=1, **OPTIMUM)
    assert wrong.isError and "preset got 'none', expected one of" in wrong.content[0].text
    monkeypatch.setattr(served.mcp_tools, "_limit", RateLimit(0.001, 1))
    codes = [browser.post(f"{address}/gradio_api/mcp", json={}).status_code for _ in range(2)]
    assert codes[0] != 429 and codes[1] == 429
    assert browser.get(f"{address}/gradio_api/mcp").status_code == 405
