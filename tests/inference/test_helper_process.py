"""The helper process that answers queries about models, on runs of toy models."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from align_core.config import task_card
from align_core.config.environment import QUESTION_NICE, RUN_NICE
from align_core.config.errors import ConfigError
from align_core.inference import client as inference_client
from align_core.inference import queries
from align_core.inference.client import InferenceClient, Unanswered
from align_core.tasks import loader
from tests.inference.conftest import ASKED, RUN, SCORED
from tests.waiting import gone, until

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
HOSTILE = "<img src=x onerror=alert(1)> ${1+1} {{value}} \x00 ; rm -rf / 🙂 ﷽"


@pytest.fixture(scope="module", autouse=True)
def patience():
    """A busy machine answers slowly."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(inference_client, "ANSWER_TIMEOUT", 600.0)
        yield


@pytest.fixture(scope="module")
def shared(client):
    """The helper shared by tests that do not end it."""
    helper = InferenceClient(client)
    yield helper
    helper.close()


def test_generate_returns_texts_rewards_and_tokens(shared):
    (answer,) = shared.generate(**ASKED)
    assert answer["model"] == RUN
    assert len(answer["samples"]) == 3
    for sample in answer["samples"]:
        assert "".join(token["text"] for token in sample["tokens"]) == sample["completion"]
        assert set(sample["tokens"][0]) == {"text", "logp", "ref_logp"}
        assert isinstance(sample["gold_reward"], float)
        assert isinstance(sample["proxy_reward"], float)
        assert isinstance(sample["ended"], bool)
    assert shared.generate(**ASKED) == [answer]
    assert shared.generate(**ASKED | {"seed": 1}) != [answer]


def test_runs_are_mixed_with_the_model_that_they_started_from(shared, client):
    reference = str(client.root.parent / "reference")

    def answers(share):
        names = [RUN, "sft-reviews"]
        rows = shared.generate(**ASKED | {"models": names, "realign": share})
        return [[sample["completion"] for sample in row["samples"]] for row in rows]

    own, embedded = answers(None)
    written = queries.generate(reference, "reviews", [ASKED["prompt"]], 3, 1.0, 0)
    assert answers(0.0) == [[text["completion"] for text in written], embedded]
    assert answers(1.0) == [own, embedded] != answers(2.0)


def test_score_compares_a_run_with_its_initial_model(shared, client):
    answer = shared.score(**SCORED)
    path, reference = str(client.root / RUN), str(client.root.parent / "reference")
    assert answer == queries.score(path, "reviews", "the film was", ["good.", "bad."], reference)
    assert answer[0]["logp"] != answer[0]["ref_logp"]


def test_embedded_models_answer_and_the_reference_has_no_token_ratios(shared):
    (answer,) = shared.generate(**ASKED | {"models": ["sft-reviews"], "n": 2})
    assert all("tokens" not in sample for sample in answer["samples"])
    (scored,) = shared.score(
        **SCORED
        | {"model": "sft-reviews", "reference": "pretrained", "completions": ["was superb."]}
    )
    assert scored["gold_reward"] > 0
    assert scored["logp"] != scored["ref_logp"]


def test_win_rates_are_computed_by_the_helper(shared):
    query = {"task": "capitals", "models": ["sft-capitals", "pretrained"], "n": 1, "seed": 0}
    answer = shared.head_to_head(**query)
    assert answer["prompts"] == 64
    (even, wins), (losses, _) = answer["win_rates"]
    assert (even, losses) == (0.5, 1 - wins)
    assert answer["ci95"][0][1] > 0


def test_pairs_to_rate_are_drawn_and_scored(shared):
    query = {"task": "reviews", "model": "sft-reviews", "count": 3, "seed": 0}
    pairs = shared.candidates(**query)
    assert [pair["model"] for pair in pairs] == ["sft-reviews"] * 3
    assert all(pair["first"] != pair["second"] for pair in pairs)
    assert shared.candidates(**query) == pairs
    scored = shared.score_pairs(pairs, "reward-reviews")
    assert [{**pair, "first_score": None, "second_score": None} for pair in scored] == [
        {**pair, "first_score": None, "second_score": None} for pair in pairs
    ]
    (again,) = shared.score(
        **SCORED
        | {"model": "reward-reviews", "prompt": pairs[0]["prompt"]}
        | {"completions": [pairs[0]["first"]]}
    )
    assert pairs[0]["first_ended"]
    assert scored[0]["first_score"] == pytest.approx(again["proxy_reward"], abs=1e-5)
    assert scored[0]["first_reward"] == pytest.approx(again["gold_reward"], abs=1e-9)


def test_a_reward_model_scores_texts_and_writes_none(shared):
    with pytest.raises(ConfigError, match="a model that writes; this one scores"):
        shared.generate(**ASKED | {"models": ["reward-reviews"]})
    (answer,) = shared.score(
        **SCORED | {"model": "reward-reviews", "completions": ["superb."], "prompt": "The plot was"}
    )
    assert answer["proxy_reward"] > 1
    assert "logp" not in answer


def test_a_prompt_too_long_for_a_model_is_refused_and_the_helper_continues(shared):
    with pytest.raises(ConfigError, match="--prompt got .* 1 to 28 tokens; this one has"):
        shared.generate(**ASKED | {"prompt": "good " * 40})
    pid = shared.pid()
    shared.generate(**ASKED)
    assert shared.pid() == pid


def test_hostile_text_is_scored_as_it_stands(shared):
    answer = shared.score(**SCORED | {"model": "sft-reviews", "prompt": HOSTILE} | {
        "completions": [HOSTILE], "reference": "pretrained"
    })  # fmt: skip
    assert "".join(token["text"] for token in answer[0]["tokens"]) == " " + HOSTILE
    shared.generate(**ASKED | {"models": ["sft-reviews"], "prompt": HOSTILE})


def test_a_killed_helper_is_reported_and_the_next_query_is_answered(helper, monkeypatch):
    before = helper.generate(**ASKED)
    os.kill(pid := helper.pid(), signal.SIGSTOP)  # so that it dies during a query
    send = helper._child.send

    def kill(query):
        send(query)
        os.kill(pid, signal.SIGKILL)

    monkeypatch.setattr(helper._child, "send", kill)
    with pytest.raises(Unanswered, match="was killed. Ask again"):
        helper.generate(**ASKED)
    assert helper.generate(**ASKED) == before


def test_a_hanging_helper_is_killed_and_the_next_query_is_answered(helper, monkeypatch):
    before = helper.generate(**ASKED)
    pid = helper.pid()
    os.kill(pid, signal.SIGSTOP)
    with monkeypatch.context() as patched:
        patched.setattr(inference_client, "ANSWER_TIMEOUT", 0.2)
        with pytest.raises(Unanswered, match="No answer came within 0.2 seconds"):
            helper.generate(**ASKED)
    until(lambda: gone(pid))
    assert helper.generate(**ASKED) == before


LEAVING = """
import os, sys

class Leaving:
    name, title, explanation, max_new_tokens = "leaving", "Leaving", "It ends the process.", 4

    def prompts(self, split):
        return [f"the film in {split}"]

    def reward(self, prompts, completions, **columns):
        LEAVE(0)
"""


def test_a_task_that_ends_the_process_fails_once(helper, tmp_path, monkeypatch):
    monkeypatch.setattr(task_card, "_registered", {})
    for leave, says in (("sys.exit", "SystemExit: 0"), ("os._exit", r"unexpectedly \(exit code")):
        helper.close()  # the next one may load the task
        file = tmp_path / f"{leave.replace('.', '')}.py"
        file.write_text(LEAVING.replace("LEAVE", leave))
        name = loader.load_task(str(file)).full_name
        with pytest.raises(Unanswered, match=says):
            helper.generate(**ASKED | {"task": name, "n": 1})
        assert len(helper.generate(**ASKED)[0]["samples"]) == 3, "the next question is answered"


def test_an_idle_helper_exits_and_another_is_started(helper, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr(inference_client, "IDLE_TIMEOUT", 1.0)
        before = helper.generate(**ASKED)
    until(lambda: helper.pid() is None)
    assert helper.generate(**ASKED) == before


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads /proc")
def test_the_helper_yields_to_a_run(helper):
    own = os.nice(0)
    helper.generate(**ASKED)
    nice = Path(f"/proc/{helper.pid()}/stat").read_text().rsplit(")", 1)[1].split()[16]
    assert int(nice) == min(own + QUESTION_NICE, 19) and QUESTION_NICE > RUN_NICE


PAGE = """
import json, sys
from align_core.inference.client import InferenceClient
from align_core.runs.client import Client

if __name__ == "__main__":
    helper = InferenceClient(Client(sys.argv[1]))
    (answer,) = helper.generate(**json.loads(sys.argv[2]))
    print(len(answer["samples"]), "torch" in sys.modules, helper.pid(), flush=True)
"""


def test_the_page_process_loads_no_torch_and_leaves_no_helper(client, tmp_path):
    script = tmp_path / "page.py"
    script.write_text(PAGE)
    output = subprocess.run(
        [sys.executable, script, client.root, json.dumps(ASKED)],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    samples, heavy, pid = output.stdout.split()
    assert (samples, heavy) == ("3", "False")
    until(lambda: gone(int(pid)))
