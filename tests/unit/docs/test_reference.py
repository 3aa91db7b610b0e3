"""The reference pages and the pictures of the documentation describe the code as it is."""

import re
from pathlib import Path

import click
import pytest
from prometheus_client import Counter

from app.cli.group import saga
from diagrams.files import RENDERERS
from docs.reference import PAGES, commands, metrics
from machines import Saga

ROOT = Path(__file__).parents[3]


@pytest.fixture
def written(tmp_path):
    """Return a folder in which the pages have just been written."""
    PAGES.write(tmp_path, PAGES.render(()))
    return tmp_path


def test_reference_pages_describe_the_code_as_it_is():
    assert PAGES.differences(ROOT, PAGES.render(())) == []


def test_a_page_that_differs_is_named_with_the_remedy(written):
    (written / "docs/reference/api.md").write_text("# HTTP API\n")
    assert PAGES.differences(written, PAGES.render(())) == [
        "docs/reference/api.md does not describe the code as it is: run `make openapi` and commit what it writes"
    ]


def test_a_new_command_and_its_options_are_on_the_page(monkeypatch):
    new = click.Command("explode", help="Explode.", params=[click.Option(["--loud"], is_flag=True, help="With noise.")])
    monkeypatch.setitem(saga.commands, "explode", new)
    page = commands.page()
    assert "## saga explode\n" in page
    assert "| `--loud` | With noise. |" in page


def test_a_new_metric_is_on_the_page(monkeypatch):
    known = metrics._metrics
    more = next(iter(Counter("saga_explosions", "Explosions", ["loud"], registry=None).collect()))
    monkeypatch.setattr(metrics, "_metrics", lambda app: [*known(app), (more, ("loud",))])
    assert "| `saga_explosions_total` | `loud` | Explosions. |" in metrics.page()


def test_every_operation_of_the_reference_is_one_of_the_service():
    page = (ROOT / "docs" / "reference" / "api.md").read_text()
    for operation in ("POST /api/v1/sagas/gift", "GET /api/v1/sagas/{saga_id}", "GET /ready"):
        assert f"### {operation}\n" in page
    assert "Scope: `start`." in page


def test_picture_of_the_tutorial_is_drawn_from_its_table():
    (source,) = re.findall(
        r"`sagas/ticket.py`:\n\n```python\n(.*?)```", (ROOT / "docs/tutorial.md").read_text(), re.DOTALL
    )
    names: dict = {"__name__": "sagas.ticket"}
    exec(source, names)
    (table,) = (value for value in names.values() if isinstance(value, Saga))
    picture = ROOT / "docs" / "pictures" / "ticket.svg"
    assert picture.read_text() == RENDERERS["svg"](table), "write it again: saga draw ticket > docs/pictures/ticket.svg"
