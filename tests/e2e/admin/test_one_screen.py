"""The page of a saga as one screen: the journal beside its chosen entry, the slider, and the actions in view."""

import pytest
from playwright.sync_api import expect

from tests.e2e.admin.conftest import sign_in
from tests.support.waiting import eventually

pytestmark = pytest.mark.programs


def test_entries_are_chosen_by_mouse_and_arrow_keys_and_stay_chosen(site):
    (saga_id,) = site.stuck_orders(1)
    page = site.open(f"/admin/sagas/{saga_id}", width=1440, height=900)
    page.wait_for_load_state()
    expect(page.get_by_role("heading", name="Journal")).to_be_in_viewport()
    page.evaluate("document.body.dataset.same = 'page'")
    title = page.locator("#entry-title")
    page.locator("#entry-3").click()
    expect(title).to_have_text("3: Reserve the goods")
    expect(page.get_by_role("region", name="3: Reserve the goods")).to_contain_text("Idempotency-Key")
    page.keyboard.press("ArrowDown")
    expect(title).to_have_text("4: Take the payment")
    expect(page.locator("#entry-4")).to_be_focused()
    page.keyboard.press("Home")
    expect(title).to_have_text("1: start")
    assert page.url.endswith("?entry=1")
    with page.expect_response(lambda answer: answer.request.method == "GET" and "entry=1" in answer.url):
        pass  # the page follows the saga, and keeps the entry
    expect(title).to_have_text("1: start")
    assert page.evaluate("document.body.dataset.same") == "page", "it was not loaded again"


def test_slider_moves_the_diagram_and_the_effects(site):
    (saga_id,) = site.stuck_orders(1)
    page = site.open(f"/admin/sagas/{saga_id}", width=1440, height=900)
    page.wait_for_load_state()
    path = page.get_by_role("region", name="Path")
    slider = path.get_by_role("slider", name="After entry")
    slider.focus()
    page.keyboard.press("Home")
    expect(path).to_contain_text("as it was after entry 1")
    expect(path.get_by_role("list", name="Effects then")).to_contain_text("Reserve the goods not done")
    for _ in range(2):
        page.keyboard.press("ArrowRight")
    expect(path).to_contain_text("as it was after entry 3")
    expect(path.locator("li.changed")).to_contain_text("Reserve the goods took effect")
    assert "at=3" in path.locator("img").get_attribute("src")
    expect(slider).to_be_focused()
    path.get_by_role("link", name="Now").click()
    expect(path.get_by_role("list", name="Effects now")).to_contain_text("Record the sale unknown")
    expect(slider).to_have_value(slider.get_attribute("max"))


def test_journal_and_slider_work_without_scripts(site, browser):
    (saga_id,) = site.stuck_orders(1)
    context = browser.new_context(java_script_enabled=False)
    context.set_default_timeout(120_000)
    sign_in(context, site.server.url, "ada")
    page = context.new_page()
    page.goto(f"{site.server.url}/admin/sagas/{saga_id}")
    page.locator("#entry-2").click()
    expect(page.locator("#entry-title")).to_have_text("2: Read the cart")
    path = page.get_by_role("region", name="Path")
    path.get_by_role("link", name="First").click()
    expect(path).to_contain_text("as it was after entry 1")
    path.get_by_role("slider").press("ArrowRight")
    path.get_by_role("button", name="Show").click()
    expect(path).to_contain_text("as it was after entry 2")
    expect(page.locator("#entry-title")).to_have_text("2: Read the cart")
    expect(page.get_by_role("button", name="Copy", exact=True)).to_have_count(0)
    page.goto(f"{site.server.url}/admin/sagas/{saga_id}?entry=2")
    expect(page.locator("#entry-title")).to_be_in_viewport()
    context.close()


def test_actions_stay_in_view_on_a_desk_and_cover_nothing_on_a_phone(site):
    (saga_id,) = site.stuck_orders(1)
    page = site.open(f"/admin/sagas/{saga_id}", width=1440, height=900)
    actions = page.get_by_role("region", name="Available actions")
    for place in ("Path", "Start data"):
        page.get_by_role("heading", name=place).scroll_into_view_if_needed()
        expect(actions.locator("summary b").first).to_be_in_viewport()
    top = "it => it.getBoundingClientRect().top"
    header = page.locator("header.top").evaluate("it => it.getBoundingClientRect().bottom")
    assert actions.evaluate(top) >= header, "the header does not cover them"
    page.set_viewport_size({"width": 360, "height": 740})
    assert actions.evaluate("it => getComputedStyle(it).position") == "static"
    page.get_by_role("heading", name="Start data").scroll_into_view_if_needed()
    expect(actions).not_to_be_in_viewport()


def test_reply_is_copied(site):
    (saga_id,) = site.stuck_orders(1)
    site.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = site.open(f"/admin/sagas/{saga_id}?entry=4")
    expect(page.locator("#entry-title")).to_be_in_viewport()
    page.get_by_role("button", name="Copy the reply").click()
    copied = eventually(lambda: page.evaluate("navigator.clipboard.readText()"), "the reply is copied")
    assert copied == page.locator("#reply-4").inner_text()
