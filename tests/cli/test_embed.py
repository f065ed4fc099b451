"""The command `embed`."""

from __future__ import annotations

from align_core.runs.presets import names
from tests.cli.conftest import ROOT


def test_a_recorded_run_is_written(main, fake_assets, tmp_path):
    (fake_assets / "presets").symlink_to(ROOT / "assets/presets")
    assert "healthy-dpo" in names()
    out = tmp_path / "run.html"
    code, printed, _ = main("embed", "healthy-dpo", out, "--lang", "zh")
    assert (code, out.stat().st_size > 4_000_000) == (0, True)
    assert str(out) in printed
    assert '<html lang="zh-CN">' in out.read_text(encoding="utf-8")[:100]


def test_every_error_is_reported(refused, tmp_path):
    lines = refused("embed", tmp_path / "none", tmp_path / "no" / "x.html", "--lang", "fr")
    assert [line.split(" got ")[0] for line in lines] == ["OUT", "--lang"]
    (line,) = refused("embed", tmp_path / "none", tmp_path / "x.html")
    assert line.startswith("RUN got ")
