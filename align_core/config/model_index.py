"""What is embedded in the project, and what a MODEL given by a person refers to."""

from __future__ import annotations

import json
import os
import re
import shlex
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]
_PACKED = _PACKAGE / "assets"  # where a wheel has them; in a checkout they lie beside the package
ASSETS = _PACKED if _PACKED.is_dir() else _PACKAGE.parent / "assets"

TAKES = "an embedded model, a run directory, a folder in the transformers format, or a hub id"
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]{0,95}(/[A-Za-z0-9][\w.-]{0,95})?", re.ASCII)


def installed() -> bool:
    """Whether the package lies where it was installed, in a folder that nothing writes into."""
    return ASSETS == _PACKED


def embedded() -> list[str]:
    """The names of the embedded models."""
    return sorted(path.parent.name for path in (ASSETS / "models").glob("*/config.json"))


def preference_pool(task: str) -> Path:
    """The labelled pairs of the embedded SFT model's own samples."""
    return ASSETS / "preferences" / f"{task}.parquet"


def reference_samples(task: str, split: str) -> Path:
    """The embedded SFT model's samples with their gold rewards; `split` is probe or heldout."""
    return ASSETS / "reference" / f"{task}-{split}.npz"


def lesson(task: str) -> Path:
    """One recorded example for each station from SFT to the optimum."""
    return ASSETS / "lessons" / f"{task}.json"


def is_run(path: Path) -> bool:
    """Whether `path` is a run directory (finished or not)."""
    return (path / "config.json").is_file() and "method" in _json(path / "config.json")


def locate(model: str) -> str:
    """What transformers can load for `model`: a folder, or a hub id.

    An embedded name is looked up first; write `./name` for a folder of the same name. A hub id
    counts as known when the local cache has it or when HF_HUB_OFFLINE=0 allows to fetch it.

    Raises:
        ValueError: one line, in plain words, when there is no such model.
    """
    if model in embedded():
        return str(ASSETS / "models" / model)
    path = Path(model).expanduser()
    if path.is_dir():
        return str(_inside(path))
    if path.exists():
        raise ValueError("this is a file")
    if _HUB_ID.fullmatch(model) and (_cached(model) or os.environ.get("HF_HUB_OFFLINE") == "0"):
        return model
    names = ", ".join(embedded()) or "none yet, make assets builds them"
    raise ValueError(
        f"there is none of this name (embedded: {names}; from the hub: what the local cache has, "
        "or anything with HF_HUB_OFFLINE=0)"
    )


def task_of(model: str) -> str | None:
    """The task that `model` was made for, where its run or its embedded name tells."""
    if model in embedded():
        return model.partition("-")[2].partition("-")[0] or None
    path = Path(model).expanduser()
    run = path if is_run(path) else path.parent
    return _json(run / "config.json").get("task") if is_run(run) else None


def is_reward_model(location: str) -> bool:
    """Whether the folder `location` holds a sequence classifier (False for a hub id)."""
    folder = Path(location)
    architectures = _json(folder / "config.json").get("architectures") or []
    adapter = _json(folder / "adapter_config.json").get("task_type")
    return adapter == "SEQ_CLS" or any("SequenceClassification" in name for name in architectures)


def _inside(path: Path) -> Path:
    folder = path / "model" if is_run(path) else path
    if (folder / "adapter_config.json").is_file() or "model_type" in _json(folder / "config.json"):
        return folder
    if folder != path:
        raise ValueError(
            "this run has not saved a model; if it was cut off, go on with it: "
            f"python -m align_core train --resume {shlex.quote(str(path))}"
        )
    raise ValueError("this folder holds neither a run nor a model")


def _cached(hub_id: str) -> bool:
    home = os.environ.get("HF_HOME") or Path(
        os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "huggingface"
    )
    cache = os.environ.get("HF_HUB_CACHE") or Path(home, "hub")
    return Path(cache, "models--" + hub_id.replace("/", "--")).is_dir()


def _json(path: Path) -> dict:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
