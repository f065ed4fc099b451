"""Errors in the files of a task have a text in every language of the page."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from string import Formatter

import pytest

import align_core
from align_core.config.errors import ConfigError
from align_core.tasks.folder.contents import read
from align_core.tasks.folder.parts import KINDS
from align_core.tasks.folder.schema import PromptFiles, TaskFile
from playground import text
from playground.text import error_messages

ROOT = Path(align_core.__file__).parents[1]
FOLDERS = ("align_core", "playground")


def problems():
    """Code -> the names of its values in each call, or None if they are a dictionary."""
    calls = [
        node
        for folder in FOLDERS
        for file in (ROOT / folder).rglob("*.py")
        if "problem(" in (source := file.read_text(encoding="utf-8"))
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "problem"
    ]
    found = {}
    for call in calls:
        found.setdefault(ast.literal_eval(call.args[0]), {*()}).update(
            keyword.arg for keyword in call.keywords
        )
    return found


@pytest.mark.parametrize("language", text.languages())
def test_every_problem_of_a_file_has_a_text_with_its_values_only(language):
    codes, errors = problems(), text.catalogue(language)["errors"]
    assert codes.keys() == errors["files"].keys()
    assert not codes.keys() & {*errors["takes"], *errors["says"]}
    for code, template in errors["files"].items():
        used = {name for _, name, *_ in Formatter().parse(template) if name}
        assert used <= codes[code] or None in codes[code], code
    models = (TaskFile, PromptFiles, *KINDS.values())
    keys = {
        name for model in models for name, field in model.model_fields.items() if field.description
    }
    assert keys == errors["keys"].keys()


def errors_of(folder, language, **files):
    for name, content in files.items():
        (folder / name.replace("__", ".")).write_text(content, encoding="utf-8")
    with pytest.raises(ConfigError) as refused:
        read(folder)
    return [error_messages.translate(line, text.load(language)) for line in refused.value.lines]


BAD = """explanation = "b"
max_new_tokens = "many"
size = 1
[prompts]
file = "prompts.csv"
[[reward]]
kind = "length"
aim = 9
most = 3
[[reward]]
kind = "magic"
[[reward]]
kind = "answer"
"""
ROWS = "prompt,answer\na,1\na,2\n,\nb,\n"


def test_errors_of_a_folder_are_chinese_with_file_and_line(tmp_path):
    lines = errors_of(tmp_path, "zh", task__toml=BAD, prompts__csv=ROWS)
    assert lines == [
        "task.toml 第 1 行：“title”应为 1 到 100 个字符的一行文本；收到的是 空值",
        "task.toml 第 2 行：“max_new_tokens”应为 1 到 2048 之间的整数 token 数；收到的是 'many'",
        "task.toml 第 3 行：没有“size”这个键；task.toml 可以有 " + ", ".join(TaskFile.model_fields),
        "task.toml 第 6 行：aim 应不超过 3，收到的是 9",
        f"task.toml 第 11 行：“kind”应为 {', '.join(KINDS)} 之一；收到的是 'magic'",
        "prompts.csv 第 3 行：同一个提示词已在 prompts.csv 第 2 行",
        "prompts.csv 第 4 行：应有 prompt 列、messages 列，或 chosen 和 rejected 列，收到的是 none",
        "prompts.csv 第 5 行：answer：应为文本、数字，或它们的列表",
    ]


def test_the_command_line_and_the_page_in_english_name_the_same_places(tmp_path):
    lines = errors_of(tmp_path, "en", task__toml=BAD, prompts__csv=ROWS)
    with pytest.raises(ConfigError) as refused:
        read(tmp_path)
    places = [re.match(r"\S+, line \d+", line)[0] for line in lines]
    assert [str(tmp_path / place) for place in places] == [
        str(line).partition(": ")[0] for line in refused.value.lines
    ]
