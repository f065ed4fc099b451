"""Sentences about the findings of an experiment, from templates in any language.

A finding is the key of a template and the values for it: texts, or lists of findings, whose
sentences are joined by the template "join".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

Finding = tuple[str, Mapping[str, Any]]


def render_findings(findings: Iterable[Finding], templates: Mapping[str, str]) -> list[str]:
    """A sentence for each finding."""
    return [_render_one(key, values, templates) for key, values in findings]


def _render_one(key: str, values: Mapping[str, Any], templates: Mapping[str, str]) -> str:
    texts = {
        name: value
        if isinstance(value, str)
        else templates["join"].join(render_findings(value, templates))
        for name, value in values.items()
    }
    return templates[key].format(**texts)
