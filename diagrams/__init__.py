"""Pictures of the tables: the same rows that the engine runs, drawn. Imports `machines` and nothing else.

`plantuml`, `graphviz`, `mermaid` and `markdown` say every row as text. The SVG is drawn here: `bands` finds each
state's place, `plan` its size, `routes` the edges, `furniture` the words around them, `svg` writes it down. `marks`
lay something over a picture: the `path` of one saga, the `heat` of many, the `difference` of two versions.
`sequence` runs a table and tells who called whom. `lifecycle` finds which status follows which, over all tables.
`python -m diagrams` writes the files.
"""
