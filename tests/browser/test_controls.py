"""Every control is changed, and its value is then in the config.json of the run."""

from __future__ import annotations

import json

import pytest
from playwright.sync_api import expect

from align_core.config.run_config import resolve
from align_core.config.task_card import card
from playground import text
from tests.browser.test_page import MOVE, choose, fill

WORDS = text.load("en")
CONTROLS = WORDS["controls"]
TASK = "capitals"  # not the task of a first visit
FOR_ALL = {
    "steps": 17,
    "learning_rate": 0.0002,
    "seed": 5,
    "batch_size": 48,
    "eval_every": 7,
    "lora_r": 4,
}
FOR_PAIRS = {
    "preference_pairs": 321,
    "label_noise": 0.25,
    "coverage": "Africa,Asia",
    "pair_source": "pretrained",
}
TURNED = {
    "ppo": {"beta": 0.3, "reward_model": "reward-capitals-few", "whiten_advantages": False},
    "dpo": {"beta": 0.3, **FOR_PAIRS},
    "reward": FOR_PAIRS,
    "sft": {},
}
LABELS = {
    "reward-capitals-few": CONTROLS["reward_few"],
    "pretrained": CONTROLS["source_pretrained"],
}


def turn(page, field, value):
    match field:
        case "beta":
            page.evaluate(MOVE, value)
        case "reward_model" | "pair_source":
            page.click(f"#field-{field} label:has-text('{LABELS[value]}')")
        case "coverage":
            for group in {*card(TASK).groups} - {*value.split(",")}:
                page.click(f"#field-{field} label:has-text('{WORDS['groups'][TASK][group]}')")
        case "whiten_advantages":
            page.uncheck(f"#field-{field} input")
        case _:
            fill(page, **{field: value})


def visit_controls(visit, address, method):
    """The page with all controls of a method visible, at their initial values."""
    page = visit(address)
    page.click("#advanced button")
    choose(page, WORDS["methods"][method]["name"])
    expect(page.get_by_text(WORDS["methods"][method]["explanation"])).to_be_visible()
    choose(page, WORDS["tasks"][TASK]["name"])
    expect(page.get_by_text(WORDS["tasks"][TASK]["explanation"])).to_be_visible()
    expect(page.locator("#field-steps input")).to_have_value(str(resolve(method, TASK).steps))
    if "coverage" in TURNED[method]:  # it is rendered when first needed
        expect(page.locator("#field-coverage")).to_be_visible()
    return page


def started(page, client):
    """Press Run and return the content of config.json."""
    page.click("#run")
    page.wait_for_selector("#train[data-run=running], #train[data-run=finished]")
    (name,) = client.runs()
    return json.loads((client.root / name / "config.json").read_text())


@pytest.mark.parametrize("method", TURNED)
def test_every_control_reaches_the_configuration_of_the_run(method, visit, address, client):
    page = visit_controls(visit, address, method)
    changes = {**FOR_ALL, **TURNED[method]}
    shown = page.locator("#controls [id^=field-]:visible").evaluate_all(
        "all => all.map((one) => one.id.replace('field-', ''))"
    )
    # The pace is not a setting of the run; it is sent as a command.
    assert {*shown} == {"task", "method", *changes, "pace"}
    for field, value in changes.items():
        turn(page, field, value)
    config = started(page, client)
    chosen = {"task": TASK, "method": method, **changes}
    assert {field: config[field] for field in chosen} == chosen
    usual = resolve(method, TASK).model_dump()
    assert all(usual[field] != value for field, value in changes.items()), (
        "every control was changed"
    )


def test_the_switch_for_beta_0_reaches_the_run(visit, address, client):
    page = visit_controls(visit, address, "ppo")
    page.check("#field-beta [type=checkbox]")
    assert started(page, client)["beta"] == 0
