"""Commands in this process, whose runs are not trained."""

from __future__ import annotations

import sys
from pathlib import Path

import fake_training
import pytest

from align_core import training
from align_core.cli import main as cli

ROOT = Path(__file__).parents[2]


@pytest.fixture
def main(fake_assets, monkeypatch, capsys):
    """`main(*arguments)` returns (exit code, output, error output); nothing is trained."""
    monkeypatch.setitem(sys.modules, "align_core.training.run", fake_training)
    monkeypatch.setattr(training, "run", fake_training, raising=False)

    def main(*arguments):
        code = cli.main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return code, out, err

    return main


@pytest.fixture
def refused(main):
    """Runs a command that must be refused; returns its error lines."""

    def refused(*arguments):
        code, out, err = main(*arguments)
        assert (code, out) == (2, "")
        return err.splitlines()

    return refused
