"""The log line about the end of a run."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from align_core.config.messages import from_event

_LOG = logging.getLogger(__name__)


def log_end(run: str, status: Mapping[str, Any], exit_code: int | None) -> None:
    """Log the end of a run with this final status; a failed run is logged as a fault."""
    failed = status.get("status") == "failed"
    fields = {"run": run, "status": status.get("status"), "step": status.get("step")}
    fields |= {"exit_code": exit_code, "why": _cause(status) if failed else None}
    level = logging.WARNING if failed else logging.INFO
    _LOG.log(level, "fault" if failed else "end", extra={"fields": fields})


def _cause(status: Mapping[str, Any]) -> str | None:
    """The code of the message that a failed run ended with; None if it has none."""
    message = from_event(status)
    if message.code == "cut_off":
        message = from_event(message.values["cause"])
    return message.code or None
