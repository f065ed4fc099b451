"""A run as one HTML page: its size, its data, and what it must not load or execute."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

from align_core.config import task_card
from align_core.config.errors import ConfigError
from align_core.embed import page
from align_core.embed.data import page_data
from align_core.evaluation import prepared
from align_core.optimum import chi_squared_optimum, optimum
from align_core.runs import presets
from align_core.runs.directory import RunDirectory
from playground import text

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>{{PLOTLY}}"


@pytest.fixture(scope="module")
def recorded():
    run = RunDirectory(presets.load("healthy-ppo").recording)
    return run.config.model_dump(), run.events()[0]


def block(html: str, name: str):
    """The content of a JSON block of the page."""
    start = f'<script type="application/json" id="{name}">'
    return json.loads(html.partition(start)[2].partition("</script>")[0])


def test_a_page_is_small(recorded):
    assert sum(map(len, page.page_parts("healthy-ppo", *recorded, "en"))) <= 6_000_000


@pytest.mark.parametrize("language", page.LANGUAGES)
def test_a_page_is_whole_and_loads_nothing(recorded, few_samples, language):
    html = page.embedded_page("healthy-ppo", *recorded, language)
    own = html.replace(page._plotly().decode(), "")
    assert "http" not in own.replace("http-equiv", ""), "neither http: nor https:"
    assert "default-src 'none'" in own
    assert not re.search(r"<(link|iframe|img|script src)|@import|url\(", own)
    assert [sample["step"] for sample in block(html, "data")["samples"]] == [*range(0, 61, 5)]


def test_what_a_run_brings_is_data(recorded, few_samples):
    config, events = recorded
    row = {"prompt": HOSTILE, "reference": {"text": HOSTILE}, "policy": {"text": HOSTILE}}
    samples = {"kind": "samples", "step": 60, "seconds": 1.0, "samples": [row]}
    html = page.embedded_page(HOSTILE, config, [*events, samples], "en")
    assert HOSTILE not in html
    assert block(html, "data")["name"] == HOSTILE
    assert block(html, "data")["samples"][-1]["rows"][0] == row
    assert html.count("<script") - page._plotly().count(b"<script") == 4


def test_the_stored_rewards_give_the_optimum(recorded, few_samples):
    """E_π*[r] = Σ c·r·exp(r/β) / Σ c·exp(r/β), c the number of samples with reward r."""
    stored = page_data("x", *recorded)["optimum"]
    means = []
    for values, counts in stored["rewards"]:
        weights = np.array(counts) * np.exp(np.array(values) / 0.7)
        means.append(float(weights @ values / weights.sum()))
    assert sum(stored["rewards"][0][1]) == few_samples.rewards.shape[1] == 1536
    assert np.mean(means) == pytest.approx(optimum(few_samples.rewards, 0.7).reward, abs=1e-3)
    assert 0.7 in stored["betas"]


def test_the_diamond_is_the_optimum_that_the_method_seeks(recorded, few_samples):
    config, events = recorded
    rewards = few_samples.rewards

    def data(**settings):
        return page_data("x", {**config, **settings}, events)["optimum"]

    def at(point, beta):
        best = point(rewards, beta)
        gain = best.reward - rewards.mean()
        return pytest.approx({"kl": best.kl, "gain": gain, "known": best.known}, abs=1e-3)

    assert (data()["sought"], data()["points"]) == ("kl", None)
    grouped = data(method="grpo", loss="dapo")
    assert (grouped["sought"], grouped["points"]) == ("grouped", None)
    own = data(method="dpo", loss="chipo", beta=0.7)
    assert own["points"][own["betas"].index(0.7)] == at(chi_squared_optimum, 0.7)


def test_a_run_without_a_known_optimum_has_its_curves_and_texts(recorded, monkeypatch):
    config, events = recorded
    monkeypatch.setattr(prepared, "stored", lambda *_: None)
    data = page_data("x", config, events)
    assert data["optimum"] is None
    assert data["points"]["eval/kl"][0] == (0, 0.0)


def test_its_words_are_those_of_the_page():
    words = json.loads((page._FOLDER / "words.json").read_text(encoding="utf-8"))
    assert {*words["en"]} == {*words["zh"]}
    for language in page.LANGUAGES:
        own, of_page = words[language], text.load(language)
        assert own["titles"] == of_page["charts"]["titles"]
        metrics = of_page["charts"]["metrics"]
        assert own["metrics"] == {metric: metrics[metric]["name"] for metric in metrics}
        assert own["sought"] == of_page["frontier"]["sought"]
        assert own["tasks"].keys() >= {*task_card.BUILT_IN}


def test_it_says_what_is_missing(monkeypatch):
    def missing(name):
        raise page.PackageNotFoundError(name)

    monkeypatch.setattr(page, "distribution", missing)
    page._plotly.cache_clear()
    with pytest.raises(ConfigError, match="pip install alignment-playground"):
        page._plotly()
