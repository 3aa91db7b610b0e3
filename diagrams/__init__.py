"""Diagrams of the saga definitions, drawn from the same transitions that the engine runs. Imports only `machines`.

- `text/`: PlantUML, Graphviz, Mermaid and Markdown; each lists every transition.
- `picture/`: the SVG, with a layout of its own.
- `overlays/`: what is drawn over an SVG: the path of one saga, the heat map of many, the diff of two versions.
- `sequence`: who calls whom in one run. `lifecycle`: the changes of status over all definitions.
- `python -m diagrams` writes the files.
"""
