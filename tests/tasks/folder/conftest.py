"""A task's folder, what is read from it, and the errors about it."""

import json
import os

import pytest

from align_core.config.errors import ConfigError
from align_core.tasks.folder.contents import read

HEAD = 'title = "A title"\nexplanation = "What it is."\nmax_new_tokens = 8\n'
ENDS = '[[reward]]\nkind = "ends"\n'
PROMPTS = '[prompts]\nfile = "prompts.txt"\n'
CHAT = [{"role": "user", "content": "Who?"}]


@pytest.fixture
def folder(tmp_path):
    """A function that writes files into a folder with prompts."""
    folder = tmp_path / "task"
    folder.mkdir()

    def write(toml: str, **files: object):
        files = {
            "prompts.txt": "a\nb\nc\nd\ne\n",
            **{n.replace("__", "."): f for n, f in files.items()},
        }
        for name, content in {"task.toml": toml, **files}.items():
            if isinstance(content, list):
                content = "\n".join(json.dumps(row) for row in content)
            path = folder / name
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return folder

    return write


def wrong(folder) -> list[str]:
    """The lines of the errors, without the path of the folder."""
    with pytest.raises(ConfigError) as refused:
        read(folder)
    lines = [line.text for line in refused.value.lines]
    assert all(line.startswith(f"{folder}{os.sep}") and "\n" not in line for line in lines)
    return [line.removeprefix(f"{folder}{os.sep}") for line in lines]


def texts(contents) -> dict[str, list[str]]:
    return {split: [*prompts] for split, prompts in contents.splits.items()}
