"""Every word the page shows, one catalogue a language."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

# Language -> where its page is, below the address of the app.
LANGUAGES = {"en": "", "zh": "zh"}


def load(language: str = "en") -> dict[str, Any]:
    """The catalogue of `language`, as nested dictionaries of strings.

    Raises FileNotFoundError for a language that has none.
    """
    return json.loads(Path(__file__).with_name(f"{language}.json").read_text(encoding="utf-8"))
