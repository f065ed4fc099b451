from __future__ import annotations

import sys

import fake_training
import pytest

from align_core import training
from align_core.cli import main as cli


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
