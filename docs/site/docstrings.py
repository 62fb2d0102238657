"""Docstrings as pages: what is checked of them, what is left out, and how the catalog names a dataset."""

import inspect
import re
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages
from typing import Any

from docutils import nodes
from numpydoc.validate import validate
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

logger = logging.getLogger(__name__)

ROOT = Path(__file__).parents[2]
ROOMS = ("latents.datasets", "latents.estimators", "latents.predictors")
# A docstring that tells of parameters tells of all, and of no other.
ERRORS = {"PR01", "PR02"}
# Literals stay as they are; elsewhere |x| is a length, and words_ is a name.
LITERAL_OR_MARK = re.compile(r"``.*?``|`[^`]+`|(?P<mark>\||(?<=\w)_(?!\w))")


def leave_out(app: Any, what: str, name: str, obj: Any, skip: bool, options: Any) -> bool | None:  # noqa: ARG001
    """Leave out what other libraries give to every class, values, and the ``save`` of what cannot be saved."""
    function = getattr(obj, "__func__", getattr(obj, "fget", obj))
    is_ours = str(getattr(function, "__module__", "")).startswith("latents")
    is_refusal = getattr(function, "__qualname__", "") == "ReadOnlyDataset.save"
    return None if is_ours and not is_refusal else True


def check_parameters(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:  # noqa: ARG001
    """Warn, which ends the build, of parameters that a docstring forgets or makes up."""
    if "Parameters" in lines:
        for code, message in validate(name)["errors"]:
            if code in ERRORS:
                logger.warning("%s: %s", name, message)


def check_exports(app: Any, env: Any) -> None:  # noqa: ARG001
    """Warn, which ends the build, of what a room exports and no page shows."""
    shown = env.domains.python_domain.objects
    for room in ROOMS:
        for name in import_module(room).__all__:
            if f"{room}.{name}" not in shown:
                logger.warning("%s.%s is on no page of docs/reference", room, name)


def escape(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:  # noqa: ARG001
    """Take bars and underscores for themselves: no docstring refers to anything by reStructuredText's marks."""
    directive = None  # how far the directive is indented that the line may belong to
    for i, line in enumerate(lines):
        indent = len(line) - len(line.lstrip())
        if directive is not None and line.strip() and indent <= directive:
            directive = None
        if line.lstrip().startswith(".. "):
            directive = indent
        if directive is None:
            lines[i] = LITERAL_OR_MARK.sub(lambda found: "\\" * bool(found["mark"]) + found[0], line)


def entries() -> dict[str, str]:
    """Return the first entry of each dataset in the guides, whose examples tests run, or else in the catalog."""
    guides = "".join(page.read_text() for page in sorted(ROOT.glob("docs/*.md")))
    catalogs = "\n\n".join(page.read_text() for page in sorted(ROOT.glob("conf/*/catalog_*.yml")))
    found: dict[str, str] = {}
    for entry in [*re.findall(r"```yaml\n(.*?)```", guides, flags=re.DOTALL), *catalogs.split("\n\n")]:
        for name in re.findall(r"type: latents\.datasets\.(\w+)", entry):
            found.setdefault(name, entry.rstrip())
    return found


def add_entry(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:  # noqa: ARG001
    """Show how the catalog names a dataset."""
    room, _, short = name.rpartition(".")
    if room == "latents.datasets" and short in app.entries:
        indented = [f"    {line}" for line in app.entries[short].splitlines()]
        lines += ["", "In the catalog:", "", ".. code-block:: yaml", "", *indented, ""]


def own(module: Any) -> set[str]:
    """Return the names of the public functions and classes that a module defines."""
    values = {name: value for name, value in vars(module).items() if not name.startswith("_")}
    return {
        name
        for name, value in values.items()
        if inspect.isclass(value) or inspect.isroutine(value)
        if value.__module__ == module.__name__
    }


class Modules(SphinxDirective):
    """``.. modules:: latents.estimators``: a section for each public module of a package.

    What the package exports has pages of its own.
    """

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return the sections."""
        package = import_module(self.arguments[0])
        names = [found.name for found in walk_packages(package.__path__, f"{package.__name__}.")]
        lines: list[str] = []
        for name in sorted(name for name in names if "._" not in name):
            if own(import_module(name)) - set(package.__all__):
                title = name.removeprefix(f"{package.__name__}.")
                lines += ["", title, "-" * len(title), "", f".. automodule:: {name}"]
                lines += ["   :no-inherited-members:", f"   :exclude-members: {', '.join(package.__all__)}"]
        return self.parse_text_to_nodes("\n".join(lines), allow_section_headings=True)


def setup(app: Any) -> dict[str, bool]:
    """Connect what is above, around numpydoc (500)."""
    app.entries = entries()
    app.connect("autodoc-skip-member", leave_out)
    app.connect("autodoc-process-docstring", check_parameters, priority=400)
    app.connect("autodoc-process-docstring", escape, priority=600)
    app.connect("autodoc-process-docstring", add_entry, priority=700)
    app.connect("env-check-consistency", check_exports)
    app.add_directive("modules", Modules)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
