"""newest.js: questions that are asked faster than they are answered."""

from __future__ import annotations

import pytest

from playground import app

ASKED = """async () => {{ {source};
  const asked = [];
  const answers = [];
  let value = 0;
  const ask = newestLast(async (newerWaits) => {{
    const mine = value;
    asked.push(mine);
    await new Promise((answer) => answers.push(answer));
    asked.push([mine, newerWaits()]);
    if (mine === {fails}) throw new Error("lost");
  }});
  const first = Promise.allSettled([ask()]);
  for (value of [1, 2, 3]) ask();
  answers.shift()();
  const [outcome] = await first;
  answers.shift()();
  await new Promise((later) => setTimeout(later));
  return [asked, outcome.status];
}}"""


@pytest.mark.parametrize("fails, outcome", [(-1, "fulfilled"), (0, "rejected")])
def test_the_newest_is_asked_once_the_first_is_answered(chromium, fails, outcome):
    source = (app.STATIC / "core" / "newest.js").read_text(encoding="utf-8")
    page = chromium.new_page()
    found = page.evaluate(ASKED.format(source=source, fails=fails))
    page.close()
    assert found == [[0, [0, True], 3, [3, False]], outcome]
