"""The two files, and the one description they are made from."""

import json
from pathlib import Path

from postman.checkout import checkout
from postman.purchase import purchase_and_return

_HERE = Path(__file__).parent
_API = _HERE.parent / "docs" / "openapi.json"

FILES = {
    _HERE / "saga_checkout_tests.postman_collection.json": checkout,
    _HERE / "saga_purchase_and_return_tests.postman_collection.json": purchase_and_return,
}


def text_of(path: Path) -> str:
    api = json.loads(_API.read_text())
    return json.dumps(FILES[path](api), indent=2, ensure_ascii=False) + "\n"
