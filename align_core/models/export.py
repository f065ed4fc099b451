"""Export of a run's model as a folder that transformers loads anywhere, with its model card."""

from __future__ import annotations

from pathlib import Path

from align_core.config.errors import ConfigError, collect_errors, option_error, raise_collected
from align_core.config.messages import Message
from align_core.config.model_index import is_reward_model, locate, run_of
from align_core.models.libraries import silence_libraries
from align_core.models.loading import (
    load_policy,
    load_reward_model,
    load_tokenizer,
    merge_adapter,
    save_model,
)
from align_core.models.model_card import model_card
from align_core.runs.directory import RunDirectory


def export(run: str, out: str) -> None:
    """Write the model of a run to the new folder `out`, any adapter merged, with its tokenizer and
    model card. A failure leaves nothing behind.

    Raises:
        ConfigError: `run` has not ended with a model, or `out` is not a new or empty folder.
    """
    lines: list[Message] = []
    with collect_errors(lines):
        directory, location = _ended(run)
    lines += RunDirectory.errors(out, "OUT")
    raise_collected(lines)
    silence_libraries()
    load = load_reward_model if is_reward_model(location) else load_policy
    model, tokenizer = merge_adapter(load(run)), load_tokenizer(run)
    save_model(model, tokenizer, Path(out).absolute(), model_card(directory))


def _ended(run: str) -> tuple[RunDirectory, str]:
    """A run that is not running, and the folder of its model.

    Raises:
        ConfigError: there is no such run, or it has no model.
    """
    directory = RunDirectory.open(run_of(run) or run, "RUN")
    if directory.is_being_written():
        raise ConfigError(option_error("RUN", run, "a run that is not running any more"))
    try:
        return directory, locate(run)
    except ValueError as error:
        raise ConfigError(option_error("RUN", run, f"a run with a model: {error}")) from None
