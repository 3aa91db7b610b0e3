"""The output of the demo. Each state has a symbol and a colour. Output is only appended, so that it can be piped."""

import json

import requests
from rich.console import Console
from rich.text import Text

from participants.demo.books import Books
from participants.demo.checkouts import COMPENSATED, COMPLETED, STUCK, Checkout, Order
from participants.demo.services import Orchestrator

FAILED = "ECHEC_"
INDENT = "  "
NUMBERS = 10
GOOD, BAD, QUIET = "bold green", "bold red", "dim"


def mark(state: str, before: list[str]) -> tuple[str, str]:
    """Return the symbol and style of a state. before: the earlier states.

    The states after a failure are compensations.
    """
    if state == COMPLETED:
        return "✔", GOOD
    if state == COMPENSATED:
        return "■", "bold magenta"
    if state.startswith((FAILED, STUCK)):
        return "✗", BAD
    if any(earlier.startswith(FAILED) for earlier in before):
        return "↩", "yellow"
    return ("→", "cyan") if before else ("○", "cyan")


class Screen:
    def __init__(self) -> None:
        self._console = Console(highlight=False)
        self._column = 0

    def line(self, text: str = "", style: str = "") -> None:
        self._write(f"{text}\n", style)

    def title(self, text: str, explained: str = "") -> None:
        self._write(f"\n{text}", "bold")
        self.line(f"  {explained}" if explained else "", QUIET)

    def good(self, text: str) -> None:
        self._write("✔ ", GOOD)
        self.line(text)

    def bad(self, text: str) -> None:
        self.line(f"✗ {text}", BAD)

    def begin(self, checkout: Checkout) -> None:
        self.title(f"client {checkout.client_id}", checkout.title)

    def enter(self, state: str, before: list[str]) -> None:
        """Append a state to the line; a failure starts a new line."""
        symbol, style = mark(state, before)
        word = f"{symbol} {state}"
        if not before:
            self._column = self._begin_line("")
        elif symbol == "✗" or self._column + 1 + len(word) > self._console.width:
            self._column = self._begin_line("\n")
        else:
            word = f" {word}"
        self._write(word, style)
        self._column += len(word)

    def end(self, order: Order, seconds: float) -> None:
        self.line()
        if order.complaint:
            self.bad(order.complaint)
        else:
            self.line(f"{INDENT}as expected: {order.status} after {seconds:.1f} s", QUIET)

    def exchange(self, answer: requests.Response) -> None:
        """Show a request and its response."""
        request = answer.request
        sent = request.body.decode() if isinstance(request.body, bytes) else request.body
        self.line(f"{INDENT}{request.method} {request.path_url}  {sent}")
        self._write(f"{INDENT}{answer.status_code} {answer.reason}", GOOD if answer.ok else BAD)
        self.line(f"  in {answer.elapsed.total_seconds() * 1000:.0f} ms", QUIET)
        self.line(f"{INDENT}Location: {answer.headers.get('Location', 'none')}", QUIET)
        self.line(f"{INDENT}{answer.text.strip()}")

    def books(self, books: Books) -> None:
        self.title("Ledgers", "initial = on hand + reserved + sold, and debits - refunds = sales")
        name_width = max(map(len, books.products))
        heads = "".join(f"{head:>{NUMBERS}}" for head in ("initial", "on hand", "reserved", "sold"))
        self.line(f"{INDENT}{'product':{name_width}}{heads}", QUIET)
        for name, it in books.products.items():
            numbers = "".join(f"{n:>{NUMBERS},}" for n in (it.initial, it.on_hand, it.reserved, it.sold))
            self._checked(f"{name:{name_width}}{numbers}", good=it.balanced)
        sums = f"debits {books.debits:,.2f} - refunds {books.refunds:,.2f} = sales {books.sales:,.2f}"
        self._checked(sums, good=books.debits - books.refunds == books.sales)

    def urls(self, url: str, order_path: str) -> None:
        self.title("URLs", "an order's history: its URL and /historique")
        for name, path in (
            ("checkout", Orchestrator.CHECKOUT),
            ("order", order_path),
            ("health", "/health"),
            ("metrics", "/metrics"),
        ):
            self.line(f"{name:9}{url}{path}")
        self.title("Try it", "clients 1, 2 and 3 fail, any other succeeds")
        body = json.dumps({"client_id": 3, "magasin_id": 1})
        self.line(f"{INDENT}curl -i {url}{Orchestrator.CHECKOUT} \\")
        self.line(f"{INDENT}  -H 'Content-Type: application/json' -d '{body}'\n")

    def sign_in(self, url: str, name: str, password: str) -> None:
        """Show the login, which is only valid for this run."""
        self.title("Operator's pages", "the login of this run; it ends with the demo")
        self.line(f"sign in  {url}")
        self.line(f"name     {name}")
        self.line(f"password {password}\n")

    def shop(self, url: str, kill_command: str) -> None:
        self.title("Storefront", "buy, watch the saga, and make trouble")
        self.line(f"{INDENT}{url}/")
        self.line(f"{INDENT}kill the orchestrator, and see it continue:  {kill_command}")

    def _checked(self, text: str, *, good: bool) -> None:
        self.good(text) if good else self.bad(text)

    def _begin_line(self, end_of_last: str) -> int:
        self._write(end_of_last + INDENT)
        return len(INDENT)

    def _write(self, text: str, style: str = "") -> None:
        # The text is neither wrapped nor cut, so that a URL in it can be copied.
        self._console.print(Text(text, style=style), end="", soft_wrap=True)
        self._console.file.flush()
