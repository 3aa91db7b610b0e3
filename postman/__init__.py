"""Two Postman collections, written by `python -m postman` from docs/openapi.json."""
