"""The command line, as `python -m align_core` and as the console script `align-core`."""

from __future__ import annotations

import importlib.util
import sys

NEEDED = ("pydantic", "torch", "transformers", "trl")


def missing_packages() -> str | None:
    """An error message if the project is not installed in this Python; else None."""
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if not missing:
        return None
    return (
        f"{sys.executable} has no {', '.join(missing)}: use .venv/bin/python, which `make app` "
        "installs, or activate it first: . .venv/bin/activate"
    )


def main() -> int:
    """Run the command in `sys.argv`; returns the exit code."""
    if line := missing_packages():
        sys.exit(line)
    from align_core.cli.main import main as command

    return command()


if __name__ == "__main__":
    sys.exit(main())
