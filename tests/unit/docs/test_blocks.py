"""Each page with blocks that a reader runs has a test that runs them, or a reason why no test can."""

import re
from pathlib import Path
from types import MappingProxyType

import pytest
import trustme

from app.config import check_participants, from_environment
from docs.reference import metrics
from docs.site.contents import CONTENTS
from tests.support.documented import blocks

ROOT = Path(__file__).parents[3]
PAGES = [page for page in sorted((ROOT / "docs").rglob("*.md")) if "node_modules" not in page.parts]
RUNNABLE = {"bash", "python", "toml", "js", "dockerfile"}
#: Page → the tests that run its blocks. In addition, `unit/docs/test_commands.py` checks the commands of every page.
RUN_BY = {
    "README.md": ("e2e/test_tutorial.py", "integration/test_own_saga.py"),
    "docs/tutorial.md": ("e2e/test_tutorial.py",),
    "docs/tables.md": ("unit/docs/test_tables.py",),
    "docs/testing.md": ("unit/machines/testing/test_documented.py",),
    "docs/changing-a-table.md": ("integration/test_changed_tables.py",),
    "docs/client.md": ("integration/client/test_docs.py",),
    "docs/schedules.md": ("integration/test_schedules_documented.py",),
    "docs/participants.md": ("unit/docs/test_blocks.py",),
    "docs/webhooks.md": ("integration/webhooks/test_documented.py", "unit/app/test_webhook_signature.py"),
    "docs/conform.md": ("e2e/test_tutorial.py",),
    "docs/verify.md": ("e2e/test_tutorial.py",),
    "docs/examples/README.md": ("e2e/test_tutorial.py",),
    "docs/examples/own-repository/README.md": ("e2e/test_tutorial.py",),
}
#: Page → the reason why no test runs its blocks word for word, and the test that does the same thing.
NOT_RUN = {
    "docs/operations.md": (
        "needs Docker and Kubernetes: unit/deploy; e2e/test_runbooks.py prunes, e2e/test_events.py sends the event"
    ),
}


def test_each_page_with_runnable_blocks_has_a_test_or_a_reason():
    pages = [ROOT / "README.md", *PAGES]
    with_blocks = {
        str(page.relative_to(ROOT))
        for page in pages
        if {block.language for block in blocks(page.read_text())} & RUNNABLE
    }
    runbooks = {page for page in with_blocks if page.startswith("docs/runbooks/")}  # e2e/test_runbooks.py runs each
    assert with_blocks - runbooks == {*RUN_BY, *NOT_RUN}


@pytest.mark.parametrize(("page", "test"), [(page, test) for page, tests in RUN_BY.items() for test in tests])
def test_named_test_reads_the_page(page, test):
    text = (ROOT / "tests" / test).read_text()
    assert Path(page).name in text, f"{test} does not read {page}"


@pytest.mark.parametrize("reason", NOT_RUN.values())
def test_each_reason_names_existing_tests(reason):
    named = re.findall(r"(?:unit|integration|e2e)/[\w/.]+", reason)
    assert named
    assert [name for name in named if not (ROOT / "tests" / name).exists()] == []


def test_settings_of_the_participants_page_are_legal(tmp_path):
    """The test puts the files that the page names into another folder. Everything else is as on the page."""
    authority = trustme.CA()
    bank = authority.issue_cert("bank.example")
    authority.cert_pem.write_to_path(tmp_path / "bank-ca.pem")
    bank.private_key_pem.write_to_path(tmp_path / "bank.key")
    bank.cert_chain_pems[0].write_to_path(tmp_path / "bank.crt")
    for name in ("flight", "partner"):
        (tmp_path / name).write_text("a secret of the participant\n")
    page = (ROOT / "docs" / "participants.md").read_text()
    text = "".join(block.text for block in blocks(page) if block.language == "toml")
    file = tmp_path / "participants.toml"
    file.write_text(re.sub(r"/(?:run/secrets|etc/ssl)/", f"{tmp_path}/", text))
    config = from_environment({"PARTICIPANTS_FILE": str(file)})
    names = {"flight", "bank", "partner"}

    class Table:
        participants, steps, at_end = tuple(names), (), MappingProxyType({})

    settings = check_participants(config, [Table()])
    assert {settings[name].url for name in names} == {
        "https://api.flight.example/v1", "https://bank.example", "https://partner.example",
    }  # fmt: skip
    assert {found.auth.type for found in settings.values() if found.auth} == {"bearer", "hmac"}


def test_metrics_that_runbooks_query_exist():
    known = set(re.findall(r"`(\w+)`", metrics.page()))
    known |= {f"{name}_{part}" for name in known for part in ("bucket", "sum", "count", "total")}
    rules = "".join(path.read_text() for path in (ROOT / "deploy" / "prometheus" / "rules").rglob("*.yml"))
    known |= set(re.findall(r"record: (\S+)", rules))
    queried = {
        name
        for page in PAGES
        for block in blocks(page.read_text())
        if block.language == "promql"
        for name in re.findall(r"\bsaga[_:][\w:]+", block.text)
    }
    assert len(queried) > 10
    assert queried - known == set()


def test_each_document_is_in_the_contents_of_the_site():
    """The build of the site, in `make check`, fails for a page that is missing in the contents."""
    placed = {re.sub(r".*<(.*)>", r"\1", page) for pages in CONTENTS.values() for page in pages}
    pages = {f"/{page.relative_to(ROOT).with_suffix('')}" for page in (ROOT / "docs").glob("*.md")} - {"/docs/index"}
    assert pages - placed == set(), "name them in docs/site/contents.py and in docs/index.md"
    assert [page for page in placed if not (ROOT / f"{page[1:]}.md").exists()] == []
