"""This server's limits on the settings of a run, beside those that hold on every machine."""

from __future__ import annotations

from align_core.config.errors import flag, option_error, raise_collected
from align_core.config.run_config import RunConfig
from playground.limits import Limits

_NUMBERS = ("steps", "batch_size", "preference_pairs", "lora_r")


def check_server_limits(config: RunConfig, limits: Limits) -> None:
    """Raises ConfigError with a message for each setting that exceeds its limit."""
    lines = []
    for name in _NUMBERS:
        value, most = getattr(config, name), getattr(limits, name)
        if value is not None and most is not None and value > most:
            expected = f"at most {most} on this server"
            lines.append(option_error(flag(name), value, expected, "most_here", most=most))
    most = limits.evaluations
    if most is not None and config.steps // config.eval_every > most:
        least = -(-config.steps // most)
        expected = f"at least {least} for {config.steps} steps on this server"
        values = {"least": least, "steps": config.steps}
        lines.append(
            option_error("--eval-every", config.eval_every, expected, "least_here", **values)
        )
    raise_collected(lines)
