"""Start the page: the console script `alignment-playground`, and app.py in a checkout.

A run's process imports the main script again, so this module imports nothing heavy at the top.
"""

from __future__ import annotations

from types import ModuleType

NEEDED = ("gradio", "httptools", "plotly", "segno")  # the packages of the extra `app`


def main() -> None:
    """Serve the page until Ctrl-C; runs and votes are stored below the working directory."""
    import os
    import sys
    from importlib.util import find_spec

    from playground.settings import check, parse

    if os.environ.get("SPACES_ZERO_GPU"):
        from playground import zero_gpu  # noqa: F401

    tasks, models, log_json = parse()
    if missing := [name for name in NEEDED if find_spec(name) is None]:
        packages = ", ".join(missing)
        sys.exit(f"alignment-playground needs {packages}: pip install alignment-playground[app]")
    check()  # before Gradio is imported, because it reads some of the same variables
    import_page().main(tasks, models, log_json)


def import_page() -> ModuleType:
    """Import and return `playground.app`, without letting Gradio write stubs for editors, which
    would take a third of the page's start.

    Gradio writes a stub beside the source file of each component, which it finds by
    `inspect.getfile`; if that raises OSError, it writes none.
    """
    import importlib
    import inspect

    def no_file(_: object) -> str:
        raise OSError

    getfile, inspect.getfile = inspect.getfile, no_file  # type: ignore[assignment]
    try:
        return importlib.import_module("playground.app")
    finally:
        inspect.getfile = getfile


if __name__ == "__main__":
    main()
