"""The API's own description, OpenAPI 3.1: `operation` is declared beside each view, `document` collects them."""
