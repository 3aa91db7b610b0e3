"""Sign-in with a real browser: the browser accepts the cookie, and runs only scripts of this service."""

import os
import subprocess
import sys

import pytest

PASSWORD = "correct horse battery"

pytestmark = pytest.mark.programs


@pytest.fixture
def page(browser):
    context = browser.new_context()
    context.set_default_timeout(120_000)
    yield context.new_page()
    context.close()


@pytest.fixture
def server(store_url, orchestrator):
    command = [sys.executable, "-m", "app.cli", "user", "add", "ada", "--role", "admin", "--password-stdin"]
    environment = os.environ | {"DATABASE_URL": store_url}
    subprocess.run(command, env=environment, input=PASSWORD, text=True, check=True, capture_output=True)
    return orchestrator(API_AUTH="on")


def test_session_lasts_until_sign_out(server, page):
    complaints = []
    page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
    page.goto(f"{server.url}/admin/users")
    page.get_by_label("Name").fill("ada")
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url(f"{server.url}/admin/users")
    (cookie,) = page.context.cookies()
    assert cookie["name"] == "__Host-saga"
    assert (cookie["secure"], cookie["httpOnly"], cookie["sameSite"], cookie["path"]) == (True, True, "Strict", "/")

    add = page.get_by_role("heading", name="Add a user").locator("..")
    add.get_by_label("Name").fill("eve")
    add.get_by_label("Password").fill(PASSWORD)
    add.get_by_role("button", name="Add").click()
    page.get_by_text("eve may sign in now.").wait_for()
    page.goto(f"{server.url}/admin/audit")
    page.get_by_text("The chain is whole").wait_for()
    assert complaints == [], "the policy lets through all that the pages are made of"

    page.evaluate("document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"window.ran = 1\">')")
    page.wait_for_timeout(200)
    assert page.evaluate("window.ran") is None, "a script that somebody slipped into a page does not run"

    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url(f"{server.url}/login")
    page.goto(f"{server.url}/admin/audit")
    assert page.url.startswith(f"{server.url}/login")
