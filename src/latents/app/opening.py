"""What a page is on: models of a run, a folder or MLflow's registry, and what a run left beside them."""

import logging
import os
from collections.abc import Callable, Iterable
from contextlib import chdir
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import numpy as np
from kedro.config import MissingConfigException, OmegaConfigLoader
from kedro.framework.project import settings
from kedro.framework.startup import bootstrap_project
from kedro.io import DataCatalog, DatasetError
from scipy import sparse

from latents import predictors
from latents.app.documents import Corpus, Documents
from latents.app.generation import Generation
from latents.app.images import Gallery, Images
from latents.features.block_counts import BlockCounts
from latents.features.documents import excerpts, told_of
from latents.hooks.configuration import register_places, remember_credentials
from latents.predictors.document_map import DocumentMap

logger = logging.getLogger(__name__)

T = TypeVar("T")

PIPELINES = ("clustering", "pca", "cvae")
_MOST_TRAINING, _MOST_TEST = 20_000, 2_000  # images that others are held against
_EXCERPT = 3_000  # characters of a document, which a page can be asked to read again


class OpeningError(Exception):
    """A model cannot be shown; the message is one sentence."""


@dataclass(frozen=True)
class Shown:
    """The models that a page is on, one of a kind at most.

    Parameters
    ----------
    name : str
        Where they come from, in words.
    documents, images, generation
        Each None where there is no such model.
    lacking : mapping of str to str
        Why, by the pipeline that trains it.
    """

    name: str
    documents: Documents | None = None
    images: Images | None = None
    generation: Generation | None = None
    lacking: dict[str, str] = field(default_factory=dict)


def open_run(project: Path, env: str | None) -> Shown:
    """Return the models of the last run of an environment, and what it left beside them.

    Parameters
    ----------
    project : Path
        The project's folder.
    env : str, optional
        The environment; by default that of a plain ``kedro run``.

    Raises
    ------
    OpeningError
        If there is no such environment, or it has no model at all.
    """
    shown, project = Shown(f"the last run of {env}" if env else "the last run"), project.resolve()
    with chdir(project):  # to which paths of the catalog are relative
        catalog = _catalog(project, env)
        for pipeline in PIPELINES:
            try:
                predictor = catalog.load(f"{pipeline}.predictor")
            except (DatasetError, OSError, ValueError) as error:
                shown.lacking[pipeline] = _sentence(error)
                continue
            shown = with_predictor(shown, predictor, catalog)
    if len(shown.lacking) == len(PIPELINES):
        raise OpeningError(next(iter(shown.lacking.values())))
    return shown


def open_models(names: Iterable[str]) -> Shown:
    """Return models by where they are: folders that a predictor was saved to, or names in MLflow's registry.

    Parameters
    ----------
    names : iterable of str
        Each a folder, ``models:/name@alias``, ``models:/name/version``, or ``name`` for ``models:/name@champion``.

    Raises
    ------
    OpeningError
        If one cannot be read, or two are of one kind.
    """
    names = list(names)
    shown = Shown(", ".join(names))
    for name in names:
        before = shown
        try:
            shown = with_predictor(shown, _predictor_of(name))
        except (OSError, ValueError) as error:
            raise OpeningError(f"{name} cannot be shown: {_sentence(error)}") from error
        taken = [
            kind
            for kind in ("documents", "images", "generation")
            if getattr(before, kind) is not None and getattr(before, kind) is not getattr(shown, kind)
        ]
        if taken:
            raise OpeningError(f"{name} is the second model for {taken[0]}; a page has one of each kind")
    reason = "no such model was named; the page is on those that were"
    given = {"clustering": shown.documents, "pca": shown.images, "cvae": shown.generation}
    lacking = {name: reason for name, model in given.items() if model is None} | shown.lacking
    if not any(given.values()):
        raise OpeningError(next(iter(shown.lacking.values()), "no model was named"))
    return replace(shown, lacking=lacking)


def with_predictor(
    shown: Shown, predictor: predictors.Predictor, catalog: DataCatalog | None = None
) -> Shown:
    """Return what is shown with a model more, and with what its run left, where there is a catalog of it."""
    if isinstance(predictor, predictors.ClusteringPredictor):
        corpus = _beside("documents on the map", lambda: _corpus(catalog, predictor))
        return replace(shown, documents=Documents(predictor, corpus))
    if isinstance(predictor, predictors.CVAEPredictor):
        gallery = _beside("images", lambda: _gallery(catalog, "cvae", predictor.shape))
        return replace(shown, generation=Generation(predictor, gallery))
    if not isinstance(predictor, predictors.PCAPredictor):
        raise ValueError(f"there is no page for a {type(predictor).__name__}")
    if predictor.shape is None:
        reason = "the model reads rows of numbers; the page is for images"
        return replace(shown, lacking={**shown.lacking, "pca": reason})
    shape = predictor.shape
    gallery = _beside("images", lambda: _gallery(catalog, "pca", shape))
    return replace(shown, images=Images(predictor, gallery))


def _catalog(project: Path, env: str | None) -> DataCatalog:
    try:
        bootstrap_project(project)
    except RuntimeError as error:
        raise OpeningError(
            f"{project} is no folder of a Kedro project: it has no pyproject.toml of one"
        ) from error
    register_places(project)
    loader = OmegaConfigLoader(str(project / settings.CONF_SOURCE), env=env, **settings.CONFIG_LOADER_ARGS)
    try:
        remember_credentials(loader)
        entries = loader["catalog"]
    except MissingConfigException as error:
        raise OpeningError(f"there is no environment {env!r} in {project / settings.CONF_SOURCE}") from error
    try:
        credentials = dict(loader["credentials"])
    except MissingConfigException:
        credentials = {}
    return DataCatalog.from_config(entries, credentials)


def _predictor_of(name: str) -> predictors.Predictor:
    if Path(name).is_dir():
        return predictors.load(name)
    if not name.startswith("models:/") and ("/" in name or os.sep in name):
        raise ValueError("there is no such folder")
    import mlflow  # slow to load

    uri = name if name.startswith("models:/") else f"models:/{name if '@' in name else f'{name}@champion'}"
    with TemporaryDirectory() as folder:
        try:
            path = mlflow.artifacts.download_artifacts(artifact_uri=uri, dst_path=folder)
        except mlflow.exceptions.MlflowException as error:
            raise ValueError(f"it is no folder, and MLflow has no {uri} ({error.message})") from error
        return predictors.load(Path(path) / "artifacts" / "predictor")


def _beside(what: str, read: Callable[[], T | None]) -> T | None:
    """Return what a run left beside a model, or None and a line in the log: the page then does without."""
    try:
        return read()
    except (DatasetError, OSError, ValueError, KeyError) as error:
        logger.warning("the %s of the run cannot be shown: %s", what, _sentence(error))
        return None


def _corpus(catalog: DataCatalog | None, predictor: predictors.ClusteringPredictor) -> Corpus | None:
    if catalog is None:
        return None
    positions, documents = catalog.load("clustering.map"), catalog.load("clustering.documents")
    rows = positions["document"].to_numpy()
    if not len(rows):
        return None
    counts = catalog.load("clustering.counts")[rows]
    T = counts.in_memory() if isinstance(counts, BlockCounts) else sparse.csr_array(counts)
    told = told_of(documents).iloc[rows]
    named = "name" in told and told["name"].astype(str).str.strip().ne("").any()
    return Corpus(
        map=DocumentMap(predictor.model, T, positions[["x", "y"]].to_numpy()),
        texts=excerpts(documents, rows, _EXCERPT) if "text" in _columns(documents) else [],
        titles=told["name"].astype(str).tolist() if named else [f"document {row + 1}" for row in rows],
        clusters=predictor.clusters_of(T),
    )


def _columns(documents: Any) -> list[str]:
    """Return what documents have; those in blocks always have texts."""
    return list(documents.columns) if hasattr(documents, "columns") else ["text"]


def _gallery(catalog: DataCatalog | None, pipeline: str, shape: tuple[int, ...]) -> Gallery | None:
    if catalog is None:
        return None
    data, split = catalog.load(f"{pipeline}.images"), catalog.load(f"{pipeline}.split")
    images = data["images"]
    if images.shape[1:] != shape:
        raise ValueError(f"they are of shape {images.shape[1:]}, and the model's {shape}: of another run")
    training, test = (
        np.sort(rows[np.linspace(0, len(rows) - 1, min(len(rows), most)).astype(np.intp)])
        for rows, most in ((split["train"], _MOST_TRAINING), (split["held_out"], _MOST_TEST))
    )
    if not (len(training) and len(test)):
        raise ValueError("there are none")
    labels = data["labels"][test] if "labels" in data else None
    return Gallery(np.asarray(images[training]), np.asarray(images[test]), labels)


def _sentence(error: BaseException) -> str:
    return " ".join(str(error).split())[:400]
