"""Write a lifecycle as PlantUML, Graphviz, Mermaid or Markdown. Each change of status is one arrow with its moves."""

from diagrams.lifecycle import Lifecycle
from diagrams.text import mermaid
from diagrams.text.graphviz import LOOKS, quoted
from diagrams.text.markdown import code, table
from diagrams.text.plantuml import SKIN, text

#: Note at a status that a saga, or a step of it, can have when the saga has ended.
LAST = "may be the last"


def plantuml_lifecycle(life: Lifecycle) -> str:
    lines = ["@startuml", SKIN, f"title {text(life.title)}", f"[*] --> {life.initial}"]
    lines += [f"state {status} <<{shape}>>" for status, shape in life.shapes.items()]
    for (source, dest), moves in life.changes.items():
        label = "\\n".join(map(text, moves))
        lines.append(f"{source} --> {dest} : {label}")
    lines += [f"{status} --> [*]" for status in life.shapes if status in life.ends]
    return "\n".join([*lines, f"caption {text(life.description)}", "@enduml", ""])


def graphviz_lifecycle(life: Lifecycle) -> str:
    lines = [
        f"digraph {quoted(life.title)} {{",
        f"  graph [label={quoted(life.title)} labelloc=t fontname=Helvetica fontsize=18 nodesep=0.8 ranksep=0.6]",
        "  node [fontname=Helvetica fontsize=12]",
        "  edge [fontname=Helvetica fontsize=10]",
        '  "*" [shape=point width=0.15 label=""]',
        f'  "*" -> {quoted(life.initial)} [arrowhead=vee]',
    ]
    lines += [f"  {quoted(status)} [{LOOKS[shape]}]" for status, shape in life.shapes.items()]
    for (source, dest), moves in life.changes.items():
        label = quoted("\n".join(moves))
        lines.append(f"  {quoted(source)} -> {quoted(dest)} [label={label}]")
    return "\n".join([*lines, "}", ""])


def mermaid_lifecycle(life: Lifecycle) -> str:
    lines = [f"%% {mermaid.text(life.title)}", "stateDiagram-v2", "  direction TB", mermaid.CLASSES]
    lines.append(f"  [*] --> {life.initial}")
    for (source, dest), moves in life.changes.items():
        lines.append(f"  {source} --> {dest} : {', '.join(map(mermaid.text, moves))}")
    lines += [f"  {status} --> [*]" for status in life.shapes if status in life.ends]
    lines += [f"  class {status} {shape}" for status, shape in life.shapes.items()]
    return "\n".join([*lines, ""])


def markdown_lifecycle(life: Lifecycle) -> str:
    statuses = [(code(status), LAST if status in life.ends else "") for status in life.statuses]
    changes = [
        (code(source), ", ".join(map(code, moves)), code(dest)) for (source, dest), moves in life.changes.items()
    ]
    parts = [
        f"# {life.title}",
        f"{life.description} A status begins as {code(life.initial)}.",
        "## Statuses",
        table(("status", "when the saga has ended"), statuses),
        "## Changes",
        table(("from", "moves", "to"), changes),
    ]
    return "\n\n".join(parts) + "\n"
