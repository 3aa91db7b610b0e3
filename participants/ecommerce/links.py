"""Links that hold wherever the shop is mounted: relative ones, for a gateway may cut a prefix off the path."""

from collections.abc import Callable
from functools import partial
from posixpath import relpath
from typing import Any

from flask import request, url_for


def link(endpoint: str, **values: Any) -> str:
    """Give the way from the page that is being answered to another one of the shop."""
    return _way(request.path, endpoint, **values)


def links_from(page: str) -> Callable[..., str]:
    """Give the ways from another page, for a piece of it that is rendered here."""
    return partial(_way, page)


def place(endpoint: str, **values: Any) -> str:
    """Give the path of a page below where the shop is mounted."""
    return url_for(f"ecommerce.{endpoint}", **values).removeprefix(request.script_root)


def _way(page: str, endpoint: str, **values: Any) -> str:
    path, question, query = place(endpoint, **values).partition("?")
    folder, _, name = path.rpartition("/")
    here = page.rpartition("/")[0]
    return f"{relpath(folder or '/', here or '/')}/{name}{question}{query}"
