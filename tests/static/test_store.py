"""core/store.js: one state, one writer."""

from __future__ import annotations

import pytest

IN_A_FRESH_PAGE = """async ({ get, set, subscribe }, code) => {
  const part = document.body.appendChild(document.createElement("div"));
  const drawn = [];
  const errors = [];
  window.onerror = (message) => errors.push(message);
  try {
    await eval(`(async () => { ${code} })()`);
  } catch (error) {
    errors.push(error.message);
  }
  return { drawn, errors };
}"""


@pytest.fixture
def run(script, blank):
    """run(code) returns the `drawn` parts and the `errors`, starting from the initial state."""
    blank.reload()
    return lambda code: script("core/store.js", IN_A_FRESH_PAGE, code)


def test_a_part_is_drawn_when_one_of_its_keys_changes(run):
    outcome = run("""
      subscribe(part, ["task", "beta"], ({ task, beta }) => drawn.push([task, beta]));
      set({ task: "reviews" });
      set({ task: "reviews" });
      set({ method: "ppo" });
      set({ task: "capitals", beta: 0.5 });
    """)
    assert outcome == {"drawn": [["reviews", None], ["capitals", 0.5]], "errors": []}


def test_a_state_is_frozen_and_a_change_makes_a_new_one(run):
    outcome = run("""
      const before = get();
      set({ beta: 0.5 });
      drawn.push(before.beta, get().beta, window.playground === get(), Object.isFrozen(get()));
      const state = get();
      (() => { "use strict"; state.beta = 1; })();
    """)
    assert outcome["drawn"] == [None, 0.5, True, True]
    assert len(outcome["errors"]) == 1 and "read only" in outcome["errors"][0]


@pytest.mark.parametrize("code", ["set({ bet: 1 })", 'subscribe(part, ["bet"], () => {})'])
def test_an_unknown_key_is_an_error(run, code):
    assert run(code) == {"drawn": [], "errors": ["expected a key of the state, got bet"]}


def test_a_failing_part_does_not_stop_the_others(run):
    outcome = run("""
      subscribe(part, ["beta"], () => { throw new Error("broken"); });
      subscribe(part, ["beta"], ({ beta }) => drawn.push(beta));
      set({ beta: 0.5 });
    """)
    assert outcome["drawn"] == [0.5]
    assert len(outcome["errors"]) == 1 and "broken" in outcome["errors"][0]


def test_a_removed_part_is_not_drawn_any_more(run):
    outcome = run("""
      subscribe(part, ["beta"], ({ beta }) => drawn.push(beta));
      set({ beta: 1 });
      part.remove();
      set({ beta: 2 });
      document.body.append(part);
      set({ beta: 3 });
    """)
    assert outcome["drawn"] == [1]


def test_nested_changes_end_with_the_newest_state(run):
    outcome = run("""
      subscribe(part, ["task"], () => set({ watchedBeta: 0.2 }));
      const draw = ({ task, watchedBeta }) => drawn.push([task, watchedBeta]);
      subscribe(part, ["task", "watchedBeta"], draw);
      set({ task: "reviews" });
    """)
    assert outcome["drawn"][-1] == ["reviews", 0.2]
