"""The cache of `align-core prepare`: reference samples, which give the optimum of a task and model.

`optimum/NAME-PAIR-SAMPLES-PROMPTS-SEED` in the cache folder holds the samples of one reference on
one task; PAIR is a hash of the content of both. It is complete once it has its `facts.json`.
`assets/optimum/NAME` holds such samples for a task whose reference is downloaded, not embedded.
This module needs neither torch nor the task's code.
"""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from align_core.config import model_index
from align_core.config.digests import combined, file_digest, model_digest
from align_core.config.paths import cache_folder
from align_core.config.task_card import BUILT_IN, NAMES, known_card
from align_core.optimum import ReferenceSamples
from align_core.tasks.digest import task_digest

FACTS, TOKENIZER, WEIGHTS = "facts.json", "tokenizer.json", "model.safetensors"
SPLITS = ("probe", "heldout")
FORMAT = "1"  # the version of the files; entries of other versions are ignored
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Entry:
    """The stored samples, complete or not, of one task, model and choice of settings."""

    path: Path

    @property
    def complete(self) -> bool:
        """Whether all samples are there."""
        return (self.path / FACTS).is_file()

    @property
    def size(self) -> int:
        """Bytes on the disk."""
        return sum(file.stat().st_size for file in self.path.rglob("*") if file.is_file())

    @property
    def samples(self) -> tuple[int, int, int]:
        """Samples per prompt, prompts per split, and the seed; zeros if its name has none."""
        numbers = self.path.name.split("-")[-3:]
        if len(numbers) < 3 or not all(number.isdecimal() for number in numbers):
            return 0, 0, 0
        return int(numbers[0]), int(numbers[1]), int(numbers[2])

    def facts(self) -> dict[str, Any]:
        """The content of its facts.json. Raises OSError or ValueError if it cannot be read."""
        facts = json.loads((self.path / FACTS).read_text(encoding="utf-8"))
        if not isinstance(facts, dict):
            raise ValueError(f"{self.path / FACTS}: expected an object, got {type(facts).__name__}")
        return facts

    def load(self, split: str) -> ReferenceSamples:
        """Its samples on a split. Raises OSError or ValueError if they cannot be read."""
        return ReferenceSamples.load(self.path / f"{split}.npz")


@dataclass(frozen=True)
class Stored:
    """Samples of a reference on the prompts of one split, and the file of their tokenizer.

    `last_tokens` has the last token of each prompt, after which its completions are decoded; if it
    is None, completions are decoded alone.
    """

    samples: ReferenceSamples
    tokenizer: Path
    last_tokens: Sequence[int] | None = None


def folder() -> Path:
    """The folder of the entries. It may not exist. Raises ValueError as `cache_folder` does."""
    return cache_folder() / "optimum"


def entries() -> list[Entry]:
    """All entries, complete or not, by name."""
    root = folder()
    return (
        [Entry(path) for path in sorted(root.iterdir()) if path.is_dir()] if root.is_dir() else []
    )


def clear() -> int:
    """Delete all entries; returns their size in bytes."""
    deleted = entries()
    freed = sum(entry.size for entry in deleted)
    for entry in deleted:
        shutil.rmtree(entry.path)
    return freed


def entry(task: str, model: str, samples: int, prompts: int, seed: int) -> Entry:
    """The entry of these settings. Its folder may not exist.

    Raises:
        ValueError, OSError: the task or the model cannot be read.
    """
    name = f"{known_card(task).name}-{_pair(task, model)}-{samples}-{prompts}-{seed}"
    return Entry(folder() / name)


def stored(task: str, model: str, split: str) -> Stored | None:
    """The samples of `model` on the task's "probe" or "heldout" prompts; None if there are none.

    Prepared samples come first, the entry with most samples before all others; then those in
    `assets`. Unreadable files are skipped with a warning in the log.
    """
    for candidate in _entries_of(task, model):
        try:
            before = candidate.facts().get("last_tokens")
            return Stored(candidate.load(split), candidate.path / TOKENIZER, before)
        except (OSError, ValueError) as error:
            _LOG.warning("%s is skipped: %s", candidate.path, error)
    if task in BUILT_IN and model == known_card(task).reference:
        file = model_index.reference_samples(task, split)
        tokenizer = Path(model_index.locate(model)) / TOKENIZER
        return Stored(ReferenceSamples.load(file), tokenizer)
    return None


def named(task: str, model: str) -> Iterator[Entry]:
    """The complete entries of a task and a model that were prepared, or shipped, under these names.

    For unknown names, no file of the model or the task is read.
    """
    pairs = []
    with suppress(OSError, ValueError):  # an unreadable cache has no entries
        for candidate in entries():
            with suppress(OSError, ValueError):
                facts = candidate.facts()
                pairs.append((facts.get("task"), facts.get("model")))
    yield from _entries_of(task, model) if (task, model) in pairs else _shipped(task, model)


def stored_samples(task: str, model: str | None, split: str) -> ReferenceSamples | None:
    """The samples of `stored`; None if it has none, or if `model` is None."""
    samples = stored(task, model, split) if model is not None else None
    return None if samples is None else samples.samples


def stored_scale(task: str, model: str) -> float | None:
    """The nats of one point of the task's reward for `model`; None if the reward is in nats
    already, or if this task and model were not prepared."""
    for candidate in _entries_of(task, model):
        try:
            scale = candidate.facts().get("reward_scale")
        except (OSError, ValueError) as error:
            _LOG.warning("%s is skipped: %s", candidate.path, error)
            continue
        if isinstance(scale, float) and scale > 0:
            return scale
    return None


def shipped_folder(task: str) -> Path:
    """The folder in `assets` for samples of the task's fetched reference. It may not exist."""
    return model_index.ASSETS / "optimum" / task


def _entries_of(task: str, model: str) -> Iterator[Entry]:
    """The complete entries of a task and a model, those with most samples first, then the shipped
    one."""
    try:
        complete = [candidate for candidate in entries() if candidate.complete]
        pair = complete and _pair(task, model)
        same = (candidate for candidate in complete if f"-{pair}-" in candidate.path.name)
        yield from sorted(same, key=lambda candidate: candidate.samples, reverse=True)
    except (OSError, ValueError) as error:
        _LOG.warning("prepared samples of %s and %s are not used: %s", task, model, error)
    yield from _shipped(task, model)


def _shipped(task: str, model: str) -> Iterator[Entry]:
    """The shipped entry of a task for its fetched reference.

    Yields nothing if the local weights of the reference are not those that wrote the samples.
    Without local weights the entry is used, since recorded runs are shown without their model.
    """
    if task not in NAMES or model != known_card(task).reference:
        return
    shipped = Entry(shipped_folder(task))
    with suppress(OSError, ValueError):
        weights = shipped.facts()["weights"]
        here = model_index.is_here(model)
        if not here or weights == file_digest(Path(model_index.locate(model)) / WEIGHTS):
            yield shipped


def _pair(task: str, model: str) -> str:
    return combined([FORMAT, task_digest(task), model_digest(model)])[:20]
