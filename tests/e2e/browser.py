"""A real browser, and checks that hold on every page."""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

AXE = Path(__file__).parent / "admin" / "axe" / "axe.min.js"
#: The rules that the accessibility checker axe applies: WCAG 2.2 at the levels A and AA, and axe's best practices.
STANDARDS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
expect.set_options(timeout=120_000)  # milliseconds; a loaded machine is slow
PHONE = {"width": 360, "height": 740}


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start the only browser of this process: Playwright's synchronous API can start only once in a process."""
    program = shutil.which("chromium")
    if program is None:
        pytest.fail("the pages need a browser: chromium is not on the PATH", pytrace=False)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


def violations(page: Page, rules: Sequence[str] = ()) -> list[str]:
    """Return the problems that axe finds on the current page, as rule and element. Default rules: `STANDARDS`."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE.read_text())
    only = {"type": "rule", "values": rules} if rules else {"type": "tag", "values": STANDARDS}
    found = page.evaluate("options => axe.run(document, options)", {"runOnly": only})["violations"]
    return [f"{rule['id']}: {node['target']} {node['failureSummary']}" for rule in found for node in rule["nodes"]]


def overflows(page: Page) -> bool:
    """Return True when the page is wider than its window."""
    return page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth")
