"""A page that waits for its answer: it polls, survives errors, and tells its reader when it stops polling."""

import math
from collections.abc import Callable

from playwright.sync_api import BrowserContext, Page, Route, expect

from tests.browser.conftest import FEW_ATTEMPTS, Console
from tests.browser.steps import (
    an_hour_later,
    answer,
    ask_probe,
    freeze_workers,
    polls_of,
    prediction_id,
    press_predict,
    thaw_workers,
    value,
)
from tests.support.stack import START_SECONDS, Stack
from tests.support.waiting import wait_until

ERRORS_IN_A_ROW = 8
STATUS = "**/predictions/*/status/*"
FAILED_LOAD = "Failed to load resource: "
SERVER_ERROR = f"{FAILED_LOAD}the server responded with a status of 500 (Internal Server Error)"
# Records every change of the text for screen readers, on each page that the tab shows.
HEAR_ANNOUNCEMENTS = """
addEventListener("DOMContentLoaded", () => {
  window.heard = [];
  new MutationObserver(() => heard.push(document.getElementById("announcer").textContent))
    .observe(document.getElementById("announcer"), { childList: true, characterData: true, subtree: true });
});
"""
# Simulates a tab in the background, which a headless browser does not have.
CAN_BE_HIDDEN = """
let hidden = false;
Object.defineProperty(document, "hidden", { get: () => hidden });
window.hide = (now) => { hidden = now; document.dispatchEvent(new Event("visibilitychange")); };
window.refused = 0;
document.addEventListener("htmx:beforeRequest", (event) => { if (hidden) refused += 1; });
"""


def test_capped_page_stops_asking_and_offers_to(page: Page, stack: Stack, impatient_url: str) -> None:
    page.clock.install()
    freeze_workers(stack)
    with polls_of(page) as polls:
        asked = ask_probe(page, 20, base_url=impatient_url)
        again = page.get_by_role("link", name="Check again")
        expect(again).to_be_visible()
        expect(answer(page, "queued")).to_contain_text("This takes longer than usual. The work goes on")
        assert [poll.rsplit("attempt=")[1] for poll in polls] == [str(n + 1) for n in range(FEW_ATTEMPTS)]
        polls.clear()
        an_hour_later(page)
        assert polls == []

        # While nothing has changed, the button starts the same number of polls again.
        again.click()
        expect(page.locator(".answer[data-capped]")).to_have_count(0)
        expect(again).to_be_visible()
        expect(page.locator(".answer")).to_be_focused()

        thaw_workers(stack)
        stack.wait_for_end([asked], 10)
        again.click()
        expect(value(page)).to_have_text("41")
        polls.clear()
        an_hour_later(page)
        assert polls == []


def test_page_with_an_answer_sends_no_polls(page: Page) -> None:
    page.clock.install()
    ask_probe(page, 20)
    expect(value(page)).to_have_text("41")
    with polls_of(page) as polls:
        an_hour_later(page)
    assert polls == []


def test_result_appears_when_the_worker_comes_back(page: Page, stack: Stack) -> None:
    stack["worker"].terminate()
    asked = ask_probe(page, 20)
    expect(answer(page, "queued")).to_contain_text("It is kept and waits for a worker.")
    stack.start("worker")
    stack.wait_for_end([asked], START_SECONDS)
    expect(value(page)).to_have_text("41")


def test_result_appears_when_the_web_comes_back(page: Page, stack: Stack, console: Console) -> None:
    page.clock.install()
    freeze_workers(stack)
    ask_probe(page, 20)
    answer(page, "queued")
    stack["web"].terminate()
    with page.expect_event("requestfailed"):
        pass
    # The page's clock stands still, so that the page does not give up while the web process starts.
    page.clock.pause_at(page.evaluate("Date.now()") / 1000 + 1)
    stack.start("web")
    thaw_workers(stack)
    page.clock.resume()
    expect(value(page)).to_have_text("41")
    assert {complaint[: len(FAILED_LOAD)] for complaint in console.take()} <= {FAILED_LOAD}


def test_poll_errors_are_retried(page: Page, stack: Stack, console: Console) -> None:
    page.clock.install()
    freeze_workers(stack)
    ask_probe(page, 20)
    failed = _fail_polls(page, ERRORS_IN_A_ROW - 1)
    _hurry_until(page, lambda: len(failed) == ERRORS_IN_A_ROW - 1)
    thaw_workers(stack)
    _hurry_until(page, lambda: page.locator(".answer[data-state='succeeded']").is_visible())
    expect(value(page)).to_have_text("41")
    expect(page.locator("[data-stopped]")).to_have_count(0)
    assert console.take() == [SERVER_ERROR]


def test_page_stops_polling_after_repeated_errors(page: Page, stack: Stack, console: Console) -> None:
    page.clock.install()
    freeze_workers(stack)
    ask_probe(page, 20)
    failed = _fail_polls(page)
    stopped = page.locator("[data-stopped]")
    _hurry_until(page, stopped.is_visible)
    expect(stopped).to_contain_text("has stopped asking. The work itself goes on there.")
    an_hour_later(page)
    assert len(failed) == ERRORS_IN_A_ROW
    expect(page.locator(".answer")).not_to_have_attribute("aria-busy", "true")
    assert console.take() == [SERVER_ERROR]

    page.unroute(STATUS)
    thaw_workers(stack)
    stopped.get_by_role("link", name="Check again").click()
    expect(value(page)).to_have_text("41")


def test_page_waits_for_a_lost_connection(page: Page, stack: Stack, console: Console) -> None:
    page.clock.install()
    freeze_workers(stack)
    ask_probe(page, 20)
    answer(page, "queued")
    lost = page.get_by_text("No connection.")
    expect(lost).to_be_hidden()
    page.context.set_offline(True)
    expect(lost).to_be_visible()
    failed: list[str] = []
    page.on("requestfailed", lambda request: failed.append(request.url))
    _hurry_until(page, lambda: len(failed) > ERRORS_IN_A_ROW)
    expect(lost).to_be_visible()
    expect(page.locator("[data-stopped]")).to_have_count(0)

    thaw_workers(stack)
    page.context.set_offline(False)
    expect(lost).to_be_hidden()
    expect(value(page)).to_have_text("41")
    assert console.take() == [f"{FAILED_LOAD}net::ERR_INTERNET_DISCONNECTED"]


def test_predict_without_connection_says_so_and_keeps_the_values(page: Page, console: Console) -> None:
    page.goto("/models/iris/")
    page.get_by_role("link", name="A setosa").click()
    page.context.set_offline(True)
    press_predict(page)
    expect(page.locator("#answer .answer-headline")).to_have_text("The server did not answer")
    expect(page.get_by_label("Sepal length")).to_have_value("5.1")
    page.context.set_offline(False)
    press_predict(page)
    expect(value(page)).to_have_text("setosa")
    page.goto("/predictions/")
    assert page.locator(".record-link").all_inner_texts() == ["setosa"]
    assert console.take() == [f"{FAILED_LOAD}net::ERR_INTERNET_DISCONNECTED"]


def test_hidden_tab_does_not_ask(page: Page, stack: Stack) -> None:
    page.add_init_script(CAN_BE_HIDDEN)
    page.clock.install()
    freeze_workers(stack)
    ask_probe(page, 20)
    answer(page, "queued")
    with polls_of(page) as polls:
        page.evaluate("hide(true)")
        _hurry_until(page, lambda: page.evaluate("refused") > 1)  # polls from before have been answered
        polls.clear()
        thaw_workers(stack)
        _hurry_until(page, lambda: page.evaluate("refused") > 4)
        assert polls == []
        page.evaluate("hide(false)")
        expect(value(page)).to_have_text("41")
        assert len(polls) == 1


def test_each_state_is_announced_once(page: Page, stack: Stack) -> None:
    page.add_init_script(HEAR_ANNOUNCEMENTS)
    freeze_workers(stack)
    page.goto("/models/probe/")
    page.get_by_label("x", exact=True).fill("20")
    page.get_by_label("Seconds that the predict call takes").fill("2.5")
    with polls_of(page) as polls:
        press_predict(page)
        expect(page.locator(".answer[hx-get$='attempt=3']")).to_be_attached()
        thaw_workers(stack)
        expect(value(page)).to_have_text("41")
        assert len(polls) > len(page.evaluate("heard"))
    *states, answer = page.evaluate("heard")
    assert states == ["Probe: In the queue", "Probe: Being predicted"]
    assert answer.startswith("Probe: ")
    assert "Answer: 41." in answer


def test_capped_page_is_announced(page: Page, stack: Stack, impatient_url: str) -> None:
    page.add_init_script(HEAR_ANNOUNCEMENTS)
    freeze_workers(stack)
    ask_probe(page, 20, base_url=impatient_url)
    expect(page.get_by_role("link", name="Check again")).to_be_visible()
    queued, capped = page.evaluate("heard")
    assert queued == "Probe: In the queue"
    assert capped.startswith("Probe: not finished yet. This page has stopped asking. The work goes on until ")


def test_cancel_while_queued(page: Page, stack: Stack) -> None:
    freeze_workers(stack)
    asked = ask_probe(page, 20)
    page.get_by_role("button", name="Cancel").click()
    expect(answer(page, "canceled")).to_contain_text("It was canceled before it had a result.")
    expect(page.locator(".answer")).to_be_focused()
    assert prediction_id(page) == asked
    thaw_workers(stack)
    assert stack.states([asked]) == ["canceled"]

    page.get_by_role("button", name="Try again").click()
    expect(value(page)).to_have_text("41")
    assert stack.states([asked, prediction_id(page)]) == ["canceled", "succeeded"]


def test_cancel_of_what_has_ended_shows_the_result(page: Page, stack: Stack) -> None:
    freeze_workers(stack)
    page.route(STATUS, lambda route: None)  # no poll is answered
    asked = ask_probe(page, 20)
    thaw_workers(stack)
    stack.wait_for_end([asked], 10)
    page.get_by_role("button", name="Cancel").click()
    expect(value(page)).to_have_text("41")


def test_failed_prediction_that_would_fail_again_leads_to_other_values(page: Page, stack: Stack) -> None:
    asked = ask_probe(page, 1_000_001)
    failed = answer(page, "failed")
    expect(failed.locator(".answer-headline")).to_have_text("Failed")
    expect(failed.locator(".answer-foot > p code")).to_have_text("model_error")
    expect(failed.get_by_role("button", name="Try again")).to_have_count(0)
    page.goto(f"/predictions/{asked}/")
    page.get_by_role("link", name="Change the values").click()
    expect(page.get_by_label("x", exact=True)).to_have_value("1000001")


def test_kept_page_finishes_itself_whole(page: Page, stack: Stack) -> None:
    freeze_workers(stack)
    asked = ask_probe(page, 20)
    page.goto(f"/predictions/{asked}/")
    expect(answer(page, "queued")).to_contain_text("Without an answer by ")
    expect(page).to_have_title("In the queue · Probe · Foretell")
    expect(page.locator(".answer button, .answer a").first).to_have_text("Cancel")
    thaw_workers(stack)
    expect(value(page)).to_have_text("41")
    expect(page).to_have_title("41 · Probe · Foretell")
    expect(page.get_by_text("Was it right?")).to_be_visible()
    expect(page.locator(".answer-times")).to_contain_text("Ended")
    expect(page.get_by_role("button", name="Cancel")).to_have_count(0)


def test_link_lets_others_look_and_not_act(
    page: Page, stack: Stack, new_context: Callable[..., BrowserContext]
) -> None:
    freeze_workers(stack)
    asked = ask_probe(page, 20)
    elsewhere = new_context().new_page()
    elsewhere.goto(f"/predictions/{asked}/")
    expect(answer(elsewhere, "queued")).to_contain_text("Everyone who has its link can see it.")
    expect(elsewhere.get_by_role("button", name="Cancel")).to_have_count(0)
    expect(page.get_by_role("button", name="Cancel")).to_be_visible()
    thaw_workers(stack)
    expect(value(elsewhere)).to_have_text("41")
    expect(elsewhere.get_by_text("Was it right?")).to_have_count(0)


def test_address_opened_while_queued_follows_the_work(
    page: Page, stack: Stack, new_context: Callable[..., BrowserContext]
) -> None:
    freeze_workers(stack)
    asked = ask_probe(page, 20)
    elsewhere = new_context().new_page()
    elsewhere.goto(f"/predictions/{asked}/")
    expect(answer(elsewhere, "queued")).to_contain_text("It is kept and waits for a worker.")
    thaw_workers(stack)
    expect(value(elsewhere)).to_have_text("41")
    expect(value(page)).to_have_text("41")


def _fail_polls(page: Page, number: float = math.inf) -> list[str]:
    """Answer the next `number` polls with an error. Returns a list that gets their addresses."""
    failed: list[str] = []

    def fail(route: Route) -> None:
        if len(failed) == number:
            route.continue_()
        else:
            failed.append(route.request.url)
            route.fulfill(status=500)

    page.route(STATUS, fail)
    return failed


def _hurry_until(page: Page, condition: Callable[[], object]) -> None:
    """Let time pass quickly, on a page whose clock was installed, until the condition is true."""

    def holds_a_second_later() -> object:
        page.clock.run_for(1000)
        return condition()

    wait_until(holds_a_second_later, 15, "what the page was hurried for")
