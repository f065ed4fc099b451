"""Values as lines of strict JSON, which any program can read."""

from __future__ import annotations

import json
import math
from typing import Any


def to_line(value: Any) -> str:
    """An event or another value as one line of strict JSON: NaN and infinities become null,
    unpaired surrogates "?"."""
    return json.dumps(_strict(value), allow_nan=False)


def _strict(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, str):
        return value.encode(errors="replace").decode()
    if isinstance(value, dict):
        return {key: _strict(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_strict(item) for item in value]
    return value
