"""`python -m docs.postman`: write both collections."""

from docs.postman import FILES, text_of

for path in FILES:
    path.write_text(text_of(path))
