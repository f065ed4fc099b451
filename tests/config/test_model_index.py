"""Names and folders of models."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from align_core.config import model_index
from align_core.config.run_config import resolve
from align_core.runs.directory import RunDirectory
from tests.playground.recordings import record


@pytest.fixture
def run(fake_assets, tmp_path):
    directory = RunDirectory.create(tmp_path / "run", resolve("dpo", "capitals"))
    shutil.copytree(fake_assets / "models" / "sft-capitals", directory.model_path)
    return directory.path


def test_embedded_names(fake_assets):
    assert "sft-reviews" in model_index.embedded()
    assert model_index.locate("sft-reviews") == str(fake_assets / "models" / "sft-reviews")


def test_an_embedded_name_comes_before_a_folder(fake_assets, tmp_path, monkeypatch):
    shutil.copytree(fake_assets / "models" / "sft-reviews", tmp_path / "pretrained")
    monkeypatch.chdir(tmp_path)
    assert model_index.locate("pretrained") == str(fake_assets / "models" / "pretrained")
    assert model_index.locate("./pretrained") == "pretrained"


def test_a_run_directory_means_its_model_also_after_a_move(run, tmp_path):
    assert model_index.locate(str(run)) == str(run / "model")
    moved = tmp_path / "else" / "where"
    moved.parent.mkdir()
    shutil.move(run, moved)
    assert model_index.locate(str(moved)) == str(moved / "model")
    assert model_index.task_of(str(moved)) == "capitals"


def test_a_run_without_a_model(run):
    shutil.rmtree(run / "model")
    with pytest.raises(ValueError, match=f"has not saved a model; .* --resume {run}$"):
        model_index.locate(str(run))


def test_an_adapter_folder_is_a_model(fake_assets, tmp_path):
    (tmp_path / "adapter_config.json").write_text(json.dumps({"task_type": "SEQ_CLS"}))
    assert model_index.locate(str(tmp_path)) == str(tmp_path)
    assert model_index.is_reward_model(str(tmp_path))


@pytest.mark.parametrize("name", ["no-such-model", "nobody/nothing", "a/b/c", "../x", "", "  "])
def test_a_folder_without_a_model_is_reported(fake_assets, name, tmp_path, monkeypatch):
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    with pytest.raises(ValueError) as error:
        model_index.locate(name)
    assert "\n" not in str(error.value)


def test_files_and_other_folders_are_not_models(fake_assets, tmp_path):
    file = tmp_path / "weights.bin"
    file.touch()
    with pytest.raises(ValueError, match="file"):
        model_index.locate(str(file))
    with pytest.raises(ValueError, match="neither a run nor a model"):
        model_index.locate(str(fake_assets))
    os.mkfifo(tmp_path / "pipe")  # to open it would wait for its other end
    with pytest.raises(ValueError, match="neither a file nor a folder"):
        model_index.locate(str(tmp_path / "pipe"))


def test_the_model_of_a_recorded_run_has_the_name_of_its_preset(fake_assets, run):
    record(fake_assets, "first", {"method": "dpo", "task": "capitals"}, model=True)
    record(fake_assets, "bare", {"method": "dpo", "task": "capitals"})
    recording = fake_assets / "presets" / "first"
    assert model_index.recorded() == {"recorded/first": recording}
    assert "recorded/first" in model_index.named()
    assert model_index.locate("recorded/first") == str(recording / "model")
    assert model_index.run_of("recorded/first") == recording
    assert model_index.task_of("recorded/first") == "capitals"
    assert model_index.absolute("recorded/first") == "recorded/first"
    assert model_index.run_of(str(run)) == run
    for name in ("recorded/bare", "recorded/none", "recorded/../first", "recorded/first/", "first"):
        assert model_index.run_of(name) is None
        with pytest.raises(ValueError, match="no model of this name .*, recorded/first; from"):
            model_index.locate(name)


def test_a_hub_id_is_a_model_if_it_is_cached_or_the_network_is_allowed(
    fake_assets, tmp_path, monkeypatch
):
    (tmp_path / "hub" / "models--some--model").mkdir(parents=True)
    assert model_index.locate("some/model") == "some/model"
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    assert model_index.locate("some/other") == "some/other"


def test_reward_models_are_recognised(fake_assets):
    assert model_index.is_reward_model(model_index.locate("reward-reviews"))
    assert not model_index.is_reward_model(model_index.locate("sft-reviews"))


def test_the_task_that_a_model_was_made_for(run):
    assert model_index.task_of("sft-reviews") == "reviews"
    assert model_index.task_of("reward-capitals-few") == "capitals"
    assert model_index.task_of("pretrained") is None
    assert model_index.task_of("smollm2") == "manners"
    assert model_index.task_of(str(run)) == "capitals"
    assert model_index.task_of(str(run / "model")) == "capitals"
    assert model_index.task_of("some/model") is None


def test_the_folder_of_a_hub_id(monkeypatch, tmp_path):
    for name in ("HF_HUB_CACHE", "HF_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    model = "models--some--model"
    assert model_index._hub_folder("some/model") == tmp_path / ".cache/huggingface/hub" / model
    for name, value, folder in (
        ("XDG_CACHE_HOME", "/x", "/x/huggingface/hub"),
        ("HF_HOME", "/h", "/h/hub"),
        ("HF_HUB_CACHE", "/c", "/c"),
    ):
        monkeypatch.setenv(name, value)
        assert model_index._hub_folder("some/model") == Path(folder, model)


def test_a_model_of_the_hub_is_here_once_its_snapshot_is(fake_assets, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    hub = tmp_path / "models--some--model"
    (hub / "refs").mkdir(parents=True)
    (hub / "snapshots").mkdir()
    for revision in ("abc", ""):  # the snapshot is not there, or none is named
        (hub / "refs" / "main").write_text(revision)
        with pytest.raises(ValueError, match="some/model: it has not been downloaded yet"):
            model_index.files_of("some/model")
    (hub / "refs" / "main").write_text("abc")
    (hub / "snapshots" / "abc").mkdir()
    assert model_index.files_of("some/model") == hub / "snapshots" / "abc"


def test_a_hub_id_has_an_owner_and_a_name():
    names = ("some/model", "some", "/some/model", "a/b/c", "a/../b", "a/")
    assert [*filter(model_index.is_hub_id, names)] == ["some/model"]


def test_a_checkout_is_not_installed(monkeypatch):
    assert not model_index.installed()
    monkeypatch.setattr(model_index, "ASSETS", model_index._PACKED)
    assert model_index.installed()


def test_a_model_that_is_not_fetched_has_a_message_of_its_own(fake_assets, monkeypatch, tmp_path):
    monkeypatch.setenv("ALIGN_CACHE", str(tmp_path))
    for name, code in ((model_index.SMOLLM2, "not_fetched"), ("no-such-model", "model")):
        (message,) = model_index.model_errors("--model", name)
        assert (message.code, message.values["option"]) == (code, "--model")
    for name in ("sft-reviews", "reward-reviews"):
        assert model_index.model_errors("--model", name) == [], "of either kind"
