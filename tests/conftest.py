"""Fixtures of all tests: embedded assets, clients, sessions and Chromium."""

from __future__ import annotations

import functools
import gc
import json
import os
import shutil
from dataclasses import fields, replace

import pytest

from align_core.config import model_index, run_config, task_card
from align_core.config.environment import set_library_environment
from align_core.config.model_size import EvaluationSize
from align_core.evaluation import prepared
from align_core.optimum import Frontier
from align_core.runs.client import Client
from align_core.votes.sessions import Sessions
from tests.stub_weights import NO_TENSORS

CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
# It needs a tenth less processor time than Chromium, but cannot block cookies.
HEADLESS = ("chromium-headless-shell", *CHROMIUM)
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--blink-settings=v8CacheOptions=4",  # a script is kept compiled from its first load on
]
# Pages share a process, which keeps compiled scripts in its memory.
ONE_PROCESS = ("--disable-site-isolation-trials", "--renderer-process-limit=1")
os.environ.setdefault("OMP_NUM_THREADS", "1")  # read by torch when a test imports it
set_library_environment()


def pytest_collection_modifyitems(items):
    """Slow tests come first."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


@pytest.hookimpl(wrapper=True)
def pytest_collection():
    """No garbage is collected while modules are imported, and later collections skip these."""
    gc.disable()
    try:
        return (yield)
    finally:
        freeze()
        gc.enable()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol():
    """Collections also skip what earlier tests imported and kept: each training starts several
    collections, and one that includes the modules of torch takes 0.3 s."""
    before = full_collections()
    result = yield
    if full_collections() > before:
        freeze()
    return result


def full_collections():
    return gc.get_stats()[-1]["collections"]


def freeze():
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def registered_tasks(monkeypatch):
    """No test sees a task that another test has registered."""
    monkeypatch.setattr(task_card, "_registered", dict(task_card._registered))


@pytest.fixture(autouse=True)
def closed_clients():
    """Every client that a test creates is closed after it: runs that wait in its queue would start
    one after the other, beside all later tests."""
    created, initialise = [], Client.__init__

    @functools.wraps(initialise)
    def recorded(client, *arguments, **options):
        initialise(client, *arguments, **options)
        created.append(client)

    Client.__init__ = recorded
    yield
    Client.__init__ = initialise
    for client in created:
        client.close()


@pytest.fixture(scope="session", autouse=True)
def frontiers():
    """The frontier of the same rewards is computed once; for embedded samples it takes 0.3 s."""
    of, known = Frontier.of, {}

    def once(rewards):
        key = rewards.shape, rewards.tobytes()
        known[key] = known.get(key) or of(rewards)
        return known[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Frontier, "of", staticmethod(once))
        yield


@pytest.fixture
def small_evaluations(monkeypatch):
    """By default, evaluations sample one text for each of 8 prompts, instead of four for each of
    64."""
    size = EvaluationSize(prompts=8, samples=1, reference_samples=1024)
    monkeypatch.setattr(run_config, "evaluation_size", lambda model, max_new_tokens: size)


@pytest.fixture
def few_samples(monkeypatch):
    """The stored samples of reviews, which have four prompts instead of 64."""
    stored = prepared.stored("reviews", "sft-reviews", "probe")
    columns = {
        field.name: getattr(stored.samples, field.name)[:4] for field in fields(stored.samples)
    }
    samples = replace(stored.samples, **columns)
    monkeypatch.setattr(prepared, "stored", lambda *_: replace(stored, samples=samples))
    return samples


@pytest.fixture
def fake_assets(tmp_path, monkeypatch):
    """Embedded models without weights, only names; the page's recordings are real."""
    models = tmp_path / "assets" / "models"
    for name in (
        "pretrained",
        *("sft-reviews", "reward-reviews", "reward-reviews-off"),
        *("sft-capitals", "reward-capitals", "reward-capitals-few"),
    ):
        head = "LlamaForSequenceClassification" if "reward" in name else "LlamaForCausalLM"
        (models / name).mkdir(parents=True)
        (models / name / "config.json").write_text(
            json.dumps({"model_type": "llama", "architectures": [head]})
        )
        (models / name / "model.safetensors").write_bytes(NO_TENSORS)
        if (tokenizer := model_index.ASSETS / "models" / name / "tokenizer.json").is_file():
            (models / name / "tokenizer.json").symlink_to(tokenizer)
    for data in ("reference", "lessons", "lab", "story"):
        (tmp_path / "assets" / data).symlink_to(model_index.ASSETS / data)
    monkeypatch.setattr(model_index, "ASSETS", tmp_path / "assets")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    return tmp_path / "assets"


@pytest.fixture
def client(tmp_path, fake_assets):
    """A client whose runs are scripted."""
    client = Client(tmp_path / "runs", training="tests.playground.scripted")
    client.preload()
    yield client
    client.close()


@pytest.fixture
def sessions(tmp_path):
    """Sessions of votes in their own folder."""
    sessions = Sessions(tmp_path / "sessions")
    yield sessions
    sessions.close()


@pytest.fixture(scope="session")
def browse():
    """browse(folder, *flags, **options) yields a Chromium context with its profile in `folder`.

    `names` are the programs of which the first that is installed is started.
    """
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:

        def browse(folder, *flags, names=CHROMIUM, **options):
            path = next(filter(None, map(shutil.which, names)), None)
            if path is None:
                pytest.fail("This test needs Chromium: apt-get install chromium")
            return playwright.chromium.launch_persistent_context(
                folder, executable_path=path, args=[*FLAGS, *flags], **options
            )

        yield browse


@pytest.fixture(scope="session")
def profile(browse, tmp_path_factory):
    """A Chromium context that keeps fetched and compiled files.

    A page at a known address loads in a third of the time.
    """
    context = browse(tmp_path_factory.mktemp("profile"), *ONE_PROCESS, names=HEADLESS)
    yield context
    context.close()


@pytest.fixture(scope="session")
def chromium(profile):
    return profile.browser
