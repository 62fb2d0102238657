"""Where things are, and which parameters, entries of the catalog and globals there may be."""

import logging
import os
import re
from collections.abc import Collection, Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import click
from kedro.config import AbstractConfigLoader, MissingConfigException
from kedro.framework.context import KedroContext
from kedro.framework.hooks import hook_impl
from kedro.framework.project import pipelines, settings
from omegaconf import OmegaConf

from latents import places
from latents.messages import some_of
from latents.pipelines.shared import plain

logger = logging.getLogger(__name__)

# What files of the configuration begin with that something reads.
_READ = ("catalog", "credentials", "globals", "logging", "mlflow", "parameters")
_ENDINGS = (".yml", ".yaml", ".json")


class ConfigurationError(click.ClickException, ValueError):
    """A name in the configuration that nothing reads; a command says so in one sentence, without a traceback."""


class ConfigurationHook:
    """Resolves the places that configuration files name, and refuses misspelt ones."""

    @hook_impl(wrapper=True, tryfirst=True)
    def after_context_created(self, context: KedroContext) -> Iterator[None]:
        """Register the resolvers, before the wrapper that asks the store, whose place they resolve."""
        check_environment(context)
        warn_of_unread_files(context)
        register_places(Path(context.project_path))
        remember_credentials(context.config_loader)
        return (yield)


class ParameterHook:
    """Refuses parameters and entries of the catalog that no node reads, and gives MLflow values by their names.

    Kedro validates the groups that nodes take against their models; a misspelt group would pass unseen, and so
    would a misspelt entry: the run would go by the one of ``conf/base``.
    """

    @hook_impl
    def after_catalog_created(self, parameters: dict[str, Any], conf_catalog: dict[str, Any]) -> None:
        """Stop on a name that no registered pipeline reads, be it a parameter's or an entry's."""
        groups = {
            name.removeprefix("params:")
            for pipeline in pipelines.values()
            for name in pipeline.inputs()
            if name.startswith("params:")
        }
        given = parameters["parameters"]
        entries = [entry for entry in conf_catalog.values() if isinstance(entry, Mapping)]
        # An entry has a value of this name, as ``${runtime_params:<name>}`` gives it.
        groups |= {name for name, value in given.items() if any(e.get(name) == value for e in entries)}
        check_parameter_names(given, groups)
        datasets = {name for pipeline in pipelines.values() for name in pipeline.datasets()}
        check_entry_names(conf_catalog, datasets, {name for name in pipelines if not name.startswith("_")})

    @hook_impl(tryfirst=True)
    def before_node_run(self, inputs: dict[str, Any]) -> None:
        """Turn validated models back into mappings, in the copy of the inputs that hooks are given."""
        for name, value in inputs.items():
            if name.startswith("params:"):
                inputs[name] = plain(value)


def register_places(project: Path) -> None:
    """Let configuration files name places relative to the project.

    ``${data_home:}`` is the folder of downloaded data: the environment variable ``LATENTS_DATA_HOME``, which may
    be an address, or ``data/01_raw``. ``${tracking_uri:}`` is MLflow's address: ``MLFLOW_TRACKING_URI``, or a file
    of the project. ``${artifact_location:}`` is the folder of its artifacts, left to the server where there is
    one: beside a file, MLflow would put them into the folder that a command is typed in.
    """

    def data_home() -> str:
        chosen = os.environ.get("LATENTS_DATA_HOME")
        if chosen and "://" in chosen:
            return chosen
        return str(Path(chosen).expanduser().resolve() if chosen else project / "data/01_raw")

    def tracking_uri() -> str:
        # A relative address would follow the working folder.
        return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{project / 'mlflow.db'}"

    def artifact_location() -> str | None:
        return str(project / "mlartifacts") if tracking_uri().startswith("sqlite:") else None

    for resolver in (data_home, tracking_uri, artifact_location):
        OmegaConf.register_resolver(resolver.__name__, resolver, replace=True)


def remember_credentials(config_loader: AbstractConfigLoader) -> None:
    """Let ``credentials`` in ``globals.yml`` hold for all that lies under ``data``, unless an entry has its own.

    Raises ``ConfigurationError`` where ``credentials.yml`` does not have them.
    """
    values = config_loader["globals"]
    name = values.get("credentials")
    try:
        known: Mapping[str, Any] = config_loader["credentials"]
    except MissingConfigException:
        known = {}
    if name is not None and name not in known:
        raise ConfigurationError(
            f"credentials is {name!r:.80} in globals.yml; credentials.yml of the same environment has "
            f"{some_of(known) or 'none'}"
        )
    places.remember(values["data"], None if name is None else known[name])


def check_environment(context: KedroContext) -> None:
    """Raise ``ConfigurationError`` where the run's environment has no folder, or misspelt globals.

    kedro-mlflow would take that for a project without settings of its own, and outputs would lie among another
    environment's.
    """
    try:
        check_globals(context.config_loader["globals"], Path(context.config_loader.conf_source))
    except MissingConfigException as error:
        env = context.env or settings.CONFIG_LOADER_ARGS["default_run_env"]
        source = Path(context.config_loader.conf_source)
        known = sorted(path.name for path in source.iterdir() if path.is_dir()) if source.is_dir() else []
        raise ConfigurationError(
            f"there is no environment {env!r} in {source}; allowed are "
            f"{', '.join(known) or 'the folders in it'}"
        ) from error


def check_globals(values: Mapping[str, Any], source: Path) -> None:
    """Raise ``ConfigurationError`` where ``data`` is no folder, or a name that nothing refers to looks like it.

    Parameters
    ----------
    values : mapping
        What ``globals.yml`` gives, names of the user's own among it.
    source : Path
        Where the configuration is. In an archive references are not looked for: only a folder's names are refused.
    """
    data = values.get("data")
    if not isinstance(data, str) or not data.strip():
        raise ConfigurationError(
            f"data is {data!r} in globals.yml; allowed is the folder where runs read and write"
        )
    for name in map(str, values) if source.is_dir() else ():
        if name == "data" or not get_close_matches(name.lower(), ["data"], cutoff=0.75):
            continue
        reference = re.compile(rf"globals:\s*{re.escape(name)}(?![\w-])")
        files = (path for path in source.rglob("*") if path.suffix in _ENDINGS and path.is_file())
        if not any(reference.search(path.read_text(errors="replace")) for path in files):
            raise ConfigurationError(f"nothing reads {name!r} in globals.yml, did you mean 'data'?")


def warn_of_unread_files(context: KedroContext) -> None:
    """Warn of configuration files of the run's environments whose names nothing looks for."""
    loader = context.config_loader
    arguments = settings.CONFIG_LOADER_ARGS
    for env in (arguments["base_env"], loader.env or arguments["default_run_env"]):
        folder = Path(loader.conf_source) / str(env)
        for path in sorted(folder.glob("*")) if folder.is_dir() else ():
            if path.suffix in _ENDINGS and not path.name.startswith(_READ):
                logger.warning(
                    "%s is read by nothing%s; names of configuration files begin with %s",
                    *(path, _meant(path.stem.split("_")[0], _READ), ", ".join(_READ)),
                )


def check_entry_names(
    entries: Collection[str], datasets: Collection[str], namespaces: Collection[str]
) -> None:
    """Raise ``ConfigurationError`` at the first entry of the catalog in one of our namespaces that nothing reads.

    Entries elsewhere are the user's own, as are anchors (``_name``) and patterns (``{name}``).

    Parameters
    ----------
    entries : collection of str
        The names in the catalog.
    datasets : collection of str
        All names that registered pipelines read or write.
    namespaces : collection of str
        What names begin with that are ours, up to the dot.
    """
    for entry in entries:
        name = entry.split("@")[0]  # another way to read the same file
        if name in datasets or name.startswith("_") or "{" in name:
            continue
        namespace, dot, _ = name.partition(".")
        meant = _meant(name, datasets)
        if dot and namespace in namespaces:
            of_ours = sorted(dataset for dataset in datasets if dataset.startswith(f"{namespace}."))
            meant = meant or f"; allowed are {', '.join(of_ours)}"
            raise ConfigurationError(f"no pipeline reads or writes the catalog's entry {entry!r}{meant}")
        if meant:
            logger.warning("no pipeline reads or writes the catalog's entry %r%s", entry, meant)


def _meant(name: str, allowed: Collection[str]) -> str:
    """Ask for the allowed name that is nearest, if one is near."""
    near = get_close_matches(name, sorted(allowed), n=1, cutoff=0.8)
    return f", did you mean {near[0]!r}?" if near else ""


def check_parameter_names(parameters: Mapping[str, Any], groups: set[str], prefix: str = "") -> None:
    """Raise ``ConfigurationError`` at the first parameter that lies in none of the groups.

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
        within = {
            group.removeprefix(f"{name}.").split(".")[0] for group in groups if group.startswith(f"{name}.")
        }
        if name in groups and not within:
            continue
        if isinstance(value, Mapping) and within:
            check_parameter_names(value, groups, f"{name}.")
            continue
        if within:
            raise ConfigurationError(
                f"the parameter {name!r} is {plain(value)!r:.80}; it has others within: "
                f"{', '.join(sorted(within))}"
            )
        level = {group.removeprefix(prefix).split(".")[0] for group in groups if group.startswith(prefix)}
        raise ConfigurationError(
            f"unknown parameter {name!r} with value {plain(value)!r:.80}{_meant(str(key), level)}; "
            f"allowed {f'in {prefix[:-1]!r}' if prefix else 'at the top'}: {', '.join(sorted(level))}"
        )
