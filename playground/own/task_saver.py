"""Saving a visitor's own task.

Its form and files are checked in memory, then read by a process with limits, and only then kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from align_core.config.messages import Message, from_event, problem
from align_core.config.task_card import from_row
from align_core.tasks.folder.files import TASK_FILE
from playground.own import archive, reader
from playground.own.draft import (
    PAIRS,
    PROMPTS,
    Draft,
    Dropped,
    Error,
    files_of,
    form_of,
    is_folder,
    stored_files,
)
from playground.own.models import Models
from playground.people.own_tasks import Full, OwnTasks


class TaskSaver:
    """Saves the tasks of visitors in `own`; they may use `models`."""

    def __init__(self, own: OwnTasks, models: Models) -> None:
        self._own = own
        self._models = models

    def save(self, visitor: str, draft: Draft, dropped: Dropped) -> list[Error]:
        """Check a form with its dropped files, and make them the visitor's task; returns the
        errors. Raises BadFiles as `files_of` does."""
        limits = self._own.limits
        stored = stored_files(self._own.folder(visitor))
        files, errors = files_of(draft, dropped, stored, limits.unpacked)
        model, model_error = self._models.checked(draft.model)
        errors += [("model", model_error)] if model_error else []
        if (size := sum(map(len, files.values()))) > limits.unpacked:
            return [*errors, ("files", archive.too_large(limits.unpacked, size))]
        is_whole = is_folder(dropped)
        if not is_whole:
            errors += self._refused_parts(draft.reward)
        with self._own.staged(files) as folder:
            answer = reader.read(folder)
            messages = map(from_event, answer["errors"])
            file_errors = [
                ("files", message) if is_whole else _in_form(message, files) for message in messages
            ]
            # Missing prompts are an error of the form already.
            errors += [error for error in file_errors if error[0] or not errors]
            if not answer["errors"]:
                errors += self._over_limits(answer)
                if is_whole:
                    refused = self._refused_parts(form_of(folder)["reward"])
                    errors += [("files", message) for _, message in refused]
            if errors:
                return errors
            card = replace(from_row(answer["card"]), reference=model)
            try:
                self._own.keep(visitor, folder, card, files)
            except Full as error:
                return [("", error.message)]
        return []

    def _over_limits(self, answer: dict[str, Any]) -> list[Error]:
        limits, counts = self._own.limits, answer["counts"]
        amounts = {
            "prompts": (counts["train"] + counts["probe"] + counts["heldout"], limits.prompts),
            "pairs": (counts["pairs"], limits.pairs),
            "max_new_tokens": (counts["tokens"], limits.tokens),
        }
        text = "expected at most {most} on this server, got {got}"
        errors = [
            (field, problem("server_limit", text, most=limit, got=got))
            for field, (got, limit) in amounts.items()
            if got > limit
        ]
        if counts["longest"] > limits.characters:
            text = "expected prompts of at most {most} characters, got one of {got}"
            message = problem("long_prompt", text, most=limits.characters, got=counts["longest"])
            errors.append(("prompts", message))
        return errors

    def _refused_parts(self, parts: Sequence[Mapping[str, Any]]) -> list[Error]:
        """An error for each part whose reward model may not be used here."""
        return [
            (f"reward.{at}.model", problem("key", "{key}: {what}", key="model", what=message))
            for at, part in enumerate(parts)
            if part.get("kind") == "reward_model"
            and (message := self._models.reward_model_problem(str(part.get("model", ""))))
        ]


def _in_form(error: Message, files: Mapping[str, bytes]) -> Error:
    """The field of the form for an error in a file, and the error without the name of a file that
    the form wrote."""
    if error.code not in ("at", "more_errors"):
        return "", error
    place = from_event(error.values["place"]).values
    file, number = place["file"], place.get("number")
    if file == TASK_FILE:
        return "", from_event(error.values["what"]) if error.code == "at" else error
    field = "prompts" if file == PROMPTS else "pairs"
    if file == PROMPTS or file.startswith(f"{PAIRS}."):
        if error.code == "more_errors":
            return field, problem("more", "{more} more errors", more=error.values["more"])
        message = from_event(error.values["what"])
        text = "line {number}: {what}"
        return field, problem("in_line", text, number=number, what=message) if number else message
    return "files" if file in files else "", error
