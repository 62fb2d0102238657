"""The last two nodes of the PCA pipeline on images, colour images and tables of features, without Kedro."""

import tracemalloc

import matplotlib.figure
import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest

from latents.datasets import NpyDataset, NpyFolderDataset
from latents.estimators import MinimumErrorPCA
from latents.pipelines.pca import drawing, measuring, nodes
from latents.pipelines.pca.parameters import EvaluateParameters, FitParameters, ReportParameters
from latents.pipelines.shared import EngineParameters, SplitParameters
from tests.reporting.test_report import Page

EVALUATE = EvaluateParameters(reconstruct_from=[1, 3, 100], n_reconstructions=4, n_worst=5)
REPORT = ReportParameters(n_eigenimages=6, n_scatter_points=20)
FIT = {
    "n_components": None,
    "max_distortion": None,
    "max_distortion_share": None,
    "svd_solver": "full",
    "whiten": False,
    "device": "auto",
    "random_state": 0,
    "use_weights": True,
    "robust": False,
    "missing": "error",
    "max_iter": 100,
    "em_tol": 0.01,
}


def made_up(kind, n=60):
    rng = np.random.default_rng(0)
    shapes = {"grey": (6, 5), "colour": (5, 4, 3), "large": (70, 40), "features": (7,)}
    X = rng.normal(size=(n, 4)) @ rng.normal(size=(4, int(np.prod(shapes[kind]))))
    X += 0.1 * rng.normal(size=X.shape)
    X[13] += 5 * rng.normal(size=X.shape[1])  # the odd one
    if kind == "features":
        data = {"features": X, "feature_names": np.array([f"feature <{j}>" for j in range(7)])}
        return data | {"names": np.array([f"row/{i}.csv" for i in range(n)]), "labels": np.arange(n) % 3}
    return {"images": np.rint(np.clip(X * 20 + 120, 0, 255)).astype(np.uint8).reshape(n, *shapes[kind])}


def run(data, d=3, n_held_out=15, whiten=False, fit=None):
    X = data.get("features", data.get("images"))
    X = X.reshape(len(X), -1)
    split = {"train": np.arange(n_held_out, len(X)), "held_out": np.arange(n_held_out)}
    asked = FIT | (fit or {"n_components": d})
    d = asked["n_components"] if asked["n_components"] in ("parallel", "cross_validation") else d
    model = MinimumErrorPCA(d, svd_solver="full", whiten=whiten, random_state=0).fit(X[split["train"]])
    results = nodes.evaluate(model, {"X": X}, data, split, {"fit_seconds": 0.5}, EVALUATE)
    names = ["scores", "distortions", "reconstructions"]
    shared = (model, data, *(results[name] for name in names))
    figures = drawing.draw(*shared, results["worst"], results["worst_table"], FitParameters(**asked), REPORT)
    told = (results["worst_table"], results["metrics"], REPORT, {"fit": asked})
    page, slider_page = nodes.report(*shared, *told, **figures)
    return model, X, split, results, {**figures, "page": page, "slider_page": slider_page}


@pytest.mark.parametrize("whiten", [False, True])
def test_errors_at_every_d_are_those_of_rebuilt_images(whiten):
    model, X, split, results, _ = run(made_up("grey"), whiten=whiten)
    table = results["distortions"].set_index("d")
    unseen = X[split["held_out"]].astype(float)
    for d in range(4):
        basis = model.components_[:d]
        rebuilt = model.mean_ + (unseen - model.mean_) @ basis.T @ basis
        error = np.square(unseen - rebuilt).sum(axis=1).mean()
        assert table["heldout"][d] == pytest.approx(error)
    assert table["heldout"].notna().sum() == 4
    assert table["measured"].dropna().index.tolist() == [1, 3]
    np.testing.assert_allclose(table["heldout_measured"].dropna(), table["heldout"][[1, 3]])
    np.testing.assert_allclose(table["measured"].dropna(), table["distortion"][[1, 3]])
    assert results["metrics"]["distortion_gap"] < 1e-9
    assert results["metrics"]["heldout_distortion"] == table["heldout_measured"][3]


def test_the_odd_one_is_the_worst():
    _, X, _, results, _ = run(made_up("grey"))
    table, errors = results["worst_table"], results["scores"]["error"]
    assert table["row"][0] == 13
    assert table["held_out"][0]
    np.testing.assert_array_equal(table["error"], np.sort(errors)[::-1][:5])
    np.testing.assert_allclose(table["times_mean"], table["error"] / errors.mean())
    worst = results["worst"]
    np.testing.assert_array_equal(worst["originals"], X[worst["rows"]])
    np.testing.assert_allclose(((worst["originals"] - worst["rebuilt"]) ** 2).sum(axis=1), table["error"])
    assert "name" not in table
    assert "deviations" not in table


def test_of_a_table_the_worst_rows_come_with_the_features_that_deviate():
    data = made_up("features")
    model, X, _, results, drawn = run(data)
    row = results["worst_table"].iloc[0]
    assert (row["row"], row["name"], row["label"]) == (13, "row/13.csv", 1)
    rebuilt = measuring.rebuild(model, X[13:14], 3)[0]
    squares = (X[13] - rebuilt) ** 2
    j = squares.argmax()
    expected = f"feature <{j}> {X[13, j]:.4g} (rebuilt {rebuilt[j]:.4g}, {squares[j] / squares.sum():.0%} of"
    assert row["deviations"].startswith(expected)
    page = Page(drawn["page"])
    assert expected in page.text
    assert "Rows in few numbers" in page.text
    assert not page.tags("input")
    assert "table of features" in Page(drawn["slider_page"]).text
    assert drawn["loadings"].data
    assert not any(attrs.get("class") == "thumbnails" for attrs, _ in page.scripts)


@pytest.mark.parametrize(
    ("kind", "d", "n_held_out"), [("grey", 1, 0), ("colour", 4, 15), ("large", 2, 1), ("features", 1, 0)]
)
def test_every_kind_of_data_is_drawn(kind, d, n_held_out):
    *_, results, drawn = run(made_up(kind), d=d, n_held_out=n_held_out)
    for name in ("eigenimages", "reconstructions", "worst"):
        assert isinstance(drawn[name], matplotlib.figure.Figure)
        drawn[name].canvas.draw()
    for name in ("distortion", "spectrum", "scatter", "errors", "loadings", "choice"):
        assert isinstance(drawn[name], go.Figure)
    page = Page(drawn["page"])
    assert len(page.tags("input")) == (kind != "features")
    assert ("heldout" in results["distortions"]) == (n_held_out > 0)
    has_thumbnails = any(attrs.get("class") == "thumbnails" for attrs, _ in page.scripts)
    assert has_thumbnails == (kind != "features" and d > 1)
    assert "</html>" in drawn["slider_page"]


def test_names_and_labels_are_shown_where_one_points():
    data = made_up("grey") | {"names": np.array([f"{i}.png" for i in range(60)]), "labels": ["a", "b"] * 30}
    data["labels"] = np.array(data["labels"])
    _, _, split, results, drawn = run(data)
    assert results["scores"]["name"][3] == "3.png"
    texts = [text for trace in drawn["scatter"].data for text in trace.text]
    shown = split["train"][np.linspace(0, 44, 20).astype(int)]
    assert len(texts) == 20
    assert any(
        text.startswith(f"{shown[1]}.png<br>label {data['labels'][shown[1]]}<br>error") for text in texts
    )
    assert any("13.png, label b" in text for text in drawn["errors"].data[-1].text)


@pytest.mark.parametrize(
    ("fit", "said"),
    [
        ({"max_distortion_share": 0.05}, "Asked: an error of at most 5 % of the total → d = 3."),
        (
            {"max_distortion": 1234.5},
            "Asked: an error of at most 1,234.5 squared grey levels per image → d = 3.",
        ),
        ({"n_components": 0.9}, "Asked: more than 90 % of the variance → d = 3."),
        ({"n_components": "mle"}, "Asked: Minka's choice by evidence → d = 3."),
        ({"n_components": "parallel"}, "what can be told from noise, by parallel analysis → d = "),
        ({"n_components": "cross_validation"}, "held-out entries, by bi-cross-validation → d = "),
        ({"n_components": 3}, None),
    ],
)
def test_the_page_says_what_was_asked(fit, said):
    _, _, _, results, drawn = run(made_up("grey"), fit=fit)
    text = Page(drawn["page"]).text
    assert said in text if said else "Asked" not in text
    is_chosen = fit.get("n_components") in ("parallel", "cross_validation")
    assert ("Why so many" in text) == is_chosen == bool(drawn["choice"].data)
    levels = [note.text for note in drawn["distortion"].layout.annotations if "asked" in note.text]
    assert len(levels) == (1 if "max" in next(iter(fit)) else 0)
    if "max_distortion_share" in fit:
        (level,) = [shape.y0 for shape in drawn["distortion"].layout.shapes if shape.y0 == shape.y1]
        assert level == pytest.approx(0.05 * results["distortions"]["distortion"][0])


def test_only_what_is_given_reaches_the_estimator():
    assert FitParameters(**FIT | {"n_components": 3}).arguments() == {
        "n_components": 3,
        "svd_solver": "full",
        "whiten": False,
        "device": "auto",
        "random_state": 0,
        "robust": False,
        "missing": "error",
        "max_iter": 100,
        "em_tol": 0.01,
    }
    by_error = FitParameters(**FIT | {"max_distortion_share": 0.1}).arguments()
    assert by_error["max_distortion_share"] == 0.1
    assert "n_components" not in by_error


@pytest.mark.parametrize("kind", ["grey", "colour", "features"])
def test_incomplete_rows_are_measured_by_what_is_observed_and_shown_whole(kind):
    whole = made_up(kind)
    name = "features" if kind == "features" else "images"
    gaps = np.random.default_rng(1).random(whole[name].shape) < 0.2
    data = whole | {name: np.where(gaps, np.nan, whole[name].astype(float))}
    asked = FIT | {"n_components": 3, "svd_solver": "auto"}
    with pytest.raises(ValueError, match=r"missing \(NaN\), pca.fit.missing: em estimates them"):
        nodes.ingest(data, FitParameters(**asked))
    params = FitParameters(**asked | {"missing": "em"})
    data = nodes.ingest(data, params)
    X = nodes.flatten_pixels(data)["X"]
    split = {"train": np.arange(15, 60), "held_out": np.arange(15)}
    model, record = nodes.fit({"X": X}, split, params, EngineParameters(name="local"))
    results = nodes.evaluate(model, {"X": X}, data, split, record, EVALUATE)
    metrics, table = results["metrics"], results["distortions"].set_index("d")
    assert metrics["missing_share"] == np.isnan(X).mean()
    assert "distortion_gap" not in metrics
    rebuilt = model.inverse_transform(model.transform(X))
    errors = np.nansum((X - rebuilt) ** 2, axis=1)
    np.testing.assert_allclose(results["scores"]["error"], errors)
    np.testing.assert_allclose(table["measured"][3], errors[15:].mean())
    np.testing.assert_allclose(table["heldout"][:4].iloc[[1, 3]], table["heldout_measured"].dropna())
    assert not any(np.isnan(array).any() for array in (*results["reconstructions"].values(),))
    assert not any(np.isnan(array).any() for array in results["worst"].values())
    shared = (model, data, *(results[name] for name in ("scores", "distortions", "reconstructions")))
    figures = drawing.draw(*shared, results["worst"], results["worst_table"], params, REPORT)
    told = (results["worst_table"], metrics, REPORT, {"fit": asked})
    page, _ = nodes.report(*shared, *told, **figures)
    assert "What was missing" in page
    drawn = [text.get_text() for axes in figures["imputed"].axes for text in axes.texts]
    assert "What was missing, and what is expected there" in drawn
    candidate = nodes.export(model, data, split, metrics)
    np.testing.assert_allclose(candidate.predictor.predict(data[name])["error"], errors)
    assert candidate.predictor.impute(data[name]).shape == data[name].shape
    np.testing.assert_allclose(
        candidate.predictor.reconstruct(data[name]).reshape(X.shape), rebuilt, rtol=1e-6
    )


@pytest.mark.parametrize("kind", ["grey", "features"])
def test_an_error_that_the_mean_meets_is_no_question(kind):
    X = nodes.flatten_pixels(made_up(kind))["X"]
    split = {"train": np.arange(5, 60), "held_out": np.arange(5)}
    total = X[5:].var(axis=0).sum()
    fit = FitParameters(**FIT | {"max_distortion": 1.01 * total})
    with pytest.raises(
        ValueError, match=rf"max_distortion is .* mean alone .*J\(0\) = {total:g}\); ask for less"
    ):
        nodes.fit({"X": X}, split, fit, EngineParameters(name="local"))
    less = FitParameters(**FIT | {"max_distortion": 0.9 * total})
    assert nodes.fit({"X": X}, split, less, EngineParameters(name="local"))[0].n_components_ >= 1


@pytest.mark.parametrize("criterion", ["parallel", "cross_validation"])
def test_a_criterion_goes_over_all_rows_and_says_what_it_could_not_tell(criterion, monkeypatch, caplog):
    monkeypatch.setattr(nodes, "_FIT_BLOCK", 100)
    rng = np.random.default_rng(0)
    X = 5 * rng.normal(size=(200, 3)) @ rng.normal(size=(3, 30)) + rng.normal(size=(200, 30))
    rows = {"train": np.arange(0, 200, 2), "held_out": np.arange(1, 200, 2)}
    fit = FitParameters(**FIT | {"n_components": criterion, "svd_solver": "auto"})
    caplog.set_level("INFO")
    model, _ = nodes.fit({"X": X}, rows, fit, EngineParameters(name="local"))
    expected = MinimumErrorPCA(criterion, random_state=0).fit(X[::2])
    assert model.n_components_ == expected.n_components_ == 3
    np.testing.assert_allclose(model.detection_threshold_, expected.detection_threshold_)
    assert f"3 of the 3 components chosen by {criterion} can be told from noise" in caplog.text
    noise = rng.normal(size=X.shape)
    with pytest.raises(
        ValueError, match=rf"n_components is {criterion}, which finds nothing that could be told"
    ):
        nodes.fit({"X": noise}, rows, fit, EngineParameters(name="local"))


def test_bytes_on_disk_are_never_floats_as_a_whole(tmp_path, monkeypatch):
    n, p = 4000, 400
    X = np.lib.format.open_memmap(tmp_path / "X.npy", mode="w+", dtype=np.uint8, shape=(n, p))
    X[:] = np.random.default_rng(0).integers(0, 255, size=(n, p), dtype=np.uint8)
    model = MinimumErrorPCA(2).fit(X[:500])
    data = {"images": X.reshape(n, 20, 20)}
    split = {"train": np.arange(0, n, 2), "held_out": np.arange(1, n, 2)}
    monkeypatch.setattr(measuring, "_BLOCK", 100 * p)
    expected = model.reconstruction_errors(X[:200])
    tracemalloc.start()
    results = nodes.evaluate(model, {"X": X}, data, split, {"fit_seconds": 0.0}, EVALUATE)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 0.25 * 8 * X.size
    np.testing.assert_allclose(results["scores"]["error"][:200], expected)
    assert isinstance(results["scores"], pd.DataFrame)


@pytest.mark.parametrize(("solver", "used"), [("auto", "covariance_eigh"), ("full", "full")])
def test_training_in_blocks_finds_the_same_basis(solver, used, monkeypatch):
    X = np.random.default_rng(0).normal(size=(90, 7)) * np.arange(1, 8)
    split = {"train": np.arange(0, 90, 2), "held_out": np.arange(1, 90, 2)}
    fit = FitParameters(**FIT | {"n_components": 3, "svd_solver": solver})
    monkeypatch.setattr(nodes, "_FIT_BLOCK", 70)
    model, _ = nodes.fit({"X": X}, split, fit, EngineParameters(name="local"))
    assert model.svd_solver_ == used
    assert model.n_samples_ == 45
    np.testing.assert_allclose(model.components_, MinimumErrorPCA(3).fit(X[::2]).components_, atol=1e-9)


def test_arrays_on_disk_are_never_in_memory_as_a_whole(tmp_path, monkeypatch):
    n, p = 40_000, 12 * 12
    np.save(tmp_path / "a.npy", np.random.default_rng(0).integers(0, 255, (n, 12, 12), dtype=np.uint8))
    for module in ("latents.features.images", "latents.pipelines.headlines"):
        monkeypatch.setattr(f"{module}._PIECE", 1 << 18)
    monkeypatch.setattr(measuring, "_BLOCK", 500 * p)
    monkeypatch.setattr(nodes, "_FIT_BLOCK", 500 * p)
    kept, pixels = (NpyFolderDataset(str(tmp_path / name)) for name in ("images", "pixels"))
    fit = FitParameters(**FIT | {"n_components": 2, "svd_solver": "auto"})
    run(made_up("grey"))  # what is imported on first use is no array
    tracemalloc.start()
    kept.save(nodes.ingest(NpyDataset(str(tmp_path / "a.npy")).load(), fit))
    pixels.save(nodes.flatten_pixels(kept.load()))
    split = nodes.split(kept.load(), SplitParameters(held_out_fraction=0.2, random_state=0))
    model, record = nodes.fit(pixels.load(), split, fit, EngineParameters(name="local"))
    results = nodes.evaluate(model, pixels.load(), kept.load(), split, record, EVALUATE)
    nodes.export(model, kept.load(), split, results["metrics"])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 0.9 * n * p
