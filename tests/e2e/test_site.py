"""The documentation as a site: built without a warning, complete without a network, and readable on every screen."""

import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlsplit

import pytest
from playwright.sync_api import expect

from tests.e2e.browser import PHONE, overflows, violations

pytestmark = pytest.mark.programs
ROOT = Path(__file__).parents[2]
#: Pages that together have every kind of content: tables, code, both kinds of diagrams, pictures, and a source file.
PAGES = (
    "docs/index",
    "docs/tutorial",
    "docs/execution",
    "docs/tables",
    "docs/reference/api",
    "source/machines/checkout.py",
)

#: The address in `url(…)`, or in `@import "…"`.
LOADED_BY_A_STYLE = re.compile(r"""(?:url\(\s*|@import\s+(?=["']))["']?([^"')\s]+)""")


def build(source: Path, to: Path):
    command = [sys.executable, "-m", "docs.site", "--source", str(source), "--to", str(to)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=500, check=False)


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    to = tmp_path_factory.mktemp("site")
    built = build(ROOT, to)
    assert built.returncode == 0, built.stderr
    return to


class Page(HTMLParser):
    """The links and anchors of a page, and the files that it loads."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.anchors, self.links, self.loads = set(), set(), set()
        self.feed(file.read_text())

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        self.anchors |= {values[name] for name in ("id", "name") if values.get(name)}
        if tag == "a" and values.get("href"):
            self.links.add(values["href"])
        elif tag == "link" and values.get("rel") not in ("prev", "next", "index", "search"):
            self.loads.add(values["href"])
        elif tag in ("script", "img", "source", "iframe") and values.get("src"):
            self.loads.add(values["src"])


@pytest.fixture(scope="module")
def pages(site) -> dict[Path, Page]:
    return {file.resolve(): Page(file) for file in site.rglob("*.html")}


def test_every_link_of_the_site_leads_to_a_page_and_an_anchor(site, pages):
    assert len(pages) > 80
    broken = []
    for file, page in pages.items():
        for link in page.links:
            path, anchor = urldefrag(link)
            if urlsplit(link).scheme:
                continue
            target = (file.parent / unquote(path)).resolve() if path else file
            known = pages.get(target)
            if not target.exists() or (anchor and known and unquote(anchor) not in known.anchors):
                broken.append(f"{file.relative_to(site)}: {link}")
    assert broken == []


def test_no_page_loads_anything_from_another_host(site, pages):
    loaded = {load for page in pages.values() for load in page.loads}
    for style in site.rglob("*.css"):
        loaded |= set(LOADED_BY_A_STYLE.findall(style.read_text()))
    assert [load for load in loaded if urlsplit(load).netloc] == []


def test_broken_link_and_broken_anchor_fail_the_build(tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    for entry in ROOT.iterdir():
        if entry.name != "docs" and not entry.name.startswith("."):
            (source / entry.name).symlink_to(entry)
    shutil.copytree(ROOT / "docs", source / "docs", ignore=shutil.ignore_patterns("node_modules", "site"))
    with (source / "docs" / "glossary.md").open("a") as page:
        page.write("\n[a page](no-such-page.md), [an anchor](tables.md#no-such-heading), [a file](../app/none.py)\n")
    built = build(source, tmp_path / "site")
    assert built.returncode != 0
    for target in ("no-such-page.md", "no-such-heading", "../app/none.py"):
        assert re.search(rf"docs/glossary.md:\d+: WARNING: .*{re.escape(target)}", built.stderr), built.stderr


@pytest.fixture
def visit(site, browser):
    """Return a function that opens a page offline. At the end, fail if a page had an error or a request that failed."""
    contexts, complaints = [], []

    def open_page(name: str, **options):
        context = browser.new_context(offline=True, reduced_motion="reduce", **options)
        contexts.append(context)
        context.on("console", lambda line: complaints.append(line.text) if line.type == "error" else None)
        context.on("weberror", lambda error: complaints.append(str(error.error)))
        context.on("requestfailed", lambda request: complaints.append(f"failed: {request.url}"))
        page = context.new_page()
        page.goto(f"file://{site}/{name}.html")
        expect(page.locator("pre.mermaid svg")).to_have_count(page.locator("pre.mermaid").count())
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []


@pytest.mark.parametrize("name", PAGES)
def test_page_is_readable_in_light_in_dark_and_on_a_phone(visit, name):
    for scheme in ("light", "dark"):
        page = visit(name, color_scheme=scheme, viewport={"width": 1366, "height": 900})
        assert violations(page, ["color-contrast", "image-alt", "link-name", "heading-order", "label"]) == [], scheme
        assert not overflows(page)
    assert not overflows(visit(name, viewport=PHONE))


def test_diagram_is_drawn_again_when_the_theme_changes(visit):
    page = visit("docs/execution", color_scheme="light")
    line = "getComputedStyle(document.querySelector('pre.mermaid .messageText')).fill"
    light = page.evaluate(line)
    page.emulate_media(color_scheme="dark")
    page.wait_for_function(f"{line} !== {light!r}")


def test_search_finds_a_page_without_a_network(visit):
    page = visit("docs/index", viewport={"width": 1366, "height": 900})
    page.get_by_placeholder("Search").fill("fencing token")
    page.keyboard.press("Enter")
    expect(page.get_by_role("link", name="Glossary").first).to_be_visible()
