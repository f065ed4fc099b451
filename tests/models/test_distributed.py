"""Several processes have the same episodes, gradients and final weights as one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from transformers import LlamaForCausalLM

from align_core.cli import main as cli
from align_core.config.errors import ConfigError
from align_core.data.encoding import encode_demonstrations
from align_core.models import distributed
from align_core.runs.directory import RunDirectory
from align_core.trainers import sft
from align_core.training import checkpoints, setup
from tests import forked, toy
from tests.fakes import ppo_process

ROOT = Path(__file__).parents[2]


TORCHRUN = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
ACCELERATE = ["-m", "accelerate.commands.launch", "--num_processes", "2"]
FSDP = [*ACCELERATE, "--config_file", "docs/fsdp.yaml", "--main_process_port", "0"]
DEEPSPEED = [*ACCELERATE, "--config_file", "docs/deepspeed.yaml", "--main_process_port", "0"]
with_deepspeed = pytest.mark.skipif(
    find_spec("deepspeed") is None, reason="DeepSpeed is not installed: pip install deepspeed"
)


def started(launcher: list[str], module: str, *arguments: str) -> None:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, *launcher, "-m", module, *arguments]
    subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True, timeout=600)


def end(folder: Path) -> tuple[dict, dict]:
    """Weights and last metrics of a run of tests/fakes/ppo_process.py."""
    with safe_open(folder / "end.safetensors", "pt") as stored:
        weights = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
        return weights, {k: float(v) for k, v in stored.metadata().items()}


@pytest.fixture(scope="module")
def alone(tmp_path_factory) -> tuple[dict, dict]:
    """This process alone with 16 episodes per rollout, after twelve steps of Adam."""
    folder = tmp_path_factory.mktemp("alone")
    ppo_process.train(str(folder), 16)
    return end(folder)


def assert_same_end(actual: tuple[dict, dict], expected: tuple[dict, dict]) -> None:
    for name, weights in expected[0].items():
        torch.testing.assert_close(actual[0][name], weights, atol=1e-5, rtol=0, msg=name)
    assert {"eval_three_objective/kl", "eval_one_objective/scores"} <= expected[1].keys()
    for name, value in expected[1].items():
        if name.startswith(("objective/", "eval_", "val/")) or name in (
            "loss/value_avg",
            "episode",
        ):
            assert actual[1][name] == pytest.approx(value, abs=1e-3), name
    assert (actual[1]["scored"], expected[1]["scored"]) == (3, 4), "two of three texts, and the one"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("launcher", "sharded"),
    [(FSDP, "held"), pytest.param(DEEPSPEED, "moments", marks=with_deepspeed)],
)
def test_two_processes_with_half_of_each_model_are_resumed_and_end_like_one(
    tmp_path, alone, launcher, sharded
):
    """With FSDP each process has half of each model, with DeepSpeed's ZeRO 2 half of the moments;
    accelerate's files configure both. tests/fakes/sharded_resume.py resumes all methods."""
    started(launcher, "tests.fakes.sharded_resume", str(tmp_path), "8")
    weights, metrics = end(tmp_path)
    assert_same_end((weights, metrics), alone)
    assert 0.4 < metrics[sharded] < 0.6 and (sharded == "held" or metrics["held"] == 1)
    kept = LlamaForCausalLM.from_pretrained(tmp_path / "model")
    for name, parameter in kept.named_parameters():
        torch.testing.assert_close(parameter, weights[f"policy.{name}"], atol=0, rtol=0, msg=name)
    ends = json.loads((tmp_path / "end.json").read_text())
    assert set(ends) == {"sft", "reward", "dpo"}
    for method, shares in ends.items():
        assert shares["difference"] < 1e-6, method
        assert 0.4 < shares[sharded] < 0.6, method


def test_a_sharded_and_a_whole_checkpoint_are_not_interchangeable(tmp_path, monkeypatch):
    """Trainer writes optimizer.pt, FSDP optimizer.bin or a folder, DeepSpeed global_step4."""
    run, checkpoint = RunDirectory(tmp_path), tmp_path / "checkpoints" / "checkpoint-4"
    checkpoint.mkdir(parents=True)
    (checkpoint / "trainer_state.json").write_text("{}")
    (checkpoint / "optimizer.bin").touch()
    with pytest.raises(ConfigError, match="--resume got .* the same way as this one, unsharded"):
        checkpoints.last(run)
    monkeypatch.setattr(distributed, "SHARDED_BY", "FSDP")
    assert checkpoints.last(run) == checkpoint
    (checkpoint / "global_step4").mkdir()
    with pytest.raises(ConfigError, match="with FSDP"):
        checkpoints.last(run)
    monkeypatch.setattr(distributed, "SHARDED_BY", "DeepSpeed")
    assert checkpoints.last(run) == checkpoint
    (checkpoint / "optimizer.bin").rename(checkpoint / "optimizer.pt")
    with pytest.raises(ConfigError, match="with DeepSpeed"):
        checkpoints.last(run)


def command(task: Path, folder: Path) -> list[str]:
    """A short run of PPO, on a task in a folder whose few prompts are evaluated quickly."""
    train = ["train", "ppo", "--task", str(task), "--run-dir", str(folder)]
    train += ["--model", "sft-reviews", "--reward-model", "reward-reviews"]
    return [*train, "--steps", "2", "--batch-size", "8", "--eval-every", "1"]


def logged(folder: Path) -> list[dict]:
    """The metrics of a finished run."""
    events = RunDirectory.open(folder).events()[0]
    statuses = [event["status"] for event in events if event["kind"] == "status"]
    assert statuses[0] == "running" and statuses.count("finished") == 1
    assert (folder / "model" / "model.safetensors").is_file()
    assert not (folder / "checkpoints").exists()
    return [event["metrics"] for event in events if event["kind"] == "metrics"]


@pytest.mark.slow
def test_two_processes_end_like_one(tmp_path, alone):
    """Each of the two has 8 episodes per rollout. accelerate starts one, which starts both."""
    task, one, two = tmp_path / "task", tmp_path / "one", tmp_path / "two"
    assert cli.main(["task", "new", str(task)]) == 0
    forked.run(*command(task, one))
    launcher = [*ACCELERATE, "--cpu"]
    started(launcher, "tests.fakes.launched_run", str(tmp_path), "8", *command(task, two))
    assert_same_end(end(tmp_path), alone)
    assert end(tmp_path)[1]["held"] == 1
    for alone_metrics, together in zip(logged(one), logged(two), strict=True):
        for name, value in alone_metrics.items():
            if value is not None and not name.startswith("timing/"):
                assert together[name] == pytest.approx(value, abs=2e-3, rel=2e-3), name


def test_each_process_has_as_many_rows():
    shares = distributed.equal_shares(5, 4)
    assert shares == [range(0, 2), range(2, 4), range(3, 5), range(3, 5)]
    assert distributed.equal_shares(1, 2) == [range(1), range(1)]
    assert distributed.equal_shares(6, 2) == [range(3), range(3, 6)]


def test_a_batch_that_cannot_be_shared_is_refused(monkeypatch):
    monkeypatch.setattr(distributed, "WORLD_SIZE", 3)
    with pytest.raises(ConfigError, match="--batch-size got 16, expected a multiple of the 3"):
        setup._per_process(16)


def test_a_lone_process_of_accelerate_is_refused_or_replaced(monkeypatch, capsys):
    """With --cpu, accelerate starts one process with the address, but not the size, of a group."""
    monkeypatch.setenv("ACCELERATE_USE_CPU", "True")
    assert not distributed.launched_alone()
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    assert distributed.launched_alone()
    assert cli.main(["train", "ppo", "--task", "reviews"]) == 2
    assert capsys.readouterr().err == distributed.LAUNCHED_ALONE + "\n"
    monkeypatch.setenv("RANK", "0")
    assert not distributed.launched_alone()


def test_a_script_in_only_one_of_several_processes_is_warned(tmp_path, monkeypatch):
    monkeypatch.setenv("ACCELERATE_USE_CPU", "True")
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    rows = encode_demonstrations(toy.tokenizer(), [{"prompt": "the film", "completion": " fine"}])
    with pytest.warns(UserWarning, match="torchrun --nproc-per-node N"):
        sft.make_trainer(toy.policy(), toy.tokenizer(), rows, output_dir=str(tmp_path))


@pytest.mark.parametrize(
    ("environment", "joined"),
    [
        (["--num_processes", "2", "--cpu"], True),
        (["--cpu", "--num-processes=2"], True),
        (["--num_processes", "2", "--num_machines", "2"], False),
    ],
)
def test_the_other_processes_are_started_with_accelerates_arguments(environment, joined):
    """A launcher like accelerate; it prints the arguments for torchrun."""
    alone = "import os; os.execv = lambda _, command: print(*command[1:])\n"
    alone += "from align_core.models import distributed; distributed.relaunch_with_torchrun()"
    launcher = "import subprocess, sys\n"
    launcher += f"sys.exit(subprocess.run([sys.executable, '-c', {alone!r}, 'train']).returncode)"
    expected = {"ACCELERATE_USE_CPU": "True", "MASTER_ADDR": "127.0.0.1"}
    done = subprocess.run(
        [sys.executable, "-c", launcher, *environment],
        cwd=ROOT,
        env={**os.environ, **expected},
        capture_output=True,
        text=True,
        timeout=600,
    )
    if joined:
        assert done.stdout.split() == [*TORCHRUN, "-c", *alone.split(), "train"]
    else:
        assert done.returncode == 1 and distributed.LAUNCHED_ALONE in done.stderr
