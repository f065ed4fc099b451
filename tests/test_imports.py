"""The direction of imports: the rooms of each package and their floors.

A room is a folder of a package, or a module beside the folders. It may import only from the floors
below its own.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from align_core.config.methods import methods
from align_core.config.task_card import BUILT_IN
from tests import forked

ROOT = Path(__file__).parent.parent
FLOORS = {
    "align_core": (
        {"config", "objectives", "optimum"},
        {"data", "runs"},
        {"tasks"},
        {"models", "votes"},
        {"trainers", "evaluation"},
        {"training"},
        {"inference", "experiments", "build", "embed"},
        {"cli", "preload", "plots"},
        {"api"},
    ),
    "playground": (
        {"limits"},
        {"settings", "space", "text", "zero_gpu"},
        {"content"},
        {"people"},
        {"voting", "own", "endpoints"},
        {"handlers"},
        {"views"},
        {"server"},
        {"app"},
    ),
}
HEAVY = {"torch", "transformers", "trl", "peft", "datasets", "accelerate"}
# The only external packages that a room may import; the page's process loads the light rooms.
NEEDS = {
    "objectives": {"torch"},
    "optimum": {"numpy"},
    "tasks": {"pydantic", "re2", "vader"},
    "config": {"pydantic"},
    "runs": {"pydantic"},
    "votes": {"pydantic", "pyarrow"},
}


@cache
def imports(path: Path) -> set[str]:
    """The absolute names of all modules that a file imports, at any level."""
    package = path.relative_to(ROOT).parent.parts
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join((*base, *filter(None, [node.module])))
            submodules = {f"{module}.{alias.name}" for alias in node.names}
            names |= {name for name in submodules if is_module(name)} or {module}
    return names


def is_module(name: str) -> bool:
    path = ROOT.joinpath(*name.split("."))
    return path.with_suffix(".py").exists() or (path / "__init__.py").exists()


def room(path: Path) -> tuple[str, str]:
    """The package and the room of a file: ("align_core", "models")."""
    package, name, *_ = path.relative_to(ROOT).with_suffix("").parts
    return package, name


def rooms(names: set[str], package: str) -> set[str]:
    """The rooms of `package` among dotted module names."""
    parts = [name.split(".") for name in names]
    return {part[1] for part in parts if part[0] == package and len(part) > 1}


def outside(names: set[str]) -> set[str]:
    """The top-level packages among `names`, without the standard library and the project."""
    return {name.split(".")[0] for name in names} - sys.stdlib_module_names - {*FLOORS}


def files(*patterns: str) -> list[Path]:
    """The files of these patterns, at least one."""
    paths = sorted(path for pattern in patterns for path in ROOT.glob(pattern))
    assert len(paths) >= len(patterns)
    return paths


def below(package: str, name: str) -> set[str]:
    """The rooms on the floors below that of a room."""
    rooms_below: set[str] = set()
    for floor in FLOORS[package]:
        if name in floor:
            break
        rooms_below |= floor
    return rooms_below


def test_a_room_imports_from_the_floors_below_it():
    above = {}
    for path in files("align_core/**/[!_]*.py", "playground/**/[!_]*.py"):
        package, name = room(path)
        above[path] = rooms(imports(path), package) - below(package, name) - {name}
    assert not {path: names for path, names in above.items() if names}


def test_align_core_imports_no_page():
    for path in files("align_core/**/*.py"):
        names = imports(path)
        assert not outside(names) & {"gradio"}, path
        assert not rooms(names, "playground"), path
        assert "plotly" not in outside(names) or path.name == "plots.py", path


def test_the_page_imports_no_torch():
    for path in files("playground/**/*.py", "app.py"):
        assert not outside(imports(path)) & HEAVY, path


def test_content_imports_no_gradio():
    for path in files("playground/content/**/*.py"):
        assert "gradio" not in outside(imports(path)), path


@pytest.mark.parametrize("name", sorted(NEEDS))
def test_a_room_imports_only_its_allowed_external_packages(name):
    paths = [*ROOT.glob(f"align_core/{name}.py"), *ROOT.glob(f"align_core/{name}/**/*.py")]
    assert paths
    for path in paths:
        assert outside(imports(path)) <= NEEDS[name], path


@pytest.mark.parametrize("package", sorted(FLOORS))
def test_every_folder_is_a_room_and_few_files_are_rooms(package):
    floors = set().union(*FLOORS[package])
    folders = {path.parent.name for path in (ROOT / package).glob("*/__init__.py")}
    assert folders <= floors
    assert len([path for path in (ROOT / package).iterdir() if path.is_file()]) <= 8


def test_a_module_has_at_most_350_lines():
    for path in files("align_core/**/*.py", "playground/**/*.py"):
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 350, path


def compared_names(tree: ast.AST) -> set[str]:
    """The names of methods that a syntax tree compares, matches, or uses as keys."""
    names, compared = set(methods()), set()

    def constants(*nodes: ast.AST) -> set[str]:
        inside = (
            child for node in nodes for child in ast.walk(node) if isinstance(child, ast.Constant)
        )
        return {child.value for child in inside if isinstance(child.value, str)}

    for node in ast.walk(tree):
        match node:
            case ast.Compare(left=left, comparators=others):
                compared |= constants(left, *others)
            case ast.MatchValue(value=value):
                compared |= constants(value)
            case ast.Subscript(value=ast.Dict(keys=keys)):
                compared |= constants(*filter(None, keys))
            case ast.Dict(keys=keys) if constants(*filter(None, keys)) == names:
                compared |= names
    return compared & names


def test_nothing_compares_a_methods_name():
    for path in files("align_core/**/*.py", "playground/**/*.py"):
        if room(path)[1] not in ("experiments", "trainers"):
            assert not compared_names(ast.parse(path.read_text(encoding="utf-8"))), path


@pytest.mark.parametrize(
    "code",
    [
        "config.method == 'ppo'",
        "method in ('dpo', 'x')",
        "match m:\n    case 'sft' | 'y':\n        pass",
        "{'ppo': 3, 'dpo': 4}[m]",
        f"TABLE = {dict.fromkeys(methods(), 1)}",
    ],
)
def test_a_comparison_of_a_methods_name_is_found(code):
    assert compared_names(ast.parse(code))


def test_the_checks_find_every_kind_of_import(tmp_path, monkeypatch):
    monkeypatch.setattr(sys.modules[__name__], "ROOT", tmp_path)
    package = tmp_path / "align_core" / "tasks"
    package.mkdir(parents=True)
    (tmp_path / "align_core" / "runs.py").touch()
    (package / "one.py").write_text(
        "from ..runs import x\nfrom align_core import runs\n"
        "def f():\n    import torch.nn\n    from . import base\n    from .two import y\n"
    )
    assert imports(package / "one.py") == {
        "align_core.runs",
        "torch.nn",
        "align_core.tasks",
        "align_core.tasks.two",
    }
    assert room(package / "one.py") == ("align_core", "tasks")
    assert rooms(imports(package / "one.py"), "align_core") == {"runs", "tasks"}
    assert outside(imports(package / "one.py")) == {"torch"}


def loaded(code: str) -> set[str]:
    """The modules that a Python process has loaded after `code`."""
    program = f"{code}; import sys; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return set(done.stdout.splitlines()[-1].split())


def test_imports_stay_light():
    light = "align_core, align_core.runs.client, align_core.inference.client, align_core.api"
    assert not loaded(f"import {light}") & (HEAVY | {"gradio", "numpy"})


def test_listing_the_tasks_needs_no_torch():
    assert not loaded("from align_core.cli import main; main.main(['tasks'])") & HEAVY


@pytest.mark.slow
def test_the_page_holds_no_torch_and_gradio_writes_no_stubs():
    no_stubs = "import ast, inspect; real = inspect.getfile; ast.get_source_segment = None"
    page = "from playground.__main__ import import_page; import_page()"
    assert not loaded(f"{no_stubs}; {page}; assert inspect.getfile is real") & {*HEAVY, "plotly"}


@pytest.mark.slow
def test_preloaded_modules_can_be_imported_and_need_no_gradio():
    """The forkserver ignores a module that it cannot import; every run would then import it."""
    modules, tasks = forked.preloaded()
    assert tasks == len(BUILT_IN)
    assert modules >= {"align_core.training.run", "align_core.inference.server"}
    assert "gradio" not in modules


def test_the_package_has_its_public_names_and_no_others():
    import align_core

    for name in align_core.__all__:
        assert getattr(align_core, name).__name__ == name
    assert align_core.load_task("reviews").name == "reviews"
    with pytest.raises(AttributeError, match="no attribute 'PPOTrianer'"):
        align_core.PPOTrianer  # noqa: B018
