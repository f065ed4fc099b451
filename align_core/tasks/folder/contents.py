"""The contents of a task's folder: task.toml and the files it names, or all of their errors."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from align_core.config.errors import ConfigError, shown
from align_core.config.messages import Invalid, Message, problem
from align_core.data import formats
from align_core.tasks.folder import schema
from align_core.tasks.folder.files import TASK_FILE, Files, place
from align_core.tasks.folder.parts import Answer, RewardModel

SPLITS = ("train", "probe", "heldout")
PROBE_SHARE, HELD_OUT_SHARE = 0.1, 0.2  # shares of prompts in the split by hash
MAX_PROBES, MAX_HELD_OUT = 64, 128


@dataclass(frozen=True)
class Prompt:
    """A prompt with its messages, all columns of its row, and its file and line."""

    text: str
    messages: formats.Messages
    row: dict[str, Any]
    place: Message


@dataclass(frozen=True)
class Contents:
    """The contents of a folder.

    Args:
        splits: "train", "probe" and "heldout" -> text -> prompt.
        prompts: text -> prompt of all splits and of all rows.
        preferences: rows {"prompt", "chosen", "rejected"} of texts, or None.
        demonstrations: rows {"prompt", "completion"} of texts, or None.
    """

    folder: Path
    file: schema.TaskFile
    splits: dict[str, dict[str, Prompt]]
    prompts: dict[str, Prompt]
    preferences: list[dict[str, str]] | None
    demonstrations: list[dict[str, str]] | None


def read(folder: Path, option: str = "") -> Contents:
    """The contents of a folder with a task.toml.

    Raises:
        ConfigError: one message for each error, with its file and line, after `option` if any:
            "--task got FOLDER/task.toml, line 3: …".
    """
    files = Files(folder, f"{option} got " if option else "")
    contents = _Reader(files).read()
    if contents is None or files.lines():
        raise ConfigError(*files.lines())
    return contents


def text_of(prompt: formats.Text) -> str:
    """A prompt as one text: the content of a lone user message, else "role: content" in lines."""
    if isinstance(prompt, str):
        return prompt
    if len(prompt) == 1 and prompt[0]["role"] == "user":
        return prompt[0]["content"]
    return "\n".join(f"{message['role']}: {message['content']}" for message in prompt)


def by_hash(texts: list[str]) -> dict[str, set[str]]:
    """Split prompts independently of their order: sorted by SHA-256, the first are "probe", the
    next "heldout", and all others "train"."""
    ordered = sorted(texts, key=lambda text: hashlib.sha256(text.encode()).digest())
    probes = min(MAX_PROBES, max(1, round(PROBE_SHARE * len(texts))))
    kept_back = probes + min(MAX_HELD_OUT, max(1, round(HELD_OUT_SHARE * len(texts))))
    return {
        "train": {*ordered[kept_back:]},
        "probe": {*ordered[:probes]},
        "heldout": {*ordered[probes:kept_back]},
    }


class _Reader:
    def __init__(self, files: Files) -> None:
        self._files = files

    def read(self) -> Contents | None:
        """The contents without invalid parts; None if task.toml cannot be parsed."""
        content = self._files.toml()
        if content is None:
            return None
        file = schema.checked(content, self._files.add_key_error) or schema.readable_part(content)
        file = self._with_models(file)
        pairs = demonstrations = None
        if file.preferences is not None:
            pairs = [*self._rows("preferences", file.preferences.file, _pair)]
        if file.demonstrations is not None:
            demonstrations = [
                *self._rows("demonstrations", file.demonstrations.file, formats.demonstration)
            ]
        others = [prompt for prompt, _ in (*(pairs or ()), *(demonstrations or ()))]
        splits = self._splits(file, others)
        prompts = {prompt.text: prompt for prompt in others}
        for split_prompts in splits.values():
            prompts |= split_prompts
        return Contents(
            self._files.folder,
            file,
            splits,
            prompts,
            None
            if pairs is None
            else self._to_train_on("preferences", self._paired(pairs), splits),
            None
            if demonstrations is None
            else self._to_train_on("demonstrations", [row for _, row in demonstrations], splits),
        )

    def _with_models(self, file: schema.TaskFile) -> schema.TaskFile:
        """The file with the location of each reward model. Also checks the parts of the reward
        against each other and against the rest of the folder."""
        parts = [*file.reward]
        for index, part in enumerate(parts):
            if isinstance(part, RewardModel):
                try:
                    model = self._files.reward_model(part.model)
                except Invalid as error:
                    text = "model = {name}: expected a reward model: {why}"
                    values = {"name": shown(part.model), "why": error.message}
                    message = problem("reward_model_name", text, **values)
                    self._files.add_key_error(("reward", index, "model"), message)
                else:
                    parts[index] = part.model_copy(update={"model": model})
            if isinstance(part, Answer) and file.prompts is None:
                text = "expected [prompts] with a column {column}, got no [prompts]"
                message = problem("answer_without_prompts", text, column=part.column)
                self._files.add_key_error(("reward", index), message)
            if part and part.label in [other.label for other in parts[:index] if other]:
                text = "expected a name of its own, got a second part {name}"
                message = problem("part_name", text, name=repr(part.label))
                self._files.add_key_error(("reward", index), message)
        return file.model_copy(update={"reward": tuple(parts)})

    def _rows(
        self, table: str, name: str, shape: Callable[[Any], dict[str, Any]]
    ) -> Iterator[tuple[Prompt, dict[str, Any]]]:
        """Yields the prompt of each row of a file, and the row in the form that `shape` returns,
        with texts in place of messages."""
        for number, row in self._files.rows((table, "file"), name):
            try:
                shaped = shape(row)
                prompt = _prompt(shaped["prompt"], {}, place(name, number))
                texts = {key: _text(key, value) for key, value in shaped.items()}
            except Invalid as error:
                self._files.add_error(name, number, error.message)
            else:
                yield prompt, texts

    def _splits(self, file: schema.TaskFile, others: list[Prompt]) -> dict[str, dict[str, Prompt]]:
        """The prompts of each split; without [prompts], those of preferences or demonstrations."""
        if file.prompts is None:
            rows_file = file.preferences or file.demonstrations
            by_text = {prompt.text: prompt for prompt in others if prompt.text}
            return self._by_hash(by_text, rows_file.file if rows_file else TASK_FILE)
        parts = [part for part in file.reward if isinstance(part, Answer)]
        seen: dict[str, Prompt] = {}
        by_key: dict[str, dict[str, Prompt]] = {}
        for key, name in file.prompts.files.items():
            split_prompts = by_key[key] = {}
            answers = [] if name.endswith(".txt") else parts
            for part in parts if name.endswith(".txt") else ():
                text = "expected a file with a column {column} for a part of the reward, got {file}"
                message = problem("answer_without_column", text, column=part.column, file=name)
                self._files.add_key_error(("prompts", key), message)
            for number, row in self._files.rows(("prompts", key), name):
                try:
                    prompt = _prompt(formats.prompt(row), row, place(name, number))
                    for part in answers:
                        part.answers(row)
                    if prompt.text in seen:
                        text = "expected a new prompt, got the same one as in {place}"
                        first = seen[prompt.text].place
                        raise Invalid(problem("second_prompt", text, place=first))
                except Invalid as error:
                    self._files.add_error(name, number, error.message)
                else:
                    split_prompts[prompt.text] = seen[prompt.text] = prompt
        if file.prompts.file is not None:
            return self._by_hash(by_key["file"], file.prompts.file)
        return by_key

    def _by_hash(self, prompts: dict[str, Prompt], name: str) -> dict[str, dict[str, Prompt]]:
        unread = not prompts and self._files.lines()
        if len(prompts) < len(SPLITS) and not unread and not self._files.has_errors(name):
            text = "expected three prompts or more, one for each split, got {got}"
            self._files.add_error(name, 0, problem("three_prompts", text, got=len(prompts)))
        return {
            split: {text: prompt for text, prompt in prompts.items() if text in chosen}
            for split, chosen in by_hash([*prompts]).items()
        }

    def _paired(self, rows: list[tuple[Prompt, dict[str, Any]]]) -> list[dict[str, str]]:
        """All pairs. Unpaired texts are paired by prompt: the first desirable text with the first
        undesirable one, the second with the second, and so on."""
        pairs = [row for _, row in rows if "label" not in row]
        sides: dict[str, tuple[list[dict[str, Any]], list[dict[str, Any]]]] = {}
        for _, row in rows:
            if "label" in row:
                sides.setdefault(row["prompt"], ([], []))[row["label"]].append(row)
        for prompt, (bad, good) in sides.items():
            for chosen, rejected in zip(good, bad, strict=False):
                pairs.append(
                    {"prompt": prompt, **_side("chosen", chosen), **_side("rejected", rejected)}
                )
        if rows and not pairs:
            text = "expected texts of both labels, true and false, for the same prompt, got none"
            self._files.add_key_error(("preferences", "file"), problem("no_two_labels", text))
        return pairs

    def _to_train_on(
        self, table: str, rows: list[dict[str, str]], splits: dict[str, dict[str, Prompt]]
    ) -> list[dict[str, str]]:
        """The rows whose prompt is neither a probe prompt nor a held-out one."""
        kept_back = splits["probe"].keys() | splits["heldout"].keys()
        kept = [row for row in rows if row["prompt"] not in kept_back]
        if not kept and not self._files.lines():
            text = "expected rows whose prompt is neither a probe nor a held-out one, got none"
            self._files.add_key_error((table, "file"), problem("no_training_rows", text))
        return kept


def _prompt(prompt: formats.Text, row: dict[str, Any], place: Message) -> Prompt:
    messages = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt
    messages = [{"role": m["role"], "content": m["content"]} for m in messages]
    return Prompt(text_of(prompt), messages, row, place)


def _text(key: str, value: Any) -> Any:
    """A value as one text; the completion of a conversation gets a leading space."""
    if key == "prompt":
        return text_of(value)
    return value if isinstance(value, str | bool) else f" {value[0]['content'].strip()}"


def _pair(row: dict[str, Any]) -> dict[str, Any]:
    """The pair of a row, or its unpaired text with a label."""
    return formats.unpaired(row) or formats.pair(row)


def _side(name: str, row: dict[str, Any]) -> dict[str, Any]:
    """The completion of an unpaired row as the text `name` of a pair, "chosen" or "rejected"."""
    return {
        key.replace("completion", name): row[key] for key in row if key.startswith("completion")
    }
