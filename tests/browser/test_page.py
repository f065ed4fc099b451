"""A visitor's actions on the page, and their effects."""

from __future__ import annotations

import os
import re
import signal

from playwright.sync_api import expect

from align_core.config.run_config import resolve
from playground import text
from playground.content import optimum
from tests.playground.scripted import COLD, samples

WORDS = text.load("en")
LONG = 20_000  # steps, twenty a second; such a run does not end during a test
POINTS = "(document.querySelector('#charts .plot')?.data?.[0]?.x.length ?? 0)"


def status(page, name):
    page.wait_for_selector(f"#train[data-run={name}]")


def choose(page, name):
    page.click(f"#controls label:has-text('{name}')")


def fill(page, **numbers):
    for field, value in numbers.items():
        page.fill(f"#field-{field} input[type=number]", str(value))


def wait_for_settings(page, method, task):
    """Wait for the defaults of a choice, which would replace what is changed before they come."""
    chosen = "([method, task]) => playground.method === method && playground.task === task"
    page.wait_for_function(chosen, arg=[method, task])
    page.evaluate("window.settings.complete()")


def run(page, method="dpo", **numbers):
    """Choose the method for reviews, wait for its defaults, apply changes, press Run."""
    choose(page, WORDS["methods"][method]["name"])
    wait_for_settings(page, method, "reviews")
    fill(page, **numbers)
    page.click("#run")


def points(page, at_least):
    page.wait_for_function(f"{POINTS} >= {at_least}")
    return page.evaluate(POINTS)


def policy(page):
    return page.locator("#samples .side.policy .completion").all_text_contents()


def a_first_visit_explains_itself_and_offers_a_run(page):
    expect(page.locator("#controls")).to_contain_text("film review")
    expect(page.locator("#live .state")).to_have_text("Ready")
    assert page.is_visible("#run") and page.is_visible("#field-task")
    assert not page.is_visible("#stop") and not page.is_visible("#fold")


def the_run_button_shows_the_time_at_the_chosen_pace(page):
    needs = WORDS["controls"]["run_needs"]
    expect(page.locator("#run")).to_have_text(needs.format(time="50 s"))
    page.click(f"#field-pace label:has-text('{WORDS['controls']['paces'][2]}')")
    expect(page.locator("#run")).to_have_text(needs.format(time="68 s"))


def settings_follow_task_and_method(page):
    choose(page, "SFT")
    page.wait_for_selector("#field-beta", state="hidden")
    choose(page, "DPO")
    page.wait_for_selector("#field-beta")
    choose(page, "Capitals")
    page.wait_for_selector("#controls >> text=capital of France")
    expected = resolve("dpo", "capitals")
    for field, value in (("beta", f"{expected.beta:g}"), ("steps", str(expected.steps))):
        expect(page.locator(f"#field-{field} input[type=number]")).to_have_value(value)


MOVE = """beta => {
  const slider = document.querySelector('#field-beta [type=range]');
  slider.value = Math.log(beta / 0.05) / Math.log(20 / 0.05);
  slider.dispatchEvent(new Event('input'));
}"""


def move_beta(page, beta):
    """Drag the slider, and wait until the target has moved."""
    page.evaluate(MOVE, beta)
    page.wait_for_function(f"window.playground.target?.beta === {beta}")


def bad_input_is_reported_beside_the_controls_and_starts_nothing(page, client):
    choose(page, WORDS["tasks"]["reviews"]["name"])
    run(page, beta=-1, steps="", learning_rate="1e9")
    lines = page.locator("#errors li")
    expect(lines).to_have_text([re.compile(f"^{name} ") for name in ("β", "Steps", "Learning")])
    for place in range(3):
        expect(lines.nth(place)).to_be_in_viewport(ratio=1)
    expect(page.locator("#controls .wrong")).to_have_count(3)
    expect(page.locator("#run")).to_be_visible()
    assert client.runs() == []
    page.click("#advanced button")
    fill(page, beta=0.1, steps=LONG, learning_rate=0.001, eval_every=10)
    page.click("#run")
    status(page, "running")
    expect(lines).to_have_count(0)


def a_press_without_an_answer_says_so_and_can_be_repeated(page, client):
    """As when a limit of the server refuses it. The page no longer says that the run starts."""
    page.route("**/gradio_api/run/*", lambda route: route.fulfill(status=429, json={}))
    page.click("#run")
    expect(page.locator("#errors li")).to_have_text(WORDS["try"]["lost"])
    page.wait_for_selector("#train[data-run=idle]")
    page.unroute("**/gradio_api/run/*")
    expect(page.locator("#run")).to_be_visible()
    assert client.runs() == []


def a_hidden_curve_and_a_zoom_survive_updates(page):
    points(page, 2)
    page.click("#pause")  # no update comes while the mouse drags
    status(page, "paused")
    drawn = points(page, 2)
    page.locator("#charts .value").first.click()
    plot = page.locator("#charts .nsewdrag").first
    plot.scroll_into_view_if_needed()
    area = plot.bounding_box()
    middle = area["y"] + area["height"] / 2
    page.mouse.move(area["x"] + 0.1 * area["width"], middle)
    page.mouse.down()
    page.mouse.move(area["x"] + 0.5 * area["width"], middle, steps=5)
    page.mouse.up()
    figure = "document.querySelector('#charts .plot')"
    page.wait_for_function(f"{figure}.layout.xaxis.range[1] < {0.6 * LONG}")
    zoomed = page.evaluate(f"{figure}.layout.xaxis.range")
    page.click("#resume")
    points(page, drawn + 1)
    assert page.evaluate(f"{figure}.layout.xaxis.range") == zoomed
    assert page.evaluate(f"{figure}.data.map((curve) => curve.visible)") == [False, True]


def a_killed_process_is_reported_in_plain_words_and_the_page_continues(page, client):
    os.kill(client.pid(), signal.SIGKILL)
    status(page, "failed")
    expect(page.locator("#readings .summary")).to_contain_text("killed from outside")
    page.click("#run")
    status(page, "running")
    page.click("#stop")
    status(page, "stopped")


def a_reward_model_has_curves_of_its_own(page):
    run(page, "reward", steps=30)
    page.wait_for_function("window.playground.run?.series['eval/accuracy']?.x.length > 1")
    points(page, 2)
    expect(page.locator("#charts h3")).to_have_text(["Accuracy", "Margin"])
    expect(page.locator("#own h3:visible")).to_have_text(["Loss"])
    status(page, "finished")


def a_short_run_is_evaluated_five_times_and_its_bar_is_full_at_its_end(page, client):
    assert resolve("dpo", "reviews").eval_every > 37 / 5
    before = client.runs()
    run(page, steps=37)
    page.wait_for_function("window.playground.run.step === 37")
    status(page, "finished")
    page.wait_for_function("""() => {
      const [bar, filled] = document.querySelectorAll("#live .bar, #live .bar > div");
      const box = (one) => JSON.stringify(one.getBoundingClientRect());
      return box(filled) === box(bar);
    }""")
    (name,) = {*client.runs()} - {*before}
    assert client.config(name)["eval_every"] == 7
    expect(page.locator("#field-eval_every input")).to_have_value("7")


def an_ended_run_is_mixed_with_its_reference_until_beta_moves(page, helper, monkeypatch):
    def mixture(model, share):
        return {"kl": share, "gain": share / 4, "samples": samples(0)}

    monkeypatch.setattr(helper, "mixture", mixture)
    policy, target = page.locator("#frontier .policy"), page.locator("#frontier .target")
    slider, words = page.locator("#mixture [type=range]"), WORDS["frontier"]
    assert resolve("dpo", "reviews").beta == 0.5
    slider.fill("0.5")
    page.wait_for_function("window.playground.mixture?.path.length === 9")
    expect(policy.locator(".name")).to_have_text(words["legend"]["mixture"].format(share=0.5))
    gain = f"{0.125 * optimum.of_task('reviews').frontier['full_gain']:+.2f}"
    expect(policy.locator("strong")).to_have_text(words["stands"].format(gain=gain, kl="0.50"))
    expect(target.locator(".name")).to_have_text(words["legend"]["target"].format(beta=1))
    expect(page.locator("#example .policy .completion")).to_have_text(COLD.strip())
    move_beta(page, 0.2)
    expect(policy.locator(".name")).to_have_text(words["legend"]["policy"])
    expect(slider).to_have_value("1")


def test_a_visit(visit, address, client, serve, monkeypatch):
    monkeypatch.setattr(client, "estimate", lambda delay, **options: 50.0 + 9 * delay)
    page = visit(address)
    # A page at rest asks for no frames, which would take a processor's time as long as it is open.
    page.wait_for_function("performance.now() - window.framed > 300", polling=50)
    a_first_visit_explains_itself_and_offers_a_run(page)
    the_run_button_shows_the_time_at_the_chosen_pace(page)
    settings_follow_task_and_method(page)
    a_press_without_an_answer_says_so_and_can_be_repeated(page, client)
    bad_input_is_reported_beside_the_controls_and_starts_nothing(page, client)
    a_hidden_curve_and_a_zoom_survive_updates(page)
    a_killed_process_is_reported_in_plain_words_and_the_page_continues(page, client)
    a_reward_model_has_curves_of_its_own(page)
    a_short_run_is_evaluated_five_times_and_its_bar_is_full_at_its_end(page, client)
    an_ended_run_is_mixed_with_its_reference_until_beta_moves(page, serve.helpers[0], monkeypatch)
