"""The switch of the times: UTC, the browser's zone, or the time from now; nothing is sent, and the browser keeps it."""

import re
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import expect

from tests.e2e.admin.conftest import sign_in
from tests.e2e.browser import violations

pytestmark = pytest.mark.programs

PARIS = ZoneInfo("Europe/Paris")
SHOWN = "%Y-%m-%d %H:%M:%S"


@pytest.fixture
def paris(site, browser):
    """Open pages in a browser in Paris."""
    context = browser.new_context(timezone_id="Europe/Paris", reduced_motion="reduce")
    context.set_default_timeout(120_000)
    sign_in(context, site.server.url, "ada")
    yield context
    context.close()


def test_times_are_shown_as_chosen_on_every_page_and_after_each_refresh(site, paris):
    (saga_id,) = site.orders(1, status="completed")
    created_at = datetime.fromisoformat(site.saga(saga_id)["created_at"])
    page = paris.new_page()
    page.goto(f"{site.server.url}/admin/sagas")
    started = page.locator("td[data-is=Started] time")
    expect(started).to_have_text(f"{created_at:{SHOWN}}")
    sent = []
    page.on("request", lambda request: sent.append(request.method))
    page.get_by_label("Times").select_option("local")
    expect(started).to_have_text(f"{created_at.astimezone(PARIS):{SHOWN}}")
    expect(started).to_have_attribute("title", f"{created_at:{SHOWN}} UTC")
    expect(page.get_by_role("columnheader", name="Started")).to_contain_text("local")
    (other,) = site.orders(1, status="completed")
    expect(page.get_by_role("link", name=other[-8:])).to_be_visible()
    expect(started.last).to_have_text(f"{created_at.astimezone(PARIS):{SHOWN}}")
    assert set(sent) <= {"GET"}, "the refresh of the page, and nothing else"
    page.goto(f"{site.server.url}/admin/sagas/{saga_id}")
    expect(page.get_by_label("Times")).to_have_value("local")
    fact = page.locator("dl.facts div").filter(has_text="Started").first.locator("time")
    expect(fact).to_have_text(f"{created_at.astimezone(PARIS):{SHOWN}}")
    page.get_by_label("Times").select_option("relative")
    expect(fact).to_have_text(re.compile(r"^(\d+ (min|s) ?)+ago$|^now$"))
    assert datetime.fromisoformat(fact.get_attribute("datetime")) - created_at < timedelta(milliseconds=1)
    assert violations(page) == []


def test_times_are_in_utc_without_scripts(site, browser):
    (saga_id,) = site.orders(1, status="completed")
    created_at = datetime.fromisoformat(site.saga(saga_id)["created_at"])
    context = browser.new_context(java_script_enabled=False, timezone_id="Europe/Paris")
    sign_in(context, site.server.url, "ada")
    page = context.new_page()
    page.goto(f"{site.server.url}/admin/sagas")
    expect(page.locator("td[data-is=Started] time")).to_have_text(f"{created_at:{SHOWN}}")
    expect(page.get_by_role("columnheader", name="Started")).to_have_text("Started UTC")
    expect(page.locator("#times")).to_be_hidden()
    context.close()
