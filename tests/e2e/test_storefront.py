"""The storefront in a real browser, in front of everything that `make demo` starts."""

import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
import requests
from playwright.sync_api import expect

from tests.e2e.browser import PHONE, overflows, violations
from tests.support.waiting import TIMEOUT_S, eventually, free_port

pytestmark = pytest.mark.programs

SLOW = 120_000
README = Path(__file__).parents[2] / "README.md"
#: Script that records each state that a page shows, for all pages of a tab. Without this record, a test could miss a
#: state between two checks.
RECORD = """
new MutationObserver(() => {
    const state = document.querySelector("#now .state")?.textContent.trim()
    const named = JSON.parse(sessionStorage.getItem("named") ?? "[]")
    if (state && named.at(-1) !== state) sessionStorage.setItem("named", JSON.stringify([...named, state]))
}).observe(document, { subtree: true, childList: true, characterData: true })
"""


class Demo:
    def __init__(self, folder):
        ports = free_port(), free_port()
        self.orchestrator, self.url = (f"http://127.0.0.1:{port}" for port in ports)
        self._output = folder / "output"
        environment = {**os.environ, "PORT": str(ports[0]), "PARTICIPANTS_PORT": str(ports[1]), "TMPDIR": str(folder)}
        with self._output.open("wb") as output:
            command = [sys.executable, "-m", "participants.demo"]
            self.process = psutil.Popen(command, env=environment, stdout=output, stderr=output)

    def wait(self):
        eventually(lambda: "Ctrl-C stops everything" in self.said(), "the demo stays up")
        self._paid_for_receipts = self._paid_beyond_sales()  # the demo's example of order_saga is paid, but has no sale

    def said(self):
        return self._output.read_text()

    def balance(self, name):
        return requests.get(f"{self.url}/{name}/_balance", timeout=5).json()

    def sagas(self):
        answer = requests.get(f"{self.orchestrator}/api/v1/sagas", params={"limit": 1}, timeout=5).json()
        return answer["pagination"]["total"]

    def _paid_beyond_sales(self):
        client, sales = self.balance("client"), self.balance("ventes")
        return round(client["debits"] - client["remboursements"] - sales["total"], 2)

    def assert_books_agree(self):
        assert self._paid_beyond_sales() == self._paid_for_receipts
        for product, units in self.balance("stock")["produits"].items():
            assert units["initial"] == units["en_main"] + units["vendu"], f"{product}: {units['reserve']} reserved"


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    demo = Demo(tmp_path_factory.mktemp("demo"))
    try:
        demo.wait()
        yield demo
    finally:
        demo.process.terminate()
        ended = demo.process.wait(TIMEOUT_S)
    assert ended == 0, demo.said()


@pytest.fixture
def complaints():
    """Return the errors of the browser's console: a failed script, or a style that the page's policy forbids."""
    return []


@pytest.fixture
def open_page(browser, demo, complaints):
    """Return a function that opens a page in a new window. At the end, reset the switches and check for errors."""
    contexts = []

    def opened(path="/", **options):
        contexts.append(browser.new_context(base_url=demo.url, **options))
        page = contexts[-1].new_page()
        page.add_init_script(RECORD)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
        page.goto(path)
        return page

    yield opened
    for context in contexts:
        context.close()
    requests.post(f"{demo.url}/switches/all", data={"mode": "normal"}, timeout=5).raise_for_status()
    assert [text for text in complaints if "Failed to load resource" not in text] == []


@pytest.fixture
def page(open_page):
    return open_page()


def turn(page, participant, mode):
    page.get_by_role("button", name=f"{participant}: {mode}").click()
    expect(page.get_by_role("button", name=f"{participant}: {mode}")).to_have_attribute("aria-pressed", "true")


def buy(page, how="Buy at full speed"):
    page.get_by_role("button", name=how).click()
    page.wait_for_url(re.compile("/orders/"))


def expect_state(page, state):
    """Wait until the page names this state and the diagram marks it. The saga moves on, so one check covers both."""
    named = f'body:has(#now .state:text-is("{state}"))'
    drawn = f'{named}:has(#ladder [data-state="{state}"][aria-current=step]) #diagram g.now[data-state="{state}"]'
    expect(page.locator(drawn)).to_have_count(1, timeout=SLOW)


def expect_passed(page, state):
    """Wait until the page has named this state at least once. The saga soon leaves the state."""
    eventually(lambda: state in (page.evaluate("sessionStorage.getItem('named')") or ""), f"the page names {state}")


def call(page, text):
    return page.locator(".call", has_text=text)


def step(page, title):
    return page.locator("#ladder .do", has_text=title)


def test_order_page_shows_each_state_until_the_order_is_confirmed(page, demo):
    before = demo.balance("stock")["produits"]["101"]["vendu"]
    buy(page, "Buy, and watch")
    for state in ("STOCK_RESERVE", "PAIEMENT_EFFECTUE"):
        expect_passed(page, state)
    expect_state(page, "CONFIRMEE")
    assert page.locator("#diagram g.edge.taken").count() == 5
    expect(page.locator(".call .outcome")).to_have_text(["done"] * 5)
    expect(page.locator(".ledgers")).to_contain_text("Take the payment €109.88: done")
    expect(page.locator(".verdict")).to_contain_text("The books agree")
    operator = f"{demo.orchestrator}/admin/sagas/{page.url.rpartition('/')[2]}"
    expect(page.get_by_role("link", name="As the operator sees it")).to_have_attribute("href", operator)
    assert demo.balance("stock")["produits"]["101"]["vendu"] == before + 1
    demo.assert_books_agree()


@pytest.mark.parametrize(
    ("client", "why"), [(1, "5 asked, 3 available"), (2, "less than 109.88"), (3, "unpaid invoices")]
)
def test_each_reference_client_gets_its_outcome(page, demo, client, why):
    page.get_by_role("link", name=f"Client {client}").click()
    buy(page)
    expect_state(page, "ANNULEE")
    expect(page.locator("#now")).to_contain_text(why)
    demo.assert_books_agree()


def test_page_shows_the_compensation_of_a_refused_payment(page, demo):
    turn(page, "Payment", "refuse")
    buy(page, "Buy, and watch")
    expect_passed(page, "LIBERATION_STOCK")
    expect_state(page, "ANNULEE")
    expect(call(page, "take the payment")).to_contain_text("refused")
    expect(call(page, "Releases the goods")).to_contain_text("done")
    expect(page.locator(".ledgers")).to_contain_text("Reserve the goods: done, then undone")
    demo.assert_books_agree()


def test_diagram_and_calls_are_in_sight_together_while_the_order_goes_back(open_page):
    page = open_page("/", viewport={"width": 1440, "height": 900})
    turn(page, "Sales", "refuse")
    buy(page, "Buy, and watch")
    expect_passed(page, "REMBOURSEMENT")
    expect_state(page, "ANNULEE")
    expect(page.locator(".call")).to_have_count(6)
    for part in (page.locator("#ladder"), page.locator("#calls")):
        box = part.bounding_box()
        assert box["y"] >= 0
        assert box["y"] + box["height"] <= 900, "one must scroll to see it"
    assert page.locator("#calls").evaluate("it => it.scrollHeight <= it.clientHeight"), "every call is in sight"
    expect(step(page, "Read the cart")).to_contain_text("done")
    expect(step(page, "Take the payment")).to_contain_text("done, then undone")
    expect(step(page, "Record the sale")).to_contain_text("refused")
    expect(step(page, "Confirm the goods")).to_contain_text("not done")


def test_steps_to_come_are_grey_and_steps_passed_are_ticked(page, demo):
    """The stock confirms nothing, and a step after the pivot is tried for minutes: the order stays where it is."""
    fault = {"kind": "fail", "path": "/confirmer", "times": None}
    requests.post(f"{demo.url}/stock/_faults", json=fault, timeout=5).raise_for_status()
    buy(page)
    expect(step(page, "Confirm the goods").locator(".sign")).to_have_text("▶")
    expect(page.locator("#ladder .do .sign")).to_have_text(["✓"] * 4 + ["▶"])
    end = page.locator("#ladder .end", has_text="Confirmed")
    expect(end.locator(".sign")).to_have_text("○")
    expect(end).to_contain_text("to come")
    grey = "it => getComputedStyle(it).color === getComputedStyle(document.querySelector('.lead')).color"
    assert end.evaluate(grey)
    page.get_by_role("button", name="Everything back to normal").click()
    expect_state(page, "CONFIRMEE")
    expect(page.locator("#ladder .do .sign")).to_have_text(["✓"] * 5)


def test_order_page_fits_on_a_narrow_phone(open_page):
    page = open_page("/", viewport={"width": 320, "height": 640})
    buy(page)
    expect_state(page, "CONFIRMEE")
    assert not overflows(page)
    ladder, calls = (page.locator(name).bounding_box() for name in ("#ladder", "#calls"))
    assert ladder["y"] + ladder["height"] <= calls["y"], "one below the other"


def test_call_with_a_lost_reply_is_repeated_with_one_effect(page, demo):
    paid = demo.balance("client")["debits"]
    turn(page, "Payment", "lose")
    buy(page)
    expect_state(page, "CONFIRMEE")
    expect(call(page, "take the payment").locator(".outcome")).to_have_text(["no answer", "done"])
    assert round(demo.balance("client")["debits"] - paid, 2) == 109.88
    expect(page.get_by_role("button", name="Payment: normal")).to_have_attribute("aria-pressed", "true")


def test_order_is_compensated_when_the_participant_is_back(page, demo):
    turn(page, "Payment", "down")
    buy(page)
    expect_state(page, "REMBOURSEMENT")
    turn(page, "Payment", "normal")
    expect_state(page, "ANNULEE")
    expect(page.locator(".ledgers")).to_contain_text("undone before it came")
    demo.assert_books_agree()


def test_stuck_order_is_shown_and_continues_after_a_decision(page, demo):
    turn(page, "Sales", "down")
    buy(page)
    expect_state(page, "STUCK_ENREGISTRER_VENTE")
    saga_id = page.url.rpartition("/")[2]
    operator = page.get_by_role("link", name="Decide on the operator")
    expect(operator).to_have_attribute("href", f"{demo.orchestrator}/admin/sagas/{saga_id}")
    page.goto("/orders")
    expect(page.locator(".order").first).to_contain_text("stuck")
    page.go_back()
    turn(page, "Sales", "normal")
    requests.post(f"{demo.orchestrator}/api/v1/sagas/{saga_id}/retry", timeout=40).raise_for_status()
    expect_state(page, "CONFIRMEE")
    demo.assert_books_agree()


def test_order_is_completed_after_a_kill_of_the_orchestrator(page, demo):
    buy(page, "Buy, and watch")
    expect_passed(page, "STOCK_RESERVE")
    page.get_by_role("button", name="Kill the orchestrator").click()
    expect(page.locator("#now .state")).to_have_text("AWAY", timeout=SLOW)
    expect(page.locator(".call")).not_to_have_count(0)  # the page keeps its calls while the orchestrator is away
    assert requests.get(f"{demo.url}/orders", timeout=5).status_code == 200
    expect_state(page, "CONFIRMEE")
    expect(page.locator(".calls")).to_contain_text("another process continues the order")
    assert "the orchestrator is back" in demo.said()
    demo.assert_books_agree()


def test_basket_is_kept_and_bought_once_while_the_orchestrator_is_away(page, demo):
    before, times_back = demo.sagas(), demo.said().count("is back")
    page.get_by_label("Mouse", exact=True).fill("3")
    subprocess.run(["bash", "-c", page.locator(".command code").first.inner_text()], check=True)
    page.get_by_role("button", name="Buy at full speed").click()
    expect(page.get_by_role("alert")).to_contain_text("your basket is kept")
    assert page.get_by_label("Mouse", exact=True).input_value() == "3"
    key = page.locator("[name=key]").input_value()
    eventually(lambda: demo.said().count("is back") > times_back, "it is back")
    assert page.locator("[name=key]").input_value() == key
    buy(page)
    expect_state(page, "CONFIRMEE")
    assert demo.sagas() == before + 1


@pytest.mark.parametrize(
    ("name", "guess", "verdict"),
    [
        ("refused-payment", "The saga releases them.", "You guessed it. The saga releases them."),
        ("lost-reply", "Twice", "You guessed otherwise. Once."),
        ("kill", "It continues where it stopped.", "You guessed it. It continues where it stopped."),
        ("double-click", "Two orders.", "You guessed otherwise. One order"),
    ],
)
def test_experiment_says_what_the_order_has_shown(page, demo, name, guess, verdict):
    run_experiment(page, name, guess)
    if name == "kill":
        expect(call(page, "Read the cart")).to_contain_text("done")
        page.get_by_role("button", name="Kill the orchestrator now").click()
        expect(page.locator("#now .state")).to_have_text("AWAY", timeout=SLOW)
    expect(page.locator(".experiment .verdict")).to_contain_text(verdict, timeout=SLOW)
    expect(page.locator(".experiment")).to_contain_text("Read more")
    assert page.request.get(page.get_by_role("link", name="Read more").evaluate("it => it.href")).ok
    expect(page.get_by_role("button", name="Payment: normal")).to_have_attribute("aria-pressed", "true")
    demo.assert_books_agree()


def test_experiment_lets_the_visitor_be_the_operator_of_a_stuck_order(open_page, demo):
    page = open_page("/", viewport={"width": 1440, "height": 900})
    run_experiment(page, "no-way-back", "It stops, and asks a person.")
    expect_state(page, "STUCK_CONFIRMER")
    expect(page.locator(".experiment .verdict")).to_contain_text("You guessed it")
    for part in ("#ladder", "#calls"):
        box = page.locator(part).bounding_box()
        assert box["y"] + box["height"] <= 900, "one must scroll to see it"
    assert violations(page) == []
    page.get_by_role("button", name="Try the step again").click()
    expect_state(page, "CONFIRMEE")
    expect(page.locator(".experiment .verdict")).to_contain_text("It stops, and asks a person.")
    demo.assert_books_agree()


def run_experiment(page, name, guess):
    page.get_by_role("link", name="Experiments", exact=True).click()
    form = page.locator(f"form[action$='experiments/{name}']")
    form.get_by_label(guess).check()
    form.get_by_role("button", name="Run it").click()
    page.wait_for_url(re.compile("/orders/"))


def test_repeated_form_buys_once(demo):
    form = {"client": "4", "key": "6d0fa27a-7a6a-4a5c-9fb6-0e1f3c0b8d11", "q102": "1", "fast": "1"}
    before = demo.sagas()

    def send(_):
        return requests.post(f"{demo.url}/buy", data=form, allow_redirects=False, timeout=10)

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(send, range(6)))
    answers.append(send(None))
    assert {answer.status_code for answer in answers} == {303}
    assert len({answer.headers["Location"] for answer in answers}) == 1
    assert demo.sagas() == before + 1


def test_purchase_is_returned_and_refunded(page, demo):
    buy(page)
    expect_state(page, "CONFIRMEE")
    sold, refunded = demo.balance("stock")["produits"]["456"]["vendu"], demo.balance("client")["remboursements"]
    page.get_by_role("link", name="Orders").click()
    page.locator(".order").first.get_by_role("button", name="Return").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Return of client 4")
    expect_state(page, "COMPLETED")
    assert demo.balance("stock")["produits"]["456"]["vendu"] == sold - 2
    assert round(demo.balance("client")["remboursements"] - refunded, 2) == 109.88
    demo.assert_books_agree()
    page.goto("/orders")
    expect(page.locator(".order").first.get_by_role("button", name="Return")).to_have_count(0)
    expect(page.locator(".order").first).to_contain_text("confirmed")


def run_readme_checkout(demo):
    """Run the README's checkout as it stands there, at the port of this demo. Return its output."""
    command = re.search(r"^curl -i \S+/api/commande/checkout .*?\n```", README.read_text(), re.DOTALL | re.MULTILINE)[0]
    command = command.removesuffix("```").replace("http://127.0.0.1:8009", demo.orchestrator)
    return subprocess.run(["bash", "-c", command], check=True, capture_output=True, text=True, timeout=60).stdout


@pytest.mark.parametrize("quantity", ["1", "4"], ids=["confirmed", "cancelled"])
def test_readme_checkout_works_twice_after_an_order_in_the_shop(page, demo, quantity):
    first = requests.get(f"{demo.url}/panier/4", timeout=5).json()
    sales = demo.balance("ventes")
    for product in ("101", "456"):
        page.locator(f"#q{product}").fill("0")
    page.locator("#q789").fill(quantity)
    buy(page, "Buy, and watch")
    expect_state(page, "CONFIRMEE" if quantity == "1" else "ANNULEE")
    eventually(lambda: requests.get(f"{demo.url}/panier/4", timeout=5).json() == first, "the cart is emptied")
    for _ in range(2):
        assert run_readme_checkout(demo).startswith("HTTP/1.1 201"), "the cart of the shop's order is used again"
    bought = 12.5 if quantity == "1" else 0
    assert round(demo.balance("ventes")["total"] - sales["total"], 2) == round(bought + 2 * first["montant"], 2)
    expect(page.get_by_role("button", name="Stock: normal")).to_have_attribute("aria-pressed", "true")
    demo.assert_books_agree()


def press_until(page, name):
    """Press Tab until the element with this name has the focus."""
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.labels?.[0]?.innerText ?? document.activeElement.innerText") == name:
            return
    pytest.fail(f"{name} cannot be reached by keyboard")


def test_storefront_works_with_the_keyboard_alone(page):
    press_until(page, "Mouse")
    page.keyboard.press("ArrowUp")
    press_until(page, "Buy at full speed")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("/orders/"))
    expect_state(page, "CONFIRMEE")
    expect(page.locator(".lead")).to_contain_text("1 × Mouse")  # noqa: RUF001
    press_until(page, "slow")
    page.keyboard.press("Enter")
    expect(page.locator(":focus")).to_have_attribute("aria-pressed", "true")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [PHONE, {"width": 1440, "height": 900}], ids=["phone", "wide"])
def test_every_page_is_accessible_and_fits(open_page, scheme, size):
    page = open_page("/", color_scheme=scheme, viewport=size, reduced_motion="reduce")
    pages = {"shop": violations(page)}
    assert not overflows(page)
    turn(page, "Stock", "lose")
    page.get_by_label("Mouse", exact=True).evaluate("it => { it.removeAttribute('max'); it.value = 100 }")
    page.get_by_role("button", name="Buy at full speed").click()
    expect(page.get_by_role("alert")).to_contain_text("Mouse: the quantity must be a whole number from 0 to 99")
    pages["mistake"] = violations(page)
    page.get_by_label("Mouse", exact=True).fill("0")
    buy(page, "Buy, and watch")
    expect_passed(page, "STOCK_RESERVE")
    pages["under way"] = violations(page)
    assert not overflows(page)
    expect_state(page, "CONFIRMEE")
    pages["confirmed"] = violations(page)
    for name, path in {"orders": "/orders", "experiments": "/experiments", "error": "/?client=17"}.items():
        page.goto(path)
        pages[name] = violations(page)
        assert not overflows(page)
    assert {name: found for name, found in pages.items() if found} == {}
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (background == "rgb(245, 247, 249)") == (scheme == "light")


def test_storefront_works_without_scripts(open_page):
    page = open_page("/", java_script_enabled=False)
    page.get_by_role("button", name="Stock: refuse").click()
    expect(page.get_by_role("button", name="Stock: refuse")).to_have_attribute("aria-pressed", "true")
    buy(page)
    page.reload()
    expect(page.locator("#now")).to_contain_text("A simulated refusal")
    expect(page.get_by_alt_text("The way the saga took")).to_be_visible()


def test_storefront_loads_nothing_from_other_sites(open_page, demo):
    page = open_page("/")
    hosts = set()
    page.on("request", lambda request: hosts.add(request.url.split("/")[2]))
    buy(page)
    expect_state(page, "CONFIRMEE")
    assert hosts == {demo.url.removeprefix("http://")}


def test_storefront_works_below_a_path_prefix(open_page):
    page = open_page("/ecommerce/")
    turn(page, "Stock", "slow")
    turn(page, "Stock", "normal")
    buy(page)
    assert "/ecommerce/orders/" in page.url
    expect_state(page, "CONFIRMEE")
    turn(page, "Stock", "slow")
    turn(page, "Stock", "normal")
    page.get_by_role("link", name="Orders").click()
    expect(page.locator(".order").first).to_contain_text("confirmed")
