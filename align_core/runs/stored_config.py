"""The config.json of a run, which any program may have written."""

from __future__ import annotations

import math
from functools import lru_cache
from pathlib import Path
from typing import Any

from align_core.config.errors import ConfigError, option_error
from align_core.config.messages import Message, plain
from align_core.config.run_config import RunConfig, validated
from align_core.config.safe_files import object_in, read_bytes

MAX_BYTES = 100_000
_MEASURED = ("versions", "reward_scale")  # keys of config.json besides the configuration


def read_options(path: str | Path, option: str) -> dict[str, Any]:
    """The options in the config.json of a run, not validated.

    Raises:
        ConfigError: the file at `path` is not a config.json; the message names `option`.
    """
    try:
        return _options(read_bytes(path, MAX_BYTES))
    except (OSError, ValueError):
        expected = "the config.json of a run"
        raise ConfigError(option_error(option, str(path), expected)) from None


def read_config(path: str | Path, option: str) -> RunConfig:
    """The configuration in a config.json. Raises ConfigError as `read_options` does, or with one
    message for each invalid value."""
    try:
        config, lines = _checked(read_bytes(path, MAX_BYTES))
    except (OSError, ValueError):
        expected = "the config.json of a run"
        raise ConfigError(option_error(option, str(path), expected)) from None
    if config is None:
        raise ConfigError(*(plain(f"{path}: {line}") for line in lines))
    return config


def read_scale(path: Path) -> float | None:
    """The `reward_scale` of a config.json, a number above 0; None if it has none."""
    try:
        scale = object_in(read_bytes(path, MAX_BYTES)).get("reward_scale")
    except (OSError, ValueError):
        return None
    if not isinstance(scale, int | float) or isinstance(scale, bool):
        return None
    return float(scale) if math.isfinite(scale) and scale > 0 else None


def _options(content: bytes) -> dict[str, Any]:
    return {key: value for key, value in object_in(content).items() if key not in _MEASURED}


@lru_cache(maxsize=64)  # runs with the same settings have files with the same content
def _checked(content: bytes) -> tuple[RunConfig | None, list[Message]]:
    return validated(RunConfig, _options(content))
