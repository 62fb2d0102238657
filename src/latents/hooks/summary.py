"""What a run says: a line for each node, and at the end a table of what came of it."""

import logging
import threading
import time
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import rich
from kedro.framework.context import KedroContext
from kedro.framework.hooks import hook_impl
from kedro.io import DataCatalog
from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node
from rich.text import Text

from latents import rounding
from latents.hooks.locking import place_of
from latents.hooks.run_log import RunLog, write_lines_where_there_is_no_terminal
from latents.key_numbers import KEY_NUMBERS, error_unit, typed, with_error

logger = logging.getLogger(__name__)

# Of a pipeline's metrics those that tell most, by their names in metrics.json.
_SHOWN = {
    "clustering": ("heldout_perplexity", "nmi", "accuracy", "heldout_accuracy", "npmi"),
    "pca": ("distortion", "heldout_distortion", "explained_variance_ratio"),
    "cvae": (
        *("lower_bound_test", "bits_per_dimension", "log_likelihood_test", "log_marginal_test"),
        "accuracy_bayes",
    ),
}
# What a pipeline makes of new data (a table), what its rows are, and the figure beside it.
_RESULTS = {
    "clustering_inference": ("assignments", "documents", "sizes_figure"),
    "pca_inference": ("coordinates", "samples", "reconstructions_figure"),
    "cvae_inference": ("latents", "images", "generated_figure"),
}


class Row(NamedTuple):
    """A line of the table: a figure with its unit, or with no `value` a text."""

    name: str
    value: str
    text: str


class SummaryHook:
    """Names each node as it begins, and ends a run by a table: figures, places, and times of nodes.

    The table tells what this run has computed or read, and nothing of what others have left. Of a run that fails
    it says which node that was. A run that is interrupted has none.
    """

    def __init__(self) -> None:
        self._log = RunLog()
        self._folder = Path()
        self._catalog: DataCatalog | None = None
        self._lock = threading.Lock()
        self._nodes: list[Node] = []
        self._data: dict[str, Any] = {}
        self._begin_run([])

    @hook_impl(tryfirst=True)
    def after_context_created(self, context: KedroContext) -> None:
        """Note where the log goes: beside the run's outputs, or to the project where those are not on a disk."""
        write_lines_where_there_is_no_terminal()
        data = str(context.config_loader["globals"]["data"])
        self._folder = Path(context.project_path) / ("data" if "://" in data else data)

    @hook_impl(tryfirst=True)
    def before_pipeline_run(
        self, run_params: dict[str, Any], pipeline: Pipeline, catalog: DataCatalog
    ) -> None:
        """Begin the log, once the run has the right to its outputs."""
        self._log.open(self._folder, run_params["run_id"])
        self._catalog = catalog
        self._begin_run(pipeline.nodes)

    def _begin_run(self, nodes: list[Node]) -> None:
        self._nodes = nodes
        self._start = time.monotonic()
        self._begun: dict[str, float] = {}
        self._ended: dict[str, float] = {}
        self._open: dict[str, set[str]] = {}
        self._failed: list[str] = []
        self._saved: set[str] = set()
        self._data.clear()

    @hook_impl
    def before_dataset_loaded(self, node: Node) -> None:
        """Name a node that begins."""
        self._begin(node)

    @hook_impl(trylast=True)
    def before_node_run(self, node: Node) -> None:
        """Name a node that begins without reading anything."""
        self._begin(node)

    @hook_impl
    def after_dataset_loaded(self, dataset_name: str, data: Any) -> None:
        """Keep what the table tells of."""
        self._keep(dataset_name, data)

    @hook_impl
    def after_node_run(self, node: Node) -> None:
        """Note when, for a node that writes nothing."""
        self._end(node)

    @hook_impl
    def after_dataset_saved(self, dataset_name: str, data: Any, node: Node) -> None:
        """Note when: a node has ended when all that it writes is there."""
        with self._lock:
            self._saved.add(dataset_name)
        self._keep(dataset_name, data)
        self._end(node)

    @hook_impl
    def on_node_error(self, node: Node) -> None:
        """Note which it was, where several run side by side."""
        with self._lock:
            self._failed.append(node.name)

    @hook_impl(wrapper=True, tryfirst=True)
    def after_pipeline_run(self) -> Generator[None, Any, Any]:
        """Show the table, after all that other hooks have to tell."""
        result = yield
        n_nodes, wall = len(self._ended), rounding.seconds(time.monotonic() - self._start)
        done = (
            f"{n_nodes} node{'' if n_nodes == 1 else 's'} in {wall}" if n_nodes else "no node was to be run"
        )
        try:
            self._show(f"Done: {done}.")
        finally:
            self._log.close()
        return result

    @hook_impl(wrapper=True, tryfirst=True)
    def on_pipeline_error(self, error: Exception) -> Generator[None, Any, Any]:
        """Show how far the run came, and where it failed; the error itself follows."""
        unfinished = self._failed or [name for name in self._begun if name not in self._ended]
        where = f" in {', '.join(unfinished)}" if unfinished else ""
        try:
            self._log.write(f"the run failed{where}", error)
            self._show(f"The run failed{where}: {type(error).__name__}.")
        finally:
            try:
                result = yield
            finally:
                self._log.close()
        return result

    def _begin(self, node: Node) -> None:
        with self._lock:
            if node.name in self._begun:
                return
            self._begun[node.name] = time.monotonic()
            self._open[node.name] = set(node.outputs)
            place = len(self._begun)
        logger.info("%d of %d: %s", place, len(self._nodes), node.name)

    def _end(self, node: Node) -> None:
        with self._lock:
            self._open[node.name] -= self._saved
            if not self._open[node.name]:
                self._ended[node.name] = time.monotonic()

    def _keep(self, dataset_name: str, data: Any) -> None:
        pipeline, _, name = dataset_name.partition(".")
        with self._lock:
            if pipeline in _SHOWN and name == "metrics":
                self._data[dataset_name] = dict(data)
            elif pipeline == "pca" and name == "images":
                one = data["images"] if "images" in data else data["features"]
                self._data[dataset_name] = one.shape[1:]
            elif pipeline in _RESULTS and name == _RESULTS[pipeline][0]:
                self._data[dataset_name] = len(data)

    def _show(self, ending: str) -> None:
        """Print the table, and end the log with it."""
        blocks = {name: list(self._rows(name)) for name in dict.fromkeys(map(_pipeline_of, self._begun))}
        lines = [line for name, rows in blocks.items() for line in _laid_out(name, rows, blocks)]
        if (log := self._log.path) is not None:
            ending += f" The whole log: {_short(log)}"
        self._log.write("\n".join([ending, *(line.plain for line in lines)]))
        console = rich.get_console()
        try:
            for line in (*lines, Text(), Text(ending, "bold")):
                # A line stays one, and a path can be copied; a terminal breaks what is too long for it.
                console.print(line, soft_wrap=True, highlight=False)
        # Of a pipe that nobody reads (`kedro run | head`), or a full disk: no reason for a run to fail.
        except (OSError, UnicodeError, SystemExit) as error:
            logger.warning("the table was not printed: %r", error)

    def _rows(self, pipeline: str) -> Iterator[Row]:
        metrics = self._data.get(f"{pipeline}.metrics", {})
        for metric in _SHOWN.get(pipeline, ()):
            if metric in metrics:
                about = KEY_NUMBERS[metric]
                is_error = metric.endswith("distortion") and f"{pipeline}.images" in self._data
                unit = error_unit(self._data[f"{pipeline}.images"]) if is_error else about.unit
                yield Row(about.name, typed(with_error(metrics, metric)), unit)
        if pipeline in _RESULTS:
            table, noun, figure = _RESULTS[pipeline]
            if f"{pipeline}.{table}" in self._saved:
                yield Row(noun, rounding.whole(self._data[f"{pipeline}.{table}"]), "")
            yield from self._places(pipeline, (table, figure))
        yield from self._places(pipeline, ("report",))
        yield Row("nodes", "", ", ".join(self._times(pipeline)))

    def _places(self, pipeline: str, names: tuple[str, ...]) -> Iterator[Row]:
        for name in names:
            entry = f"{pipeline}.{name}"
            if entry not in self._saved or self._catalog is None:
                continue
            if (path := place_of(self._catalog.get(entry))) is not None:
                where = _short(path) if isinstance(path, Path) else path
                yield Row(name.removesuffix("_figure"), "", str(where))

    def _times(self, pipeline: str) -> Iterator[str]:
        skipped = []
        for node in self._nodes:
            if _pipeline_of(node.name) != pipeline:
                continue
            name, begun = node.name.removeprefix(f"{pipeline}."), self._begun.get(node.name)
            if begun is None:
                skipped.append(name)
            elif node.name in self._ended:
                yield f"{name} {rounding.seconds(self._ended[node.name] - begun)}"
            else:
                how = "stopped" if self._failed and node.name not in self._failed else "FAILED"
                yield f"{name} {how} after {rounding.seconds(time.monotonic() - begun)}"
        if skipped:
            yield f"not run: {', '.join(skipped)}"


def _pipeline_of(node_name: str) -> str:
    return node_name.rpartition(".")[0]


def _short(path: Path) -> Path:
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


def _laid_out(name: str, rows: list[Row], blocks: dict[str, list[Row]]) -> Iterator[Text]:
    """Yield the lines of a block, whose columns stand below those of the other blocks."""
    everywhere = [row for block in blocks.values() for row in block]
    first = max(len(row.name) for row in everywhere)
    second = max(len(row.value) for row in everywhere)
    yield Text()
    yield Text(name or "nodes of no pipeline", "bold")
    for row in rows:
        figure = f"{row.value:>{second}}  " if row.value else ""
        yield Text(f"  {row.name:<{first}}  {figure}{row.text}".rstrip())
