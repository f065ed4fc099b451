"""This server's limits on the settings of a run, in addition to the limits that always apply."""

from __future__ import annotations

from align_core.config.errors import flag, option_error, raise_collected
from align_core.config.run_config import RunConfig
from playground.limits import Limits

_NUMBERS = ("steps", "batch_size", "preference_pairs", "lora_r")


def check_server_limits(config: RunConfig, limits: Limits) -> None:
    """Raises ConfigError with a message for each setting that exceeds its limit."""
    lines = []
    for name in _NUMBERS:
        value, limit = getattr(config, name), getattr(limits, name)
        if value is not None and limit is not None and value > limit:
            expected = f"at most {limit} on this server"
            lines.append(option_error(flag(name), value, expected, "most_here", most=limit))
    limit = limits.evaluations
    if limit is not None and config.steps // config.eval_every > limit:
        interval = -(-config.steps // limit)  # steps between evaluations
        expected = f"at least {interval} for {config.steps} steps on this server"
        values = {"least": interval, "steps": config.steps}
        lines.append(
            option_error("--eval-every", config.eval_every, expected, "least_here", **values)
        )
    raise_collected(lines)
