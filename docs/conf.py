"""Settings of Sphinx for the documentation; `docs/site/build.py` runs it (`make docs`)."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "site"))

from longsurv.version import __version__

project = "longsurv"
author = "The longsurv authors"
copyright = author
version = release = __version__

extensions = [
    "sphinx.ext.autodoc",
    "numpydoc",
    "myst_nb",
    "sphinx_design",
    "mathml",
]
exclude_patterns: list[str] = []
html_math_renderer = "mathml"
default_role = "code"

# Pages with code are executed whenever the site is built; those of the API are executed, all in one
# process, before (docs/site/api.py). A page that fails, or that warns, fails the build.
nb_execution_mode = "force"
nb_execution_in_temp = True  # each page in a folder of its own, as two may write one file
nb_execution_excludepatterns = ["api/*/*"]
nb_execution_timeout = 300
nb_execution_raise_on_error = True
nb_output_stderr = "warn"
nb_merge_streams = True
nb_number_source_lines = False
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath", "attrs_inline"]
myst_heading_anchors = 3

autodoc_typehints = "none"
autodoc_member_order = "groupwise"
autoclass_content = "class"
numpydoc_show_class_members = False
numpydoc_xref_param_type = False

html_theme = "pydata_sphinx_theme"
html_title = "longsurv"
html_context = {"default_mode": "auto"}
html_show_sourcelink = False
html_show_search_summary = False  # would be fetched, which pages on a disk may not do
html_copy_source = False
html_static_path = ["_static"]
html_css_files = ["longsurv.css"]
html_theme_options = {
    "logo": {"text": "longsurv"},
    "navbar_align": "left",
    "header_links_before_dropdown": 6,
    "show_toc_level": 2,
    "navigation_with_keys": False,
    "footer_start": ["copyright"],
    "footer_end": [],
    "secondary_sidebar_items": ["page-toc"],
    "show_prev_next": True,
}
