"""An operator finds a stuck order, reads the preview of each action, and chooses one."""

import re

import pytest
import requests
from playwright.sync_api import expect

from tests.e2e.admin.conftest import PASSWORD, sign_in

pytestmark = pytest.mark.programs

STUCK = "STUCK_ENREGISTRER_VENTE"


def offer(page, title):
    return page.locator("details.action").filter(has=page.locator("summary b", has_text=re.compile(f"^{title}")))


def choose(page, title, reason):
    card = offer(page, title)
    if card.get_attribute("open") is None:
        card.locator("summary").first.click()
    card.get_by_label("Why").fill(reason)
    card.get_by_role("button", name=title).click()


def test_a_stuck_order_is_found_understood_and_retried(site):
    (saga_id,) = site.stuck_orders(1)
    page = site.open("/admin")
    page.get_by_role("link", name="1 stuck").click()
    causes = page.get_by_role("region", name="By cause")
    expect(causes).to_contain_text("checkout")
    expect(causes).to_contain_text("ventes")
    causes.get_by_role("link", name="503 A simulated failure").click()
    page.get_by_role("link", name=saga_id[-8:]).click()

    expect(page.get_by_role("region", name="What happened")).to_contain_text("stopped at Record the sale")
    owed = page.get_by_role("region", name="Effects").get_by_role("listitem")
    expect(owed).to_contain_text(["reserver_stock took effect", "payer took effect", "enregistrer_vente unknown"])
    retry = offer(page, "Retry now")
    expect(retry).to_contain_text("safe")
    expect(offer(page, "Compensate")).to_contain_text("look first")
    retry.locator("summary").first.click()
    expect(retry.locator(".course li")).to_have_text(
        ["paid PAIEMENT_EFFECTUE", "sale recorded COMMANDE_ENREGISTREE", "confirmed CONFIRMEE"]
    )
    expect(retry).to_contain_text("unless this call finds that it was done: GET ventes/ventes/outcome")
    expect(retry).to_contain_text("do Confirm the goods confirmer at stock")

    page.wait_for_load_state()  # before its scripts have arrived, a form loads the page again
    page.evaluate("document.body.dataset.same = 'page'")
    choose(page, "Retry now", "sales is back")
    expect(page.locator(".notice.done")).to_contain_text(f"({STUCK}) to confirmed (CONFIRMEE)")
    expect(page.locator("#live .pill").first).to_have_text("completed")
    expect(page.get_by_role("region", name="Journal")).to_contain_text("sales is back")
    expect(page.get_by_role("region", name="Journal")).to_contain_text("user:ada")
    assert page.evaluate("document.body.dataset.same") == "page", "it was not loaded again"
    assert site.saga(saga_id)["state"] == "CONFIRMEE"


def test_action_works_before_the_scripts_of_the_page_have_arrived(site):
    (saga_id,) = site.stuck_orders(1)
    page, held = site.context.new_page(), []

    def hold(route):
        held.append(route)

    page.route("**/htmx.min.js", hold)  # a slow network
    page.goto(f"{site.server.url}/admin/sagas/{saga_id}", wait_until="commit")
    choose(page, "Retry now", "sales is back")
    expect(page.locator(".notice.done")).to_contain_text(f"({STUCK}) to confirmed (CONFIRMEE)")
    expect(page.get_by_role("region", name="Journal").get_by_text("sales is back")).to_have_count(1)
    assert held, "no script was held back"


def test_compensating_undoes_what_the_preview_said(site):
    (saga_id,) = site.stuck_orders(1)
    page = site.open(f"/admin/sagas/{saga_id}")
    offer(page, "Compensate").locator("summary").first.click()
    expect(offer(page, "Compensate")).to_contain_text("undo Take the payment payer at client")
    choose(page, "Compensate", "sales says no")
    expect(page.locator(".notice.done")).to_contain_text("to cancelled (ANNULEE); it is compensated")
    assert site.participants.effects(saga_id) == {"payer": "undone", "reserver_stock": "undone"}


def test_action_requires_a_reason(site):
    (saga_id,) = site.stuck_orders(1)
    page = site.open(f"/admin/sagas/{saga_id}")
    offer(page, "Retry now").locator("summary").first.click()
    offer(page, "Retry now").get_by_role("button").click()
    expect(offer(page, "Retry now").get_by_label("Why")).to_be_focused()
    choose(page, "Retry now", "   ")
    expect(page.locator(".notice.wrong")).to_contain_text("Nothing was done")
    assert site.saga(saga_id)["state"] == STUCK


def test_action_is_refused_when_another_person_has_acted_meanwhile(site):
    (saga_id,) = site.stuck_orders(1)
    page = site.open(f"/admin/sagas/{saga_id}")
    # The page still shows the state before the other person's action, because all of its requests except the form are
    # aborted.
    page.route("**/*", lambda route: route.continue_() if route.request.method == "POST" else route.abort())
    other = site.open(f"/admin/sagas/{saga_id}")
    choose(other, "Compensate", "sales says no")
    expect(other.locator(".notice.done")).to_be_visible()
    choose(page, "Retry now", "sales is back")
    expect(page.locator(".notice.conflict")).to_contain_text(f"from {STUCK} to ANNULEE")
    assert site.saga(saga_id)["state"] == "ANNULEE"


def test_saga_continues_after_resolve(site):
    (saga_id,) = site.stuck_orders(1)
    page = site.open(f"/admin/sagas/{saga_id}")
    choose(page, "Resolve by hand", "recorded in the sales system by hand")
    expect(page.locator(".notice.done")).to_contain_text("to confirmed (CONFIRMEE)")
    expect(page.get_by_role("region", name="Effects")).to_contain_text("by hand")


def test_page_updates_itself_and_keeps_unsent_input(site):
    first, second = site.stuck_orders(2)
    page, listed = site.open(f"/admin/sagas/{first}"), site.open("/admin/stuck")
    offer(page, "Retry now").locator("summary").first.click()
    offer(page, "Retry now").get_by_label("Why").fill("because")
    with page.expect_response(lambda answer: answer.request.method == "GET" and answer.ok):
        pass  # wait until the page has reloaded its parts; the reload must not delete the text in the form
    expect(offer(page, "Retry now").get_by_label("Why")).to_have_value("because")
    other = site.open(f"/admin/sagas/{second}")
    choose(other, "Retry now", "sales is back")
    expect(listed.get_by_role("link", name=second[-8:])).to_have_count(0)
    expect(listed.get_by_role("link", name=first[-8:])).to_have_count(1)
    choose(other := site.open(f"/admin/sagas/{first}"), "Retry now", "sales is back")
    expect(page.locator("#live .pill").first).to_have_text("completed")
    expect(page.get_by_role("region", name="Available actions")).to_contain_text("the saga has ended")


def test_page_that_does_not_change_comes_without_a_body_until_it_changes(site):
    (saga_id,) = site.orders(1, status="completed")
    page = site.open("/admin/sagas?status=completed")
    with page.expect_response(lambda answer: answer.status == 304):
        pass
    expect(page.get_by_role("link", name=saga_id[-8:])).to_be_visible()
    (other,) = site.orders(1, status="completed")
    expect(page.get_by_role("link", name=other[-8:])).to_be_visible()


def test_search_finds_a_client_by_its_beginning_with_the_keyboard_alone(site):
    ids = site.orders(2, status="completed", client=48)
    page = site.open("/admin/stuck")
    page.keyboard.press("Control+k")
    page.keyboard.type("4")
    page.keyboard.press("Enter")
    for saga_id in ids:
        expect(page.get_by_role("link", name=saga_id[-8:])).to_be_visible()
    expect(page.locator("#live")).to_contain_text("2 sagas")
    page.locator("summary", has_text="More filters").click()
    page.get_by_label("Slower than").fill("3600")
    page.get_by_role("button", name="Filter").click()
    expect(page.locator("#live")).to_contain_text("No sagas match these filters.")


def test_group_is_retried_after_a_dry_run(site):
    ids = site.stuck_orders(23)
    page = site.open("/admin/stuck")
    page.get_by_role("link", name="Act on all 23").click()
    dry = page.get_by_role("region", name="Dry run")
    expect(dry).to_contain_text("Nothing has been done yet")
    expect(dry.locator("details[open] .course li").last).to_have_text("confirmed CONFIRMEE")
    assert {site.saga(saga_id)["state"] for saga_id in ids} == {STUCK}
    choose(page, "Retry now: all 23", "all 23 can go on")
    result = page.get_by_role("region", name="Result", exact=True)
    expect(result).to_contain_text("Done: 23 completed.")
    assert {site.saga(saga_id)["state"] for saga_id in ids} == {"CONFIRMEE"}
    page.goto(site.server.url + "/admin/bulk")
    expect(page.get_by_role("row").filter(has_text="all 23 can go on")).to_contain_text("Done: 23 completed.")


def test_job_of_a_killed_service_goes_on_after_its_restart(site):
    ids = site.stuck_orders(12)
    page = site.open("/admin/stuck")
    page.get_by_role("link", name="Act on all 12").click()
    page.get_by_label("At most this many sagas a second").first.fill("2")
    choose(page, "Retry now: all 12", "sales is back")
    result = page.get_by_role("region", name="Result", exact=True)
    expect(result).to_contain_text("to come")
    expect(result).to_contain_text("completed")
    site.server.kill()
    site.admin_server.open()
    expect(result).to_contain_text("Done: 12 completed.")
    for saga_id in ids:
        journal = requests.get(f"{site.server.url}/api/v1/sagas/{saga_id}/journal", timeout=10).json()["journal"]
        assert [move["trigger"] for move in journal if move["actor"] == "user:ada"] == ["retry"]


def test_only_ticked_sagas_are_acted_on(site):
    first, *_ = site.stuck_orders(3)
    page = site.open("/admin/stuck")
    page.get_by_role("checkbox", name=first[-8:]).check()
    page.get_by_role("button", name="Act on the ticked sagas").click()
    expect(page.get_by_role("region", name="Dry run")).to_contain_text("Retry now: all 1")


def test_reason_is_still_there_after_the_session_has_ended(site):
    (saga_id,) = site.stuck_orders(1)
    page = site.open(f"/admin/sagas/{saga_id}")
    card = offer(page, "Compensate")
    card.locator("summary").first.click()
    card.get_by_label("Why").fill("the customer has called")
    site.context.clear_cookies()
    page.wait_for_url(re.compile(r"/login\?next="))
    page.get_by_label("Name").fill("ada")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(f"**/admin/sagas/{saga_id}")
    why = offer(page, "Compensate").get_by_label("Why")
    expect(why).to_be_visible()
    expect(why).to_have_value("the customer has called")
    offer(page, "Compensate").get_by_role("button", name="Compensate").click()
    expect(page.locator(".notice.done")).to_be_visible()
    page.goto(page.url)
    assert page.evaluate("Object.keys(sessionStorage).filter(key => key.startsWith('draft'))") == [], "it was sent"


def test_start_form_is_still_filled_in_after_its_tab_was_signed_out(site):
    page = site.open("/admin/start/checkout")
    page.get_by_label("client_id").fill("77")
    page.get_by_label("magasin_id").fill("1")
    page.get_by_label("Why").fill("by phone")
    site.context.clear_cookies()
    page.get_by_role("button", name="Start").click()
    page.wait_for_url(re.compile(r"/login\?next="))
    page.get_by_label("Name").fill("ada")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/admin/start/checkout")
    expect(page.get_by_label("client_id")).to_have_value("77")
    expect(page.get_by_label("Why")).to_have_value("by phone")


def test_form_that_a_colleague_has_overtaken_leaves_its_text_in_a_notice(site):
    (saga_id,) = site.stuck_orders(1)
    page = site.open(f"/admin/sagas/{saga_id}")
    card = offer(page, "Compensate")
    card.locator("summary").first.click()
    card.get_by_label("Why").fill("the customer has called")
    other = site.open(f"/admin/sagas/{saga_id}")
    choose(other, "Retry now", "sales is back")
    expect(other.locator(".notice.done")).to_be_visible()
    notice = page.locator(".notice.warning")
    expect(notice).to_contain_text("Nothing was sent. Your text: the customer has called")


def test_page_shows_a_lost_connection_and_its_return(site):
    page = site.open("/admin")
    expect(page.get_by_role("alert")).to_be_hidden()
    site.server.kill()
    expect(page.get_by_role("alert")).to_contain_text("The connection is lost", timeout=15_000)
    site.admin_server.open()
    expect(page.get_by_role("alert")).to_be_hidden(timeout=15_000)


def test_viewer_sees_every_page_without_buttons(site, browser):
    (saga_id,) = site.stuck_orders(1)
    context = browser.new_context()
    context.set_default_timeout(120_000)
    sign_in(context, site.server.url, "eve")
    page = context.new_page()
    page.goto(f"{site.server.url}/admin/sagas/{saga_id}")
    expect(page.get_by_role("region", name="Available actions")).to_contain_text("needs the role operator")
    expect(page.get_by_role("button", name="Retry now")).to_have_count(0)
    assert context.request.post(page.url, form={"action": "retry"}).status == 403
    page.goto(f"{site.server.url}/admin/stuck")
    expect(page.get_by_role("link", name="Act on it")).to_have_count(0)
    context.close()
