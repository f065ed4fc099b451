"""A run as a zip file and as a page: what they hold, and the visitors who get them."""

from __future__ import annotations

import io
import json
import zipfile

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from align_core.config.model_index import DIFFERENCE
from align_core.config.run_config import resolve
from align_core.config.task_card import TaskCard
from align_core.runs.client import Client
from align_core.runs.directory import RunDirectory
from playground.content import recordings
from playground.handlers import run_files
from playground.handlers.run_files import RunFiles, zipped
from playground.people.own_tasks import OTHERS, OwnTasks
from playground.people.visitors import Visitors
from tests import loops
from tests.playground.recordings import record

ANN, BOB = "a" * 64, "b" * 64
RUN = "2026-01-02-030405-dpo-reviews"
TASK = {"task.toml": b'title = "Short"\n', "prompts.txt": b"The plot\nThe cast\n"}
DISK_FULL = "The disk is full: /srv/runs/x/model could not be written"


@pytest.fixture
def client(tmp_path, fake_assets):
    client = Client(tmp_path / "runs")
    run = RunDirectory.create(client.root / RUN, resolve("dpo", "reviews"))
    run.append({"kind": "metrics", "step": 0, "seconds": 0.1, "metrics": {"eval/kl": 0.0}})
    failed = {"kind": "status", "step": 1, "seconds": 1.0, "status": "failed"}
    run.append({**failed, "message": DISK_FULL})
    run.close()
    run.model_path.mkdir()
    (run.model_path / "model.safetensors").write_bytes(bytes(range(256)) * 4096)
    adapter = {"base_model_name_or_path": "/srv/runs/first", "r": 8}
    (run.model_path / "adapter_config.json").write_text(json.dumps(adapter))
    return client


@pytest.fixture
def ask(client, fake_assets, few_samples, monkeypatch, tmp_path):
    for limit in ("LIMIT", "PAGE_LIMIT"):  # without what a second on a slow machine adds
        monkeypatch.setattr(run_files, limit, (1e-6, getattr(run_files, limit)[1]))
    visitors = Visitors(client, public=True, own=OwnTasks(tmp_path / "tasks"))
    visitors._set_owner(RUN, type(visitors._owner(RUN))(visitors.from_token(ANN)))
    record(fake_assets, "healthy-ppo", {"method": "ppo", "task": "reviews"})
    model = fake_assets / "presets" / "healthy-ppo" / "model"
    model.mkdir()
    for name in ("config.json", DIFFERENCE):
        (model / name).touch()
    routes = RunFiles(client, visitors, recordings.recorded()).routes()
    page = TestClient(Starlette(routes=routes))

    def ask(token, run=RUN, file="zip", **query):
        query["run"] = run
        return page.get(f"/run.{file}", params=query, headers={"X-Visitor": token})

    ask.visitors = visitors
    return ask


def test_the_owner_gets_configuration_events_and_model_without_paths(client, ask):
    answer = ask(ANN)
    assert answer.headers["content-disposition"] == f'attachment; filename="{RUN}.zip"'
    archive = zipfile.ZipFile(io.BytesIO(answer.content))
    assert archive.testzip() is None
    files = ("config.json", "events.jsonl", "README.md")
    files += ("model/adapter_config.json", "model/model.safetensors")
    assert archive.namelist() == [f"{RUN}/{name}" for name in files], "no owner.json"
    assert json.loads(archive.read(f"{RUN}/config.json")) == client.config(RUN)
    events = [json.loads(line) for line in archive.read(f"{RUN}/events.jsonl").splitlines()]
    assert events[0]["metrics"] == {"eval/kl": 0.0}
    assert events[1]["message"] == "The disk is full: model could not be written"
    adapter = json.loads(archive.read(f"{RUN}/model/adapter_config.json"))
    assert adapter == {"base_model_name_or_path": "first", "r": 8}
    assert client.used(60) == [RUN], "it is not pruned meanwhile"
    weights = client.root / RUN / "model" / "model.safetensors"
    assert archive.read(f"{RUN}/model/model.safetensors") == weights.read_bytes()


@pytest.mark.parametrize("file", ["zip", "html"])
def test_no_one_else_and_no_live_run_gets_a_file(client, ask, monkeypatch, file):
    wanted = ((BOB, RUN), ("no token", RUN), (ANN, "../x"), (ANN, ""), (ANN, "recorded/x"))
    for token, run in wanted:
        answer = ask(token, run, file)
        assert (answer.status_code, answer.json()["why"]) == (404, "none")
    monkeypatch.setattr(client, "live", lambda: [RUN])
    assert [ask(token, file=file).status_code for token in (ANN, BOB)] == [409, 404]


def test_a_page_is_whole_in_its_language_and_composed_once(client, ask, monkeypatch):
    composed, page_parts = [], run_files.page_parts

    def counting(*arguments):
        composed.append(arguments[-1])
        return page_parts(*arguments)

    monkeypatch.setattr(run_files, "page_parts", counting)
    config, (events, _) = client.config(RUN), client.events(RUN)
    for language, tag in (("en", "en-GB"), ("zh", "zh-CN"), ("zh", "zh-CN"), ("xx", "en-GB")):
        answer = ask(ANN, file="html", lang=language)
        assert f'<html lang="{tag}">' in answer.text[:100]
    assert composed == ["en", "zh"], "and equal requests share the answer"
    assert answer.content == b"".join(page_parts(RUN, config, events, "en"))
    assert answer.headers["content-disposition"] == f'attachment; filename="{RUN}.html"'
    assert int(answer.headers["content-length"]) == len(answer.content)
    with (client.root / RUN / "events.jsonl").open("a") as log:
        log.write(json.dumps({"kind": "change", "step": 1, "seconds": 2, "settings": {"beta": 1}}))
        log.write("\n")
    assert '"changes":[{"step":1' in ask(ANN, file="html").text, "a resumed run is composed anew"


def test_everyone_gets_recorded_runs_without_a_model_that_is_a_difference(ask):
    answer = ask(BOB, "recorded/healthy-ppo", "html")
    assert answer.headers["content-disposition"] == 'attachment; filename="healthy-ppo.html"'
    archive = zipfile.ZipFile(io.BytesIO(ask(BOB, "recorded/healthy-ppo").content))
    files = ("config.json", "events.jsonl", "README.md")
    assert archive.namelist() == [f"healthy-ppo/{name}" for name in files]


@pytest.fixture
def on_own_task(client, ask, tmp_path):
    """The name of a run that Ann has shared, on a task of her own."""
    own, ann = ask.visitors.own, ask.visitors.from_token(ANN)
    card = TaskCard("own", "Short", "Short texts.", reference="sft-reviews", demonstrations=False)
    with own.staged(TASK) as folder:
        own.keep(ann, folder, card, TASK)
    run = RUN.replace("dpo-reviews", "ppo-own")
    config = resolve("ppo", own.card(ann).full_name, reward_model="gold")
    directory = RunDirectory.create(client.root / run, config)
    directory.append({"kind": "metrics", "step": 0, "seconds": 0.1, "metrics": {"eval/kl": 0.0}})
    directory.close()
    ask.visitors._set_owner(run, type(ask.visitors._owner(RUN))(ann, True))
    return run


def test_a_run_on_an_own_task_brings_the_task_to_its_maker_alone(ask, on_own_task):
    mine, theirs = (
        zipfile.ZipFile(io.BytesIO(ask(token, on_own_task).content)) for token in (ANN, BOB)
    )
    for name, content in TASK.items():
        assert mine.read(f"{on_own_task}/task/{name}") == content
    assert json.loads(mine.read(f"{on_own_task}/config.json"))["task"] == "task"
    about = mine.read(f"{on_own_task}/README.md").decode()
    assert "align-core train ppo --task task " in about and "is the folder `task`" in about
    assert not [name for name in theirs.namelist() if "/task/" in name]
    assert json.loads(theirs.read(f"{on_own_task}/config.json"))["task"] == OTHERS
    assert "The task is not in this folder." in theirs.read(f"{on_own_task}/README.md").decode()


def test_a_page_is_sent_in_pieces():
    async def lengths(parts):
        return [len(piece) async for piece in run_files._pieces(parts)]

    assert loops.run(lengths([b"a" * 600_000, b"b"])) == [262_144, 262_144, 75_712, 1]


def test_downloads_are_limited_by_address(ask):
    assert [ask(BOB).status_code for _ in range(11)] == [404] * 10 + [429]
    codes = [ask(BOB, file="html").status_code for _ in range(41)]
    assert codes == [404] * 40 + [429], "a class may ask for a page at once"


def test_a_download_is_held_a_piece_at_a_time_and_leaves_a_large_model_out(client, monkeypatch):
    large = client.root / RUN / "model" / "model.safetensors"
    with large.open("wb") as file:
        file.truncate(50_000_000)
    config = client.config(RUN)
    held, take = [], run_files._Pieces.take  # bytes whenever pieces are taken

    def counting(self):
        pieces = take(self)
        held.append(sum(map(len, pieces)))
        return pieces

    monkeypatch.setattr(run_files._Pieces, "take", counting)
    assert sum(map(len, zipped(client.root / RUN, config))) == sum(held) > 50_000_000
    assert max(held) < 300_000, "256 kB of the file, and the header of an entry"
    monkeypatch.setattr(run_files, "MAX_MODEL_BYTES", 1000)
    assert sum(map(len, zipped(client.root / RUN, config))) < 4000
