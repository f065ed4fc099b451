"""The wheel is built, installed outside the checkout, and used there.

Its environment sees the packages of the test environment. With WHEEL_CHECK=full, which
`make wheel-check` sets, it has its own packages from the network.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
import sysconfig
import tomllib
import urllib.request
import venv
import zipfile
from pathlib import Path

import pytest

from tests.free_port import free_port
from tests.waiting import until

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
HIDES_THE_EXTRA = """
import sys
class Hidden:
    def find_spec(self, name, *_):
        if name.partition(".")[0] in ("gradio", "plotly", "segno"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Hidden())
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    pip("wheel", "--no-build-isolation", "--no-deps", "--wheel-dir", folder, ROOT)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def environment(wheel, tmp_path_factory):
    """A virtual environment with only the wheel, which also sees the packages of this one."""
    home = tmp_path_factory.mktemp("environment")
    venv.create(home, symlinks=True)
    if os.environ.get("WHEEL_CHECK") == "full":
        pip("--python", home / "bin/python", "install", f"{wheel}[app]")
        return home
    (packages,) = home.glob("lib/python*/site-packages")
    here = sysconfig.get_path("purelib")
    (packages / "here.pth").write_text(f"import site; site.addsitedir({here!r})\n")
    pip("--python", home / "bin/python", "install", "--no-deps", "--no-index", wheel)
    return home


@pytest.fixture
def inside(environment, tmp_path):
    """inside(command, *arguments, **variables) returns the output of a command of the environment.

    The command runs in `tmp_path`. After the test, all installed files must be unchanged.
    """
    before = installed_files(environment)

    def run(command, *arguments, **variables):
        call = [environment / "bin" / command, *map(str, arguments)]
        settings = surroundings() | variables
        done = subprocess.run(call, cwd=tmp_path, env=settings, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    yield run
    assert installed_files(environment) == before


def pip(*arguments):
    command = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*command, *map(str, arguments)], check=True)


def surroundings():
    """The environment variables without those that refer to the checkout."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}


def installed_files(environment):
    """Size and time of each file in the folders of the installed wheel."""
    (packages,) = environment.glob("lib/python*/site-packages")
    folders = [packages / "align_core", packages / "playground"]
    paths = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    assert paths
    return {path: (path.stat().st_size, path.stat().st_mtime_ns) for path in paths}


def test_a_space_installs_what_the_library_and_its_page_need():
    wanted = PROJECT["dependencies"] + PROJECT["optional-dependencies"]["app"]
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    assert [line for line in lines if not line.startswith("#")] == sorted(wanted)


def test_the_wheel_has_only_both_packages_and_the_assets(wheel):
    assert wheel.stat().st_size <= 40e6, "bytes"
    assert wheel.name == f"alignment_playground-{PROJECT['version']}-py3-none-any.whl"
    names = zipfile.ZipFile(wheel).namelist()
    record = wheel.name.removesuffix("-py3-none-any.whl") + ".dist-info"
    assert {name.split("/")[0] for name in names} == {"align_core", "playground", record}
    tracked = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "align_core", "playground", "assets"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.splitlines()  # fmt: skip
    packed = {re.sub("^assets/", "align_core/assets/", name) for name in tracked}
    assert packed == {name for name in names if not name.startswith(record)}
    assert {f"{record}/licenses/LICENSE", f"{record}/entry_points.txt"} <= set(names)


def test_assets_are_built_only_in_a_checkout(environment, tmp_path):
    command = [environment / "bin/align-core", "build-assets"]
    done = subprocess.run(command, cwd=tmp_path, env=surroundings(), capture_output=True, text=True)
    assert done.returncode == 2
    takes = "a checkout of the project, in which assets are built"
    line = f"COMMAND got 'build-assets', expected {takes}\n"
    assert done.stderr == line


def test_the_page_answers(environment, tmp_path):
    before = installed_files(environment)
    port = free_port()
    process = subprocess.Popen(
        [environment / "bin/alignment-playground"],
        cwd=tmp_path,
        env=surroundings() | {"GRADIO_SERVER_PORT": str(port)},
        stdout=subprocess.DEVNULL,
    )
    try:
        page = answer(f"http://127.0.0.1:{port}/", process)
        assert "Alignment Playground" in page
        assert re.search(r"playground/\w+/core/store\.js", page), "the page preloads its modules"
    finally:
        process.terminate()
        process.wait()
    assert installed_files(environment) == before


def answer(address, process):
    def read():
        assert process.poll() is None, "the server has ended"
        with contextlib.suppress(OSError):
            return urllib.request.urlopen(address, timeout=60).read().decode()

    return until(read, 300)


def test_a_run_imports_the_script_of_the_page_and_no_gradio(inside, environment):
    script = str(environment / "bin/alignment-playground")
    program = f"""if True:
        import runpy, sys
        runpy.run_path({script!r}, run_name="__mp_main__")
        print({{"gradio", "pydantic"}} & sys.modules.keys())
    """
    assert inside("python", "-c", program) == "set()\n"


def test_training_and_generating_need_no_package_of_the_extra(inside, tmp_path):
    (tmp_path / "hidden").mkdir()
    (tmp_path / "hidden" / "sitecustomize.py").write_text(HIDES_THE_EXTRA)
    hidden = {"PYTHONPATH": str(tmp_path / "hidden")}
    program = """if True:
        import importlib.util
        from align_core import PPOTrainer, load_run
        from align_core.cli.main import main
        small = "--steps", "1", "--batch-size", "16", "--eval-every", "1"
        few = "--eval-prompts", "8", "--eval-samples", "1"
        main(["train", "ppo", "--task", "reviews", *small, *few, "--run-dir", "runs/first"])
        print(PPOTrainer.__module__)
        try:
            importlib.util.find_spec("gradio")
        except ModuleNotFoundError:
            try:
                load_run("runs/first").plot()
            except ModuleNotFoundError as error:
                print(error)
        main(["generate", "runs/first", "-n", "1", "--json"])
    """
    trained, module, asks, rows = inside("python", "-c", program, **hidden).splitlines()
    assert trained == "finished; the model is in runs/first/model"
    assert {path.name for path in tmp_path.iterdir()} == {"runs", "hidden"}
    assert module == "align_core.trainers.ppo.trainer"
    assert asks == "run.plot() needs plotly: pip install alignment-playground[app]"
    rows = json.loads(rows)
    assert len(rows) == 8 and all(row["proxy_reward"] is not None for row in rows)


def test_the_real_model_is_fetched_with_the_bounds_of_its_extra():
    (gguf,) = PROJECT["optional-dependencies"]["real"]
    assert (
        f'pip install --quiet --disable-pip-version-check "{gguf}"\n'
        in (ROOT / "Makefile").read_text()
    )
    assert gguf in (ROOT / "requirements-dev.txt").read_text().splitlines()
