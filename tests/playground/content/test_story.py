"""The data of the story: every scene has real texts and whole runs."""

from __future__ import annotations

import json
import re

import pytest

from align_core.config.run_config import resolve
from align_core.runs import presets
from playground import text
from playground.content import optimum, story
from playground.handlers import links

WORDS = text.load("en")["story"]
SCENES = list(WORDS["scenes"])


@pytest.fixture(scope="module")
def scenes():
    return story.scenes()


def entries(words):
    return (
        [one for value in words.values() for one in entries(value)]
        if isinstance(words, dict)
        else [words]
    )


def test_there_are_eight_scenes_and_each_has_its_words(scenes):
    assert list(scenes) == ["frontier", *SCENES] and len(SCENES) == 8
    assert all({"title", "line", "notes"} <= words.keys() for words in WORDS["scenes"].values())
    assert len(json.dumps(scenes)) < 100_000


def test_no_number_of_the_story_is_written_by_hand():
    for language in text.languages():
        for entry in entries(text.story(language)):
            assert not re.search(r"\d", re.sub(r"{\w+}", "", entry)), entry


def test_texts_are_stored_samples_with_their_rewards(scenes):
    best = optimum.of_task(story.TASK)
    for pair in (scenes["question"], scenes["sft"], *scenes["votes"]):
        stored = [
            sample["text"]
            for number in range(story.DRAWN)
            for sample in best.sample(number)
            if sample["prompt"] == pair["prompt"]
        ]
        assert all(shown["text"] in stored for shown in pair["texts"])


def test_simulated_votes_follow_the_difference_in_reward(scenes):
    """A standard error is √(p(1 − p)/100); the closer the two texts, the more the votes split."""
    for pair in scenes["votes"]:
        first, second = (shown["gold_reward"] for shown in pair["texts"])
        share = 1 / (1 + 2.718281828 ** (second - first))
        votes = pair["votes"]
        assert len(votes) == story.VOTES and set(votes) <= {0, 1}
        error = (share * (1 - share) / len(votes)) ** 0.5
        assert votes.count(0) / len(votes) == pytest.approx(share, abs=3 * error + 0.01)


@pytest.mark.parametrize("scene", ["reward", "ppo", "no_leash", "dpo"])
def test_runs_are_whole(scenes, scene):
    run = scenes[scene]["run"]
    assert run["status"]["name"] == "finished" and run["step"] == run["config"]["steps"]
    metric = "eval/accuracy" if scene == "reward" else "eval/gain"
    measured = [step for step, _ in run["points"][metric]]
    assert (measured[0], measured[-1]) == (0, run["step"])
    if scene != "reward":
        assert [samples["step"] for samples in run["samples"]] == measured
        assert all(len(samples["rows"]) == 1 for samples in run["samples"])


def test_without_beta_the_score_climbs_and_the_text_collapses(scenes):
    run = scenes["no_leash"]["run"]
    assert "Buy after after after" in run["samples"][-1]["rows"][0]["policy"]["text"]
    gold, proxy = (
        [y for _, y in run["points"][f"eval/{name}_reward"]] for name in ("gold", "proxy")
    )
    assert proxy[-1] > proxy[0] + 2 and gold[-1] < gold[0] - 2


def test_run_it_live_opens_train_with_the_settings_of_the_recorded_run(scenes):
    """The settings are a link's: those that it does not name have their defaults."""
    for scene in ("sft", "reward", "ppo", "no_leash", "dpo"):
        query = {name: str(value) for name, value in scenes[scene]["settings"].items()}
        restored = links.read(query)
        assert restored == resolve(**scenes[scene]["settings"]).model_dump()
        if scene in ("ppo", "no_leash", "dpo"):
            name = scenes[scene]["run"]["run"].removeprefix("recorded/")
            assert restored == presets.load(name).config.model_dump()


def test_the_optimum_moves_away_from_the_reference_as_beta_falls(scenes):
    kls, gains = ([point[name] for point in scenes["beta"]] for name in ("kl", "gain"))
    assert kls == sorted(kls, reverse=True) and gains == sorted(gains, reverse=True)
    assert all(point["text"]["text"] for point in scenes["beta"])
