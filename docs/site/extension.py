"""Adds to MyST: the contents, drawn Mermaid blocks, and a page for each source file that a page links to."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from docutils import nodes
from docutils.parsers.rst import Directive
from markupsafe import escape
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import TextLexer, get_lexer_for_filename
from pygments.util import ClassNotFound
from sphinx import addnodes
from sphinx.application import Sphinx

from docs.site.contents import toctrees

#: Endings of files that a browser shows or saves itself.
_NO_SOURCES = {".svg", ".png", ".json"}
_SHOWN = "shown_sources"


class Mermaid(Directive):  # type: ignore[misc]  # docutils has no types
    """A Mermaid block. diagrams.js draws it; a reader without JavaScript sees its text."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        text = escape("\n".join(self.content))
        return [nodes.raw("", f'<pre class="mermaid" tabindex="0">{text}</pre>', format="html")]


def add_contents(_app: Sphinx, page: str, source: list[str]) -> None:
    source[0] += toctrees(page)


def link_sources(app: Sphinx, tree: nodes.document, page: str) -> None:
    """Turn each link to a source file, which Sphinx would offer as a download, into a link to a page that shows it."""
    for link in list(tree.findall(addnodes.download_reference)):
        path, _ = app.env.relfn2path(link["reftarget"], page)
        if Path(path).suffix in _NO_SOURCES:
            continue
        name = f"source/{path}"
        getattr(app, _SHOWN)[name] = Path(app.srcdir) / path
        target = app.builder.get_relative_uri(page, name)
        link.replace_self(nodes.reference("", "", *link.children, refuri=target, internal=True))


def source_pages(app: Sphinx) -> Iterator[tuple[str, dict[str, Any], str]]:
    """Yield a page for each source file that a page links to."""
    formatter = HtmlFormatter(linenos="inline", lineanchors="line")
    for name, file in sorted(getattr(app, _SHOWN).items()):
        text = file.read_text()
        try:
            lexer = get_lexer_for_filename(file.name)
        except ClassNotFound:
            lexer = TextLexer()
        title = escape(name.removeprefix("source/"))
        body = f'<h1>{title}</h1><div class="highlight">{highlight(text, lexer, formatter)}</div>'
        yield name, {"title": title, "body": body}, "page.html"


def setup(app: Sphinx) -> dict[str, Any]:
    setattr(app, _SHOWN, {})
    app.add_directive("mermaid", Mermaid)
    app.connect("source-read", add_contents)
    app.connect("doctree-resolved", link_sources)
    app.connect("html-collect-pages", source_pages)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": False}
