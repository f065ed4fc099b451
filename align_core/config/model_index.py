"""The embedded models and data, recorded models, and how a MODEL argument is resolved."""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
from pathlib import Path
from typing import Any

from align_core.config.errors import option_error
from align_core.config.messages import Message
from align_core.config.model_files import damage, read_named
from align_core.config.paths import cache_folder, user_path
from align_core.config.safe_files import read_object

_PACKAGE = Path(__file__).resolve().parents[1]
_PACKED = _PACKAGE / "assets"  # inside the package in a wheel, beside it in a checkout
ASSETS = _PACKED if _PACKED.is_dir() else _PACKAGE.parent / "assets"

SMOLLM2 = "smollm2"  # the MODEL that `align-core fetch` downloads
SMOLLM2_HUB_ID = "HuggingFaceTB/SmolLM2-135M-Instruct"
SMOLLM2_LICENCE = "apache-2.0"

# The logits of the embedded references (the sft-… models) are those of SFT, times SHARPNESS.
SHARPNESS = 1.25

RECORDED = "recorded/"  # recorded/PRESET is the recorded run of a preset, or the model of that run
DIFFERENCE = "difference.safetensors"  # a model's weights, relative to an embedded model

EXPECTED = (
    f"an embedded model, {RECORDED}PRESET, {SMOLLM2}, a run directory, a folder in the "
    "transformers format, a GGUF file, or a hub id"
)
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]{0,95}(/[A-Za-z0-9][\w.-]{0,95})?", re.ASCII)


def installed() -> bool:
    """Whether this is an installed package, whose folder is read-only, not a checkout."""
    return ASSETS == _PACKED


def embedded() -> list[str]:
    """The names of the embedded models."""
    return sorted(path.parent.name for path in (ASSETS / "models").glob("*/config.json"))


def recorded() -> dict[str, Path]:
    """The name of each recorded run that has a model -> its run directory. Few have one."""
    runs = sorted(path.parent for path in presets().glob("*/model"))
    return {f"{RECORDED}{run.name}": run for run in runs}


def named() -> list[str]:
    """The names of models that are not paths: those embedded or recorded, and SmolLM2."""
    return [*embedded(), *recorded(), SMOLLM2]


def presets() -> Path:
    """The folder of the presets and their recorded runs."""
    return ASSETS / "presets"


def fetched_folder(name: str) -> Path:
    """The folder of a fetched model. It does not exist before the download."""
    return cache_folder() / "models" / name


def is_hub_id(model: str) -> bool:
    """Whether `model` has the form OWNER/NAME of a hub id. No absolute path has it."""
    return "/" in model and _HUB_ID.fullmatch(model) is not None


def preference_pool(task: str) -> Path:
    """The file of labelled pairs of samples of the task's reference."""
    return ASSETS / "preferences" / f"{task}.parquet"


def reference_samples(task: str, split: str) -> Path:
    """The file of samples of the task's embedded SFT model; `split` is "probe" or "heldout"."""
    return ASSETS / "reference" / f"{task}-{split}.npz"


def worked_example(task: str) -> Path:
    """The file of a task's recorded worked example for each step from SFT to the optimum."""
    return ASSETS / "lessons" / f"{task}.json"


def is_run(path: Path) -> bool:
    """Whether `path` is the directory of a run, finished or not."""
    return "method" in _json(path / "config.json")


def run_of(model: str) -> Path | None:
    """The run directory that the MODEL `model` names; None for any other model."""
    if run := recorded().get(model):
        return run
    try:
        path = user_path(model)
    except ValueError:
        return None
    return path if is_run(path) else None


def locate(model: str) -> str:
    """The folder, GGUF file or hub id that transformers loads for the MODEL `model`.

    Names of models come first; `./name` is a folder of the same name. A GGUF file is its own
    location. A hub id is accepted if it is in the local cache, or if HF_HUB_OFFLINE=0 allows a
    download.

    Raises:
        ValueError: there is no such model; its message is one line for users.
    """
    if not isinstance(model, str):
        raise ValueError("this is not a name")
    if model in embedded():
        return str(ASSETS / "models" / model)
    if run := recorded().get(model):
        return str(_model_folder(run))
    if model == SMOLLM2:
        if not fetched_folder(model).is_dir():
            raise ValueError(f"it is not on this machine yet: align-core fetch {model}")
        return str(fetched_folder(model))
    path = user_path(model)
    if path.is_dir():
        return str(_model_folder(path))
    if path.exists():
        _check_gguf(path)
        return str(path)
    if _HUB_ID.fullmatch(model) and (
        _hub_folder(model).is_dir() or os.environ.get("HF_HUB_OFFLINE") == "0"
    ):
        return model
    names = ", ".join([*embedded(), *recorded()]) or "none yet; make assets builds them"
    raise ValueError(
        f"there is no model of this name (embedded: {names}; from the hub: those in the local "
        "cache, or any with HF_HUB_OFFLINE=0)"
    )


def is_here(model: Any) -> bool:
    """Whether `locate` finds the MODEL `model`."""
    try:
        locate(model)
    except (ValueError, OSError):
        return False
    return True


def files_of(model: str) -> Path:
    """The folder, or the file, that holds the MODEL `model` on this machine.

    Raises:
        ValueError: there is no such model here; its message is one line for users.
    """
    location = locate(model)
    path = Path(location)
    if path.exists():
        return path
    hub = _hub_folder(location)
    try:
        revision = (hub / "refs" / "main").read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        revision = ""
    if not revision or not (hub / "snapshots" / revision).is_dir():
        raise ValueError(f"model {model}: it has not been downloaded yet")
    return hub / "snapshots" / revision


def absolute(name: str) -> str:
    """The absolute path of `name`, so that a run can be resumed from another folder.

    A name that is not a path is returned unchanged.
    """
    if name in ("gold", *named()):
        return name
    path = user_path(name)
    return str(path.resolve()) if path.exists() else name


def task_of(model: str) -> str | None:
    """The task of `model`, by its run or its name; None if unknown."""
    if model in embedded():
        return model.partition("-")[2].partition("-")[0] or None
    if model == SMOLLM2:
        return "manners"
    try:
        run = run_of(model) or user_path(model).parent
    except ValueError:
        return None
    return _json(run / "config.json").get("task") if is_run(run) else None


def is_reward_model(location: str) -> bool:
    """Whether the folder `location` holds a sequence classifier; False for a hub id."""
    folder = Path(location)
    architectures = _json(folder / "config.json").get("architectures")
    adapter = _json(folder / "adapter_config.json").get("task_type")
    return adapter == "SEQ_CLS" or "SequenceClassification" in str(architectures)


def labels(location: str) -> int:
    """The number of labels of the classifier in a folder; a reward model has 1. It is 2 if
    config.json has no number, as in transformers, and 1 for an adapter of a reward model."""
    config = _json(Path(location) / "config.json")
    if (Path(location) / "adapter_config.json").is_file():
        return 1
    names = config.get("id2label")
    return config.get("num_labels") or (len(names) if isinstance(names, dict) else 2)


def model_errors(option: str, name: str, reward_model: bool | None = None) -> list[Message]:
    """Messages for a ConfigError if `name` is not a model, or not one of the expected kind.

    `reward_model` is True for a reward model, False for a language model, None for either.
    """
    try:
        location = locate(name)
        if problem := damage(location):
            raise ValueError(problem)
    except (ValueError, OSError) as error:
        is_to_be_fetched = name == SMOLLM2
        code = "not_fetched" if is_to_be_fetched else "model"
        return [option_error(option, name, f"{EXPECTED}: {error}", code)]
    wrong_kind = reward_model is not None and is_reward_model(location) != reward_model
    if wrong_kind and Path(location).exists():
        expected = (
            "a reward model; this is a language model, which writes texts and scores none"
            if reward_model
            else "a language model; this is a reward model, which scores texts and writes none"
        )
        code = "model_that_scores" if reward_model else "model_that_writes"
        return [option_error(option, name, expected, code)]
    return []


def _model_folder(path: Path) -> Path:
    """The folder of the model itself, given a run directory or a model folder."""
    folder = path / "model" if is_run(path) else path
    if (folder / "config.json").is_file():
        read_named(folder / "config.json")
    if (folder / "adapter_config.json").is_file() or "model_type" in _json(folder / "config.json"):
        return folder
    if folder != path:
        raise ValueError(
            "this run has not saved a model; if it was interrupted, resume it: "
            f"python -m align_core train --resume {shlex.quote(str(path))}"
        )
    raise ValueError("this folder holds neither a run nor a model")


def _check_gguf(path: Path) -> None:
    """Raise ValueError unless `path` is a GGUF file that can be read here."""
    if not path.is_file():  # opening a pipe would wait for its other end
        raise ValueError("this is neither a file nor a folder")
    try:
        with path.open("rb") as file:
            is_gguf = file.read(4) == b"GGUF"
    except OSError as error:
        raise ValueError(f"this file cannot be read: {error.strerror}") from None
    if not is_gguf:
        raise ValueError("this is a file, and not in the GGUF format")
    if importlib.util.find_spec("gguf") is None:
        raise ValueError("reading this file needs the package gguf: python -m pip install gguf")


def _hub_folder(hub_id: str) -> Path:
    """The folder of a hub id in the local cache. It may not exist."""
    home = os.environ.get("HF_HOME") or Path(
        os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "huggingface"
    )
    cache = os.environ.get("HF_HUB_CACHE") or Path(home, "hub")
    return Path(cache, "models--" + hub_id.replace("/", "--"))


def _json(path: Path) -> dict[str, Any]:
    try:
        return read_object(path)
    except (OSError, ValueError):
        return {}
