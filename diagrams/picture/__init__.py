"""The SVG renderer: `layout` places the states, `edges` the transitions, `captions` the texts; `svg` writes the file."""
