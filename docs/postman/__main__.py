"""`python -m docs.postman`: write both collections."""

import argparse

from docs.postman import FILES, text_of

argparse.ArgumentParser(prog="python -m docs.postman", description="Write both collections of Postman.").parse_args()
for path in FILES:
    path.write_text(text_of(path))
