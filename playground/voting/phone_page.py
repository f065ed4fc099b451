"""The page on which phones vote: one HTML file without further requests."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from pathlib import Path

from playground import text

_HERE = Path(__file__).parent
_BALLOT = _HERE.parent / "static" / "rate" / "ballot.js"


def page() -> tuple[str, str]:
    """The HTML of the page, and a Content-Security-Policy that allows only its script."""
    words = {}
    for language in text.languages():
        catalogue = text.load(language)
        words[language] = {**catalogue["ballot"], **catalogue["language"]}
    script_words = json.dumps(words, ensure_ascii=False).replace("<", "\\u003c")
    html = (_HERE / "vote.html").read_text(encoding="utf-8").replace("{words}", script_words)
    html = html.replace("{ballot}", _BALLOT.read_text(encoding="utf-8"))
    (script,) = re.findall(r'<script type="module">(.*?)</script>', html, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; "
        "img-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'"
    )
    return html, policy
