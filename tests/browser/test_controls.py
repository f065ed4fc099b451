"""Every control is changed, the run's config.json has its new value, and Reset undoes all."""

from __future__ import annotations

import json

from playwright.sync_api import expect

from align_core.config.methods import methods
from align_core.config.run_config import resolve
from align_core.config.task_card import card
from playground import text
from tests.browser.test_page import MOVE, choose, fill, status, wait_for_settings

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
    "ppo": {"beta": 0, "reward_model": "reward-capitals-few", "whiten_advantages": False},
    "dpo": {"beta": 0.3, "loss": "ipo", **FOR_PAIRS},
    "reward": FOR_PAIRS,
    "sft": {},
    "grpo": {
        "beta": 0.1,
        "reward_model": "reward-capitals-few",
        "group_size": 8,
        "loss": "dr_grpo",
        "scale_rewards": "none",
        "importance": "sequence",
    },
}
LABELS = {
    "reward-capitals-few": CONTROLS["reward_few"],
    "pretrained": CONTROLS["source_pretrained"],
}


def turn(page, field, value):
    match field:
        case "beta" if value == 0:
            page.check("#field-beta [type=checkbox]")
        case "beta":
            page.evaluate(MOVE, value)
        case "reward_model" | "pair_source":
            page.click(f"#field-{field} label:has-text('{LABELS[value]}')")
        case "coverage":
            for group in {*card(TASK).groups} - {*value.split(",")}:
                page.click(f"#field-{field} label:has-text('{WORDS['groups'][TASK][group]}')")
        case "loss" | "scale_rewards" | "importance":
            page.click(f"#field-{field} input")
            page.get_by_role("option", name=WORDS["choices"][field][value], exact=True).click()
        case "whiten_advantages":
            page.uncheck(f"#field-{field} input")
        case _:
            fill(page, **{field: value})


def show_controls(page, method):
    """All controls of a method, at their initial values."""
    if not methods()[method].basic:
        page.click("#field-method summary")
    choose(page, WORDS["methods"][method]["name"])
    choose(page, WORDS["tasks"][TASK]["name"])
    wait_for_settings(page, method, TASK)
    for kind, name in (("methods", method), ("tasks", TASK)):
        expect(page.get_by_text(WORDS[kind][name]["explanation"])).to_be_visible()
    expect(page.locator("#field-steps input")).to_have_value(str(resolve(method, TASK).steps))


def ran(page, client):
    """Press Run, wait for the end of the run, and return the content of its config.json."""
    page.click("#run")
    status(page, "finished")
    return json.loads((client.root / client.runs()[0] / "config.json").read_text())


def test_every_control_reaches_the_configuration_of_the_run(visit, address, client):
    page = visit(address)
    page.click("#advanced button")
    for method, turned in TURNED.items():
        show_controls(page, method)
        changes = {**FOR_ALL, **turned}
        # The pace is not a setting of the run; it is sent as a command.
        wanted = {"task", "method", *changes, "pace"}
        shown = page.locator("#controls [id^=field-]:visible")
        expect(shown).to_have_count(len(wanted))  # some are rendered at their first use
        ids = shown.evaluate_all("all => all.map((one) => one.id.replace('field-', ''))")
        assert {*ids} == wanted
        for field, value in changes.items():
            turn(page, field, value)
        config = ran(page, client)
        chosen = {"task": TASK, "method": method, **changes}
        assert {field: config[field] for field in chosen} == chosen
        usual = resolve(method, TASK).model_dump()
        unchanged = [field for field, value in changes.items() if usual[field] == value]
        assert not unchanged, f"{method}: every control was changed"
    page.click("#reset button")
    wait_for_settings(page, "ppo", "reviews")
    first = resolve("ppo", "reviews")
    for field in FOR_ALL:
        expect(page.locator(f"#field-{field} input")).to_have_value(f"{getattr(first, field):g}")
    expect(page.locator("#reset [role=status]")).to_have_text(WORDS["reset"]["done"])
    fill(page, steps=30)
    page.locator("#field-steps input").blur()
    expect(page.locator("#reset [role=status]")).to_be_empty()
