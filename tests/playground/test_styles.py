"""The style sheets: their layers, their size, and the existence of their elements."""

from __future__ import annotations

import re
from pathlib import Path

import gradio
import pytest

from playground.views.theme import LAYERS, Theme

PLAYGROUND = Path(__file__).parents[2] / "playground"
SHEETS = {path.name: path.read_text("utf-8") for path in (PLAYGROUND / "static").rglob("*.css")}
MAX_LINES = 2400
# Classes of Gradio's own components.
GRADIO = {"block", "contain", "dark", "form", "gradio-container", "info-text", "main"}
GRADIO |= {"nav-holder", "prose", "selected", "tab-wrapper", "wrap"}


def without_comments(text: str) -> str:
    return re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)


def outermost(text: str) -> list[str]:
    """The preludes of a sheet's outermost rules."""
    preludes, depth, start = [], 0, 0
    for at, character in enumerate(text):
        if character == "{":
            if depth == 0:
                preludes.append(text[start:at].strip())
            depth += 1
        elif character == "}":
            depth -= 1
            start = at + 1
    assert depth == 0
    return preludes


def selectors(text: str) -> str:
    """The selectors of a sheet, one after the other, without its declarations."""
    return " ".join(re.findall(r"([^{};]+)\{", without_comments(text)))


@pytest.mark.parametrize("name", SHEETS)
def test_every_rule_is_in_a_layer_of_the_page(name):
    layers = {f"@layer {layer}" for layer in LAYERS if layer != "gradio"}
    rules = outermost(without_comments(SHEETS[name]))
    assert {rule for rule in rules if not rule.startswith(("@property ", "@font-face"))} <= layers
    assert any(rule in layers for rule in rules)


def test_the_layers_are_in_order_before_any_sheet():
    """theme.css begins with the order of the layers, then links each sheet once."""
    order, *links = Theme()._get_theme_css().splitlines()[: len(SHEETS) + 1]
    assert order == "@layer gradio, base, parts, views, hall, phone, talk;"
    linked = [
        re.fullmatch(r'@import url\("playground/\w+/(?:\w+/)+(\w+\.css)"\);', link)[1]
        for link in links
    ]
    assert sorted(linked) == sorted(SHEETS)


def test_the_sheets_are_short():
    assert sum(len(text.splitlines()) for text in SHEETS.values()) <= MAX_LINES


@pytest.mark.parametrize("name", SHEETS)
def test_every_styled_element_exists(name):
    """Each class, id and data attribute is in the page's own code, or is Gradio's."""
    files = [
        path for path in PLAYGROUND.rglob("*") if path.suffix in (".js", ".py", ".html", ".json")
    ]
    code = "\n".join(path.read_text("utf-8") for path in files)
    words = set(re.findall(r"[\w-]+", code)) | GRADIO
    words |= {"field-" + word for word in words}  # a setting's element
    styled = re.findall(r"[.#]([a-zA-Z][\w-]*)", re.sub(r"\"[^\"]*\"", "", selectors(SHEETS[name])))
    assert sorted({name for name in styled if name not in words}) == []
    attributes = re.findall(r"\[data-([\w-]+)", selectors(SHEETS[name]))
    dataset = {re.sub("-(.)", lambda match: match[1].upper(), name) for name in attributes}
    assert sorted({name for name in dataset if name not in words} - {"testid"}) == []


def test_gradio_has_its_listed_classes():
    assets = Path(gradio.__file__).parent / "templates" / "frontend" / "assets"
    its = "".join(path.read_text("utf-8") for path in assets.glob("*.css"))
    assert sorted(name for name in GRADIO if f".{name}" not in its) == []


FONTS = PLAYGROUND / "static" / "fonts"


def test_the_fonts_are_small_come_with_the_page_and_have_their_licences():
    files = {path.name: path.stat().st_size for path in FONTS.glob("*.woff2")}
    assert sum(files.values()) <= 300_000
    named = re.findall(r'url\("([^"]*)"\)', SHEETS["fonts.css"])
    assert {Path(url).name for url in named} == files.keys()
    assert all(url.startswith("../fonts/") for url in named), "no address of another site"
    assert not any("http" in text for text in SHEETS.values())
    assert SHEETS["fonts.css"].count("@font-face") == SHEETS["fonts.css"].count("swap;")
    for path in FONTS.glob("*.woff2"):
        assert path.read_bytes()[:4] == b"wOF2"
    for family in ("inter", "stix-two-math"):
        licence = (FONTS / f"{family}-LICENSE.txt").read_text("utf-8")
        assert "SIL OPEN FONT LICENSE Version 1.1" in licence
        assert f"{family}-LICENSE.txt" in (PLAYGROUND.parent / "NOTICE").read_text("utf-8")
