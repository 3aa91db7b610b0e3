"""The example with every word for branches: docs/examples/branches/web_order.py."""

from pathlib import Path
from typing import Any

import pytest

from diagrams.files import RENDERERS
from machines.discovery import discover
from tests.integration.engine.families import InlinePool, ends, settle
from tests.integration.engine.scene import REFUSED, Scene, answer

FILE = Path(__file__).parents[3] / "docs" / "examples" / "branches" / "web_order.py"
LINES = [
    {"sku": "pen", "warehouse": "north"},
    {"sku": "ink", "warehouse": "south"},
    {"sku": "cap", "warehouse": "north"},
]


def run(scene: Scene, **data: Any) -> dict[str, str]:
    def answered(request: Any) -> None:
        _, name, direction = request.headers["Idempotency-Key"].split("/")
        if direction == "do" and not scene.replies[name]:
            scene.replies[name].append(answer(201, id=name, url=f"/{name}", number="N1"))

    scene.registry, scene.at_each_call = discover(str(FILE.parent)), answered
    scene.runner.pool = InlinePool()
    given = {"customer": "Ada", "amount": "12.00", "gift": False, "country": "CA", "lines": LINES}
    scene.run(scene.registry.latest("web_order"), **(given | data))
    settle(scene)
    return ends(scene)


@pytest.mark.parametrize("gift", [False, True])
@pytest.mark.parametrize("country", ["CA", "US"])
def test_the_order_is_sent_with_its_label_and_its_invoice(scene, gift, country):
    assert run(scene, gift=gift, country=country)["web_order"] == "SENT"
    assert scene.requests[-1].body == {"label": "/print", "invoice": "N1"}
    assert ("wrap" in scene.calls, "duty" in scene.calls) == (gift, country == "US")
    assert scene.calls.count("hold") == 3


@pytest.mark.parametrize("refused", ["hold", "wrap", "authorize", "capture"])
def test_a_refusal_before_the_payment_leaves_nothing_behind(scene, refused):
    scene.given(**{refused: [REFUSED]})
    assert run(scene, gift=True)["web_order"] == "CALLED_OFF"
    for name in ("hold", "wrap", "authorize"):
        done = sum(call == name for call in scene.calls) - (name == refused)
        assert scene.calls.count(f"undo_{name}") == done, name


def test_the_picture_of_the_page_is_that_of_the_example():
    picture = FILE.parents[2] / "pictures" / "web_order.svg"
    drawn = RENDERERS["svg"](discover(str(FILE.parent)).latest("web_order"))
    assert picture.read_text() == drawn, "write it again: saga draw web_order > docs/pictures/web_order.svg"


def test_the_table_is_short_and_can_be_drawn():
    lines = FILE.read_text().splitlines()
    assert len(lines) <= 45
    for table in discover(str(FILE.parent)):
        for render in RENDERERS.values():
            assert str(table.name) in render(table)
