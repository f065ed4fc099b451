"""What an experiment found, in sentences of any language.

A finding is the key of a template and what to put in: texts, or lists of findings, which are told
one after the other with the template "join" between them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

Finding = tuple[str, Mapping[str, Any]]


def render_findings(findings: Iterable[Finding], templates: Mapping[str, str]) -> list[str]:
    """A sentence a finding."""
    return [_render_one(key, values, templates) for key, values in findings]


def _render_one(key: str, values: Mapping[str, Any], templates: Mapping[str, str]) -> str:
    texts = {
        name: value
        if isinstance(value, str)
        else templates["join"].join(render_findings(value, templates))
        for name, value in values.items()
    }
    return templates[key].format(**texts)
