"""Who may import what: the architecture, read from the import statements."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LIGHT = {"configs", "runs", "catalogue", "control", "estimates", "presets", "promises"} | {
    *("children", "client", "asking", "group_commit", "selection", "votes"),
    *("raters", "feedback", "telling", "trials"),
}
TRAINERS_USE = {"objectives", "models", "data", "tasks", "evaluation", "encoding", "rewards"} | {
    *("sampling", "processes", "sharding", "telling"),
    "trainers.common",
    "trainers.ppo_checkpoints",
    "trainers.ppo_config",
    "trainers.ppo_metrics",
    "trainers.rollouts",
}
PAGE_USES = (
    {
        "client",
        "asking",
        "runs",
        "configs",
        "catalogue",
        "optimum",
        "estimates",
        "presets",
    }
    | {"votes", "group_commit", "data", "exchange", "feedback", "experiments", "experiments.grid"}
    | {"experiments.sentences", "experiments.overoptimisation", "experiments.intervals", "raters"}
    | {"experiments.verdicts", "telling", "trials"}
)
HEAVY = {"torch", "transformers", "trl", "peft", "datasets", "accelerate"}


def imports(path: Path) -> set[str]:
    """The absolute names of all modules that a file imports, anywhere in it."""
    package = path.relative_to(ROOT).parent.parts
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join((*base, *filter(None, [node.module])))
            submodules = {f"{module}.{alias.name}" for alias in node.names}
            found |= {name for name in submodules if is_module(name)} or {module}
    return found


def is_module(name: str) -> bool:
    path = ROOT.joinpath(*name.split("."))
    return path.with_suffix(".py").exists() or (path / "__init__.py").exists()


def outside(path: Path) -> set[str]:
    """The top-level packages that a file imports, the standard library and its own aside."""
    tops = {name.split(".")[0] for name in imports(path)}
    return tops - sys.stdlib_module_names - {"align_core", "playground"}


def inside(path: Path) -> set[str]:
    """The modules of align_core that a file imports: "runs", "trainers.ppo", …"""
    names = {name.removeprefix("align_core.") for name in imports(path) if "align_core." in name}
    kept = ("trainers.", "experiments.")
    return {name if name.startswith(kept) else name.split(".")[0] for name in names}


def files(pattern: str) -> list:
    paths = sorted(ROOT.glob(pattern))
    return [pytest.param(path, id=str(path.relative_to(ROOT))) for path in paths]


def core(name: str) -> Path:
    return ROOT / "align_core" / f"{name}.py"


@pytest.mark.parametrize("path", files("align_core/**/*.py"))
def test_align_core_knows_no_page(path):
    tops = {name.split(".")[0] for name in imports(path)}
    assert not tops & {"gradio", "plotly", "playground"}


@pytest.mark.parametrize("path", files("playground/**/*.py") + files("app.py"))
def test_the_page_knows_no_training(path):
    assert not outside(path) & HEAVY
    assert inside(path) <= PAGE_USES


def test_charts_know_no_gradio():
    assert "gradio" not in outside(ROOT / "playground" / "charts.py")


def test_objectives_use_torch_alone():
    assert outside(core("objectives")) == {"torch"}
    assert not inside(core("objectives"))


def test_the_optimum_uses_numpy_alone():
    assert outside(core("optimum")) == {"numpy"}
    assert not inside(core("optimum"))


def test_the_grid_uses_numpy_alone():
    assert outside(core("experiments/grid")) == {"numpy"}
    assert not inside(core("experiments/grid"))


@pytest.mark.parametrize("path", files("align_core/tasks/*.py"))
def test_tasks_stand_alone(path):
    assert outside(path) <= {"datasets"}
    assert inside(path) <= {"tasks"}


@pytest.mark.parametrize("path", files("align_core/trainers/*.py"))
def test_trainers_know_no_runs_and_not_each_other(path):
    assert inside(path) <= TRAINERS_USE


@pytest.mark.parametrize("name", sorted(LIGHT))
def test_what_a_page_uses_is_light(name):
    assert outside(core(name)) <= {"pydantic"}
    assert inside(core(name)) <= LIGHT


def test_the_rules_see_every_way_to_import(tmp_path, monkeypatch):
    monkeypatch.setattr(sys.modules[__name__], "ROOT", tmp_path)
    package = tmp_path / "align_core" / "tasks"
    package.mkdir(parents=True)
    (tmp_path / "align_core" / "runs.py").touch()
    (package / "one.py").write_text(
        "from ..runs import x\nfrom align_core import runs\n"
        "def f():\n    import torch.nn\n    from . import base\n    from .two import y\n"
    )
    assert imports(package / "one.py") == {
        "align_core.runs.directory",
        "torch.nn",
        "align_core.tasks",
        "align_core.tasks.two",
    }


@pytest.mark.parametrize(
    "module",
    ["align_core", "align_core.runs.client", "align_core.inference.client", "align_core.cli.main"],
)
def test_imports_stay_light(module):
    code = f"import sys, {module}; print(*sys.modules)"
    found = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert not set(found.stdout.split()) & (HEAVY | {"gradio", "numpy"})


def test_listing_the_tasks_needs_no_torch():
    code = "import sys; from align_core import cli; cli.main(['tasks']); print(*sys.modules)"
    found = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert not set(found.stdout.splitlines()[-1].split()) & HEAVY


def test_the_page_holds_no_torch():
    code = "import sys, playground.app; print(*sys.modules)"
    found = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert not set(found.stdout.split()) & HEAVY


def test_a_process_of_a_run_needs_no_gradio():
    code = "import sys, align_core.training, align_core.answering; print(*sys.modules)"
    found = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert "gradio" not in found.stdout.split()


def test_the_package_gives_its_three_names():
    import align_core

    assert align_core.load_task("reviews").name == "reviews"
    assert align_core.PPOTrainer.__name__ == "PPOTrainer"
    with pytest.raises(AttributeError, match="no attribute 'PPOTrianer'"):
        align_core.PPOTrianer  # noqa: B018
