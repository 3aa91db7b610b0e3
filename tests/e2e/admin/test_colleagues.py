"""Two people in two browsers: they see each other on the page of a saga, and a shared view of a list."""

import pytest
from playwright.sync_api import expect

from tests.e2e.admin.conftest import sign_in

pytestmark = pytest.mark.programs


@pytest.fixture
def colleague(site, browser):
    """The browser of eve, a viewer."""
    context = browser.new_context(reduced_motion="reduce")
    context.set_default_timeout(120_000)
    sign_in(context, site.server.url, "eve")
    yield context.new_page()
    context.close()


def test_colleague_on_the_page_is_named_and_typed_text_stays(site, colleague):
    (saga_id,) = site.stuck_orders(1)
    path = f"/admin/sagas/{saga_id}"
    page = site.open(path)
    page.locator("details.action summary").first.click()
    page.get_by_label("Why").first.fill("sales is back")
    colleague.goto(site.server.url + path)
    expect(page.get_by_text("eve is on this page, too.")).to_be_visible()
    expect(colleague.get_by_text("ada is on this page, too.")).to_be_visible()
    expect(page.get_by_label("Why").first).to_have_value("sales is back")


def test_shared_view_opens_with_its_filters_and_columns_for_a_colleague(site, colleague):
    site.orders(1, status="completed")
    page = site.open("/admin/sagas?status=completed&column=order&column=changed")
    page.locator("summary", has_text="Save").click()
    page.get_by_label("Name of these filters").fill("done today")
    page.get_by_label("Others see it, too").check()
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator(".notice.done")).to_have_text("The view done today is saved.")
    colleague.goto(site.server.url + "/admin/sagas")
    colleague.get_by_role("link", name="done today").click()
    expect(colleague.get_by_role("link", name="done today")).to_have_attribute("aria-current", "page")
    expect(colleague.locator("select[name=status]")).to_have_value("completed")
    heads = colleague.locator("thead th").all_inner_texts()
    assert [head.split(" ")[0] for head in heads] == ["Id", "Saga", "Status", "State", "Order", "Changed"]
