"""The user's own data and the other environments, as `docs/data.md` tells it."""

import json

import numpy as np
import pandas as pd
import pytest
from kedro.io import DatasetError
from scipy import sparse

from tests.datasets.test_documents import write_newsgroups
from tests.datasets.test_images import write_mnist

TEXTS = {
    "sea": "the ship sails over waves and wind towards the harbour",
    "sky": "the plane flies over clouds and wind towards the airport",
}


TABLE = pd.DataFrame(
    {
        "body": [f"{text} {'again ' * i}" for i in range(6) for text in TEXTS.values()],
        "topic": list(TEXTS) * 6,
    }
)
IMAGES = np.random.default_rng(0).integers(0, 256, size=(30, 5, 4, 3), dtype=np.uint8)
IMAGES[::2, 1:3] = 255
LABELS = np.array(["bar", "none"] * 15)


def write_texts(project, table):
    project.write("own/texts.csv", table.to_csv(index=False))


def write_images(project, **arrays):
    np.savez(project.path / "own/images.npz", **arrays)


@pytest.fixture
def own(project):
    """A project whose environment `own` reads a table of texts and an .npz file of images."""
    write_texts(project, TABLE)
    write_images(project, images=IMAGES, labels=LABELS)
    project.write("conf/own/globals.yml", "data: data/own\n")
    project.write(
        "conf/own/catalog.yml",
        "clustering.raw_documents: {type: pandas.CSVDataset, filepath: own/texts.csv}\n"
        "pca.raw_images: {type: latents.datasets.NpzDataset, filepath: own/images.npz}\n"
        "cvae.raw_images: {type: latents.datasets.NpzDataset, filepath: own/images.npz}\n",
    )
    project.write(
        "conf/own/parameters.yml",
        "clustering: {ingest: {text_column: body, label_column: topic}, features: {min_df: 1, max_df: 1.0}, "
        "fit: {n_components: 2}}\n"
        "pca: {fit: {n_components: 3}}\n"
        "cvae: {features: {white: 255.0}, fit: {epochs: 2, hidden: [16], n_latents: 1}, "
        "evaluate: {n_importance_samples: 10}}\n",
    )
    return project


def test_a_table_of_texts_and_a_file_of_colour_images(own):
    own.run(env="own")
    assert own.metrics("clustering", "own")["nmi"] == pytest.approx(1)
    assert own.metrics("pca", "own")["n_features"] == 60
    assert own.metrics("cvae", "own")["epochs"] == 2
    model = own.predictor("cvae", "own").model
    assert model.sample(["bar", "none"]).shape == (2, 60)


def nothing_half_done(project, pipeline):
    folder = project.data("own")
    assert not (folder / "08_reporting" / pipeline / "metrics.json").exists()
    assert not list(folder.rglob(".writing-*"))


@pytest.mark.parametrize("kind", ["none", "of one class"])
def test_without_labels_the_run_goes_on(own, kind, caplog):
    if kind == "none":
        write_texts(own, TABLE.drop(columns="topic"))
        write_images(own, images=IMAGES)
    else:
        write_texts(own, TABLE.assign(topic=0))  # as gensim writes what has none
        write_images(own, images=IMAGES, labels=np.array(["all"] * 30))
    own.run("clustering", "pca", env="own", until="draw")
    tells_nothing = "all training documents have the label '0', which tells nothing apart"
    assert (tells_nothing in caplog.text) == (kind == "of one class")
    assert ("all labels are 'all', which tells nothing apart" in caplog.text) == (kind == "of one class")
    assert not {"nmi", "ari", "accuracy"} & own.metrics("clustering", "own").keys()
    reports, outputs = own.data("own") / "08_reporting", own.data("own") / "07_model_output"
    assert "no labels to compare with" in (reports / "clustering/labels.json").read_text()
    assert "main_label" not in pd.read_csv(reports / "clustering/clusters.csv")
    assert "label" not in pd.read_csv(reports / "clustering/examples.csv")
    assert "label" not in pd.read_csv(outputs / "clustering/assignments.csv")
    assert "label" not in pd.read_parquet(outputs / "pca/scores.parquet")
    plane = json.loads((reports / "pca/scatter.json").read_text())
    assert "Colour is the label" not in json.dumps(plane["layout"])
    with pytest.raises(ValueError, match="have no 'labels'" if kind == "none" else "are of one class, 'all'"):
        own.run("cvae", env="own")
    nothing_half_done(own, "cvae")


def test_documents_without_words_are_kept_and_assigned_by_the_weights(own):
    texts = TABLE.assign(held_out=TABLE.index.isin([5, 6]))
    texts.loc[[2, 5], "body"] = [None, "..."]
    write_texts(own, texts)
    own.run("clustering", env="own", until="export")
    assignments = pd.read_csv(own.data("own") / "07_model_output/clustering/assignments.csv")
    model = own.predictor("clustering", "own").model
    assert assignments.loc[[2, 5], "n_tokens"].tolist() == [0, 0]
    assert assignments.loc[[2, 5], "probability"].tolist() == pytest.approx([model.weights_.max()] * 2)
    assert assignments.index[assignments["held_out"]].tolist() == [5, 6]


def test_labels_that_look_like_nothing(own):
    path = own.path / "own/texts.csv"
    path.write_text(path.read_text().replace(",sea", ",null"))
    catalog = own.path / "conf/own/catalog.yml"
    kept = "texts.csv, load_args: {keep_default_na: false}}"
    catalog.write_text(catalog.read_text().replace("texts.csv}", kept))
    own.run("clustering", env="own", until="draw")
    assert own.metrics("clustering", "own")["nmi"] == pytest.approx(1)
    assert "null" in (own.data("own") / "08_reporting/clustering/labels.json").read_text()


def test_labels_and_words_that_look_like_numbers(own):
    rows = [(f"{i:05}", f"1 2 007 {'10 20 30' * (i % 2)}", f"0{i % 2}") for i in range(10)]
    rows += [(f"{i:05}", "4 5 6", "1") for i in range(10, 15)]
    write_texts(own, pd.DataFrame(rows, columns=["name", "body", "topic"]))
    own.write(
        "conf/own/catalog.yml",
        "clustering.raw_documents: {type: latents.datasets.DocumentTableDataset, filepath: own/texts.csv}\n",
    )
    own.run("clustering", env="own", params={"clustering": {"features": {"token_pattern": r"\d+"}}})
    folder = own.data("own") / "08_reporting/clustering"
    rows = json.loads((folder / "labels.json").read_text())["data"][0]["y"]
    assert [row.split("  (")[0] for row in rows] == ["00", "01", "1"]
    clusters = pd.read_csv(folder / "clusters.csv", dtype=str)
    assert set(clusters["main_label"]) <= {"00", "01", "1"}
    shown = (folder / "report.html").read_text()
    assert any(f"<b>{i:05}</b>" in shown for i in range(15))
    assert "007" in (folder / "topics.json").read_text()


def test_held_out_documents_without_words_have_no_perplexity(own):
    texts = TABLE.assign(held_out=TABLE.index == 5)
    texts.loc[5, "body"] = "..."
    write_texts(own, texts)
    own.run("clustering", env="own", until="evaluate")
    assert "heldout_perplexity" not in own.metrics("clustering", "own")


@pytest.mark.parametrize(
    ("n_texts", "params", "said"),
    [
        (12, {"features": {"min_df": 100}}, "the vocabulary rules leave no word of 12 documents"),
        (12, {"fit": {"n_components": 12}}, "n_components=12 exceeds the number of documents"),
        (12, {"fit": {"smoothing": 0.0}}, r"clustering\.fit\.smoothing is 0 and documents are held out"),
        (0, {}, "corpus is empty"),
    ],
)
def test_refused_settings_of_documents(own, n_texts, params, said):
    write_texts(own, TABLE[:n_texts])
    with pytest.raises(ValueError, match=said):
        own.run("clustering", env="own", params={"clustering": params})
    nothing_half_done(own, "clustering")


def test_counts_from_elsewhere_are_checked(own):
    own.run("clustering", env="own", until="split")
    path = own.path / "data/own/04_feature/clustering/counts.npz"
    counts = sparse.load_npz(path).astype(float)
    counts.data[0] = 0.5
    sparse.save_npz(path, counts)
    with pytest.raises(ValueError, match=r"document \d+, word \d+ is 0.5"):
        own.run("clustering", env="own", from_nodes=["clustering.fit"])


def test_images_of_one_channel(own):
    write_images(own, images=IMAGES[..., :1], labels=LABELS)
    own.run("pca", env="own", until="evaluate")
    assert own.metrics("pca", "own")["n_features"] == 20


def test_images_of_unequal_size(own):
    images = np.empty(2, dtype=object)
    images[:] = [np.zeros((2, 2)), np.ones((3, 2))]
    write_images(own, images=images)
    with pytest.raises(DatasetError, match=r"images\.npz: array 'images' holds Python .* all in one size"):
        own.run("pca", env="own")
    nothing_half_done(own, "pca")


def test_likelihoods_are_of_all_classes_when_images_come_sorted(own):
    order = np.argsort(LABELS, kind="stable")
    write_images(own, images=IMAGES[order], labels=LABELS[order], held_out=np.arange(30) % 3 == 0)
    few = {"cvae": {"evaluate": {"n_marginal_images": 4, "n_reconstructions": 4}}}
    own.run("cvae", env="own", params=few, until="evaluate")
    assert own.metrics("cvae", "own")["n_marginal_images"] == 4
    with np.load(own.path / "data/own/07_model_output/cvae/reconstructions.npz") as file:
        assert set(file["labels"]) == {"bar", "none"}


def test_a_local_override_of_the_base_environment(project):
    write_texts(project, pd.DataFrame({"text": list(TEXTS.values()) * 5}))
    project.write(
        "conf/local/catalog.yml",
        "clustering.raw_documents: {type: pandas.CSVDataset, filepath: own/texts.csv}\n",
    )
    project.write(
        "conf/local/parameters.yml", "clustering: {features: {max_df: 1.0}, fit: {n_components: 2}}\n"
    )
    project.run("clustering", env=None, until="evaluate")
    metrics = project.metrics("clustering", env=None)
    assert metrics["n_documents"] == 9
    assert metrics["n_components"] == 2


# Of an evaluation on images of 28 x 28 pixels, where most of the time would go into drawing them.
FEW = {"n_importance_samples": 5, "n_likelihood_images": 10}
FEW_PICTURES = {
    "n_generated": 2,
    "n_drawn": 20,
    "n_classifier_steps": 20,
    "n_reconstructions": 3,
    "n_paths": 2,
    "n_steps": 3,
    "n_traversed": 1,
    "n_hardest": 3,
}


@pytest.fixture
def downloads(project, tmp_path, monkeypatch):
    """Small data in the layouts of both loaders' caches, in the folder that LATENTS_DATA_HOME names."""
    home = tmp_path / "downloads"
    write_mnist(home, n_train=600, n_test=40)
    rng = np.random.default_rng(0)
    words = np.array([f"word{chr(97 + i)}{chr(97 + j)}" for i in range(20) for j in range(26)])
    posts = []
    for i in range(400):
        label = f"group.{i % 20:02d}"
        own = words[26 * (i % 20) : 26 * (i % 20) + 26]
        posts.append((label, " ".join([*rng.choice(own, 40), *rng.choice(words, 10)])))
    write_newsgroups(home, posts)
    monkeypatch.setenv("LATENTS_DATA_HOME", str(home))
    return home


@pytest.mark.slow
@pytest.mark.usefixtures("downloads")
@pytest.mark.parametrize("env", ["reference", "benchmark"])
def test_the_other_environments_on_small_data_in_the_same_layouts(project, env):
    project.run(
        env=env,
        params={
            "cvae": {
                "fit": {"epochs": 1},
                "watch": {"every": 1, "n_generated": 2, **FEW},
                "evaluate": {"n_marginal_images": 10, **FEW, **FEW_PICTURES},
            },
            "pca": {"evaluate": {"n_reconstructions": 3, "n_worst": 3}, "report": {"n_eigenimages": 3}},
        },
    )
    clustering, pca = project.metrics("clustering", env), project.metrics("pca", env)
    assert clustering["n_components"] == 20
    assert (pca["n_samples"], pca["n_components"]) == (600, 50)
    assert project.metrics("cvae", env)["epochs"] == 1
    model, network = (project.predictor(name, env).model for name in ("clustering", "cvae"))
    expected = ("reference", 40, [500, 500], 128) if env == "reference" else ("ladder", 48, [288] * 6, 256)
    assert (network.network, network.n_latents, list(network.hidden), network.batch_size) == expected
    assert (project.path / f"data/{env}/07_model_output/cvae/epochs/epoch_0001.png").is_file()
    if env == "reference":  # the source to the letter
        assert clustering["n_documents"] == 400
        assert "heldout_perplexity" not in clustering
        assert model.smoothing == 0
        assert len(model.tempered_bounds_) == 0
    else:
        assert len(model.tempered_bounds_) > 0
    (run,) = project.runs()
    assert run.info.status == "FINISHED"
    check_that_the_models_can_be_used(project, env)


def check_that_the_models_can_be_used(project, env):
    """On the loaders' test data, by the entries of the environment."""
    project.run(
        "clustering_inference",
        "pca_inference",
        "cvae_inference",
        env=env,
        params={"cvae_inference": {"predict": {"n_importance_samples": 2}}},
    )
    folder = project.path / f"data/{env}/07_model_output"
    nearest = pd.read_csv(folder / "clustering_inference/nearest.csv")
    nearest = nearest[nearest["rank"] == 1]
    assert nearest["similarity"].max() == pytest.approx(1)  # training has read these posts
    coordinates = pd.read_parquet(folder / "pca_inference/coordinates.parquet")
    latents = pd.read_parquet(folder / "cvae_inference/latents.parquet")
    assert coordinates["label"].tolist() == latents["label"].tolist() == list(range(10)) * 4
    with np.load(folder / "cvae_inference/generated.npz") as generated:
        assert generated["images"].shape == (120, 28, 28)
        assert generated["images"].max() > 1  # grey values as they came in


def test_another_of_torchvisions_sets_by_one_parameter(project, downloads):
    write_mnist(downloads, n_train=40, n_test=20, dataset="KMNIST")
    fit = {"epochs": 1, "hidden": [16], "n_latents": 2}
    evaluate = {"n_marginal_images": 10, **FEW, **FEW_PICTURES}
    params = {"cvae": {"fit": fit, "evaluate": evaluate}, "dataset": "KMNIST"}
    project.run("cvae", env="benchmark", params=params, until="features")
    images = np.load(project.path / "data/benchmark/02_intermediate/cvae/images/images.npy")
    assert images.shape == (60, 28, 28)
    with pytest.raises(DatasetError, match="'ImageNet'; allowed are MNIST, FashionMNIST, KMNIST"):
        project.run("cvae", env="benchmark", params={"dataset": "ImageNet"})
    # Where no entry takes it, it would do nothing.
    with pytest.raises(ValueError, match="unknown parameter 'dataset' with value 'KMNIST'"):
        project.run("cvae", params={"dataset": "KMNIST"})


def test_without_the_data_the_error_says_what_to_fetch(project, no_data):
    with pytest.raises(DatasetError, match="fetch_20newsgroups"):
        project.run("clustering", env="reference")
    with pytest.raises(DatasetError, match=r"torchvision\.datasets\.MNIST"):
        project.run("cvae", env="benchmark")


def test_one_class_to_train_on_is_no_labelling(own, caplog):
    write_texts(own, TABLE.assign(held_out=TABLE["topic"] == "sky"))
    own.run("clustering", env="own", until="evaluate")
    assert not {"nmi", "ari", "accuracy"} & own.metrics("clustering", "own").keys()
    assert "all training documents have the label 'sea'" in caplog.text
