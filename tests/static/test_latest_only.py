"""core/latest_only.js: requests that come faster than their answers."""

from __future__ import annotations

import pytest

REQUESTS = """async ({ latestOnly }, failing) => {
  const log = [];
  const answers = [];
  let value = 0;
  const request = latestOnly(async (newerIsWaiting) => {
    const mine = value;
    log.push(mine);
    await new Promise((answer) => answers.push(answer));
    log.push([mine, newerIsWaiting()]);
    if (mine === failing) throw new Error("lost");
  });
  const first = Promise.allSettled([request()]);
  for (value of [1, 2, 3]) request();
  answers.shift()();
  const [outcome] = await first;
  answers.shift()();
  await new Promise((later) => setTimeout(later));
  return [log, outcome.status];
}"""


@pytest.mark.parametrize("failing, outcome", [(None, "fulfilled"), (0, "rejected")])
def test_the_last_request_is_sent_after_the_first_answer(script, failing, outcome):
    log = script("core/latest_only.js", REQUESTS, failing)
    assert log == [[0, [0, True], 3, [3, False]], outcome]
