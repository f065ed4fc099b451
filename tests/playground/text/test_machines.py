"""The machines that made recordings, in the page's languages."""

from __future__ import annotations

from playground import text
from playground.text.machines import machine

LINE = "2 threads of 8 cores (AMD EPYC)"


def test_a_machine_is_named_in_the_pages_language():
    english = text.load("en")["presets"]
    for line in (LINE, "1 thread of 2 cores (AMD EPYC)"):
        assert machine(line, english) == line
    chinese = text.load("zh")["presets"]
    assert machine(LINE, chinese) == "8 个核心中的 2 个线程（AMD EPYC）"
    assert machine(f"{LINE}, Linux; torch 2", chinese).endswith("（AMD EPYC）, Linux; torch 2")
    assert machine("nobody's machine", chinese) == "nobody's machine"
