"""The files with diagrams and sequence diagrams of all definitions: their paths and their content."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from diagrams.descriptions import file_stem
from diagrams.generated import GeneratedFiles
from diagrams.lifecycle import Lifecycle, lifecycles
from diagrams.picture.lifecycle_picture import lifecycle_svg
from diagrams.picture.svg import svg
from diagrams.sequence import runs
from diagrams.text.graphviz import graphviz
from diagrams.text.lifecycle_text import graphviz_lifecycle, markdown_lifecycle, mermaid_lifecycle, plantuml_lifecycle
from diagrams.text.markdown import markdown, table
from diagrams.text.mermaid import mermaid
from diagrams.text.plantuml import plantuml
from diagrams.text.sequence_text import mermaid_sequence, plantuml_sequence
from machines.saga import Saga

RENDERERS: Mapping[str, Callable[[Saga], str]] = {
    "dot": graphviz,
    "md": markdown,
    "mmd": mermaid,
    "puml": plantuml,
    "svg": svg,
}
LIFECYCLE_RENDERERS: Mapping[str, Callable[[Lifecycle], str]] = {
    "dot": graphviz_lifecycle,
    "md": markdown_lifecycle,
    "mmd": mermaid_lifecycle,
    "puml": plantuml_lifecycle,
    "svg": lifecycle_svg,
}
RENDERED, SEQUENCES = Path("diagrams/rendered"), Path("docs/sequences")


def files(sagas: Iterable[Saga]) -> dict[Path, str]:
    """Return path → content of every file. A path is relative to the root of the repository."""
    ordered = sorted(sagas, key=lambda saga: (saga.name, saga.version))
    found = {
        RENDERED / f"{file_stem(saga)}.{kind}": render(saga) for saga in ordered for kind, render in RENDERERS.items()
    } | {
        RENDERED / f"{life.name}.{kind}": draw(life)
        for life in lifecycles(ordered)
        for kind, draw in LIFECYCLE_RENDERERS.items()
    }
    for saga in ordered:
        found |= _sequences(saga)
    found[SEQUENCES / "index.md"] = _index(ordered)
    return found


def _sequences(saga: Saga) -> dict[Path, str]:
    found: dict[Path, str] = {}
    page = [f"# {saga}, call by call"]
    for run in runs(saga):
        name, drawn = f"{file_stem(saga)}-{run.name}", mermaid_sequence(run)
        found |= {SEQUENCES / f"{name}.puml": plantuml_sequence(run), SEQUENCES / f"{name}.mmd": drawn}
        page += [f"## {run.says[0].upper()}{run.says[1:]}", f"It ends in `{run.end}`.", f"```mermaid\n{drawn}```"]
    return found | {SEQUENCES / f"{file_stem(saga)}.md": "\n\n".join(page) + "\n"}


def _index(sagas: Iterable[Saga]) -> str:
    lines = []
    for saga in sagas:
        for run in runs(saga):
            name = f"{file_stem(saga)}-{run.name}"
            links = f"[PlantUML]({name}.puml), [Mermaid]({name}.mmd)"
            lines.append((f"[{saga}]({file_stem(saga)}.md)", run.says, f"`{run.end}`", str(len(run.exchanges)), links))
    head = ("saga", "when", "it ends in", "calls", "diagrams")
    says = "Each was found by running the table with the outcome it names. `make diagrams` writes them again."
    return f"# Sequences\n\n{says}\n\n{table(head, lines)}\n"


DIAGRAMS = GeneratedFiles(
    module="diagrams",
    description="Write the diagrams of every definition.",
    folders=(RENDERED, SEQUENCES),
    render=files,
    outdated="is not what machines/ says now",
    obsolete="is of no saga any more",
    fix="run `make diagrams` and commit what it writes",
)
