"""Trained models on new data, through Kedro: what the three inference pipelines leave, and what they refuse."""

import tracemalloc
from functools import partial

import numpy as np
import pandas as pd
import plotly.io as pio
import pytest
from kedro.framework.project import pipelines
from kedro.io import DatasetError
from kedro.runner import ThreadRunner
from matplotlib.text import Text
from scipy import sparse
from sklearn.feature_extraction.text import TfidfTransformer

from latents.estimators import MinimumErrorPCA, MultinomialMixture
from latents.pipelines import bags
from latents.pipelines.clustering_inference import nodes as clustering
from latents.pipelines.clustering_inference.nodes import find_nearest
from latents.pipelines.clustering_inference.parameters import NearestParameters
from latents.pipelines.cvae_inference import nodes as cvae
from latents.pipelines.cvae_inference.parameters import (
    GenerateParameters,
    PredictParameters,
    ReportParameters,
)
from latents.pipelines.documents import IngestParameters
from latents.pipelines.pca_inference import nodes as pca
from latents.pipelines.pca_inference.parameters import PredictParameters as PCAPredictParameters
from latents.predictors import ClusteringPredictor, PCAPredictor
from tests.conftest import going_on
from tests.predictors.examples import RULES

PIPELINES = ["clustering_inference", "pca_inference", "cvae_inference"]
ALL = PCAPredictParameters(n_reconstructions=None)


@pytest.fixture(scope="module")
def used(template, finished, tmp_path_factory):
    """A project in which the trained models have been used once, in the test environment."""
    project = going_on(tmp_path_factory.mktemp("used") / "project", template, finished)
    project.run(*PIPELINES)
    return project


def outputs(project, pipeline):
    return project.data() / "07_model_output" / f"{pipeline}_inference"


def figures(project, pipeline):
    return project.data() / "08_reporting" / f"{pipeline}_inference"


def test_they_are_registered_and_not_part_of_a_plain_run(used):
    assert set(pipelines) == {"clustering", "pca", "cvae", *PIPELINES, "__default__"}
    assert not {name for name in pipelines["__default__"].all_outputs() if "_inference" in name}
    for name in PIPELINES:
        training = name.removesuffix("_inference")
        own = (name, f"params:{name}")
        outer = {entry for entry in pipelines[name].inputs() if not entry.startswith(own)}
        assert outer >= {f"{training}.predictor"}
        assert all(entry.startswith(f"{training}.") for entry in outer)


def test_new_documents_get_clusters_and_the_words_that_decided(used):
    table = pd.read_csv(outputs(used, "clustering") / "assignments.csv")
    columns = "name label cluster cluster_name probability familiarity n_tokens deciding_words"
    assert list(table)[:8] == columns.split()
    assert table["label"].tolist() == ["fft"] * 5 + ["linalg"] * 5
    documents = pd.read_parquet(used.data() / "02_intermediate/clustering_inference/documents.parquet")
    expected = used.predictor("clustering").predict(documents["text"])
    pd.testing.assert_frame_equal(table[list(expected)], expected, check_dtype=False)
    assert table["deciding_words"].str.len().min() > 0
    assert pio.from_json((figures(used, "clustering") / "sizes.json").read_text()).data


def test_nearest_documents_are_those_of_the_largest_cosine(used):
    folder = used.data()
    table = pd.read_csv(outputs(used, "clustering") / "nearest.csv")
    counts = sparse.load_npz(folder / "04_feature/clustering_inference/counts.npz")
    trained = sparse.load_npz(folder / "04_feature/clustering/counts.npz")
    assignments = pd.read_csv(folder / "07_model_output/clustering/assignments.csv")
    train = np.flatnonzero(~assignments["held_out"])
    weighting = TfidfTransformer().fit(trained[train])
    cosines = (weighting.transform(counts) @ weighting.transform(trained[train]).T).toarray()
    assert len(table) == 20
    for document, found in table.groupby("document"):
        best = np.sort(cosines[document])[::-1][:2]
        np.testing.assert_allclose(found["similarity"], best)
        np.testing.assert_allclose(cosines[document, np.searchsorted(train, found["row"])], best)
        assert found["rank"].tolist() == [1, 2]
    documents = pd.read_parquet(folder / "02_intermediate/clustering/documents.parquet")
    first = table.iloc[0]
    assert first["name"] == documents["name"][first["row"]]
    assert first["label"] == documents["label"][first["row"]]
    assert first["cluster"] == assignments["cluster"][first["row"]]
    assert first["document_name"].startswith("fft.")
    assert documents["text"][first["row"]].startswith(first["excerpt"][:20])


def test_new_images_get_coordinates_and_are_rebuilt(used):
    coordinates = pd.read_parquet(outputs(used, "pca") / "coordinates.parquet")
    images = np.load(used.data() / "02_intermediate/pca_inference/images/images.npy")
    predictor = used.predictor("pca")
    pd.testing.assert_frame_equal(coordinates.drop(columns="label"), predictor.predict(images))
    assert coordinates["label"].tolist() == list(range(10))
    with np.load(outputs(used, "pca") / "reconstructions.npz") as arrays:
        assert arrays["rows"].tolist() == list(range(10))
        np.testing.assert_array_equal(arrays["originals"], images)
        np.testing.assert_allclose(arrays["rebuilt"], predictor.reconstruct(images), rtol=1e-5, atol=1e-5)
    assert (figures(used, "pca") / "reconstructions.png").read_bytes().startswith(b"\x89PNG")


def test_new_images_get_classes_and_latents_and_labels_get_images(used):
    latents = pd.read_parquet(outputs(used, "cvae") / "latents.parquet")
    classes = [f"p_{label}" for label in range(10)]
    assert list(latents) == ["predicted", *classes, "lower_bound", *(f"z{i}" for i in range(1, 5)), "label"]
    np.testing.assert_allclose(latents[classes].sum(axis=1), 1)
    with np.load(outputs(used, "cvae") / "generated.npz") as arrays:
        images, labels = arrays["images"], arrays["labels"]
    assert labels.tolist() == np.repeat(range(10), 3).tolist()
    np.testing.assert_array_equal(images, used.predictor("cvae").generate(labels, random_state=0))
    assert (figures(used, "cvae") / "generated.png").read_bytes().startswith(b"\x89PNG")


def test_mlflow_keeps_tables_and_figures(used):
    run = used.runs()[0]
    assert run.info.status == "FINISHED"
    assert run.data.params["clustering_inference.nearest.n_neighbours"] == "2"
    assert [used.artifacts(run, name) for name in PIPELINES] == [
        {"assignments.csv", "nearest.csv", "sizes.json"},
        {"reconstructions.png"},
        {"generated.png"},
    ]


def test_what_was_generated_can_be_read(used):
    """The file of generated images is a set of images like any other."""
    used.write(
        "conf/test/catalog_cvae_inference.yml",
        "cvae_inference.raw_images:\n  type: latents.datasets.NpzDataset\n"
        "  filepath: data/test/07_model_output/cvae_inference/generated.npz\n",
    )
    params = {"cvae_inference": {"predict": {"under": "label"}}}
    used.run("cvae_inference", params=params, runner=ThreadRunner())
    latents = pd.read_parquet(outputs(used, "cvae") / "latents.parquet")
    assert latents["label"].tolist() == np.repeat(range(10), 3).tolist()


@pytest.mark.parametrize("pipeline", PIPELINES)
def test_before_any_training_it_says_what_to_run(project, pipeline):
    training = pipeline.removesuffix("_inference")
    with pytest.raises(DatasetError) as error:
        project.run(pipeline)
    said = str(error.value)
    assert f"there is no trained model in {project.path}/data/test/06_models/{training}/predictor" in said
    assert f"`kedro run --pipelines {training}`" in said
    (run,) = project.runs()
    assert run.info.status == "FAILED"


def test_after_a_training_that_did_not_reach_its_end(continued):
    """The predictor is that of the training before, and the clusters are others."""
    two = {"clustering": {"fit": {"n_components": 2}}}
    continued.run("clustering", params=two, from_nodes=["clustering.fit"], until="evaluate")
    said = "the predictor has 3 clusters and clustering.clusters 2: they are of different trainings; run the"
    with pytest.raises(ValueError, match=said):
        continued.run("clustering_inference")


class TestNearest:
    COUNTS = sparse.csr_array(np.array([[2, 0, 0, 1], [0, 0, 0, 0], [0, 0, 5, 0]]))
    TRAINED = sparse.csr_array(
        np.array([[1, 0, 0, 1], [0, 3, 0, 0], [0, 0, 0, 0], [2, 0, 0, 1], [0, 0, 1, 1]])
    )
    DOCUMENTS = pd.DataFrame({"text": ["a  d", "b b b", "", "a a d", "c d"]})
    ASSIGNMENTS = pd.DataFrame(
        {"cluster": 0, "cluster_name": "all", "held_out": [False, False, False, False, True]}
    )
    VOCABULARY = pd.DataFrame({"word": list("abcd")})
    CLUSTERS = pd.DataFrame({"name": ["all"]})
    NEW = pd.DataFrame({"text": ["", "", ""]})

    @pytest.fixture
    def predictor(self):
        model = MultinomialMixture(1).fit(self.TRAINED)
        return ClusteringPredictor(model, list("abcd"), RULES, ["all"])

    @pytest.fixture
    def find(self, predictor):
        def find(n=2, **others):
            given = {
                "predictor": predictor,
                "counts": self.COUNTS,
                "documents": self.NEW,
                "trained_counts": self.TRAINED,
                "trained_vocabulary": self.VOCABULARY,
                "trained_documents": self.DOCUMENTS,
                "trained_assignments": self.ASSIGNMENTS,
                "trained_clusters": self.CLUSTERS,
            }
            return find_nearest(**given | others, params=NearestParameters(n_neighbours=n, excerpt_length=4))

        return find

    def test_neither_held_out_nor_empty_nor_unlike_documents_are_near(self, find):
        found = find(n=9)
        assert found[["document", "rank", "row"]].to_numpy().tolist() == [[0, 1, 3], [0, 2, 0]]
        assert found["excerpt"].tolist() == ["a a…", "a d"]
        assert found["similarity"][0] == pytest.approx(1)
        assert list(found) == ["document", "rank", "similarity", "row", "cluster", "cluster_name", "excerpt"]

    def test_names_of_both(self, find):
        found = find(documents=pd.DataFrame({"text": list("xyz"), "name": ["one", "two", "three"]}))
        assert found["document_name"].tolist() == ["one", "one"]

    def test_nothing_known_at_all(self, find):
        found = find(counts=sparse.csr_array((3, 4), dtype=int))
        assert len(found) == 0
        assert "excerpt" in found

    @pytest.mark.parametrize(
        ("given", "said"),
        [
            ({"trained_vocabulary": VOCABULARY[:3]}, r"predictor has 4 words and clustering\.vocabulary 3"),
            (
                {"trained_vocabulary": VOCABULARY.replace("c", "x")},
                r"word 2 of the predictor is 'c' and of clustering\.vocabulary 'x'",
            ),
            (
                {"trained_clusters": pd.DataFrame({"name": ["all", "none"]})},
                r"the predictor has 1 clusters and clustering\.clusters 2",
            ),
            (
                {"trained_clusters": pd.DataFrame({"name": ["some"]})},
                r"cluster 0 of the predictor is 'all' and of clustering\.clusters 'some'",
            ),
            ({"trained_counts": TRAINED[:4]}, r"clustering\.counts has shape \(4, 4\), .* make \(5, 4\)"),
            ({"trained_counts": TRAINED[:, :3]}, r"clustering\.counts has shape \(5, 3\)"),
            (
                {"trained_assignments": ASSIGNMENTS[:4]},
                r"clustering\.assignments has shape \(4,\), .* \(5,\)",
            ),
        ],
    )
    def test_tables_of_another_training(self, find, given, said):
        with pytest.raises(ValueError, match=f"{said}.* different .* run the pipeline clustering as a whole"):
            find(**given)

    def test_counts_of_another_run(self, find):
        said = r"clustering_inference\.counts has shape \(3, 5\).* run the pipeline clustering_inference as a"
        with pytest.raises(ValueError, match=said):
            find(counts=sparse.csr_array((3, 5), dtype=int))


class TestBags:
    PARAMS = IngestParameters(text_column="text", label_column=None)

    def bag(self, counts, words):
        documents = pd.DataFrame({"name": [f"d{row}" for row in range(len(counts))]})
        return {"counts": sparse.csr_array(np.array(counts)), "words": words, "documents": documents}

    @pytest.mark.parametrize("value", [0.5, -5, np.nan])
    def test_counts_that_are_no_counts(self, clustering_predictor, value):
        raw = self.bag([[1.0, 0.0], [2.0, value]], ["ship", "sail"])
        with pytest.raises(ValueError, match=rf"count of document 1, word 'sail' is {float(value)}; allowed"):
            clustering.ingest(clustering_predictor, raw, self.PARAMS)

    def test_words_are_composed_as_texts_are(self, clustering_predictor):
        raw = self.bag([[1, 2, 4], [0, 0, 1]], ["scho\u0308n", "Ufer", "schön"])
        documents, bag = clustering.ingest(clustering_predictor, raw, self.PARAMS)
        counts, words = bags.counts_of(bag)
        assert words == ["schön", "Ufer"]
        assert counts.toarray().tolist() == [[5, 2], [1, 0]]
        assert documents["text"].tolist() == ["schön Ufer", "schön"]


class TestImages:
    GENERATE = GenerateParameters(n_images=2, random_state=0)
    PREDICT = PredictParameters(n_importance_samples=5, under="predicted")

    def test_one_image(self, pca_predictor, cvae_predictor):
        one = {"images": np.full((1, 8, 8), 3, dtype=np.uint8)}
        coordinates, arrays = pca.predict(pca_predictor, pca.ingest(pca_predictor, one), ALL)
        assert len(coordinates) == 1
        assert arrays["rebuilt"].shape == (1, 8, 8)
        assert pca.report(pca_predictor, coordinates, arrays, pca.ReportParameters(n_shown=5)).axes
        assert len(cvae.predict(cvae_predictor, cvae.ingest(one), self.PREDICT)) == 1

    def test_some_reconstructions_are_kept(self, pca_predictor):
        given = {"images": np.random.default_rng(0).random((9, 8, 8)), "names": list("abcdefghi")}
        images = pca.ingest(pca_predictor, given)
        coordinates, arrays = pca.predict(pca_predictor, images, PCAPredictParameters(n_reconstructions=3))
        assert len(coordinates) == 9
        assert coordinates["name"].tolist() == list("abcdefghi")
        assert arrays["rows"].tolist() == [0, 4, 8]
        np.testing.assert_array_equal(arrays["originals"], images["images"][[0, 4, 8]])

    def test_what_lacks_is_imputed_and_marked(self, digits):
        rows = digits[0].reshape(-1, 64).astype(float)
        predictor = PCAPredictor(MinimumErrorPCA(4, missing="em").fit(rows), shape=(8, 8))
        new = digits[0][:5].astype(float)
        new[2, 3, 4] = np.nan
        coordinates, arrays = pca.predict(predictor, pca.ingest(predictor, {"images": new}), ALL)
        assert np.isfinite(coordinates["error"]).all()
        assert np.isfinite(arrays["imputed"]).all()
        np.testing.assert_array_equal(arrays["imputed"][~np.isnan(new)], new[~np.isnan(new)])
        drawn = pca.report(predictor, coordinates, arrays, pca.ReportParameters(n_shown=5))
        assert any("Orange pixels are missing" in text.get_text() for text in drawn.findobj(Text))
        whole = pca.predict(predictor, pca.ingest(predictor, {"images": new[:2]}), ALL)[1]
        assert "imputed" not in whole

    def test_other_sizes_and_broken_pixels(self, pca_predictor, cvae_predictor):
        large = {"images": np.ones((2, 9, 9))}
        said = r"images have shape \(9, 9\); the model was trained on images of \(8, 8\)"
        with pytest.raises(ValueError, match=said):
            pca.predict(pca_predictor, pca.ingest(pca_predictor, large), ALL)
        with pytest.raises(ValueError, match=said):
            cvae.predict(cvae_predictor, cvae.ingest(large), self.PREDICT)
        broken = {"images": np.full((2, 8, 8), np.nan), "names": ["a.png", "b.png"]}
        for ingest in (partial(pca.ingest, pca_predictor), cvae.ingest):
            with pytest.raises(ValueError, match=r"image 0 \(a\.png\) has pixels that are NaN or infinite"):
                ingest(broken)

    def test_labels_that_the_model_does_not_know(self, cvae_predictor):
        images = cvae.ingest({"images": np.ones((2, 8, 8)), "labels": np.array(["3", "cat"])})
        assert cvae.predict(cvae_predictor, images, self.PREDICT)["label"].tolist() == ["3", "cat"]
        under_label = PredictParameters(n_importance_samples=5, under="label")
        with pytest.raises(ValueError, match="label 1 is 'cat', no class of the model; allowed are 0, 1, 2"):
            cvae.predict(cvae_predictor, images, under_label)
        with pytest.raises(ValueError, match="the images have no labels; allowed is 'predicted'"):
            cvae.predict(cvae_predictor, cvae.ingest({"images": np.ones((2, 8, 8))}), under_label)

    @pytest.mark.parametrize("labels", [np.array([3, np.nan]), np.array(["3", ""])])
    def test_labels_that_are_missing(self, pca_predictor, cvae_predictor, labels):
        given = {"images": np.ones((2, 8, 8)), "labels": labels}
        table = cvae.predict(cvae_predictor, cvae.ingest(given), self.PREDICT)
        np.testing.assert_array_equal(table["label"], labels)
        coordinates, arrays = pca.predict(pca_predictor, pca.ingest(pca_predictor, given), ALL)
        figure = pca.report(pca_predictor, coordinates, arrays, pca.ReportParameters(n_shown=2))
        told = [text.get_text() for text in figure.findobj(Text) if "label" in text.get_text()]
        assert len(told) == 1
        assert "label 3" in told[0]

    def test_memory_holds_what_is_rebuilt_and_no_more(self):
        images = np.random.default_rng(0).integers(0, 256, (6000, 40, 40), dtype=np.uint8)
        predictor = PCAPredictor(MinimumErrorPCA(2).fit(images[:20].reshape(20, -1)), shape=(40, 40))
        checked = pca.ingest(predictor, {"images": images})
        tracemalloc.start()
        _, arrays = pca.predict(predictor, checked, ALL)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert arrays["rebuilt"].dtype == np.float32
        assert peak < 2 * arrays["rebuilt"].nbytes  # in float64 they would take as much by themselves
        np.testing.assert_allclose(arrays["rebuilt"][-5:], predictor.reconstruct(images[-5:]), rtol=1e-5)

    def test_labels_to_draw(self, cvae_predictor):
        for labels in ({"label": [3, 8]}, pd.DataFrame({"label": ["3", "8"]})):
            generated = cvae.generate(cvae_predictor, labels, self.GENERATE)
            assert generated["labels"].tolist() == [3, 3, 8, 8]
            assert generated["images"].shape == (4, 8, 8)
        for labels, said in (
            ({"class": [3]}, "no column 'label' among 'class'"),
            ({"label": 3}, r"labels is \{'label': 3\} .*; allowed is a column 'label' with a list"),
            ({"label": []}, r"labels have shape \(0,\)"),
            ({"label": [3, 12]}, "label 1 is 12, no class"),
        ):
            with pytest.raises(ValueError, match=said):
                cvae.generate(cvae_predictor, labels, self.GENERATE)

    def test_the_figure_shows_as_many_of_each_class(self, cvae_predictor):
        generated = cvae.generate(cvae_predictor, {"label": [8, 3, 8]}, self.GENERATE)
        figure = cvae.report(cvae_predictor, generated, ReportParameters(n_shown=5))
        assert len(figure.axes[0].images) == 4  # two of each
        figure = cvae.report(cvae_predictor, generated, ReportParameters(n_shown=1))
        assert len(figure.axes[0].images) == 2


class TestFeatures:
    def test_by_name_and_by_place(self, feature_predictor):
        predictor, rows = feature_predictor
        named = {"features": rows[:, ::-1], "feature_names": np.array(["c", "b", "a"])}
        expected, _ = pca.predict(predictor, pca.ingest(predictor, {"features": rows}), ALL)
        found, arrays = pca.predict(predictor, pca.ingest(predictor, named), ALL)
        pd.testing.assert_frame_equal(found, expected)
        np.testing.assert_array_equal(arrays["originals"], rows)
        np.testing.assert_allclose(arrays["rebuilt"], predictor.reconstruct(rows), rtol=1e-6)
        figure = pca.report(predictor, found, arrays, pca.ReportParameters(n_shown=2))
        assert any("no images to show" in text.get_text() for text in figure.axes[0].texts)

    def test_what_the_model_was_not_trained_on(self, feature_predictor, pca_predictor):
        predictor, rows = feature_predictor
        for trained, given, said in (
            (
                predictor,
                {"features": rows[:, :2], "feature_names": ["a", "b"]},
                "no feature 'c' among 'a', 'b'",
            ),
            (predictor, {"images": np.ones((1, 3, 1))}, "trained on rows of 3 features; the data are images"),
            (
                pca_predictor,
                {"features": rows},
                r"trained on images of \(8, 8\); the data are rows of features",
            ),
        ):
            with pytest.raises(ValueError, match=said):
                pca.predict(trained, pca.ingest(trained, given), ALL)
        with pytest.raises(ValueError, match="this pipeline draws images: it needs 'images'"):
            cvae.ingest({"features": rows})
