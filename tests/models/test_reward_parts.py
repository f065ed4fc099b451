"""A reward model as a part of a reward reads texts with its own tokenizer."""

import json
import shutil

import pytest
from safetensors.torch import load_file, save_file

from align_core.config import model_index
from align_core.config.errors import ConfigError
from align_core.data.encoding import encode
from align_core.inference import queries
from align_core.models.loading import load_reward_model, load_tokenizer
from align_core.models.reward_parts import scorer
from align_core.models.rewards import ProxyReward
from align_core.tasks.folder.parts import Completion

NAME = "reward-reviews"
TEXTS = [" was warm and superb.", " was dull, and it never", ""]
ENDED = [True, False, False]


def completions(*before: dict[str, str]) -> list[Completion]:
    messages = [*before, {"role": "user", "content": "The plot of this film"}]
    return [Completion(messages, text, end) for text, end in zip(TEXTS, ENDED, strict=True)]


@pytest.fixture(scope="module")
def renumbered(tmp_path_factory):
    """The embedded reward model with each ordinary token's id and embedding moved by one, so that
    every text keeps its score."""
    folder = tmp_path_factory.mktemp("renumbered") / "model"
    shutil.copytree(model_index.ASSETS / "models" / NAME, folder)
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    vocabulary = tokenizer["model"]["vocab"]
    special = {token["id"] for token in tokenizer["added_tokens"]}
    ordinary = sorted(set(vocabulary.values()) - special)
    moved = dict(zip(ordinary, ordinary[1:] + ordinary[:1], strict=True))
    tokenizer["model"]["vocab"] = {t: moved.get(i, i) for t, i in vocabulary.items()}
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    weights = load_file(folder / "model.safetensors")
    (name,) = (name for name in weights if "embed_tokens" in name)
    rows = weights[name].clone()
    for before, after in moved.items():
        rows[after] = weights[name][before]
    save_file(weights | {name: rows}, folder / "model.safetensors", {"format": "pt"})
    return str(folder)


def test_the_part_is_the_raw_output_for_the_text(renumbered):
    tokenizer = load_tokenizer(NAME)
    ids = [
        encode(tokenizer, "The plot of this film", text, ended or not text)[1]
        for text, ended in zip(TEXTS, ENDED, strict=True)
    ]
    prompts = ["The plot of this film"] * len(TEXTS)
    expected = ProxyReward(load_reward_model(NAME), tokenizer)(prompts, TEXTS, completion_ids=ids)
    assert scorer(NAME)(completions()) == pytest.approx(expected, abs=1e-5)
    assert ids[1][-1] != tokenizer.eos_token_id == ids[0][-1]


def test_another_numbering_of_the_tokens_changes_nothing(renumbered):
    assert load_tokenizer(renumbered).get_vocab() != load_tokenizer(NAME).get_vocab()
    assert scorer(renumbered)(completions()) == pytest.approx(scorer(NAME)(completions()), abs=1e-5)


def test_the_part_uses_its_own_chat_template(renumbered, tmp_path):
    shutil.copytree(renumbered, tmp_path / "chat")
    config = json.loads((tmp_path / "chat" / "tokenizer_config.json").read_text())
    config["chat_template"] = "{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}"
    (tmp_path / "chat" / "tokenizer_config.json").write_text(json.dumps(config))
    system = {"role": "system", "content": "Short."}
    tokenizer = load_tokenizer(NAME)
    prompt = "[system]Short.[user]The plot of this film"
    proxy = ProxyReward(load_reward_model(NAME), tokenizer)
    (expected,) = proxy.score_texts([prompt], [TEXTS[0].lstrip()], [True])
    assert scorer(str(tmp_path / "chat"))(completions(system))[0] == pytest.approx(
        expected, abs=1e-5
    )


def test_a_text_beyond_the_positions_is_reported():
    long = Completion([{"role": "user", "content": "x"}], " very" * 200, True)
    with pytest.raises(ConfigError, match="reward-reviews: expected at most 128 tokens, got"):
        scorer(NAME)([long])


def test_the_accuracy_on_stored_texts_equals_that_of_the_renumbered_twin(renumbered):
    """The stored texts are token ids of the reference's tokenizer."""
    own, twin = (queries.evaluate(model, "reviews", None, 8, 0) for model in (NAME, renumbered))
    assert own["accuracy"] > 0.8
    assert twin["accuracy"] == own["accuracy"]
    assert twin["margin"] == pytest.approx(own["margin"], abs=1e-4)
    scores = [queries.score(m, "reviews", "The plot", TEXTS[:2])[0] for m in (NAME, renumbered)]
    assert scores[1] == pytest.approx(scores[0], abs=1e-5)
