"""The messages about an invalid configuration, and the options that not every method has."""

from __future__ import annotations

import pytest

from align_core.config.errors import ConfigError
from align_core.config.methods import methods, methods_with
from align_core.config.run_config import RunConfig, resolve

OWN = [
    option for option in RunConfig.model_fields if 0 < len(methods_with(option)) < len(methods())
]


def lines(method="ppo", task="reviews", **options):
    with pytest.raises(ConfigError) as error:
        resolve(method, task, **options)
    messages = [line.text for line in error.value.lines]
    assert all("\n" not in line for line in messages)
    return messages
