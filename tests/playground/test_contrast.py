"""Text has a contrast of 4.5:1 to its background (WCAG 2.2, level AA), in light and dark."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

STATIC = Path(__file__).parents[2] / "playground" / "static"
SHEETS = {
    name: (STATIC / folder / f"{name}.css").read_text(encoding="utf-8")
    for folder, name in (("core", "style"), ("talk", "present"))
}
TEXT = ("ink", "muted", "accent", "wrong", "policy", "gold", "proxy", "kl", "loss")
TEXT += ("run-a", "run-b", "run-c", "run-d")
DEEPEST = 0.75  # the largest share of a tone in a shaded background; the card's colour has the rest


def variables(sheet, selector):
    """The colour variables that a CSS rule sets."""
    rule = re.search(
        rf"^ +{re.escape(selector)} {{(.*?)}}", SHEETS[sheet], re.DOTALL | re.MULTILINE
    )
    return dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", rule[1]))


LIGHT = variables("style", ":root")
DARK = LIGHT | variables("style", ".dark")
LOOKS = {
    "light": LIGHT,
    "dark": DARK,
    "projector": LIGHT | variables("present", "[data-present]"),
    "dark projector": DARK | variables("present", "[data-present] .dark"),
}


def channels(colour):
    return [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]


def luminance(colour):
    """Relative luminance of an sRGB colour, 0 to 1."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour]
    return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one, other):
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def test_black_on_white_has_the_largest_contrast():
    assert contrast([0, 0, 0], [1, 1, 1]) == pytest.approx(21)


def test_coloured_text_can_be_read():
    pale = [
        (look, name, surface)
        for look, colours in LOOKS.items()
        for name in TEXT
        for surface in ("paper", "card")
        if contrast(channels(colours[name]), channels(colours[surface])) < 4.5
    ]
    assert not pale


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("tone", ["positive", "negative"])
def test_text_on_the_deepest_shade_can_be_read(look, tone):
    colours = LOOKS[look]
    both = zip(channels(colours[tone]), channels(colours["card"]), strict=True)
    shade = [DEEPEST * ours + (1 - DEEPEST) * card for ours, card in both]
    assert contrast(channels(colours["ink"]), shade) >= 4.5
