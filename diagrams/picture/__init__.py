"""The SVG renderer: `layout` places the states, `edges` and `captions` draw around them, `svg` writes the file."""
