"""The documentation site, made by ``make docs``: the pages of the repository as they lie, and the docstrings."""

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))  # the extensions beside this file

project = "Latents"
html_title = project
# Pages link to one another as on disk, so that the source of the site is the whole repository.
root_doc = "README"
include_patterns = ["*.md", "benchmarks/*.md", "docs/*.md", "docs/reference/*"]
exclude_patterns = [".*", "build", "conf", "data", "mlartifacts", "notebooks", "src", "tests"]

extensions = [
    "myst_parser", "numpydoc", "sphinx.ext.autodoc", "sphinx_copybutton", "docstrings", "formulas", "parameters",
]  # fmt: skip
nitpicky = True
myst_enable_extensions = ["tasklist"]
toc_object_entries_show_parents = "hide"
myst_heading_anchors = 4
default_role = "literal"  # a single backquote
numpydoc_show_class_members = False
numpydoc_validation_checks = {"GL08"}  # what has no docstring; for parameters see docstrings.py
autodoc_typehints = "none"  # the docstrings say more
autodoc_default_options = {"members": True, "undoc-members": True, "inherited-members": True}

html_theme = "furo"
html_static_path = [
    str(HERE / "site.css"),
    # STIX Two, the font of the formulas, which ziamath brings along.
    str(Path(str(find_spec("ziamath").origin)).parent / "fonts/STIXTwoMath-Regular.ttf"),
]
html_css_files = ["site.css"]
html_copy_source = False
html_show_copyright = False
html_show_search_summary = False  # a page from disk may not fetch others
html_additional_pages = {"index": "index.html"}
templates_path = ["."]

CONTENTS = """
```{toctree}
:hidden:
:caption: What do you want to do?

docs/data
docs/models
docs/play
docs/trained
docs/serving
docs/cluster
docs/notebooks
docs/kedro
```

```{toctree}
:hidden:
:caption: Look something up

docs/reference/mixture
docs/reference/pca
docs/reference/vae
docs/reference/predictors
docs/reference/datasets
docs/reference/parameters
docs/reference/mathematics
```

```{toctree}
:hidden:
:caption: Take part

CONTRIBUTING
benchmarks/README
benchmarks/RECORD
CHANGELOG
```
"""


def add_contents(app: Any, docname: str, source: list[str]) -> None:  # noqa: ARG001
    """Put the table of contents under the README, which is the front page and knows nothing of the site."""
    if docname == root_doc:
        source[0] += CONTENTS


def setup(app: Any) -> None:
    """Connect what is above."""
    app.connect("source-read", add_contents)
