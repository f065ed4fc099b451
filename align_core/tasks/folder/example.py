"""A small working task in a folder, as a starting point for users."""

from __future__ import annotations

from pathlib import Path

from align_core.config.errors import ConfigError, option_error
from align_core.tasks.folder.files import TASK_FILE

_EXPECTED = "a new or empty folder that can be written"
_TASK = """\
# align-core task check FOLDER                 lists the errors in it
# align-core train ppo --task FOLDER --model MODEL --run-dir RUN

title = "Short, warm reviews"
explanation = "The model continues a film review, and people prefer short and warm ones."
max_new_tokens = 36
# system_prompt = "You write short film reviews."
# reward_std = 2.0            # of the reference's texts, in nats; the reward is scaled to it

# .txt (one prompt per line), .csv, .jsonl or .parquet, in any of TRL's formats, plain or messages.
# A single file is split by a hash of each prompt. Or name three files: train, probe and heldout.
[prompts]
file = "prompts.txt"

# Optional, and in TRL's formats, too: pairs of chosen and rejected texts, and texts to imitate.
# [preferences]
# file = "preferences.jsonl"
# [demonstrations]
# file = "demonstrations.jsonl"

# The reward is the sum of its parts, each times its weight. Further kinds:
#   pattern       pattern = "(?i)popcorn"       RE2's syntax
#   answer        column = "answer"             of the prompts' rows; match = "equals" or "contains"
#   json                                        valid JSON
#   reward_model  model = "a-folder-in-here"    or a hub id
[[reward]]
kind = "words"
name = "warmth"
weight = 2.0
lexicon = "vader"             # English sentiment
wanted = ["warm", "touching"]
unwanted = ["dull", "boring"]

[[reward]]
kind = "length"
aim = 12                      # words
most = 24

[[reward]]
kind = "ends"

[[reward]]
kind = "repetition"
"""
_SUBJECTS = "plot cast music ending script lighting dialogue acting camera story".split()
_BEGINNINGS = (
    "The {} of this film",
    "The {} of the thriller was",
    "The {} in this comedy is",
    "I found the {}",
    "In this drama, the {}",
    "As for the {}, it",
)
PROMPTS = tuple(form.format(subject) for form in _BEGINNINGS for subject in _SUBJECTS)


def write_new(folder: Path, option: str) -> None:
    """Write a folder with a task.toml and prompts.

    Raises:
        ConfigError: the folder is not empty or cannot be written; the message names `option`.
    """
    try:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise ConfigError(
                option_error(option, str(folder), f"{_EXPECTED}; this one is not empty")
            )
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "prompts.txt").write_text("\n".join(PROMPTS) + "\n", encoding="utf-8")
        (folder / TASK_FILE).write_text(_TASK, encoding="utf-8")
    except OSError as error:
        expected = f"{_EXPECTED}; {error.strerror or error}"
        raise ConfigError(option_error(option, str(folder), expected)) from None
