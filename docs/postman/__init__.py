"""The two Postman collections, generated from docs/openapi.json by `python -m docs.postman`."""

import json
from pathlib import Path

from docs.postman.checkout import checkout
from docs.postman.purchase import purchase_and_return

_FOLDER = Path(__file__).parent
_API = _FOLDER.parent / "openapi.json"

FILES = {
    _FOLDER / "saga_checkout_tests.postman_collection.json": checkout,
    _FOLDER / "saga_purchase_and_return_tests.postman_collection.json": purchase_and_return,
}


def text_of(path: Path) -> str:
    """Return the content of the collection at this path."""
    api = json.loads(_API.read_text())
    return json.dumps(FILES[path](api), indent=2, ensure_ascii=False) + "\n"
