from __future__ import annotations

import json
import shutil

import pytest

from align_core import catalogue
from align_core.configs import resolve
from align_core.runs import RunDirectory


@pytest.fixture
def run(fake_assets, tmp_path):
    directory = RunDirectory.create(tmp_path / "run", resolve("dpo", "capitals"))
    shutil.copytree(fake_assets / "models" / "sft-capitals", directory.model_path)
    return directory.path


def test_embedded_names(fake_assets):
    assert "sft-reviews" in catalogue.embedded()
    assert catalogue.locate("sft-reviews") == str(fake_assets / "models" / "sft-reviews")


def test_an_embedded_name_comes_before_a_folder(fake_assets, tmp_path, monkeypatch):
    shutil.copytree(fake_assets / "models" / "sft-reviews", tmp_path / "pretrained")
    monkeypatch.chdir(tmp_path)
    assert catalogue.locate("pretrained") == str(fake_assets / "models" / "pretrained")
    assert catalogue.locate("./pretrained") == "pretrained"


def test_a_run_directory_means_its_model_also_after_a_move(run, tmp_path):
    assert catalogue.locate(str(run)) == str(run / "model")
    moved = tmp_path / "else" / "where"
    moved.parent.mkdir()
    shutil.move(run, moved)
    assert catalogue.locate(str(moved)) == str(moved / "model")
    assert catalogue.task_of(str(moved)) == "capitals"


def test_a_run_without_a_model(run):
    shutil.rmtree(run / "model")
    with pytest.raises(ValueError, match=f"has not saved a model; .* --resume {run}$"):
        catalogue.locate(str(run))


def test_an_adapter_folder_is_a_model(fake_assets, tmp_path):
    (tmp_path / "adapter_config.json").write_text(json.dumps({"task_type": "SEQ_CLS"}))
    assert catalogue.locate(str(tmp_path)) == str(tmp_path)
    assert catalogue.is_reward_model(str(tmp_path))


@pytest.mark.parametrize("name", ["no-such-model", "nobody/nothing", "a/b/c", "../x", "", "  "])
def test_what_is_no_model(fake_assets, name, tmp_path, monkeypatch):
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    with pytest.raises(ValueError) as error:
        catalogue.locate(name)
    assert "\n" not in str(error.value)


def test_files_and_other_folders_are_no_models(fake_assets, tmp_path):
    file = tmp_path / "weights.bin"
    file.touch()
    with pytest.raises(ValueError, match="file"):
        catalogue.locate(str(file))
    with pytest.raises(ValueError, match="neither a run nor a model"):
        catalogue.locate(str(fake_assets))


def test_a_hub_id_counts_when_cached_or_when_the_network_is_allowed(
    fake_assets, tmp_path, monkeypatch
):
    (tmp_path / "hub" / "models--some--model").mkdir(parents=True)
    assert catalogue.locate("some/model") == "some/model"
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    assert catalogue.locate("some/other") == "some/other"


def test_which_models_are_reward_models(fake_assets):
    assert catalogue.is_reward_model(catalogue.locate("reward-reviews"))
    assert not catalogue.is_reward_model(catalogue.locate("sft-reviews"))


def test_the_task_that_a_model_was_made_for(run):
    assert catalogue.task_of("sft-reviews") == "reviews"
    assert catalogue.task_of("reward-capitals-few") == "capitals"
    assert catalogue.task_of("pretrained") is None
    assert catalogue.task_of(str(run)) == "capitals"
    assert catalogue.task_of(str(run / "model")) == "capitals"
    assert catalogue.task_of("some/model") is None
