"""The API's description as OpenAPI 3.1: each view declares its `operation`, and `document` collects all of them."""
