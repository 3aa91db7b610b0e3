"""`python -m postman`: write both collections anew."""

from postman.files import FILES, text_of

for path in FILES:
    path.write_text(text_of(path))
