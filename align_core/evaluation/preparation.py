"""Samples a model on a task, so that the optimum of this pair is known: `align-core prepare`.

Each prompt's samples are in a separate file until all prompts are done, so that a preparation that
was killed continues where it stopped. A file gets its name once it is complete.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from align_core.config.errors import ConfigError, describe_error
from align_core.config.messages import plain
from align_core.data.encoding import decode, encode_prompts
from align_core.evaluation.prepared import FACTS, SPLITS, TOKENIZER, Entry
from align_core.evaluation.reference_samples import prompt_seed, sample_prompt
from align_core.models.checks import check_policy
from align_core.models.loading import load_policy, load_tokenizer
from align_core.models.prompts import check_prompts, model_inputs
from align_core.models.reward_scale import reward_scale
from align_core.optimum import Frontier, ReferenceSamples
from align_core.tasks import Task, get_task

SHOWN = 5  # texts in facts.json
KLS = (0.5, 1.0, 2.0, 3.0)  # nats of KL at which the effective sample size is reported
_PARTS = "parts"  # the folder of the finished prompts in an incomplete entry


class Preparation:
    """Samples `model` on a task and stores the texts in `entry`.

    Args:
        samples: texts for each prompt.
        prompts: the number of prompts of each split; the first ones of the split are taken.

    Raises:
        ConfigError: a prompt is too long for the model, its tokenizer cannot be stored, or the
            entry does not fit on the disk.
    """

    def __init__(
        self, entry: Entry, task: str, model: str, samples: int, prompts: int, seed: int
    ) -> None:
        self._entry, self._model = entry, model
        self._task = get_task(task)
        self._samples, self._seed = samples, seed
        self._policy: PreTrainedModel = load_policy(model)
        self._tokenizer: PreTrainedTokenizerBase = load_tokenizer(model)
        if getattr(self._tokenizer, "backend_tokenizer", None) is None:
            kind = type(self._tokenizer).__name__
            line = f"model {model}: expected a tokenizer with a {TOKENIZER}, got {kind}"
            raise ConfigError(plain(line))
        check_policy(self._policy, self._tokenizer)
        check_prompts(self._task, self._policy, self._tokenizer)
        self._prompts = {split: self._task.prompts(split)[:prompts] for split in SPLITS}
        self._check_space()

    @property
    def texts(self) -> int:
        """The number of all texts, including those that an earlier call has sampled."""
        return self._samples * sum(map(len, self._prompts.values()))

    @property
    def max_bytes(self) -> int:
        """The bytes of all texts before they are compressed."""
        return self.texts * (self._task.max_new_tokens * 4 + 16)

    def __call__(self, progress: Callable[[int, bool], None]) -> dict[str, Any]:
        """Sample what is missing; returns the content of facts.json.

        `progress` gets the number of texts that were just finished, and whether they are new: False
        if an earlier call sampled them.
        """
        task, scale = self._in_nats()
        progress(0, False)
        stored: dict[str, ReferenceSamples] = {}
        means: list[dict[str, float]] = []
        for split, prompts in self._prompts.items():
            finished = []
            for row, prompt in enumerate(prompts):
                samples, parts = self._sample_prompt(task, split, row, prompt, progress)
                finished.append(samples)
                means.append(parts)
            stored[split] = ReferenceSamples.joined(finished)
            self._save(self._entry.path / f"{split}.npz", stored[split])
        with self._new_file(self._entry.path / TOKENIZER) as file:
            self._tokenizer.backend_tokenizer.save(str(file))
        facts = self._facts(task, scale, stored, means)
        self._save_json(self._entry.path / FACTS, facts)
        shutil.rmtree(self._entry.path / _PARTS, ignore_errors=True)
        return facts

    def _in_nats(self) -> tuple[Task, float | None]:
        """The task with its reward in nats, and the nats of one point of its original reward.

        The second is None if the original reward is in nats.
        """
        if self._task.reward_std is None:
            return self._task, None
        file = self._entry.path / _PARTS / "scale.json"
        try:
            scale = float(json.loads(file.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            scale = reward_scale(self._task, self._policy, self._tokenizer)
            self._save_json(file, scale)
        return self._task.scaled(scale), scale  # type: ignore[attr-defined]  # a folder has it

    def _sample_prompt(
        self,
        task: Task,
        split: str,
        row: int,
        prompt: str,
        progress: Callable[[int, bool], None],
    ) -> tuple[ReferenceSamples, dict[str, float]]:
        """The samples for one prompt, and the mean of each part of their reward."""
        file = self._entry.path / _PARTS / f"{split}-{row}.npz"
        with suppress(OSError, ValueError):
            samples = ReferenceSamples.load(file)
            means = json.loads(file.with_suffix(".json").read_text(encoding="utf-8"))
            if samples.prompts == [prompt] and samples.rewards.shape == (1, self._samples):
                progress(self._samples, False)
                return samples, means
        samples, means = sample_prompt(
            task,
            self._policy,
            self._tokenizer,
            prompt,
            self._samples,
            prompt_seed(self._seed + SPLITS.index(split), row),
            progress=lambda texts: progress(texts, True),
        )
        if not np.isfinite(samples.rewards).all():
            line = f"{task.origin(prompt)}: expected a reward for each text, got none for some"
            raise ConfigError(plain(line))
        self._save_json(file.with_suffix(".json"), means)
        self._save(file, samples)
        return ReferenceSamples.load(file), means  # rewards in float32, as after an interruption

    def _facts(
        self,
        task: Task,
        scale: float | None,
        stored: dict[str, ReferenceSamples],
        means: list[dict[str, float]],
    ) -> dict[str, Any]:
        probe, splits = stored["probe"], [*stored.values()]
        rewards = np.concatenate([samples.rewards for samples in splits])
        frontier, shape = Frontier.of(probe.rewards), probe.rewards.T.shape
        return {
            "task": task.full_name,
            "model": self._model,
            "samples": self._samples,
            "prompts": {split: len(prompts) for split, prompts in self._prompts.items()},
            "seed": self._seed,
            **({} if scale is None else {"reward_scale": scale}),
            "ended": float(np.concatenate([samples.ended for samples in splits]).mean()),
            "length": float(np.concatenate([samples.lengths for samples in splits]).mean()),
            "gold_reward": float(rewards.mean()),
            "gold_reward_std": float(rewards.std()),
            **{
                f"reward/{name}": float(np.mean([parts[name] for parts in means]))
                for name in means[0]
            },
            "effective_samples": {f"{kl:g}": frontier.at(kl)[1] for kl in KLS},
            "gain_kl": frontier.gain_kl,
            "last_tokens": self._last_tokens(probe.prompts),
            "texts": [self._text(probe, *index) for index in islice(np.ndindex(*shape), SHOWN)],
        }

    def _text(self, samples: ReferenceSamples, n: int, row: int) -> dict[str, Any]:
        """Sample `n` of prompt `row`, with its reward in nats."""
        length = int(samples.lengths[row, n]) - bool(samples.ended[row, n])
        before, prompt = self._last_tokens([samples.prompts[row]]), samples.prompts[row]
        (text,) = decode(self._tokenizer, [before], [samples.tokens[row, n, :length].tolist()])
        return {
            "prompt": prompt,
            "completion": text,
            "gold_reward": float(samples.rewards[row, n]),
        }

    def _last_tokens(self, prompts: list[str]) -> list[int]:
        """The last token of each prompt, after which its completions are decoded."""
        inputs = model_inputs(self._tokenizer, self._task, prompts)
        return encode_prompts(self._tokenizer, inputs).ids[:, -1].tolist()

    def _check_space(self) -> None:
        """Raise ConfigError if the texts may not fit on the disk of the cache."""
        existing = next(path for path in self._entry.path.parents if path.exists())
        free = shutil.disk_usage(existing).free
        if free < self.max_bytes:
            line = (
                f"{self._entry.path}: expected {self.max_bytes / 1e6:.0f} MB of free space for "
                f"{self.texts} texts, got {free / 1e6:.0f} MB; ALIGN_CACHE may name another folder"
            )
            raise ConfigError(plain(line))

    def _save(self, path: Path, samples: ReferenceSamples) -> None:
        with self._new_file(path) as file:
            samples.save(file)

    def _save_json(self, path: Path, content: Any) -> None:
        with self._new_file(path) as file:
            file.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")

    @contextmanager
    def _new_file(self, path: Path) -> Iterator[Path]:
        """A new file that becomes `path` when it is complete.

        Raises:
            ConfigError: it cannot be written; `path` is unchanged and the new file is gone.
        """
        partial = path.with_name(f".{os.getpid()}-{path.name}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            yield partial
            partial.replace(path)
        except OSError as error:
            raise ConfigError(describe_error(error, path)) from error
        finally:
            with suppress(OSError):
                partial.unlink(missing_ok=True)
