"""Links that hold wherever the shop is mounted: relative ones, for a gateway may cut a prefix off the path."""

from posixpath import relpath
from typing import Any

from flask import request, url_for


def link(endpoint: str, **values: Any) -> str:
    """Give the way from the page that is being answered to another one of the shop."""
    target = url_for(f"ecommerce.{endpoint}", **values).removeprefix(request.script_root)
    path, question, query = target.partition("?")
    folder, _, name = path.rpartition("/")
    here = request.path.rpartition("/")[0]
    return f"{relpath(folder or '/', here or '/')}/{name}{question}{query}"
