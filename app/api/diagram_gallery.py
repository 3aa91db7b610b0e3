"""The page with the diagrams of all definitions: plain HTML without scripts."""

from collections.abc import Sequence

from markupsafe import Markup, escape

from machines.saga import Saga

_STYLE = Markup("""
:root{color-scheme:light dark;--line:#c9d0d7;--quiet:#515b66;--paper:#fff;--ink:#15191e;--link:#005a8d}
@media (prefers-color-scheme:dark){:root{--line:#3a424c;--quiet:#a9b3be;--paper:#14171b;--ink:#f0f2f4;--link:#7cc7f2}}
body{font:16px/1.5 system-ui,sans-serif;background:var(--paper);color:var(--ink);margin:0 auto;max-width:1500px;
padding:16px}
a{color:var(--link)}a:focus-visible,.frame:focus-visible{outline:3px solid var(--link);outline-offset:2px}
h1{font-size:1.6rem;margin:.2em 0}h2{font-size:1.25rem;margin:1.6em 0 .2em}p{margin:.3em 0;color:var(--quiet)}
nav ul,.links{display:flex;flex-wrap:wrap;gap:4px 18px;list-style:none;padding:0;margin:.4em 0}
nav a,.links a{display:inline-block;padding:8px 0}
.frame{overflow-x:auto;border:1px solid var(--line);border-radius:8px;margin-top:8px}
.frame img{display:block;width:100%;min-width:900px;height:auto}
.skip{position:absolute;left:-9999px}.skip:focus{position:static}
""")
_PAGE = Markup(
    '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>Diagrams</title>'
    '<meta name="viewport" content="width=device-width, initial-scale=1"><style>{style}</style></head><body>'
    '<a class="skip" href="#diagrams">To the diagrams</a><header><h1>Diagrams</h1>'
    "<p>Drawn from the transitions that the engine runs. A wide diagram scrolls sideways in its frame.</p></header>"
    '<nav aria-label="Sagas"><ul>{entries}</ul></nav><main id="diagrams">{sections}</main></body></html>\n'
)
_SECTION = Markup(
    '<section aria-labelledby="{anchor}"><h2 id="{anchor}">{title}</h2><p>{summary}</p><ul class="links">{links}</ul>'
    '<div class="frame" tabindex="0" role="group" aria-label="diagram of {title}">'
    '<a href="{source}"><img src="{source}" alt="State diagram of {title}" loading="lazy"></a></div></section>'
)
_LINK = Markup('<li><a href="{to}">{words}</a></li>')


def gallery(sagas: Sequence[Saga], windows: Sequence[str]) -> tuple[str, str]:
    """Return the page and its style sheet.

    sagas: sorted by name, the latest version of each name first.
    windows: the time windows of the heat diagrams, such as 1h.
    """
    entries = Markup().join(_LINK.format(to=f"#{_anchor(saga)}", words=saga) for saga in sagas)
    sections = Markup("\n").join(_section(saga, sagas, windows) for saga in sagas)
    return str(_PAGE.format(style=_STYLE, entries=entries, sections=sections)), str(_STYLE)


def _section(saga: Saga, sagas: Sequence[Saga], windows: Sequence[str]) -> Markup:
    version = f"version={saga.version}"
    links = [(f"{saga.name}.{kind}?{version}", kind) for kind in ("svg", "puml", "dot", "mmd", "md")]
    links += [(f"{saga.name}/heat.svg?window={window}&{version}", f"heat, {window}") for window in windows]
    older = [known.version for known in sagas if known.name == saga.name and known.version < saga.version]
    links += [
        (f"{saga.name}/diff.svg?from={old}&to={saga.version}", f"difference to v{old}")
        for old in sorted(older, reverse=True)
    ]
    summary = f"{len(saga.steps)} steps: {', '.join(step.name for step in saga.steps)}."
    return _SECTION.format(
        anchor=_anchor(saga),
        title=saga,
        summary=summary,
        links=Markup().join(_LINK.format(to=to, words=words) for to, words in links),
        source=f"{saga.name}.svg?{version}",
    )


def _anchor(saga: Saga) -> str:
    return str(escape(f"{saga.name}-v{saga.version}"))
