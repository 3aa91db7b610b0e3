"""A real browser, and what must hold on every page that it shows."""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

AXE = Path(__file__).parent / "admin" / "axe" / "axe.min.js"
#: WCAG 2.2, levels A and AA.
STANDARDS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
expect.set_options(timeout=120_000)  # a machine may be busy
PHONE = {"width": 360, "height": 740}


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start the one browser of a process: Playwright's synchronous API cannot be started twice in it."""
    program = shutil.which("chromium")
    if program is None:
        pytest.fail("the pages need a browser: chromium is not on the PATH", pytrace=False)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


def violations(page: Page, rules: Sequence[str] = ()) -> list[str]:
    """What axe finds wrong on the page as it stands, by these rules or by all, as rule and place."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE.read_text())
    only = {"type": "rule", "values": rules} if rules else {"type": "tag", "values": STANDARDS}
    found = page.evaluate("options => axe.run(document, options)", {"runOnly": only})["violations"]
    return [f"{rule['id']}: {node['target']} {node['failureSummary']}" for rule in found for node in rule["nodes"]]


def overflows(page: Page) -> bool:
    """Whether one has to scroll sideways to see all of it."""
    return page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth")
