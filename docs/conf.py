"""The documentation site: `make docs`."""

project = "ops_pipeline"
author = "the ops_pipeline contributors"
copyright = author  # noqa: A001 - Sphinx's name
extensions = ["myst_parser", "sphinx_external_toc"]
exclude_patterns = ["_build"]

# The fragments that links have where the pages are read on GitHub.
myst_heading_anchors = 3
nitpicky = True
highlight_language = "text"

html_theme = "furo"
html_title = "ops_pipeline"
html_show_sphinx = False
html_copy_source = False
