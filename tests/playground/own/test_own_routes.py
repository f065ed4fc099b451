"""A visitor's own task over HTTP: its storage, its owner and refusals."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import os
import stat
import threading
import time
import zipfile
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from align_core.config import task_card
from align_core.config.messages import problem, to_event
from align_core.evaluation import prepared
from align_core.runs.client import Client
from playground import text
from playground.limits import Limits
from playground.own import reader
from playground.own.models import Models
from playground.own.routes import OwnRoutes
from playground.people.own_tasks import EARLIER, OTHERS, OWN, PUBLIC, OwnTasks
from playground.people.visitors import COOKIE, Visitors
from tests import loops

MINE, THEIRS = "a" * 64, "b" * 64  # tokens of two browsers
PROMPTS = "".join(f"The {word} of this film\n" for word in ("plot", "cast", "end", "start", "set"))
SHORT = {"kind": "length", "aim": 5, "weight": 2.0}
DRAFT = {"title": "Short", "prompts": PROMPTS, "pairs": "", "reward": [SHORT]}
TOML = b"""title = "From a folder"
explanation = "What people prefer."
max_new_tokens = 8
[prompts]
file = "prompts.csv"
[[reward]]
kind = "answer"
"""
CSV = "prompt,answer\n" + "".join(f"What is {i} + {i}?,{2 * i}\n" for i in range(6))


def zipped(**files):
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return target.getvalue()


FOLDER = {"task/task.toml": TOML, "task/prompts.csv": CSV}


class Browser:
    language = "en-GB"

    def __init__(self, server, token):
        self.server, self.cookie = server, {"Cookie": f"{COOKIE}={token}"}

    def ask(self, path, content=None, **headers):
        body = json.dumps(content or {})
        return self.server.post(f"/own/{path}", content=body, headers=self.cookie | headers)

    def save(self, files=None, **draft):
        dropped = [
            {"name": name, "data": base64.b64encode(content).decode()}
            for name, content in (files or {}).items()
        ]
        body = {"draft": DRAFT | draft, "files": dropped, "language": self.language}
        answer = self.ask("save", body)
        assert answer.status_code == 200, answer.text
        return answer.json()


def read_here(folder):
    return json.loads(json.dumps(reader.contents(str(folder))))


@pytest.fixture
def own(tmp_path, monkeypatch):
    monkeypatch.setattr("playground.own.routes.SAVE_LIMIT", (1000.0, 1000))
    yield OwnTasks(tmp_path / "tasks")
    for name in task_card.registered():
        if name.startswith(str(tmp_path)):
            task_card.forget(name)


@pytest.fixture
def server(own, tmp_path, monkeypatch):
    """The routes, which read a folder in this process."""
    monkeypatch.setattr(reader, "read", read_here)
    visitors = Visitors(Client(tmp_path / "runs"), own=own)
    catalogues = [*map(text.load, text.languages())]
    routes = OwnRoutes(visitors, Models(), catalogues)
    return TestClient(Starlette(routes=routes.routes()))


@pytest.fixture
def browser(server):
    return Browser(server, MINE)


@pytest.fixture
def visitor(own, tmp_path):
    return Visitors(Client(tmp_path / "runs"), own=own).from_token(MINE)


def test_a_process_reads_a_folder_as_this_one_does(tmp_path):
    for name, toml in (("whole", TOML), ("broken", b"title = 3\n")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "task.toml").write_bytes(toml)
        (tmp_path / name / "prompts.csv").write_text(CSV)
        answer = reader.read(tmp_path / name)
        assert answer == read_here(tmp_path / name)
        assert (answer["card"] is None) == (answer["errors"] != []) == (name == "broken")


def lines(answer):
    return [(error["field"], error["line"]) for error in answer["errors"]]


def test_a_task_is_stored_for_its_visitor_only(browser, server, own, visitor):
    saved = browser.save()
    assert saved["errors"] == []
    assert saved["task"]["reward"] == [SHORT]
    assert (saved["task"]["prompts"], saved["task"]["model"]) == (PROMPTS, "sft-reviews")
    path = own.full_name(visitor, OWN)
    card = task_card.card(path)
    assert (card.title, card.reference, card.name) == ("Short", "sft-reviews", "own")
    assert own.page_name(visitor, path) == OWN
    assert own.page_name("c" * 64, path) == own.page_name(None, path) == OTHERS
    # for other visitors neither the path nor `own` names a task
    assert own.full_name("c" * 64, path) == own.full_name("c" * 64, OWN) == OWN
    assert Browser(server, THEIRS).ask("state").json()["task"] is None


def test_a_task_survives_a_restart_and_can_be_deleted(browser, own, visitor):
    browser.save()
    path = own.full_name(visitor, OWN)
    task_card.forget(path)
    again = OwnTasks(own._root)
    again.load()
    assert again.full_name(visitor, OWN) == path
    assert task_card.card(path) is not None
    assert browser.ask("delete").json()["task"] is None
    assert task_card.card(path) is None
    assert not [*own._root.rglob("*.*")]


def test_a_changed_task_gets_another_name_and_few_are_kept(browser, own, visitor):
    paths = []
    for weight in (1.0, 2.0, 3.0, 4.0):
        browser.save(reward=[SHORT | {"weight": weight}])
        paths.append(own.full_name(visitor, OWN))
        os.utime(Path(paths[-1]).parent, (weight, weight))
    assert len({*paths}) == 4
    assert [Path(path).is_dir() for path in paths] == [False, True, True, True]
    assert own.page_name(visitor, paths[2]) == EARLIER


def test_a_zip_file_is_returned_unchanged_with_files_that_the_form_does_not_show(browser, server):
    saved = browser.save(files={"mine.zip": zipped(**FOLDER)})
    assert saved["errors"] == []
    assert saved["task"]["title"] == "From a folder"
    assert saved["task"]["prompts"] is None
    answer = server.get("/own/task.zip", headers=browser.cookie)
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.read("task/task.toml") == TOML
        assert archive.read("task/prompts.csv") == CSV.encode()
    changed = browser.save(prompts=None, reward=[{"kind": "answer"}, SHORT])
    assert changed["errors"] == []
    assert [name for name, _ in changed["task"]["files"]] == ["prompts.csv", "task.toml"]


def test_files_take_the_place_of_prompts_pairs_and_demonstrations_by_their_columns(browser):
    pairs = b'{"prompt": "The plot of this film", "chosen": " good", "rejected": " bad"}\n'
    shown = b'{"prompt": "The plot of this film", "completion": " good"}\n'
    rows = b"".join(json.dumps({"prompt": f"Say {i}"}).encode() + b"\n" for i in range(9))
    answer = browser.save(files={"p.jsonl": rows, "a.jsonl": pairs, "b.jsonl": shown})
    assert answer["errors"] == []
    assert [name for name, _ in answer["task"]["files"]] == [
        *("a.jsonl", "b.jsonl", "p.jsonl", "task.toml")
    ]


def symlink():
    entry = zipfile.ZipInfo("task.toml")
    entry.external_attr = (stat.S_IFLNK | 0o777) << 16
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr(entry, "/etc/passwd")
    return target.getvalue()


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (zipped(**{"../task.toml": TOML}), "inside the folder"),
        (zipped(**{"/etc/task.toml": TOML}), "inside the folder"),
        (zipped(**{"a\\..\\task.toml": TOML}), "inside the folder|printable"),
        (zipped(**{f"{i}.txt": "a" for i in range(10_000)}), "at most 64 files, got 10000"),
        (zipped(**{"task.toml": TOML, "p.txt": b"a" * 30_000_000}), "at most 20971520 bytes"),
        (symlink(), "a link"),
        (zipped(**{"task.toml": TOML, "run.py": "1"}), r"run.py: expected one of task.toml"),
        (zipped(**{"prompts.txt": "a"}), "expected a task.toml in it"),
        (b"PK\x03\x04 nothing", "expected a zip file that is whole"),
        (zipped(**FOLDER)[:-40], "expected a zip file that is whole"),
    ],
)
def test_a_bad_zip_file_is_reported_and_not_stored(browser, own, content, line):
    import re

    answer = browser.save(files={"mine.zip": content})
    assert [field for field, _ in lines(answer)] == ["files"] * len(answer["errors"])
    assert re.search(line, lines(answer)[0][1])
    assert not [*own._root.rglob("*.*")]


def test_all_errors_are_reported_at_once_beside_their_fields(browser):
    answer = browser.save(
        title="",
        max_new_tokens=0,
        prompts="one\n",
        model="/etc",
        reward=[SHORT | {"aim": 0}, {"kind": "pattern", "pattern": "("}, {"kind": "magic"}],
    )
    assert [field for field, _ in lines(answer)] == [
        *("title", "max_new_tokens", "reward.0.aim", "reward.1.pattern", "reward.2.kind"),
        *("model", "prompts"),
    ]
    aim = "“aim, words” takes a whole number of words from 1; got 0"
    assert ("reward.0.aim", aim) in lines(answer)
    few = "expected three prompts or more, got 1"
    assert ("prompts", few) in lines(answer)
    assert browser.ask("state").json()["task"] is None


def test_errors_in_rows_have_file_and_line_and_no_path(browser, own):
    latin = "prompt\nÜber\nzwei\ndrei\n".encode("latin-1")
    answer = browser.save(files={"p.csv": latin})
    assert lines(answer) == [("files", "p.csv, line 2: expected UTF-8, got the byte 0xdc")]
    answer = browser.save(prompts="one\none\n")
    assert (
        "prompts",
        "line 2: the same prompt stands in prompts.txt, line 1",
    ) in lines(answer)
    assert str(own._root) not in json.dumps(answer)


def test_errors_are_in_the_language_of_the_page(browser):
    browser.language = "zh-CN"
    answer = browser.save(title="", prompts="one\none\n", reward=[SHORT | {"aim": 0}])
    assert lines(answer) == [
        ("title", "“名称”应为 1 到 100 个字符的一行文本；收到的是 ''"),
        ("reward.0.aim", "“目标词数”应为不小于 1 的整数词数；收到的是 0"),
        ("prompts", "第 2 行：同一个提示词已在 prompts.txt 第 1 行"),
    ]
    answer = browser.save(files={"a.zip": b"nothing"})
    assert lines(answer) == [("files", "a.zip：应为完整、没有密码的 zip 文件")]
    body = {"reward": [SHORT | {"aim": 0}], "prompt": "", "texts": ["a"], "language": "zh-CN"}
    (part,) = browser.ask("scores", body).json()["parts"]
    assert part["errors"] == ["“目标词数”应为不小于 1 的整数词数；收到的是 0"]


def test_two_files_of_a_kind_are_refused(browser):
    answer = browser.save(files={"p.txt": b"a\nb\nc\n", "q.txt": b"d\ne\nf\n"})
    assert lines(answer) == [("files", "q.txt: expected one file of prompts, got p.txt as well")]
    twice = [{"name": "p.txt", "data": ""}] * 2
    answer = browser.ask("save", {"draft": DRAFT, "files": twice}).json()
    assert "a second file of this name" in lines(answer)[0][1]


def test_an_invalid_part_has_its_error_beside_it(browser):
    scored = {"kind": "reward_model", "model": "nobody/x"}
    answer = browser.save(reward=[SHORT, scored])
    line = "“model”: expected one of the models to choose from, got 'nobody/x'"
    assert lines(answer) == [("reward.1.model", line)]
    (error,) = lines(browser.save(reward=[{"kind": "answer"}]))
    assert error[1].startswith("the part Right answer needs a file of prompts with a column answer")


def test_each_part_scores_the_examples_by_the_code_of_training(browser):
    parts = [SHORT, {"kind": "pattern", "pattern": "("}, {"kind": "answer"}]
    body = {"reward": parts, "prompt": "Go", "texts": ["one two three four five", "one", ""]}
    first, second, third = browser.ask("scores", body).json()["parts"]
    assert first == {"scores": [0.0, -0.8, -1.0], "errors": []}  # −|words − 5| / 5
    assert second["scores"] == [None] * 3
    assert "RE2" in second["errors"][0]
    assert third == {"scores": [None] * 3, "errors": []}


def test_a_public_server_limits_tasks_and_deletes_old_ones(server, browser, own, visitor):
    own.limits = PUBLIC
    answer = browser.save(
        max_new_tokens=65, prompts="".join(f"{i}\n" for i in range(501)), reward=[SHORT]
    )
    assert lines(answer) == [
        ("prompts", "expected at most 500 on this server, got 501"),
        ("max_new_tokens", "expected at most 64 on this server, got 65"),
    ]
    assert browser.save()["errors"] == []
    path = Path(own.full_name(visitor, OWN))
    last_week = time.time() - 8 * 86_400
    os.utime(path.parents[1] / "card.json", (last_week, last_week))
    assert Browser(server, THEIRS).save()["errors"] == []  # a save deletes old tasks
    assert not path.exists()


def test_the_offered_models_depend_on_the_fetched_ones(browser, tmp_path, monkeypatch):
    monkeypatch.setenv("ALIGN_CACHE", str(tmp_path))
    state = browser.ask("state").json()
    assert not state["fetched"] and "smollm2" not in [model["model"] for model in state["models"]]
    (tmp_path / "models" / "smollm2").mkdir(parents=True)
    state = browser.ask("state").json()
    assert state["fetched"] and state["models"][-1] == {"model": "smollm2", "name": "smollm2"}


def test_slow_saves_delay_no_other_request(server, monkeypatch):
    go_on = threading.Event()
    nothing = {"errors": [to_event(problem("zip", "a"))], "card": None, "counts": None}
    monkeypatch.setattr("playground.own.reader.read", lambda folder: go_on.wait(60) and nothing)
    headers = {"Cookie": f"{COOKIE}={MINE}"}

    async def ask():
        transport = httpx.ASGITransport(server.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://page") as client:
            save = {"json": {"draft": DRAFT}, "headers": headers}
            saves = [asyncio.create_task(client.post("/own/save", **save)) for _ in range(40)]
            try:
                return await asyncio.wait_for(client.post("/own/state", json={}), 60)
            finally:
                go_on.set()
                await asyncio.gather(*saves)

    assert loops.run(ask()).json()["task"] is None


def test_invalid_requests_are_refused(browser, server, own, monkeypatch):
    assert server.post("/own/save", content=json.dumps({"draft": DRAFT})).status_code == 403
    assert browser.ask("save", {"draft": {"code": 1}}).status_code == 422
    large = base64.b64encode(b"a" * (6 * 1024**2)).decode()
    answer = browser.ask("save", {"draft": DRAFT, "files": [{"name": "a.txt", "data": large}]})
    assert "at most 5242880 bytes" in answer.json()["errors"][0]["line"]
    assert server.get("/own/task.zip").status_code == 404
    monkeypatch.setattr(own, "_places", Limits(tasks=0))
    assert "no room for another" in browser.save()["errors"][0]["line"]


def test_a_deleted_task_loses_its_prepared_samples(browser, own, visitor, tmp_path, monkeypatch):
    monkeypatch.setenv("ALIGN_CACHE", str(tmp_path / "cache"))
    browser.save()
    mine, other = (prepared.Entry(prepared.folder() / f"own-{i}-2-1-0") for i in "ab")
    for entry, task in ((mine, own.full_name(visitor, OWN)), (other, "reviews")):
        entry.path.mkdir(parents=True)
        (entry.path / prepared.FACTS).write_text(json.dumps({"task": task}))
    browser.ask("delete")
    assert (mine.path.exists(), other.path.exists()) == (False, True)
