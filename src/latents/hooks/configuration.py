"""Where things are, and which parameters there may be."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from kedro.config import MissingConfigException
from kedro.framework.context import KedroContext
from kedro.framework.hooks import hook_impl
from kedro.framework.project import pipelines, settings
from omegaconf import OmegaConf

from latents.pipelines.shared import plain


class ConfigurationHook:
    """Resolves the places that configuration files name, relative to the project.

    ``${data_home:}`` is the folder of downloaded data: the environment variable ``LATENTS_DATA_HOME``, or
    ``data/01_raw``. ``${tracking_uri:}`` is MLflow's address: ``MLFLOW_TRACKING_URI``, or a file of the
    project. ``${artifact_location:}`` is the folder of its artifacts, left to the server where there is one:
    beside a file, MLflow would put them into the folder that a command is typed in.
    """

    @hook_impl(wrapper=True, tryfirst=True)
    def after_context_created(self, context: KedroContext) -> Iterator[None]:
        """Register the resolvers."""
        check_environment(context)
        project = Path(context.project_path)

        def data_home() -> str:
            chosen = os.environ.get("LATENTS_DATA_HOME")
            return str(Path(chosen).expanduser().resolve() if chosen else project / "data/01_raw")

        def tracking_uri() -> str:
            # A relative address would follow the working folder.
            return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{project / 'mlflow.db'}"

        def artifact_location() -> str | None:
            return str(project / "mlartifacts") if tracking_uri().startswith("sqlite:") else None

        for resolver in (data_home, tracking_uri, artifact_location):
            OmegaConf.register_resolver(resolver.__name__, resolver, replace=True)
        return (yield)


class ParameterHook:
    """Refuses parameters that no node reads, and gives MLflow every value by its own name.

    Kedro validates the groups that nodes take against their models; a misspelt group would pass unseen.
    """

    @hook_impl
    def after_catalog_created(self, parameters: dict[str, Any], conf_catalog: dict[str, Any]) -> None:
        """Stop on a parameter outside every group that a registered pipeline reads, and that no entry took."""
        groups = {
            name.removeprefix("params:")
            for pipeline in pipelines.values()
            for name in pipeline.inputs()
            if name.startswith("params:")
        }
        given = parameters["parameters"]
        groups |= {name for name, value in given.items() if taken_by_an_entry(conf_catalog, name, value)}
        check_parameter_names(given, groups)

    @hook_impl(tryfirst=True)
    def before_node_run(self, inputs: dict[str, Any]) -> None:
        """Turn validated models back into mappings, in the copy of the inputs that hooks are given."""
        for name, value in inputs.items():
            if name.startswith("params:"):
                inputs[name] = plain(value)


def check_environment(context: KedroContext) -> None:
    """Raise ``ValueError`` where the configuration has no folder for the run's environment.

    kedro-mlflow would take that for a project without settings of its own.
    """
    try:
        context.config_loader["globals"]
    except MissingConfigException as error:
        env = context.env or settings.CONFIG_LOADER_ARGS["default_run_env"]
        source = Path(context.config_loader.conf_source)
        known = sorted(path.name for path in source.iterdir() if path.is_dir()) if source.is_dir() else []
        raise ValueError(
            f"there is no environment {env!r} in {source}; allowed are "
            f"{', '.join(known) or 'the folders in it'}"
        ) from error


def taken_by_an_entry(conf_catalog: Mapping[str, Any], name: str, value: Any) -> bool:
    """Tell whether a catalog entry has a value of this name, as ``${runtime_params:<name>}`` gives it."""
    return any(isinstance(entry, Mapping) and entry.get(name) == value for entry in conf_catalog.values())


def check_parameter_names(parameters: Mapping[str, Any], groups: set[str], prefix: str = "") -> None:
    """Raise ``ValueError`` at the first parameter that lies in none of the groups.

    Parameters
    ----------
    parameters : mapping
        Nested parameters, as read from the configuration.
    groups : set of str
        Dotted names such as ``clustering.fit``.
    prefix : str
        The dotted name of `parameters` itself.
    """
    for key, value in parameters.items():
        name = f"{prefix}{key}"
        if name in groups and not any(group.startswith(f"{name}.") for group in groups):
            continue
        if isinstance(value, Mapping) and any(group.startswith(f"{name}.") for group in groups):
            check_parameter_names(value, groups, f"{name}.")
            continue
        level = {group.removeprefix(prefix).split(".")[0] for group in groups if group.startswith(prefix)}
        raise ValueError(
            f"unknown parameter {name!r} with value {plain(value)!r}; "
            f"allowed {f'in {prefix[:-1]!r}' if prefix else 'at the top'}: {', '.join(sorted(level))}"
        )
