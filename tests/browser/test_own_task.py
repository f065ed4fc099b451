"""A visitor's own task: made, corrected, trained on, reloaded and deleted."""

from playwright.sync_api import expect


def choose_own(page):
    page.locator("#field-task label", has_text="Your own").click()
    expect(page.locator("#own_task .part .number").first).not_to_be_empty()


def numbers(page):
    """The scores of the three answers, with a row for each part."""
    return page.locator("#own_task .part .number").all_inner_texts()


def test_a_task_is_made_run_and_deleted(real_app, visit):
    address, runs = real_app
    page = visit(address)
    page.wait_for_selector("body[data-settled]")
    choose_own(page)
    page.click("#run")
    expect(page.locator("#errors li")).to_have_text(
        "Make your task first: its form stands above the charts."
    )
    # length, aim 5, weight 2: 4, 18 and 2 words; ends, weight 1
    assert numbers(page) == ["−0.40", "−5.20", "−1.20", "+1.00", "0.00", "+1.00"]
    page.locator("#own_task .weight input").first.fill("0.5")
    assert numbers(page)[:3] == ["−0.10", "−1.30", "−0.30"]

    page.locator("#own_task .sum select").select_option("answer")
    expect(page.locator("#own_task .missing")).to_have_text("The sums are without: Right answer.")
    assert numbers(page)[6:] == ["–"] * 3
    page.locator("#own_task .remove").last.click()
    expect(page.locator("#own_task .missing")).to_be_hidden()

    page.fill("#own_task [name=title]", "")
    page.fill("#own_task [name=prompts]", "one\n")
    page.click("#own_task [type=submit]")
    expect(page.locator("#own_task [data-of=title] li")).to_contain_text("“Name” takes a text")
    expect(page.locator("#own_task [data-of=prompts] li")).to_contain_text("three prompts or more")
    hostile = "<img src=x onerror=window.hacked=1> ${1+1}"
    page.fill("#own_task [name=title]", hostile)
    page.fill("#own_task [name=prompts]", "".join(f"The {i}th film\n" for i in range(9)))
    page.click("#own_task [type=submit]")
    expect(page.locator("#own_task form")).to_be_hidden()
    expect(page.locator("#own_task .summary")).to_contain_text(hostile)
    expect(page.locator("#controls .explanation").first).to_have_text(hostile)
    assert page.evaluate("window.hacked") is None

    for field, number in (("steps", 2), ("batch_size", 8)):
        page.fill(f"#field-{field} input[type=number]", str(number))
    page.click("#run")
    expect(page.locator("#live .state")).to_have_text("Finished")
    expect(page.locator("#live .progress")).to_contain_text("PPO on Your own, step 2 of 2")
    expect(page.locator("#frontier .chart")).to_be_hidden()
    parts = page.locator("#own .chart").filter(has_text="Reward parts")
    expect(parts.locator(".value .name")).to_have_text(["ends", "length"])
    assert [run.name.split("-")[-1] for run in runs.iterdir()] == ["own"]
    for view, name in (("compare", "Compare"), ("try", "Try it"), ("score", "Score it")):
        page.get_by_role("tab", name=name, exact=True).click()
        expect(page.locator(f"#{view} .tasks").get_by_label("Your own")).to_be_checked()
        expect(page.locator(f"#{view} .models label").first).to_contain_text("PPO")
    expect(page.locator("#score [name=prompt]")).to_have_value("The 4th film")
    expect(page.locator("#score .answers")).to_contain_text("Gold is the sum of your task’s parts")

    page.reload()
    page.wait_for_selector("body[data-settled]")
    expect(page.get_by_role("radio", name="Your own").first).to_be_checked()
    expect(page.locator("#own_task .summary")).to_contain_text(hostile)
    with page.expect_download() as download:
        page.click("#own_task .zip")
    assert download.value.suggested_filename == "task.zip"
    page.on("dialog", lambda dialog: dialog.accept())
    page.click("#own_task .delete")
    expect(page.locator("#own_task .zip")).to_be_hidden()
    assert not [*runs.with_name("tasks").rglob("task.toml")]
