"""Start the page: the console script `alignment-playground`, and app.py in a checkout.

A run's process imports the main script again, so this module imports nothing at the top level.
"""

NEEDS = ("gradio", "plotly", "segno")  # the packages of the extra `app`


def main() -> None:
    """Serve the page until Ctrl-C; runs and votes are stored below the working directory."""
    import os
    import sys
    from importlib.util import find_spec

    from playground.settings import check, parse

    if os.environ.get("SPACES_ZERO_GPU"):
        from playground import zero_gpu  # noqa: F401

    tasks, models, log_json = parse()
    if missing := [name for name in NEEDS if find_spec(name) is None]:
        packages = ", ".join(missing)
        sys.exit(f"alignment-playground needs {packages}: pip install alignment-playground[app]")
    check()  # before Gradio is imported, because it reads some of the same variables
    from playground.app import main as serve

    serve(tasks, models, log_json)


if __name__ == "__main__":
    main()
