"""Names of tasks; a name in a file never executes code."""

import random
import sys

import pytest

from align_core.config import task_card
from align_core.config.errors import ConfigError
from align_core.tasks import Task, get_task, have_ended, load_task

POEMS = """
class Poems:
    name = "poems"
    title = "Short poems"
    explanation = "The model goes on with a line, and people prefer short ones."
    max_new_tokens = 8

    def prompts(self, split):
        return [f"the {word} in {split}" for word in ("sea", "sky")]

    def reward(self, prompts, completions, **columns):
        return [-0.1 * len(text.split()) for text in completions]
"""


@pytest.fixture(autouse=True)
def forget(monkeypatch):
    monkeypatch.setattr(task_card, "_registered", {})


@pytest.fixture
def file(tmp_path):
    file = tmp_path / "poems.py"
    file.write_text(POEMS)
    return file


def line(name) -> str:
    with pytest.raises(ConfigError) as refused:
        load_task(str(name))
    (only,) = refused.value.lines
    return only.text


def test_a_custom_class_needs_only_the_required_members(file):
    task = load_task(str(file))
    assert isinstance(task, Task)
    assert (task.name, task.full_name) == ("poems", f"{file}:Poems")
    assert (task.reference, task.reward_model, task.groups) == (None, None, ())
    assert (task.demonstrations, task.preferences) == (None, None)
    assert task.split_by_coverage("all", ["a"]) == {}
    assert task.covers("all", "a") and not task.covers("some", "a")
    # σ(2) = 0.881: 3,523 ± 20.5 of 4,000 choices; five standard deviations are 103.
    rng = random.Random(0)
    assert abs(sum(task.prefers(1.0, -1.0, rng) for _ in range(4000)) - 3523) < 103
    assert task.reward(["a"], ["two words"]) == [-0.2]


def test_a_loaded_task_keeps_the_name_in_the_call(file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    task = load_task("poems.py")
    assert get_task(task.full_name) is task
    assert load_task(task.full_name).full_name == task.full_name
    card = task_card.card(f"{file}:Poems")
    assert (card.name, card.title, card.demonstrations) == ("poems", "Short poems", False)
    assert card.prompt == "the sea in probe"


def test_a_class_of_a_package_is_named_by_its_module(file, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    task = load_task("poems:Poems")
    assert task.full_name == "poems:Poems"
    assert ", expected one of its classes: Poems" in line("poems:Prose")
    assert "No module named 'prose'" in line("prose:Poems")
    sys.modules.pop("poems")


def test_unnamed_files_are_not_imported(tmp_path):
    file = tmp_path / "evil.py"
    file.write_text(f"open({str(tmp_path / 'marker')!r}, 'w')\n{POEMS}")
    with pytest.raises(ConfigError, match=r"^--task got nothing, expected '.*evil\.py:Poems'"):
        get_task(f"{file}:Poems")
    assert not (tmp_path / "marker").exists()
    load_task(str(file))
    assert (tmp_path / "marker").exists()


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("x = 1", "a file with the class of a task; this one has no class"),
        ("def f(:", "SyntaxError: invalid syntax"),
        ("x = 1\nraise KeyError('no')", "KeyError: 'no' ("),
        ("import sys\nsys.exit(3)", "SystemExit: 3 (poems.py, line 2)"),
        ("\nimport no_such_module", "No module named 'no_such_module' (poems.py, line 2)"),
        ("raise ValueError('a\\nb\\x1b[1m')", "ValueError: a b [1m (poems.py, line 1)"),
        (
            POEMS.replace("self, split):", "self, split):\n        raise SystemExit"),
            "SystemExit: (",
        ),
        (POEMS + "    title = property(lambda self: __import__('sys').exit(0))", "SystemExit: 0 ("),
        (POEMS + "    group = reference = property(lambda self: 1 / 0)", "ZeroDivisionError: div"),
        (
            "class Meta(type):\n    pass\n" + POEMS.replace("Poems", "Poems(metaclass=Meta)"),
            "metaclass conflict",
        ),
        (POEMS + POEMS.replace("Poems:", "Prose:"), "poems.py:Poems or "),
        (POEMS.replace('title = "Short poems"', ""), "Poems has no title"),
        (POEMS.replace("prompts(self", "texts(self"), "Poems has no prompts"),
        (POEMS.replace('"poems"', '"My poems"'), "a name of lower-case letters, digits and _"),
        (POEMS.replace("= 8", "= 0"), "max_new_tokens, a whole number from 1"),
        (POEMS.replace("poems", "p" * 41), "a name of lower-case"),
        (POEMS.replace("Short poems", "Short\\npoems"), "a title, a line"),
        (POEMS.replace("Short poems", "\\x1b[1mShort"), "a title, a line"),
        (POEMS.replace("Short poems", "\\ud800"), "a title, a line"),
        (POEMS.replace("Short poems", "s" * 101), "a title, a line"),
        (POEMS.replace("goes on", "g" * 500), "an explanation of at most"),
        (POEMS.replace("= 8", "= True"), "max_new_tokens, a whole number from 1 to 2048"),
        (POEMS.replace("= 8", "= 10**9"), "max_new_tokens, a whole number from 1 to 2048"),
        *(
            (f"{POEMS}    groups = {groups}\n    group = str.upper", "groups, a tuple of different")
            for groups in ('"ab"', '("a,b",)', '("a", "a")', '("all",)', "(3,)", '("a\\n",)')
        ),
        (POEMS + "    demonstrations = 'x'", "demonstrations and preferences, each a function"),
        (POEMS + "    preferences = 5", "demonstrations and preferences, each a function"),
        (POEMS + "    def preferences(self): pass", "demonstrations and preferences, each a"),
        (POEMS + "    reference = 5", "reference and reward_model, each a MODEL"),
        (POEMS.replace("return [f", "return 'sea' or [f"), "a list of texts from prompts('probe')"),
        (POEMS.replace("return [f", "yield [f"), "a list of texts from prompts('probe')"),
        (POEMS.replace("return [f", "return {1} or [f"), "a list of texts from prompts('probe')"),
        (
            POEMS.replace(
                "return [f", "import numpy\n        return numpy.array(['a']) if 1 else [f"
            ),
            "a list of texts from prompts('probe')",
        ),
        (POEMS.replace('("sea"', "('\\ud800'"), "a list of texts from prompts('probe')"),
        (POEMS.replace(", **columns", ""), "reward(prompts, completions, **columns)"),
        (POEMS.replace(" in {split}", ""), "no prompt in two splits"),
        (POEMS.replace('("sea", "sky")', "()"), "a list of texts from prompts('probe')"),
        (
            POEMS.replace("= 8", "= 8\n    groups = ('a', 'b')"),
            "group(prompt), if it has groups",
        ),
    ],
)
def test_each_error_is_one_line(file, code, says):
    file.write_text(code)
    message = line(file)
    assert message.startswith("--task got '") and says in message and "\n" not in message
    assert not task_card.registered()


@pytest.mark.parametrize("name", ["prose", "prose/", "a b:C", "http://x/y:Z"])
def test_an_unknown_name_is_refused_with_the_known_ones(name):
    assert line(name) == f"--task got {name!r}, expected {task_card.EXPECTED}"


def test_a_missing_file_and_a_folder_without_a_task(tmp_path):
    assert "a Python file that can be read: No such file" in line(tmp_path / "none.py")
    assert line(tmp_path) == f"--task got {tmp_path}/task.toml: there is no such file"


def test_columns_tell_whether_a_text_has_ended():
    texts = ["a", "b"]
    assert have_ended(texts) == [True, True]
    assert have_ended(texts, ended=[0, 1]) == [False, True]
    assert have_ended(texts, [[5, 2], [2, 5]], [False, True], eos_token_id=2) == [True, False]


@pytest.mark.parametrize("name", task_card.BUILT_IN)
def test_a_built_in_task_agrees_with_its_card(name):
    task, card = load_task(name), task_card.card(name)
    for known in ("name", "full_name", "title", "explanation", "reference", "reward_model"):
        assert getattr(task, known) == getattr(card, known)
    assert task.groups == card.groups
    assert (task.demonstrations is not None) == card.demonstrations
    assert get_task(name) is task


FROZEN = [
    POEMS.replace("class", "from dataclasses import dataclass\n@dataclass(frozen=True)\nclass"),
    POEMS + "    def __setattr__(self, name, value):\n        raise AttributeError(name)",
    POEMS + "    __slots__ = ()",
]


def test_a_class_may_refuse_new_attributes(file):
    for code in FROZEN:
        file.write_text(code)
        assert load_task(str(file)).full_name == f"{file}:Poems"


def test_an_invalid_name_is_refused():
    names = (None, 5, ["reviews"], "", "x\0.py", "~nosuchuser/x", "~nosuchuser/x.py:C", "x" * 5000)
    messages = [line_of(name) for name in names]
    assert all(message.startswith("--task got ") for message in messages)
    assert all(len(message) < 250 and "\n" not in message for message in messages)


def line_of(name) -> str:
    with pytest.raises(ConfigError) as refused:
        load_task(name)
    (only,) = refused.value.lines
    return only.text


def test_the_output_of_a_task_goes_to_standard_error(file, capsys):
    file.write_text(f"print('imported')\n{POEMS.replace('return [f', 'print(split); return [f')}")
    load_task(str(file))
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("imported\ntrain\n")


RETURNED = [
    ("[1.0]", "a number for each completion; it returned 1 for 2 completions"),
    ("[1.0] * 3", "a number for each completion; it returned 3 for 2 completions"),
    ("[1.0, float('nan')]", "finite numbers; it returned nan for 'b'"),
    ("[float('-inf'), 1]", "finite numbers; it returned -inf for 'a'"),
    ("[None, 1]", "finite numbers; it returned nothing for 'a'"),
    ("['1', 1]", "finite numbers; it returned '1' for 'a'"),
    ("numpy.zeros((2, 1))", "finite numbers; it returned [0.0] for 'a'"),
    ("None", "a list of numbers; it returned nothing"),
    ("'ab'", "a list of numbers; it returned 'ab'"),
    ("3", "a list of numbers; it returned 3"),
]


def test_rewards_are_one_finite_number_for_each_completion(file):
    for returned, says in RETURNED:
        file.write_text("import numpy\n" + POEMS.replace("[-0.1", f"{returned} if 1 else [-0.1"))
        task = load_task(str(file))
        with pytest.raises(ConfigError) as refused:
            task.reward(["p", "p"], ["a", "b"], ended=[True, True])
        expected = f"--task got {str(file) + ':Poems'!r}, expected a reward that gives {says}"
        assert str(refused.value)[:40] == expected[:40] and str(refused.value).endswith(says)
    for returned in ("numpy.arange(2)", "(0, numpy.float32(1))", "[False, numpy.array([1])]"):
        file.write_text("import numpy\n" + POEMS.replace("[-0.1", f"{returned} if 1 else [-0.1"))
        rewards = load_task(str(file)).reward(["p", "p"], ["a", "b"])
        assert rewards == [0.0, 1.0] and {type(one) for one in rewards} == {float}


@pytest.mark.parametrize(
    "reward",
    [
        "def reward(self, completions, **kwargs): return [2.0 for _ in completions]",
        "def reward(self, *, prompts, completions, **_): return [2.0 for _ in completions]",
        "async def reward(self, completions, **_): return [2.0 for _ in completions]",
        "reward = staticmethod(lambda completions, **_: [2.0 for _ in completions])",
    ],
)
def test_a_reward_is_any_function_that_trl_would_call(file, reward):
    before = POEMS.partition("    def reward")[0]
    file.write_text(before + f"    {reward}\n")
    assert load_task(str(file)).reward(["p", "p"], ["a", "b"], ended=[True, True]) == [2.0, 2.0]


def test_a_function_that_would_get_the_task_as_its_completions_is_refused(file):
    before = POEMS.partition("    def reward")[0]
    function = "def score(completions, **_): return [2.0 for _ in completions]\n"
    file.write_text(function + before + "    reward = score\n")
    assert "a method or a static method" in line(file)


def test_what_a_reward_prints_goes_to_standard_error(file, capsys):
    file.write_text(POEMS.replace("return [-", "print('scoring'); return [-"))
    load_task(str(file)).reward(["p"], ["a"])
    assert capsys.readouterr() == ("", "scoring\n")


def test_a_file_is_decoded_as_python_does_and_may_import_what_is_beside_it(file, monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path])
    (file.parent / "beside_poems.py").write_text("TOKENS = 9")
    text = POEMS.replace("max_new_tokens = 8", "max_new_tokens = TOKENS")
    text = "from beside_poems import TOKENS\n" + text.replace("Short poems", "Poèmes")
    for content in (
        text.encode("utf-8-sig"),
        b"# coding: latin-1\n" + text.encode("latin-1"),
    ):
        file.write_bytes(content)
        task = load_task(str(file))
        assert (task.title, task.max_new_tokens) == ("Poèmes", 9)


@pytest.mark.parametrize(
    ("member", "rows", "says"),
    [
        (
            "preferences",
            "[{'prompt': 'a', 'chosen': 3, 'rejected': 'b'}] * n",
            "row 1: expected three",
        ),
        ("preferences", "None", "preferences that are a list of rows; it returned nothing"),
        ("demonstrations", "[{'prompt': 'a'}] * n", "row 1: expected the columns prompt and compl"),
    ],
)
def test_rows_of_a_task_are_texts(file, member, rows, says):
    file.write_text(POEMS + f"\n    def {member}(self, n, seed):\n        return {rows}\n")
    with pytest.raises(ConfigError, match=says) as refused:
        getattr(load_task(str(file)), member)(2, 0)
    assert len(refused.value.lines) == 1


def test_misspecified_rewards_are_checked_too(file):
    nan = "lambda completions, **_: [float('nan') for _ in completions]"
    file.write_text(POEMS + f"\n    proxies = {{'bad': {nan}}}\n")
    with pytest.raises(ConfigError, match="a reward 'bad' that gives finite numbers; it returned"):
        load_task(str(file)).proxies["bad"](["p"], ["a"], ended=[True])
