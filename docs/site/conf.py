"""Sphinx's settings for the site. Its source folder is the repository, so that every link between documents is real."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))  # for docs.site

project = "Saga orchestrator"
author = "the authors of the saga orchestrator"
extensions = ["myst_parser", "docs.site.extension"]
root_doc = "docs/index"
source_suffix = {".md": "markdown"}
include_patterns = ["README.md", "CHANGELOG.md", "tests/README.md", "client/README.md", "docs/**"]
exclude_patterns = [
    ".*",
    "**/node_modules",
    "**/__pycache__",
    "app",
    "deploy",
    "docs/site",
    "migrations",
    "tests/*/**",
    "var",
]

# The anchors of headings are those that GitHub makes, so a link with an anchor works in both places.
myst_heading_anchors = 4
myst_fence_as_directive = ["mermaid"]
nitpicky = True
# A block that shows part of a command or a placeholder is no complete program.
suppress_warnings = ["misc.highlighting_failure"]

html_theme = "furo"
html_title = "Saga orchestrator"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_js_files = [("diagrams.js", {"defer": "defer"})]
html_additional_pages = {"index": "to_home.html"}
templates_path = ["templates"]
html_copy_source = False
html_show_sphinx = False
html_show_copyright = False
html_use_index = False
html_show_search_summary = False  # a browser refuses to fetch the text of the hits from files
html_theme_options = {
    "navigation_with_keys": False,
    "light_css_variables": {"color-brand-primary": "#1f5fa8", "color-brand-content": "#1f5fa8"},
    "dark_css_variables": {"color-brand-primary": "#7db7f5", "color-brand-content": "#7db7f5"},
}
pygments_style = "default"
pygments_dark_style = "github-dark"
