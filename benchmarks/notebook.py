"""Executes docs/python.ipynb in place, without Jupyter: python -m benchmarks.notebook

A figure is stored as Plotly's JSON, and as a picture for viewers that run no scripts.
"""

from __future__ import annotations

import ast
import contextlib
import io
import json
from collections.abc import Iterator
from typing import Any

from benchmarks.browsing import browsing
from benchmarks.common import DOCS
from playground.content.charts import PLOTLY

NOTEBOOK = DOCS / "python.ipynb"


def main() -> None:
    notebook = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    for count, (cell, outputs) in enumerate(zip(cells, executed(sources()), strict=True), 1):
        cell["execution_count"] = count
        cell["outputs"] = [
            output | {"execution_count": count}
            if output["output_type"] == "execute_result"
            else output
            for output in outputs
        ]
    text = json.dumps(notebook, indent=1, ensure_ascii=False)
    NOTEBOOK.write_text(text + "\n", encoding="utf-8")


def sources() -> list[str]:
    """The code cells of the notebook."""
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]


def executed(cells: list[str]) -> Iterator[list[dict[str, Any]]]:
    """Yields the outputs of each cell as in nbformat: its printed text and its last expression."""
    names: dict[str, Any] = {"__name__": "__main__"}
    for source in cells:
        *body, last = ast.parse(source).body
        outputs = []
        with (
            contextlib.redirect_stdout(io.StringIO()) as out,
            contextlib.redirect_stderr(io.StringIO()) as err,
        ):
            value = None
            if isinstance(last, ast.Expr):
                _run(body, names)
                value = eval(compile(ast.Expression(last.value), "<cell>", "eval"), names)
            else:
                _run([*body, last], names)
        bar = err.getvalue().split("\r")[-1]  # the last state of the progress bar
        for name, text in (("stdout", out.getvalue()), ("stderr", bar)):
            if text:
                outputs.append({"output_type": "stream", "name": name, "text": _lines(text)})
        if value is not None:
            data = mime_bundle(value)
            outputs.append({"output_type": "execute_result", "metadata": {}, "data": data})
        yield outputs


def _run(statements: list[ast.stmt], names: dict[str, Any]) -> None:
    exec(compile(ast.Module(statements, type_ignores=[]), "<cell>", "exec"), names)


def mime_bundle(value: Any) -> dict[str, Any]:
    """MIME type -> content of a value, as Jupyter displays it."""
    if hasattr(value, "to_plotly_json"):
        content = json.loads(value.to_json())
        return {"application/vnd.plotly.v1+json": content, "image/png": picture(content)}
    data = {"text/plain": _lines(repr(value))}
    if hasattr(value, "_repr_html_"):
        data["text/html"] = _lines(value._repr_html_())
    return data


def picture(figure: dict[str, Any]) -> str:
    """A figure as a PNG in base64."""
    size = {"width": 900, "height": figure["layout"]["height"]}
    with browsing(size) as page:
        page.add_script_tag(path=str(PLOTLY))
        url = page.evaluate(
            "([figure, size]) => Plotly.toImage(figure, {format: 'png', ...size})", [figure, size]
        )
    return url.partition(",")[2]


def _lines(text: str) -> list[str]:
    return text.splitlines(keepends=True)


if __name__ == "__main__":
    main()
