"""Conversion between the form of a task and the files of its folder.

Files that the form does not show, such as Parquet files, stay unchanged in the folder.
"""

from __future__ import annotations

import contextlib
import csv
import json
import tomllib
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from align_core.config.messages import Message, problem
from align_core.data.rows import csv_reader
from align_core.tasks.folder import schema
from align_core.tasks.folder.files import TASK_FILE, Files
from playground.own.archive import BadFiles, file_error, name_problem, unpacked

PROMPTS, PAIRS = "prompts.txt", "preferences"  # the files that the form writes
MAX_SHOWN_BYTES = 100_000  # of a file of prompts or pairs; the form shows no larger one
Error = tuple[str, Message]  # the field of the form, or "", and the error

_Text = Annotated[str, Field(max_length=5_000_000)]


class Draft(BaseModel):
    """The form as the page sends it. `prompts` and `pairs` are None if the files stay unchanged."""

    model_config = ConfigDict(extra="forbid", strict=True)

    title: _Text = ""
    explanation: _Text = ""
    system_prompt: _Text = ""
    max_new_tokens: int = 36
    prompts: _Text | None = None
    pairs: _Text | None = None
    reward: list[dict[str, Any]] = Field(default_factory=list, max_length=32)
    model: Annotated[str, Field(max_length=200)] = ""


# A task.toml that is valid once the tables that name files are added; it takes the place of an
# invalid one.
_VALID = {
    "title": "-",
    "explanation": "-",
    "max_new_tokens": 1,
    "reward": [{"kind": "json"}],
}
_MISSING = {"no_prompts": "prompts", "no_reward": "reward"}  # code of an error -> field of the form
Dropped = dict[str, bytes]  # name -> content of the files that a visitor dropped


def files_of(
    draft: Draft, dropped: Dropped, stored: Mapping[str, bytes], max_bytes: int
) -> tuple[dict[str, bytes], list[Error]]:
    """The files of the folder that the form describes, and the errors of the form.

    If there are errors, a valid task.toml takes the place of the form's task.toml, so that the
    other files can also be checked.

    If a zip file or a task.toml was dropped, the dropped files are the whole folder, and the form
    is ignored. Any other file replaces the prompts, the pairs or the demonstrations, depending on
    its columns.

    Raises:
        BadFiles: the dropped files are invalid.
    """
    if whole := _whole(dropped, max_bytes):
        return whole, []
    stored_toml = _stored_toml(stored)
    tables, contents = _tables(draft, dropped, stored_toml)
    named = {name for table in tables.values() for name in table.values()}
    files = {name: contents[name] if name in contents else stored[name] for name in named}
    form = {
        "title": draft.title.strip(),
        "explanation": draft.explanation.strip() or draft.title.strip(),
        **({"system_prompt": draft.system_prompt} if draft.system_prompt.strip() else {}),
        "max_new_tokens": draft.max_new_tokens,
        **{key: stored_toml[key] for key in ("reward_std",) if key in stored_toml},
        **tables,
        "reward": draft.reward,
    }
    errors = _form_errors(draft, form)
    files[TASK_FILE] = _toml({**_VALID, **tables} if errors else form).encode()
    return files, errors


def form_of(folder: Path) -> dict[str, Any]:
    """The values of the form for a folder without errors, and its `files`: [name, bytes], …"""
    content = Files(folder, "").toml() or {}
    file = schema.readable_part(content)
    return {
        "title": content.get("title", ""),
        "explanation": content.get("explanation", ""),
        "system_prompt": content.get("system_prompt", ""),
        "max_new_tokens": content.get("max_new_tokens", 36),
        "prompts": _shown(folder, file.prompts.file if file.prompts else None, (PROMPTS,)),
        "pairs": _shown(
            folder,
            file.preferences.file if file.preferences else None,
            (f"{PAIRS}.jsonl", f"{PAIRS}.csv"),
        ),
        "reward": [
            part.model_dump(exclude_defaults=True) | {"kind": part.kind} for part in file.reward
        ],
        "files": sorted((name, len(content)) for name, content in stored_files(folder).items()),
    }


def stored_files(folder: Path | None) -> dict[str, bytes]:
    """The files of a folder, relative path -> content; {} if there is no folder."""
    if folder is None:
        return {}
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def is_folder(dropped: Dropped) -> bool:
    """Whether the dropped files are a whole folder: a zip file, or files with a task.toml."""
    return TASK_FILE in dropped or any(map(_is_archive, dropped))


def _is_archive(name: str) -> bool:
    return name.lower().endswith(".zip")


def _whole(dropped: Dropped, max_bytes: int) -> dict[str, bytes] | None:
    """The files of a dropped zip file, or all dropped files if one is a task.toml; else None."""
    archives = [name for name in dropped if _is_archive(name)]
    if archives and len(dropped) > 1:
        text = "expected a zip file alone, got {got} files"
        message = problem("zip_alone", text, got=len(dropped))
        raise BadFiles(file_error(archives[0], message))
    if archives:
        files = unpacked(archives[0], dropped[archives[0]], max_bytes)
        if TASK_FILE not in files:
            text = "expected a {file} in it, got none"
            raise BadFiles(file_error(archives[0], problem("no_task_file", text, file=TASK_FILE)))
        return files
    problems = [file_error(name, error) for name in dropped if (error := name_problem(name))]
    if problems:
        raise BadFiles(*problems)
    return dropped if TASK_FILE in dropped else None


def _tables(
    draft: Draft, dropped: Dropped, stored_toml: Mapping[str, Any]
) -> tuple[dict[str, dict[str, str]], dict[str, bytes]]:
    """The tables of task.toml that name files, and the contents of the files that are not stored
    yet. Raises BadFiles if two dropped files belong to the same table."""
    tables: dict[str, dict[str, str]] = {}
    contents: dict[str, bytes] = {}
    for table, text, name in (
        ("prompts", draft.prompts, PROMPTS),
        ("preferences", draft.pairs, f"{PAIRS}.jsonl"),
    ):
        if text is None:
            tables |= {table: stored_toml[table]} if table in stored_toml else {}
        elif text.strip():
            if table == "preferences" and not text.lstrip().startswith("{"):
                name = f"{PAIRS}.csv"
            contents[name] = text.encode(errors="replace")
            tables[table] = {"file": name}
    if "demonstrations" in stored_toml:
        tables["demonstrations"] = stored_toml["demonstrations"]
    for name, content in dropped.items():
        table = _table_of(name, content)
        if (other := tables.get(table, {}).get("file")) in dropped:
            text = "expected one file of {table}, got {other} as well"
            raise BadFiles(
                file_error(name, problem("second_table", text, table=table, other=other))
            )
        tables[table] = {"file": name}
        contents[name] = content
    return tables, contents


def _form_errors(draft: Draft, form: dict[str, Any]) -> list[Error]:
    """The errors of the form, whose content for task.toml is `form`."""
    errors: list[Error] = []

    def report(path: schema.KeyPath, message: Message) -> None:
        if path[:1] != ("explanation",) or draft.explanation.strip():
            errors.append((_MISSING.get(message.code) or _field(path), message))

    schema.checked(form, report)
    return errors


def _stored_toml(stored: Mapping[str, bytes]) -> dict[str, Any]:
    """The content of the stored task.toml, which is valid; {} if none is stored."""
    return tomllib.loads(stored[TASK_FILE].decode("utf-8-sig")) if TASK_FILE in stored else {}


def _table_of(name: str, content: bytes) -> Literal["prompts", "preferences", "demonstrations"]:
    """The table of task.toml to which a file of rows belongs: its columns decide, or the name of a
    Parquet file."""
    columns = _columns(name, content)
    if "chosen" in columns or "rejected" in columns or "label" in columns:
        return "preferences"
    if "completion" in columns or "messages" in columns:
        return "demonstrations"
    return "prompts"


def _columns(name: str, content: bytes) -> set[str]:
    start = content[:20_000].decode("utf-8-sig", "replace")
    first = start.lstrip().partition("\n")[0].strip()
    match PurePosixPath(name).suffix.lower():
        case ".csv":
            with contextlib.suppress(csv.Error):
                reader, _ = csv_reader(start)
                return {cell.strip() for cell in next(filter(None, reader), [])}
        case ".jsonl":
            try:
                row = json.loads(first)
            except (ValueError, RecursionError):
                return set()
            return {*row} if isinstance(row, dict) else set()
        case ".parquet":
            known = {"pref": "chosen", "pair": "chosen", "demo": "completion"}
            return {column for part, column in known.items() if part in name.lower()}
    return set()


def _shown(folder: Path, name: str | None, form_files: tuple[str, ...]) -> str | None:
    """The content of a file that the form wrote, one of `form_files`; "" if `name` is None, and
    None for any other file and for one that is too large to show."""
    if name is None:
        return ""
    if name not in form_files or (folder / name).stat().st_size > MAX_SHOWN_BYTES:
        return None
    return (folder / name).read_text(encoding="utf-8-sig")


def _field(path: tuple[str | int, ...]) -> str:
    """The field of the form for a path in task.toml: "reward.0.aim"."""
    return ".".join("pairs" if part == "preferences" else str(part) for part in path)


def _toml(content: Mapping[str, Any]) -> str:
    """The content of a valid task.toml as TOML."""
    lines = [f"{key} = {_value(v)}" for key, v in content.items() if not isinstance(v, dict | list)]
    for key, table in content.items():
        for row in table if isinstance(table, list) else [table]:
            if isinstance(row, dict):
                lines += ["", f"[[{key}]]" if isinstance(table, list) else f"[{key}]"]
                lines += [f"{name} = {_value(value)}" for name, value in row.items()]
    return "\n".join(lines) + "\n"


def _value(value: Any) -> str:
    """A text, a number or a list of them in TOML; strings differ from JSON in one character."""
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_value, value))}]"
    text = json.dumps(value, ensure_ascii=False)
    return text.replace("\x7f", "\\u007f")
