"""An outage of a participant, seen and handled in the browser: the strip, the participants page, pause and resume."""

import os
import shutil

import pytest
from playwright.sync_api import expect

from tests.e2e.admin.conftest import AdminServer, Site, add_user, sign_in
from tests.e2e.browser import violations
from tests.support.servers import start
from tests.support.waiting import eventually, free_port

pytestmark = pytest.mark.programs


@pytest.fixture
def outage(sqlite_template, tmp_path, participants_server, participants, browser):
    """Return a site whose breakers open after two failures, and stay open for a minute."""
    shutil.copy(sqlite_template, tmp_path / "saga.db")
    port = free_port()
    settings = {
        "DATABASE_URL": f"sqlite:///{tmp_path / 'saga.db'}", "PARTICIPANTS_URL": participants_server.url,
        "PORT": str(port), "SECRET_KEY": "s" * 40, "API_AUTH": "off", "LEASE_S": "5", "RECOVERY_INTERVAL_S": "0.1",
        "BREAKER_FAILURES": "2", "BREAKER_OPEN_S": "60",
    }  # fmt: skip
    add_user(settings["DATABASE_URL"], "ada", "operator")
    server = AdminServer(tmp_path / "saga.db", lambda: start("app", "/ready", port, log=tmp_path / "log", **settings))
    server.open()
    context = browser.new_context(reduced_motion="reduce")
    sign_in(context, server.server.url, "ada")
    yield Site(server, participants, context)
    context.close()
    server.server.kill()


def shoot(page, name):
    """Keep a picture of the page when a person wants to look at it: SHOTS=folder."""
    if folder := os.environ.get("SHOTS"):
        page.screenshot(path=f"{folder}/{name}.png", full_page=True)


def test_outage_is_named_on_every_page_understood_and_cleared(outage):
    page = outage.open("/admin", width=1440, height=900)
    strip = page.locator("#health")
    expect(strip).to_be_empty()
    outage.participants.add_fault("client", kind="fail", times=None)
    orders = outage.orders(5, status="in_progress")
    expect(strip).to_contain_text("client is not answering (503")
    shoot(page, "outage-overview")
    strip.get_by_role("link").click()
    row = page.get_by_role("row").filter(has_text="client")
    expect(row).to_contain_text("next try")
    expect(row).to_contain_text("503 Service Unavailable")
    assert violations(page) == []
    shoot(page, "outage-participants")
    page.emulate_media(color_scheme="dark")
    assert violations(page, ["color-contrast"]) == []
    shoot(page, "outage-participants-dark")
    page.set_viewport_size({"width": 320, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    entries = page.locator("nav a").evaluate_all("found => found.map(each => each.getBoundingClientRect().right)")
    assert 0 < max(entries) <= 320, "no entry of the menu is cut"
    assert violations(page, ["target-size"]) == []
    shoot(page, "outage-participants-320")
    page.set_viewport_size({"width": 1440, "height": 900})
    row.locator("summary").click()
    row.get_by_label("Why").fill("the provider repairs it")
    row.get_by_role("button", name="Pause client").click()
    expect(page.locator(".notice.done")).to_contain_text("client is paused")
    expect(strip).to_contain_text("client is paused by ada")
    shoot(page, "outage-paused")
    outage.participants.clear_faults()
    row = page.get_by_role("row").filter(has_text="client")
    row.locator("summary").click()
    row.get_by_label("Why").fill("it is repaired")
    row.get_by_role("button", name="Resume client").click()
    expect(page.locator(".notice.done")).to_contain_text("client is resumed")
    assert all(outage.saga(saga_id)["status"] != "completed" for saga_id in orders), "its breaker is still open"


def test_form_that_is_filled_in_survives_the_refresh_of_the_page(outage):
    page = outage.open("/admin/participants", width=1440, height=900)
    row = page.get_by_role("row").filter(has_text="client")
    row.locator("summary").click()
    row.get_by_label("Why").fill("the provider rep")
    with page.expect_response(lambda answer: answer.url.endswith("/admin/participants")):
        pass
    eventually(lambda: row.get_by_label("Why").input_value() == "the provider rep", "the text is still there")
