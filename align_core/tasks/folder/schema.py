"""The schema of task.toml, and the messages of its errors."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from align_core.config.messages import Invalid, Message, problem, single_line
from align_core.tasks.folder.parts import KINDS, Part

REWARD_STD = 2.0  # nats, over reference samples; the built-in tasks have 1.5–2.5
KeyPath = tuple[str | int, ...]
Report = Callable[[KeyPath, Message], None]  # report(path of a key, its error)


def _check_filled(text: str) -> str:
    if not text.strip():
        raise ValueError("empty")
    return text


def _check_line(text: str) -> str:
    if single_line(_check_filled(text)) != text:
        raise ValueError("more than a line, or control characters")
    return text


_Table = ConfigDict(extra="forbid", frozen=True, strict=True)
_File = Annotated[str, AfterValidator(_check_line)]
_FILE = "the name of a file in the folder: .jsonl, .parquet, .csv or .txt"


class PromptFiles(BaseModel):
    """[prompts]: one `file`, which is split by hashes of the prompts, or a file for each split."""

    model_config = _Table

    file: _File | None = Field(None, description=_FILE)
    train: _File | None = Field(None, description=_FILE)
    probe: _File | None = Field(None, description=_FILE)
    heldout: _File | None = Field(None, description=_FILE)

    @model_validator(mode="after")
    def _check_files(self) -> PromptFiles:
        split_files = [self.train, self.probe, self.heldout]
        if self.file is None and None in split_files:
            text = "expected file, or all of train, probe and heldout"
            raise Invalid(problem("split_files", text))
        if self.file is not None and split_files != [None] * 3:
            text = "expected file, or train, probe and heldout, got both"
            raise Invalid(problem("both_files", text))
        return self

    @property
    def files(self) -> dict[str, str]:
        """The file names: {"file": name}, or one for each split, {split: name}."""
        return {name: file for name, file in self.model_dump().items() if file is not None}


class RowFile(BaseModel):
    """[preferences] or [demonstrations]: the `file` of their rows."""

    model_config = _Table

    file: _File = Field(description=_FILE)


class TaskFile(BaseModel):
    """task.toml. The description of each field is the "expected …" of its error message."""

    model_config = _Table

    title: Annotated[
        str,
        AfterValidator(_check_line),
        Field(max_length=100, description="a text of one line, of 1 to 100 characters"),
    ]
    explanation: Annotated[
        str,
        AfterValidator(_check_line),
        Field(max_length=500, description="a sentence for an audience, of 1 to 500 characters"),
    ]
    system_prompt: Annotated[
        str | None,
        AfterValidator(lambda text: None if text is None else _check_filled(text)),
        Field(max_length=20_000, description="a text of 1 to 20000 characters"),
    ] = None
    max_new_tokens: int = Field(ge=1, le=2048, description="a whole number of tokens, 1 to 2048")
    reward_std: float = Field(
        REWARD_STD,
        gt=0,
        le=100,
        allow_inf_nan=False,
        description="the standard deviation of reference samples in nats, above 0, at most 100",
    )
    prompts: PromptFiles | None = Field(None, description="a table [prompts]")
    preferences: RowFile | None = Field(None, description="a table [preferences] with a file")
    demonstrations: RowFile | None = Field(None, description="a table [demonstrations] with a file")
    reward: tuple[Part, ...] = Field(
        (), strict=False, max_length=32, description="tables [[reward]], at most 32"
    )


_ROW_FILES = (("preferences", RowFile), ("demonstrations", RowFile))
_PART: TypeAdapter = TypeAdapter(Part)


def checked(content: dict[str, Any], report: Report) -> TaskFile | None:
    """The content of task.toml; None if invalid, after a call of `report` for each error."""
    if not content.get("reward") and "preferences" not in content:
        text = "expected a [[reward]] or [preferences]: nothing says what is better"
        report((), problem("no_reward", text))
    if not content.keys() & {"prompts", "preferences", "demonstrations"}:
        text = "expected [prompts], [preferences] or [demonstrations] with prompts"
        report((), problem("no_prompts", text))
    try:
        return TaskFile.model_validate(content)
    except ValidationError as error:
        for details in error.errors():
            report(*_message(details))
        return None


def readable_part(content: dict[str, Any]) -> TaskFile:
    """The valid tables and parts of invalid content, so that the files that they name are also
    checked."""
    tables = {}
    for name, table in (("prompts", PromptFiles), *_ROW_FILES):
        entry = content.get(name)
        files = {
            key: file
            for key, file in (entry.items() if isinstance(entry, dict) else ())
            if key in table.model_fields and isinstance(file, str)
        }
        if "file" in files:
            files = {"file": files["file"]}
        tables[name] = table.model_construct(None, **files) if files else None
    parts = content.get("reward")
    parts = [_part(part) for part in parts] if isinstance(parts, list) else []
    return TaskFile.model_construct(None, reward=tuple(parts), **tables)


def _part(content: Any) -> Any:
    try:
        return _PART.validate_python(content)
    except ValidationError:
        return None


def _message(error: Any) -> tuple[KeyPath, Message]:
    """The path of the invalid key and the message of its error."""
    path, kind = error["loc"], None
    model: type[BaseModel] = TaskFile
    if len(path) > 2 and isinstance(path[1], int):  # a part, in an array of tables
        kind = path[2]  # pydantic adds the kind after the index
        path, model = (*path[:2], *path[3:]), KINDS[kind]
    elif len(path) > 1 and path[0] in TaskFile.model_fields:
        model = PromptFiles if path[0] == "prompts" else RowFile
    key = next((name for name in reversed(path) if isinstance(name, str)), "")
    match error["type"]:
        case "value_error" if isinstance(error["ctx"]["error"], Invalid):
            message = error["ctx"]["error"].message
            is_field = path[-1:] == (key,) and key in model.model_fields
            if is_field:
                message = problem("key", "{key}: {what}", key=key, what=message)
            return path, message
        case "extra_forbidden":
            text = "{key}: there is no such key; {where} has {keys}"
            table = f"[[reward]] of kind {kind}" if kind else _name(path[:-1])
            keys = ", ".join(model.model_fields)
            shown_key = key if key.isidentifier() and len(key) <= 60 else _shown(key)
            return path, problem("no_such_key", text, key=shown_key, where=table, keys=keys)
        case "union_tag_invalid":
            return (*path, "kind"), _no_kind(repr(error["ctx"]["tag"]))
        case "union_tag_not_found":
            return path, _no_kind("nothing")
    got = "nothing" if error["type"] == "missing" else _shown(error["input"])
    # The page finds its translation of the description by the key.
    values = {"key": key, "takes": _expected(model, path), "got": got}
    return path, problem("takes", "{key}: expected {takes}, got {got}", **values)


def _no_kind(got: str) -> Message:
    text = "kind: expected one of {kinds}, got {got}"
    return problem("kind", text, kinds=", ".join(KINDS), got=got)


def _name(path: KeyPath) -> str:
    return f"[{'.'.join(map(str, path))}]" if path else "task.toml"


def _expected(model: type[BaseModel], path: KeyPath) -> str:
    """The description of the last key of the path that is a field of the model."""
    fields = [model.model_fields.get(name) for name in path if isinstance(name, str)]
    descriptions = [field.description for field in fields if field and field.description]
    return (
        descriptions[-1] if descriptions else TaskFile.model_fields[str(path[0])].description or ""
    )


def _shown(value: Any) -> str:
    shown = re.sub(r"\s+", " ", repr(value))
    return shown if len(shown) <= 60 else shown[:57] + "..."
