"""The parameters of each pipeline, from the types that Kedro holds them against before a run."""

import inspect
import json
import re
import warnings
from pathlib import Path
from typing import Any, get_type_hints

import yaml
from docutils import nodes
from sphinx.util.docutils import SphinxDirective

from latents.pipeline_registry import register_pipelines
from latents.pipelines.shared import Parameters

# Names with dots are of namespaces here.
warnings.filterwarnings("ignore", message=r"One or more dataset names contain '\.' characters")

ROOT = Path(__file__).parents[2]
BOUNDS = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
_GLOBAL = re.compile(r"\$\{globals:(?P<group>\w+)\.(?P<name>\w+)\}")
KINDS = {"integer": "whole number", "string": "text", "boolean": "true or false"}  # others as they are called


def groups(pipeline: str) -> dict[str, type[Parameters]]:
    """Return the groups of parameters that a pipeline's nodes take, and their types."""
    found = {}
    for node in register_pipelines()[pipeline].nodes:
        hints = get_type_hints(inspect.unwrap(node.func))
        inputs = node._inputs  # by position, or by name
        by_name = (
            inputs if isinstance(inputs, dict) else inspect.signature(node.func).bind(*node.inputs).arguments
        )
        for argument, dataset in by_name.items():
            kind = hints.get(argument)
            if inspect.isclass(kind) and issubclass(kind, Parameters):
                found[dataset.removeprefix("params:")] = kind
    return found


def allowed(schema: dict[str, Any]) -> str:
    """Say a type of JSON Schema in words."""
    for several in ("anyOf", "oneOf"):
        if several in schema:
            return ", or ".join(allowed(one) for one in schema[several])
    if values := schema.get("enum", [schema["const"]] if "const" in schema else None):
        return ", ".join(f"``{value}``" for value in values)
    if schema["type"] == "object":
        return f"names, each with a {allowed(schema['additionalProperties'])}"
    if schema["type"] == "array":
        least, most = schema.get("minItems", 0), schema.get("maxItems")
        number = f" ({least} of them)" if least == most else f" ({least} or more)" * bool(least)
        return f"list of: {allowed(schema['items'])}{number}"
    bounds = " and ".join(f"{sign} {schema[key]}" for key, sign in BOUNDS.items() if key in schema)
    like = f"like ``{schema['pattern']}``" if "pattern" in schema else ""
    return " ".join(filter(None, [KINDS.get(schema["type"], schema["type"]), bounds, like]))


def comments(text: str) -> dict[str, str]:
    """Return what the comments of a file of parameters say of the names that they stand beside."""
    found, path = {}, []
    for indent, name, comment in re.findall(r"^( *)(\w+):.*?(?: +# (.*))?$", text, flags=re.MULTILINE):
        path = [*path[: len(indent) // 2], name]
        found[".".join(path)] = re.sub(r"([\\`*_|])", r"\\\1", comment)
    return found


class PipelineParameters(SphinxDirective):
    """``.. parameters:: pca``: a section for each group."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return the sections."""
        pipeline = self.arguments[0]
        file = ROOT / f"conf/base/parameters_{pipeline}.yml"
        self.env.note_dependency(str(file))
        defaults, said = yaml.safe_load(file.read_text()), comments(file.read_text())
        of_all = yaml.safe_load((ROOT / "conf/base/globals.yml").read_text())
        lines = []
        for group, kind in groups(pipeline).items():
            lines += ["", group, "-" * len(group), "", *inspect.getdoc(kind).splitlines(), ""]
            lines += [".. list-table::", "   :header-rows: 1", "   :widths: 35 30 35", ""]
            lines += ["   * - default", "     - allowed", "     -"]
            for name, schema in kind.model_json_schema()["properties"].items():
                default = defaults[pipeline][group.removeprefix(f"{pipeline}.")][name]
                if isinstance(default, str) and (of_globals := _GLOBAL.fullmatch(default)):
                    default = of_all[of_globals["group"]][of_globals["name"]]
                written = default if isinstance(default, str) else json.dumps(default)
                lines += [f"   * - ``{name}: {written}``", f"     - {allowed(schema)}"]
                lines += [f"     - {said[f'{group}.{name}']}"]
        return self.parse_text_to_nodes("\n".join(lines), allow_section_headings=True)


def setup(app: Any) -> dict[str, bool]:
    """Let pages use the directive."""
    app.add_directive("parameters", PipelineParameters)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
