"""Diagrams of the saga definitions, drawn from the transitions that the engine runs.

The package imports only `machines`.

- `text/`: diagrams as text, in PlantUML, Graphviz, Mermaid and Markdown. Each lists every transition.
- `picture/`: the diagram as SVG, with its own layout.
- `overlays/`: additions to an SVG: the path of one saga, the heat map of many sagas, the diff of two versions.
- `sequence`: the calls of one run, in their order. `lifecycle`: the changes of status over all definitions.
- `python -m diagrams` writes the files.
"""
