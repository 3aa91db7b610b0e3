"""The SVG renderer. `layout` places the states, `edges` and `captions` add lines and texts, `svg` writes the file."""
