"""Methods of other packages: valid ones are registered, others skipped with a logged line."""

import dataclasses
import os
import subprocess
import sys
from types import SimpleNamespace

import hinge_method
import pytest

from align_core.config import methods as registry
from align_core.config.charts import Chart, Curve
from align_core.config.errors import ConfigError
from align_core.config.method_record import FromTask, checked

HINGE = hinge_method.HINGE
BUILT_IN = [method.name for method in registry._BUILT_IN]


class Odd(str):
    """A text whose comparisons raise an error."""

    def __eq__(self, other):
        raise ValueError("odd")

    __hash__ = str.__hash__


def ends():
    sys.exit(0)


def interrupts():
    raise KeyboardInterrupt


def prints():
    print("imported")
    return HINGE


@pytest.fixture
def installed(monkeypatch, caplog):
    """`installed(load)` with one entry point returns (names of methods, lines in the log)."""

    def installed(load):
        entry = SimpleNamespace(value="package:METHOD", load=load)
        monkeypatch.setattr(registry, "entry_points", lambda group: [entry])
        caplog.clear()
        return list(registry.methods.__wrapped__()), caplog.messages

    return installed


def test_a_package_that_cannot_be_imported_is_skipped_with_one_line(installed, capsys):
    for load, says in ((ends, "SystemExit: 0 (test_methods.py"), (interrupts, "KeyboardInterrupt")):
        names, (line,) = installed(load)
        assert names == BUILT_IN
        assert line.startswith("package:METHOD of align_core.methods is skipped:") and says in line
    assert installed(prints) == ([*BUILT_IN, "hinge"], [])
    assert capsys.readouterr() == ("", "imported\n")


def chart(*curves, name="own"):
    return {"charts": (Chart(name, curves),)}


def option(**values):
    return {"options": {**HINGE.options, **values}}


LOSS = Curve("loss", "loss")
WRONG = [
    ({"name": "Hinge"}, "name"),
    ({"name": "h" * 300}, "name"),
    ({"name": "ppo"}, "name"),
    ({"name": None}, "name"),
    ({"learns_from": "vibes"}, "learns_from"),
    ({"learns_from": ["pairs"]}, "learns_from"),
    ({"makes": "toaster"}, "makes"),
    ({"free_beta": "no"}, "free_beta"),
    ({"readings": "pairs"}, "readings"),
    ({"build": None}, "build"),
    ({"build": "hinge_method"}, "build"),
    ({"build": "no_such_module:build"}, "no_such_module"),
    ({"updates_per_step": 3}, "updates_per_step"),
    ({"updates_per_step": lambda size: 2.0}, "updates_per_step"),
    ({"updates_per_step": lambda size: 0}, "updates_per_step"),
    ({"charts": None}, "charts"),
    ({"charts": ("loss",)}, "charts"),
    ({"charts": (Chart("a", (LOSS,)), Chart("a", (LOSS,)))}, "charts"),
    (chart(), "curves"),
    (chart(Curve("loss", "hotpink")), "colour"),
    (chart(Curve("loss", "gold", "wavy")), "dash"),
    (chart(Curve(None, "gold")), "metric"),
    (chart(Curve("loss", "gold"), Curve("kl", "kl")), "dash"),
    (chart(Curve("loss", "gold"), Curve("kl", "gold", "dot")), "colour"),
    ({"words": None}, "words"),
    ({"words": {"en": "hello"}}, "words"),
    ({"words": {"en": {"name": 3}}}, "words.en.name"),
    ({"words": {"en": {"charts": {"titles": ["a"]}}}}, "words.en.charts.titles"),
    ({"options": list(HINGE.options.items())}, "options"),
    (option(foo=1), "options.foo"),
    (option(seed=1), "options.seed"),
    (option(steps="abc"), "options.steps"),
    (option(steps=None), "options.steps"),
    (option(steps=0), "options.steps"),
    (option(steps=True), "options.steps"),
    (option(learning_rate=[1]), "options.learning_rate"),
    (option(learning_rate=float("nan")), "options.learning_rate"),
    (option(beta=0), "options.beta"),
    (option(coverage="Europe"), "options.coverage"),
    (option(loss="sigmoid"), "options.loss"),
    ({"choices": {"loss": "sigmoid"}}, "choices"),
    (option(model=FromTask("nothing")), "options.model"),
    (option(model=3), "options.model"),
    (
        {"options": {k: v for k, v in HINGE.options.items() if k != "label_noise"}},
        "options.label_noise",
    ),
]


def test_every_field_of_a_record_is_checked():
    accepted = []
    for fields, says in WRONG:
        try:
            checked(dataclasses.replace(HINGE, **fields), ("ppo",))
            accepted.append(fields)
        except ConfigError as error:
            assert any(says in line.text for line in error.lines), (fields, str(error))
    assert not accepted
    choice = {"options": {**HINGE.options, "loss": "sigmoid"}, "choices": {"loss": ("sigmoid",)}}
    checked(dataclasses.replace(HINGE, **choice), ("ppo",))
    with pytest.raises(ConfigError, match="instance of Method"):
        checked("ppo", ())


def test_a_record_is_copied_with_plain_values():
    assert checked(HINGE, ("ppo",)) == HINGE
    odd = dataclasses.replace(HINGE, name=Odd("hinge"), build=Odd(HINGE.build))
    assert {type(odd.name), type(odd.build)} == {Odd}
    assert checked(odd, ("ppo",)) == HINGE
    free = dataclasses.replace(HINGE, free_beta=True, **option(beta=0))
    assert checked(free, ()).options["beta"] == 0


def test_a_package_may_import_align_core_before_it_defines_its_record(tmp_path):
    (tmp_path / "mine-1.0.dist-info").mkdir()
    (tmp_path / "mine-1.0.dist-info" / "METADATA").write_text("Name: mine\nVersion: 1.0\n")
    (tmp_path / "mine-1.0.dist-info" / "entry_points.txt").write_text(
        "[align_core.methods]\nhinge = mine:HINGE\n"
    )
    (tmp_path / "mine.py").write_text(
        "from align_core.config.run_config import RunConfig\n"
        "from align_core.cli import main\n"
        "from hinge_method import HINGE\n"
    )
    path = os.pathsep.join([str(tmp_path), *sys.path])
    for first in ("config.run_config", "config.methods"):
        code = f"import align_core.{first}; from align_core.config.methods import methods\n"
        done = subprocess.run(
            [sys.executable, "-c", f"{code}print(*methods())"],
            env=os.environ | {"PYTHONPATH": path},
            capture_output=True,
            text=True,
        )
        assert (done.stdout.split(), done.stderr) == ([*BUILT_IN, "hinge"], ""), first


@pytest.mark.parametrize(
    "sought, runs",
    [
        ("kl", [("ppo", None), ("rloo", None), ("online-dpo", None), ("dpo", "sigmoid")]),
        ("chi2", [("dpo", "chipo")]),
        ("grouped", [("grpo", loss) for loss in ("dapo", "grpo", "dr_grpo")]),
        ("bounded", [("kto", None)]),
        ("another", [("dpo", "nca_pair"), ("dpo", "aot"), ("simpo", None), ("sft", None)]),
    ],
)
def test_a_run_seeks_the_optimum_of_its_method_and_loss(sought, runs):
    configs = [{"method": method, "loss": loss} for method, loss in runs]
    assert [registry.sought_optimum(config) for config in configs] == [sought] * len(runs)


def test_a_run_stored_without_a_loss_had_the_default_one():
    assert registry.sought_optimum({"method": "dpo"}) == "kl"


def test_a_record_that_declares_no_optimum_has_no_target():
    assert HINGE.optimum == "another"
    with pytest.raises(ConfigError, match="the method.optimum"):
        checked(dataclasses.replace(HINGE, optimum="best"), ())


def test_names_of_one_letter_and_an_update_a_step_are_valid():
    """The number of updates is asked of a batch of 32."""
    record = dataclasses.replace(
        HINGE,
        charts=(Chart("a", (Curve("b", "loss"),)),),
        updates_per_step=lambda size: 1 if size == 32 else 0,
    )
    assert checked(record, BUILT_IN).charts == record.charts
    for chart in (Chart("", (LOSS,)), Chart("a", (Curve("", "loss"),)), Chart("a", ())):
        with pytest.raises(ConfigError, match="at least 1"):
            checked(dataclasses.replace(HINGE, charts=(chart,)), BUILT_IN)
