"""Accessibility and layout of the pages: keyboard, phone, dark theme, and screen readers."""

import pytest
import requests
from playwright.sync_api import expect

from tests.e2e.browser import violations
from tests.support.waiting import eventually

pytestmark = pytest.mark.programs

SIZES = {"desk": 1440, "phone": 360}
#: Script that returns the text of each table that is wider than the box around it. First it gives the engine a host
#: name as long as Docker's. Both steps are in one script, because each update of the page restores the name.
TOO_WIDE = """
for (const cell of document.querySelectorAll('td'))
  if (/^engine@/.test(cell.innerText)) cell.innerText = cell.innerText.replace(/@[^:]+/, '@3f2a8c9d1b7e');
[...document.querySelectorAll('.table')].filter(it => it.scrollWidth > it.clientWidth).map(it => it.innerText)
"""


@pytest.fixture
def paths(site):
    """Return the paths of all pages, each with content."""
    done, _ = site.orders(2, status="completed")
    site.orders(1, status="compensated", client=2)
    site.stuck_orders(2)
    add_schedule(site)
    stuck_page = site.open("/admin/stuck")
    group = stuck_page.get_by_role("link", name="Act on all 2").get_attribute("href")
    job = add_job(stuck_page)
    (stuck,) = site.stuck_orders(1)
    return ["/admin", "/admin/stuck", "/admin/parked", "/admin/sagas", "/admin/sagas?state=NONE",
            f"/admin/sagas/{stuck}", f"/admin/sagas/{stuck}?entry=2&at=3",
            f"/admin/sagas/{stuck}/compare", f"/admin/sagas/{stuck}/compare?with={done}",
            f"/admin/sagas/{stuck}/replay?call=reserver_stock&outcome=refused", group,
            "/admin/bulk", job,
            "/admin/sagas?sort=by", "/admin/nothing", "/admin/handover", "/admin/sagas?still_unknown=true",
            given_up(site), "/admin/audit", "/admin/users", "/admin/keys", "/admin/clients", "/admin/account",
            "/", "/admin/rates", "/admin/definitions", "/admin/definitions/checkout",
            "/admin/definitions/purchase_saga?against=1",
            "/admin/start", f"/admin/start/checkout?again={stuck}", draft(site),
            "/admin/schedules", "/admin/participants", "/admin/webhooks", "/login"]  # fmt: skip


def draft(site):
    """Create an order without starting it, and return the path of its page."""
    body = {"type": "checkout", "data": {"client_id": 4, "magasin_id": 1}}
    created = requests.post(f"{site.server.url}/api/v1/sagas", json=body, timeout=10).json()
    return f"/admin/sagas/{created['saga']['id']}"


def given_up(site):
    """Compensate an order that is stuck at its sale, ask its participant, and note it. Return the path of its page."""
    (saga_id,) = site.stuck_orders(1)
    page = site.open(f"/admin/sagas/{saga_id}")
    action = page.locator("details.action").filter(
        has=page.get_by_role("button", name="Compensate", include_hidden=True)
    )
    action.locator("summary").first.click()
    action.get_by_label("Why").fill("the customer has gone")
    action.get_by_role("button", name="Compensate").click()
    expect(page.locator(".notice.done")).to_be_visible()
    expect(page.locator("#live .pill").first).to_have_text("compensated")
    page.get_by_role("button", name="Ask ventes now").click()
    expect(page.get_by_text("was asked about")).to_be_visible()
    page.get_by_role("button", name="Take it").click()
    expect(page.locator("#notices")).to_contain_text("You look after this saga.")
    page.close()
    return f"/admin/sagas/{saga_id}"


def add_job(page):
    """Start a bulk job for 2 sagas, and pause it after the first at the latest. Return its path."""
    page.get_by_role("link", name="Act on all 2").click()
    page.get_by_label("At most this many sagas a second").first.fill("0.1")
    page.get_by_label("Why").first.fill("sales is back")
    page.get_by_role("button", name="Retry now: all 2").click()
    page.get_by_role("button", name="Pause").click()
    expect(page.locator(".head .pill")).to_have_text("paused")
    return page.url.partition("/admin/bulk")[1] + page.url.partition("/admin/bulk")[2]


def add_schedule(site):
    """Add a schedule, unless an earlier test has added it."""
    site.become("root")
    page = site.open("/admin/schedules")
    form = page.locator("form").filter(has=page.get_by_role("button", name="Add", exact=True))
    form.get_by_label("Name").fill("nightly")
    form.locator("select[name=type]").select_option("checkout")
    form.get_by_label("Data").fill('{"client_id": 4, "magasin_id": 1}')
    form.get_by_label("Cron expression").fill("0 3 * * *")
    form.get_by_label("Time zone").fill("Europe/Paris")
    form.get_by_role("button", name="Add").click()
    expect(page.get_by_role("cell", name="nightly").first).to_be_visible()
    page.close()
    site.become("ada")


def test_axe_finds_nothing_wrong_and_no_page_is_wider_than_its_window(site, paths):
    site.become("root")
    for path in paths:
        page = site.open(path, width=SIZES["desk"], height=900)
        page.evaluate("document.querySelectorAll('details').forEach(details => { details.open = true })")
        assert violations(page) == [], path
        page.emulate_media(color_scheme="dark")
        assert violations(page, ["color-contrast"]) == [], path
        for width in SIZES.values():
            page.set_viewport_size({"width": width, "height": 800})
            assert page.evaluate("document.documentElement.scrollWidth") <= width, path
            assert page.evaluate(TOO_WIDE) == [], path
        assert violations(page, ["target-size", "scrollable-region-focusable"]) == [], path
        page.close()


@pytest.mark.parametrize("width", [1720, 1700, 1280, 1080, 720])
def test_every_entry_of_the_menu_is_in_sight(site, width):
    site.become("root")
    page = site.open("/admin", width=width, height=800)
    ends = page.evaluate("[...document.querySelectorAll('nav a')].map(it => it.getBoundingClientRect().right)")
    site.become("ada")
    assert len(ends) > 8
    assert max(ends) <= width


def test_the_refresh_of_a_page_does_not_dim_its_buttons(site, paths):
    """htmx marks the element whose request is in flight. For the refresh, all forms are inside that element."""
    site.become("root")
    page = site.open(paths[5], width=SIZES["desk"], height=900)
    page.evaluate("document.getElementById('live').classList.add('htmx-request')")
    button = page.locator("#live form button[type=submit]").first
    assert button.evaluate("it => getComputedStyle(it).opacity") == "1"


def test_diagram_shows_the_current_state_on_a_phone(site):
    (saga_id,) = site.stuck_orders(1)
    page = site.open(f"/admin/sagas/{saga_id}", width=SIZES["phone"], height=800)
    # The test polls, because Playwright's own polling needs eval(), which the Content-Security-Policy forbids.
    diagram = page.locator(".diagram")
    eventually(lambda: diagram.evaluate("it => it.scrollLeft") > 100, "the diagram shows where the saga stands")


def test_theme_follows_the_system_until_the_user_chooses_one(site):
    page = site.open("/admin")
    ground = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(ground)
    page.emulate_media(color_scheme="dark")
    dark = page.evaluate(ground)
    assert dark != light
    switch = page.get_by_role("button", name="Dark theme")
    expect(switch).to_have_attribute("aria-pressed", "true")
    switch.click()
    assert page.evaluate(ground) == light
    page.reload()
    assert page.evaluate(ground) == light
    expect(page.get_by_role("button", name="Dark theme")).to_have_attribute("aria-pressed", "false")


def test_an_order_is_found_and_retried_by_keyboard_alone(site):
    (saga_id,) = site.stuck_orders(1)
    page = site.open("/admin")
    keys = page.keyboard
    keys.press("Tab")
    expect(page.get_by_role("link", name="To the content")).to_be_focused()
    keys.press("/")
    expect(page.get_by_role("searchbox")).to_be_focused()
    keys.press("Escape")
    expect(page.get_by_role("link", name="To the content")).to_be_focused()
    keys.press("Control+k")
    keys.type(saga_id[-8:])
    keys.press("Enter")
    page.wait_for_url(f"**/{saga_id}")
    summary = page.locator("details.action summary").first
    tab_to(page, summary)
    keys.press("Enter")
    tab_to(page, page.get_by_label("Why").first)
    keys.type("sales is back")
    keys.press("Tab")
    keys.press("Enter")
    expect(page.locator(".notice.done")).to_be_focused()
    expect(page.locator("#live .pill").first).to_have_text("completed")


def tab_to(page, wanted):
    for _ in range(60):
        page.keyboard.press("Tab")
        if wanted.evaluate("element => element === document.activeElement"):
            return
    pytest.fail("no way there by the Tab key")
