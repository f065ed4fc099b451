"""The playground as a visitor gets it: app.py, the embedded models and the real worker, with a task
of code, a visitor's own task, and a method of another package."""

from __future__ import annotations

import csv
import io
import json
import shutil

import pytest
from playwright.sync_api import expect

from playground import text
from tests.browser.conftest import ROOT
from tests.browser.test_page import choose, fill, points, policy, status

WORDS = text.load("en")
VIEWS = WORDS["views"]
# A task without pairs, demonstrations or a frontier; its sentence contains HTML and templates.
POEMS = """
class Poems:
    name, title = "poems", "Short words"
    explanation = "The model goes on with a line; people prefer a<b <i>c</i> ${1+1} {{d}}"
    max_new_tokens = 8
    reference = "sft-reviews"

    def prompts(self, split):
        return [f"The {word} of {split}" for word in ("film", "plot")]

    def reward(self, prompts, completions, **columns):
        return [4.0 - sum(map(len, text.split())) for text in completions]
"""
HOSTILE = "<img src=x onerror=window.hacked=1> ${1+1}"


@pytest.fixture
def arguments(tmp_path):
    (tmp_path / "poems.py").write_text(POEMS)
    return ["--task", str(tmp_path / "poems.py")]


@pytest.fixture
def environment(tmp_path):
    """An environment with the package of tests/fakes/hinge_method.py installed."""
    site = tmp_path / "site"
    (site / "hinge-1.0.dist-info").mkdir(parents=True)
    shutil.copy(ROOT / "tests" / "fakes" / "hinge_method.py", site)
    (site / "hinge-1.0.dist-info" / "METADATA").write_text("Name: hinge\nVersion: 1.0\n")
    entry = "[align_core.methods]\nhinge = hinge_method:HINGE\n"
    (site / "hinge-1.0.dist-info" / "entry_points.txt").write_text(entry)
    return {"PYTHONPATH": str(site)}


def open_view(page, name):
    page.get_by_role("tab", name=VIEWS[name], exact=True).click()


def run(page, **numbers):
    """Press Run once the settings of the last choice have come."""
    page.evaluate("window.settings.complete()")
    fill(page, **numbers)
    page.click("#run")


def every_view_has_the_task_and_its_run(page, task):
    for view in ("compare", "try", "score"):
        open_view(page, view)
        expect(page.locator(f"#{view} .tasks").get_by_label(task)).to_be_checked()
        expect(page.locator(f"#{view} .models label").first).to_contain_text("PPO")
        expect(page.locator(f"#{view} .errors li")).to_have_count(0)


def a_task_of_code_is_offered_and_trained(page):
    expect(page.get_by_role("radio", name="Short words").first).to_be_checked()
    expect(page.locator("#field-method label:has-text('SFT')")).to_have_count(0)
    explanation = page.locator("#controls .explanation").first
    expect(explanation).to_contain_text("people prefer a<b <i>c</i> ${1+1} {{d}}")
    expect(page.locator("#frontier .chart")).to_be_hidden()
    run(page, steps=2, batch_size=8)
    expect(page.locator("#live .progress")).to_contain_text("PPO on Short words, step 2 of 2")
    status(page, "finished")
    expect(page.locator("#samples .row").first).to_contain_text("of probe")
    expect(page.locator("#frontier .chart")).to_be_hidden()
    every_view_has_the_task_and_its_run(page, "Short words")
    open_view(page, "rate")
    page.click("#rate .tasks label:has-text('Short words')")
    expect(page.locator("#rate .pair .prompt")).to_contain_text("of train")
    expect(page.locator("#rate .enough .bar")).to_be_hidden()
    open_view(page, "train")


def an_own_task_needs_its_form_and_counts_its_parts(page):
    page.locator("#field-task label", has_text="Your own").click()
    # The scores of the three answers, a row for each part.
    numbers = page.locator("#own_task .part .number")
    expect(numbers.first).not_to_be_empty()
    page.click("#run")
    expect(page.locator("#errors li")).to_have_text(
        "Make your task first: its form stands above the charts."
    )
    # length, aim 5, weight 2: 4, 18 and 2 words; ends, weight 1
    expect(numbers).to_have_text(["−0.40", "−5.20", "−1.20", "+1.00", "0.00", "+1.00"])
    page.locator("#own_task .weight input").first.fill("0.5")
    lighter = ["−0.10", "−1.30", "−0.30", "+1.00", "0.00", "+1.00"]
    expect(numbers).to_have_text(lighter)

    page.locator("#own_task .sum select").select_option("answer")
    expect(page.locator("#own_task .missing")).to_have_text("The sums are without: Right answer.")
    expect(numbers).to_have_text([*lighter, "–", "–", "–"])
    page.locator("#own_task .remove").last.click()
    expect(page.locator("#own_task .missing")).to_be_hidden()


def an_own_task_is_made_once_it_is_complete(page):
    page.fill("#own_task [name=title]", "")
    page.fill("#own_task [name=prompts]", "one\n")
    page.click("#own_task [type=submit]")
    expect(page.locator("#own_task [data-of=title] li")).to_contain_text("“Name” takes a text")
    expect(page.locator("#own_task [data-of=prompts] li")).to_contain_text("three prompts or more")
    page.fill("#own_task [name=title]", HOSTILE)
    page.fill("#own_task [name=prompts]", "".join(f"The {i}th film\n" for i in range(9)))
    page.click("#own_task [type=submit]")
    expect(page.locator("#own_task form")).to_be_hidden()
    expect(page.locator("#own_task .summary")).to_contain_text(HOSTILE)
    expect(page.locator("#controls .explanation").first).to_have_text(HOSTILE)
    assert page.evaluate("window.hacked") is None


def an_own_task_is_trained_and_asked(page, runs):
    before = {*runs.iterdir()}
    run(page, steps=2, batch_size=8)
    expect(page.locator("#live .progress")).to_contain_text("PPO on Your own, step 2 of 2")
    status(page, "finished")
    expect(page.locator("#frontier .chart")).to_be_hidden()
    parts = page.locator("#own .chart").filter(has_text="Reward parts")
    expect(parts.locator(".value .name")).to_have_text(["ends", "length"])
    assert [made.name.split("-")[-1] for made in {*runs.iterdir()} - before] == ["own"]
    every_view_has_the_task_and_its_run(page, "Your own")
    expect(page.locator("#score [name=prompt]")).to_have_value("The 4th film")
    expect(page.locator("#score .answers")).to_contain_text("Gold is the sum of your task’s parts")


def an_own_task_is_there_after_a_reload_until_it_is_deleted(page, tasks):
    page.reload()
    page.wait_for_selector("body[data-settled]")
    expect(page.get_by_role("radio", name="Your own").first).to_be_checked()
    expect(page.locator("#own_task .summary")).to_contain_text(HOSTILE)
    with page.expect_download() as download:
        page.click("#own_task .zip")
    assert download.value.suggested_filename == "task.zip"
    page.on("dialog", lambda dialog: dialog.accept())
    page.click("#own_task .delete")
    expect(page.locator("#own_task .zip")).to_be_hidden()
    assert not [*tasks.rglob("task.toml")]


def the_readings_of_the_frontier_stay_within_its_card(page):
    """Those of a recorded run, on screens that are wide enough for two columns."""
    choose(page, WORDS["tasks"]["reviews"]["name"])
    page.click("[aria-describedby=preset-healthy-ppo]")
    status(page, "recorded")
    page.wait_for_selector("#frontier .value.policy:not([hidden])")
    page.wait_for_function("/KL/.test(document.querySelector('#frontier .policy').textContent)")
    within = """width => {
      const box = (part) => document.querySelector(`#frontier ${part}`).getBoundingClientRect();
      const [target, policy] = [".value.target", ".value.policy"].map((part) => box(part).right);
      return document.documentElement.scrollWidth === width
        && Math.max(target, policy) <= box(".values").right;
    }"""
    for width in (1024, 1280):
        page.set_viewport_size({"width": width, "height": 720})
        page.wait_for_function(within, arg=width)


def saved(page, chart, name):
    """The file that a picture's control saves, opened by the keyboard."""
    page.focus(f"{chart} .save summary")
    page.keyboard.press("Enter")
    with page.expect_download() as download:
        page.click(f"{chart} .save .{name}")
    expect(page.locator(f"{chart} .save .{name}")).to_be_hidden()
    return download.value.suggested_filename, download.value.path().read_bytes()


def a_picture_is_saved_as_it_is_shown(page):
    title = WORDS["frontier"]["title"]
    expect(page.get_by_label(f"Save: {title}").first).to_be_visible()
    name, picture = saved(page, "#frontier", "png")
    assert (name, picture[:4]) == (f"{title.replace(' ', '-')}.png", b"\x89PNG")
    picture = saved(page, "#frontier", "svg")[1].decode()
    assert picture.startswith("<svg") and f"{title} (nats of gold reward)" in picture
    file = saved(page, "#frontier", "csv")[1].decode("utf-8-sig")
    heads, *rows = csv.reader(io.StringIO(file))
    assert heads == ["curve", "point", WORDS["frontier"]["x"], f"{title} (nats of gold reward)"]
    of_run = [row for row in rows if row[0] == WORDS["frontier"]["trail"]]
    assert of_run[0] == [WORDS["frontier"]["trail"], "step 0", "0", "0"]
    of_name = (
        "name => document.querySelector('#frontier .plot').data.find((one) => one.name === name)"
    )
    drawn = page.evaluate(of_name, WORDS["frontier"]["trail"])  # it goes on
    points_drawn = [*zip(drawn["x"], drawn["y"], strict=True)][: len(of_run)]
    assert [(float(x), float(y)) for _, _, x, y in of_run] == points_drawn


def a_run_is_kept_as_a_page_that_needs_no_network(page, tmp_path):
    page.click("#masthead .keep summary")
    with page.expect_download() as download:
        page.click("#masthead .keep .page")
    page.keyboard.press("Escape")
    expect(page.locator("#masthead .keep .page")).to_be_hidden()
    file = tmp_path / download.value.suggested_filename
    download.value.save_as(file)
    kept, requests, said = page.context.new_page(), [], []
    kept.on("request", lambda request: requests.append(request.url))
    kept.on("console", lambda message: said.append(message.text))
    kept.on("pageerror", lambda error: said.append(str(error)))
    kept.goto(file.as_uri())
    stands = kept.locator(".stands")
    expect(stands).to_contain_text("Target at β 0.7:")
    numbers = stands.text_content().partition("gold reward")[2]
    kept.focus(".beta input")
    kept.keyboard.press("Home")
    expect(stands).to_contain_text("Target at β 0.05:")
    expect(stands).not_to_contain_text(numbers)
    assert (file.name, requests, said) == ("healthy-ppo.html", [file.as_uri()], [])
    kept.close()


def a_run_of_another_packages_method_is_watched_found_again_and_stopped(page, runs):
    before = {*runs.iterdir()}
    page.click("#field-method summary")
    choose(page, "Hinge")
    expect(page.locator("#controls")).to_contain_text("Pushes pairs a margin apart")
    run(page, steps=600, preference_pairs=128)
    status(page, "running")  # until then the recorded run is drawn
    page.wait_for_function("window.playground.run.series['eval/kl']?.x.length > 1")
    drawn = points(page, 2)
    texts = policy(page)
    assert len(texts) == page.locator("#samples .side.reference").count()
    page.reload()
    assert points(page, drawn) >= drawn
    expect(page.get_by_role("radio", name="Hinge")).to_be_checked()
    page.click("#stop")
    page.wait_for_selector("#train[data-run=stopped], #train[data-run=finished]")
    (folder,) = {*runs.iterdir()} - before
    assert (folder / "model" / "config.json").is_file()
    return [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]


def it_is_drawn_described_and_compared(page, events):
    metrics = [event["metrics"] for event in events if event["kind"] == "metrics"]
    losses = [values["loss"] for values in metrics if "loss" in values]
    # The loss is relu(1 − margin), not logistic: at a margin of 0, before any update, it is 1.
    assert losses[0] == pytest.approx(1, abs=1e-4)
    card = page.locator("#own .chart", has=page.get_by_role("heading", name="How far apart"))
    card.scroll_into_view_if_needed()  # charts out of sight are not drawn
    drawn = "document.querySelectorAll('#own .js-plotly-plot')[0].data?.[0]"
    page.wait_for_function(f"{drawn}?.x.length === {len(losses)}")
    assert page.evaluate(f"{drawn}.line.dash") == "dot"
    expect(page.locator("#readings .summary")).not_to_be_empty()
    expect(page.locator("#live")).to_contain_text("Hinge")
    open_view(page, "compare")
    expect(page.locator("#compare .legend .run span").first).to_contain_text("Hinge · β 0.5")


def test_the_real_app_trains_tasks_and_methods_of_others(visit, real_app, tmp_path):
    address, runs = real_app
    page = visit(address)
    page.wait_for_selector("body[data-settled]")
    a_task_of_code_is_offered_and_trained(page)
    an_own_task_needs_its_form_and_counts_its_parts(page)
    an_own_task_is_made_once_it_is_complete(page)
    an_own_task_is_trained_and_asked(page, runs)
    an_own_task_is_there_after_a_reload_until_it_is_deleted(page, runs.with_name("tasks"))
    the_readings_of_the_frontier_stay_within_its_card(page)
    a_picture_is_saved_as_it_is_shown(page)
    a_run_is_kept_as_a_page_that_needs_no_network(page, tmp_path)
    events = a_run_of_another_packages_method_is_watched_found_again_and_stopped(page, runs)
    it_is_drawn_described_and_compared(page, events)
