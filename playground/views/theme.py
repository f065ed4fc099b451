"""The theme of the page: Gradio's base theme with the page's own style sheets."""

from __future__ import annotations

import gradio as gr

from playground.views.parts import STATIC, address

# The cascade layers, from the weakest to the strongest. Each sheet names the layers of its rules;
# layers.js puts Gradio's own sheets into the first layer.
LAYERS = ("gradio", "base", "parts", "views", "hall", "phone", "talk")
_FONTS = [
    *("Inter", "Inter Punctuation", "system-ui", "-apple-system", "Segoe UI", "Roboto"),
    *("Noto Sans", "PingFang SC", "Microsoft YaHei", "Noto Sans CJK SC", "sans-serif"),
]
_MONO = ["ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "monospace"]


class Theme(gr.themes.Base):
    """Gradio's base theme with the fonts and the sheets of the page."""

    def __init__(self) -> None:
        super().__init__(font=_FONTS, font_mono=_MONO)

    def _get_theme_css(self) -> str:
        """The text of the theme's sheet, which Gradio loads with all its imports before it draws.

        The page would not wait for a link in the head, and scripts read colours from the sheets.
        """
        order = f"@layer {', '.join(LAYERS)};"
        return "\n".join((order, *imports(), super()._get_theme_css()))


def imports() -> list[str]:
    """An `@import` of each style sheet in `static`, relative to the theme's sheet."""
    sheets = sorted(STATIC.rglob("*.css"))
    return [f'@import url("{address(str(sheet.relative_to(STATIC)))}");' for sheet in sheets]
