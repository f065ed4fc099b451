"""Properties of every task."""

import math
import random
import statistics

import pytest

from align_core.config.task_card import BUILT_IN
from align_core.tasks import load_task
from align_core.tasks.grammar import tokenize
from align_core.tasks.grammar_task import EMPTY, UNENDED


@pytest.fixture(params=BUILT_IN)
def task(request):
    return load_task(request.param)


def rewards(task, demonstrations, **kwargs):
    prompts = [d["prompt"] for d in demonstrations]
    return task.reward(prompts, [d["completion"] for d in demonstrations], **kwargs)


def test_an_unknown_task_is_named():
    with pytest.raises(ValueError, match="'poems'.*reviews, capitals"):
        load_task("poems")


def test_splits_are_disjoint_and_of_the_promised_sizes(task):
    train, probe, heldout = (task.prompts(split) for split in ("train", "probe", "heldout"))
    assert (len(probe), len(heldout)) == (64, 128)
    assert 900 <= len(train) <= 1100
    assert len({*train, *probe, *heldout}) == len(train) + 192
    with pytest.raises(ValueError, match="train.*'test'"):
        task.prompts("test")


def test_splits_are_the_same_in_every_process(task):
    assert type(task)().splits == task.splits


def test_a_coverage_divides_the_prompts(task):
    prompts = task.prompts("probe")
    one, other = task.group(prompts[0]), task.group(prompts[-1])
    sides = task.split_by_coverage(f"{one},{other}", prompts)
    assert sides["covered"] == [p for p in prompts if task.group(p) in (one, other)]
    assert sides["uncovered"] == [p for p in prompts if task.group(p) not in (one, other)]
    assert task.split_by_coverage("all", prompts) == {} and task.covers("all", prompts[0])


def test_every_split_covers_every_group(task):
    groups = {task.group(prompt) for prompt in task.prompts("train")}
    assert len(groups) >= 5
    for split in ("probe", "heldout"):
        assert {task.group(prompt) for prompt in task.prompts(split)} == groups


def test_demonstrations_parse_and_use_only_train_prompts(task):
    kept_back = {*task.prompts("probe"), *task.prompts("heldout")}
    for d in task.demonstrations(500, seed=0):
        assert d["completion"].startswith(" ") and not d["completion"].startswith("  ")
        assert d["prompt"] == d["prompt"].strip()
        assert d["prompt"] not in kept_back
        assert task.parses(d["prompt"], d["completion"]), d


def test_the_corpus_parses(task):
    for text in task.corpus(500, seed=0):
        assert task.grammar.parses(task.tokens(text), "text"), text


def test_a_text_cut_short_does_not_parse(task):
    for d in task.demonstrations(100, seed=1):
        assert not task.parses(d["prompt"], d["completion"][:-1])


@pytest.mark.parametrize("spoil", [lambda c: c[1:], lambda c: " " + c, lambda c: c[:-1] + " ."])
def test_wrong_spacing_does_not_parse(task, spoil):
    for d in task.demonstrations(50, seed=1):
        assert not task.parses(d["prompt"], spoil(d["completion"]))


def test_a_sentence_starts_with_a_capital(task):
    for d in task.demonstrations(50, seed=1):
        assert not task.parses(d["prompt"].lower(), d["completion"])


def test_same_seed_same_text_and_another_seed_another(task):
    assert task.corpus(20, seed=3) == task.corpus(20, seed=3) != task.corpus(20, seed=4)
    assert task.demonstrations(20, 3) == task.demonstrations(20, 3) != task.demonstrations(20, 4)


def test_rewards_of_demonstrations_have_the_designed_spread(task):
    values = rewards(task, task.demonstrations(1000, seed=5))
    assert 1.5 < statistics.pstdev(values) < 2.5
    assert abs(statistics.mean(values)) < 0.8
    assert len({round(r, 2) for r in values}) > 20


def test_whether_a_text_ended_is_read_from_its_ids_then_the_column_then_the_default(task):
    d = task.demonstrations(1, seed=0)
    done = rewards(task, d)[0]
    assert rewards(task, d, ended=[True]) == [done]
    assert rewards(task, d, ended=[False]) == [done - UNENDED]
    assert rewards(task, d, completion_ids=[[5, 6, 0]], ended=[False]) == [done]
    assert rewards(task, d, completion_ids=[[0, 5, 6]]) == [done - UNENDED]
    assert rewards(task, d, completion_ids=[[5, 9]], eos_token_id=9) == [done]
    assert rewards(task, d, completion_ids=[[]]) == [done - UNENDED]


def test_messages_are_read_as_text(task):
    d = task.demonstrations(1, seed=0)[0]
    prompt = [{"role": "user", "content": d["prompt"]}]
    completion = [{"role": "assistant", "content": d["completion"]}]
    assert task.reward([prompt], [completion], trainer_state=None) == rewards(task, [d])


def test_a_missing_leading_space_costs_nothing(task):
    d = task.demonstrations(1, seed=0)[0]
    bare = {**d, "completion": d["completion"].strip()}
    assert rewards(task, [bare]) == rewards(task, [d])


@pytest.mark.parametrize("empty", ["", "  ", " .", " ...!"])
def test_an_empty_text_is_penalised(task, empty):
    prompt = task.prompts("train")[0]
    assert task.reward([prompt], [empty]) == [-EMPTY]
    assert task.reward([prompt], [empty], ended=[False]) == [-EMPTY - UNENDED]


def test_lists_of_different_length_are_refused(task):
    with pytest.raises(ValueError):
        task.reward(["What"], ["a", "b"])


def test_shuffled_words_are_penalised(task):
    rng = random.Random(0)
    demonstrations = [d for d in task.demonstrations(300, seed=2) if d["completion"].count(" ") > 6]
    for d in demonstrations:
        words = d["completion"].split()
        rng.shuffle(words)
        shuffled = " " + " ".join(words)
        if tokenize(shuffled) != tokenize(d["completion"]):
            assert task.grammar_penalty(d["prompt"], d["completion"]) == 0.0
            assert task.grammar_penalty(d["prompt"], shuffled) >= 0.7


@pytest.mark.parametrize(("a", "b"), [(1.0, 0.0), (0.3, 0.3), (-2.0, 1.0)])
def test_the_rater_prefers_with_the_sigmoid_of_the_difference(task, a, b):
    rng, n = random.Random(0), 20_000
    p = 1.0 / (1.0 + math.exp(b - a))
    share = sum(task.prefers(a, b, rng) for _ in range(n)) / n
    assert abs(share - p) < 4.0 * math.sqrt(p * (1.0 - p) / n)


def test_the_rater_takes_any_difference(task):
    rng = random.Random(0)
    assert task.prefers(1e4, -1e4, rng) and not task.prefers(-1e4, 1e4, rng)
