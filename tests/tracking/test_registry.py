"""Which version of a registered model is champion."""

import logging
import math
import shutil

import mlflow
import pytest

from latents.pipelines.headlines import headline_of
from latents.predictors import Headline
from latents.tracking.registry import CHAMPION, register

NAME = "latents-pca-base"


@pytest.fixture
def store(template, tmp_path):
    """Yield a client of an empty registry, which MLflow's functions use as well."""
    shutil.copy2(template / "mlflow.db", tmp_path / "mlflow.db")
    former = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path / 'mlflow.db'}")
    yield mlflow.MlflowClient()
    mlflow.set_tracking_uri(former)


def lower(value, metric="heldout_distortion", **conditions):
    return Headline(metric, value, False, {"n_components": "4", "data": "abc", **conditions})


def higher(value):
    return Headline("lower_bound_test", value, True, {"data": "abc"})


def champions(store, *headlines):
    """Register versions one after the other; return the champion after each, or None."""
    run = store.create_run("0")
    found = []
    for headline in headlines:
        model = store.create_logged_model("0", source_run_id=run.info.run_id)
        register(NAME, model.model_id, run.info.run_id, headline)
        champion = store.get_registered_model(NAME).aliases.get(CHAMPION)
        found.append(None if champion is None else int(champion))
    return found


@pytest.mark.parametrize(
    ("headlines", "expected"),
    [
        ([lower(9.0), lower(8.0), lower(8.5), lower(7.0)], [1, 2, 2, 4]),
        ([higher(-9.0), higher(-8.0), higher(-8.5)], [1, 2, 2]),
        ([lower(9.0), lower(9.0), lower(9.0 * (1 - 1e-12))], [1, 1, 1]),
        ([lower(9.0), lower(1.0, n_components="5")], [1, 1]),
        ([lower(9.0), lower(1.0, data="abd")], [1, 1]),
        ([lower(9.0), lower(1.0, metric="distortion")], [1, 1]),
        ([lower(9.0), lower(1.0, white="255")], [1, 1]),
        ([lower(9.0), lower(math.nan), lower(-math.inf), lower(8.0)], [1, 1, 1, 4]),
        ([higher(math.nan), higher(math.inf), higher(-9.0)], [None, None, 3]),
    ],
)
def test_only_what_beats_it_on_the_same_terms_follows_the_champion(store, headlines, expected):
    assert champions(store, *headlines) == expected


def test_a_version_tells_by_what_it_was_compared(store):
    champions(store, lower(0.1))
    version = store.get_model_version_by_alias(NAME, CHAMPION)
    assert version.tags == {
        "metric": "heldout_distortion",
        "value": "0.1",
        "same.n_components": "4",
        "same.data": "abc",
    }
    (model,) = store.search_logged_models(["0"])
    assert (version.source, version.run_id) == (model.model_uri, model.source_run_id)


def test_one_line_says_why_there_is_no_comparison_and_what_to_do(store, caplog):
    champions(store, lower(9.0), lower(1.0, n_components="5", data="abd"))
    (warning,) = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert "version 2 (heldout_distortion 1) is not comparable with the champion, version 1" in warning
    assert "n_components is 5, not 4; data is abd, not abc" in warning
    assert "give the alias 'champion' to version 2" in warning


def test_where_the_alias_cannot_be_set_the_version_is_told(store, monkeypatch, caplog):
    def away(*args):
        raise mlflow.MlflowException("database is locked")

    monkeypatch.setattr(mlflow.MlflowClient, "set_registered_model_alias", away)
    assert champions(store, lower(9.0)) == [None]
    assert (
        "version 1 is registered, but its place beside the champion is open (database is locked)"
        in caplog.text
    )


def test_a_champion_that_somebody_else_has_made_stays(store):
    store.create_registered_model(NAME)
    model = store.create_logged_model("0")
    store.create_model_version(NAME, model.model_uri)
    store.set_registered_model_alias(NAME, CHAMPION, "1")
    assert champions(store, lower(9.0)) == [1]


def test_after_the_champion_is_deleted_the_next_one_is(store):
    champions(store, lower(1.0))
    store.delete_model_version(NAME, "1")
    assert champions(store, lower(9.0)) == [2]


def test_the_preferred_metric_that_there_is_counts():
    directions = {"heldout_perplexity": "lowest", "log_likelihood": "highest"}
    both = headline_of({"log_likelihood": -5.0, "heldout_perplexity": 7.0}, directions, {"k": 3})
    assert both == Headline("heldout_perplexity", 7.0, False, {"k": "3"})
    one = headline_of({"log_likelihood": -5.0}, directions, {"k": 3})
    assert one == Headline("log_likelihood", -5.0, True, {"k": "3"})
