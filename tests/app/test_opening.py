"""Models are opened from folders and runs, with what the runs left beside them."""

import shutil
import socket
from pathlib import Path

import numpy as np
import pytest

from latents.app.opening import OpeningError, Shown, open_models, open_run, with_predictor
from latents.app.server import HOST, free_port


@pytest.fixture(scope="module")
def folders(clustering_predictor, pca_predictor, cvae_predictor, feature_predictor, tmp_path_factory):
    saved = {
        "clustering": clustering_predictor,
        "pca": pca_predictor,
        "cvae": cvae_predictor,
        "features": feature_predictor[0],
    }
    folder = tmp_path_factory.mktemp("saved")
    for name, predictor in saved.items():
        predictor.save(folder / name)
    return {name: str(folder / name) for name in saved}


def test_models_are_opened_from_their_folders(folders, clustering_predictor, pca_predictor, digits):
    names = [folders[name] for name in ("cvae", "clustering", "pca")]
    shown = open_models(names)
    assert shown.name == ", ".join(names)
    assert shown.lacking == {}
    np.testing.assert_array_equal(
        shown.documents.predictor.model.word_probabilities_, clustering_predictor.model.word_probabilities_
    )
    np.testing.assert_array_equal(shown.images.predictor.model.components_, pca_predictor.model.components_)
    assert shown.generation.classes == list(range(10))
    assert (shown.documents.corpus, shown.images.gallery, shown.generation.gallery) == (None, None, None)


def test_of_models_that_were_not_named_the_reason_is_told(folders):
    shown = open_models([folders["pca"]])
    assert (shown.documents, shown.generation) == (None, None)
    reason = "no such model was named; the page is on those that were"
    assert shown.lacking == {"clustering": reason, "cvae": reason}


@pytest.mark.parametrize(
    ("first", "kind"), [("clustering", "documents"), ("pca", "images"), ("cvae", "generation")]
)
def test_two_models_of_a_kind_are_refused(folders, first, kind):
    with pytest.raises(OpeningError) as raised:
        open_models([folders["clustering"], folders["pca"], folders["cvae"], folders[first]])
    assert (
        str(raised.value) == f"{folders[first]} is the second model for {kind}; a page has one of each kind"
    )


def test_a_folder_without_a_predictor_and_a_damaged_one_are_refused(folders, tmp_path):
    with pytest.raises(OpeningError) as raised:
        open_models([folders["pca"], str(tmp_path)])
    path = tmp_path / "predictor.json"
    assert (
        str(raised.value)
        == f"{tmp_path} cannot be shown: no saved predictor in {tmp_path}: there is no {path}"
    )
    shutil.copytree(folders["pca"], tmp_path / "pca")
    (tmp_path / "pca/model.safetensors").write_bytes(b"")
    with pytest.raises(OpeningError, match=r"cannot be shown: .*model\.safetensors"):
        open_models([str(tmp_path / "pca")])


@pytest.fixture
def of_project(finished, monkeypatch):
    """The finished project, in whose folder the command is typed."""
    monkeypatch.delenv("LATENTS_DATA_HOME", raising=False)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(finished.path)
    return finished


@pytest.fixture
def run(of_project):
    return open_run(of_project.path, "test")


def test_a_run_is_opened_with_its_models(run, of_project):
    assert run.name == "the last run of test"
    assert run.lacking == {}
    for model, pipeline in ((run.documents, "clustering"), (run.images, "pca"), (run.generation, "cvae")):
        assert model.predictor._settings() == of_project.predictor(pipeline)._settings()


def test_documents_of_a_run_lie_on_its_map(run):
    corpus, predictor = run.documents.corpus, run.documents.predictor
    n = len(corpus.titles)
    assert corpus.map.places.shape == (n, 2)
    assert n == len(corpus.texts) == len(corpus.clusters) > 20
    counts = predictor.count(corpus.texts)
    whole = [row for row, text in enumerate(corpus.texts) if not text.endswith("…")]
    np.testing.assert_array_equal(predictor.clusters_of(counts)[whole], corpus.clusters[whole])
    for row in whole[:5]:
        nearest = run.documents.read(corpus.texts[row]).nearest[0]
        assert nearest.similarity == pytest.approx(1)
        assert nearest.title == corpus.titles[row]


@pytest.mark.parametrize("kind", ["images", "generation"])
def test_images_of_a_run_are_parted_as_in_training(run, kind):
    gallery = getattr(run, kind).gallery
    assert (len(gallery.training), len(gallery.test), len(gallery.labels)) == (160, 40, 40)
    rows = {image.tobytes() for image in gallery.training}
    assert not rows.intersection(image.tobytes() for image in gallery.test)
    assert gallery.training.shape[1:] == (8, 8)


def test_of_a_run_that_lacks_a_model_the_others_are_shown(continued, monkeypatch):
    monkeypatch.chdir(continued.path)
    shutil.rmtree(continued.data() / "06_models/cvae")
    shown = open_run(continued.path, "test")
    assert shown.generation is None
    assert set(shown.lacking) == {"cvae"}
    assert "there is no trained model in" in shown.lacking["cvae"]
    assert "train one first, by `kedro run --pipelines cvae`" in shown.lacking["cvae"]
    assert shown.documents is not None
    assert shown.images is not None


def test_what_a_run_left_beside_a_model_and_is_gone_is_told_in_the_log(continued, monkeypatch, caplog):
    monkeypatch.chdir(continued.path)
    for pattern in ("**/clustering/map*", "**/pca/split*"):
        for path in continued.data().glob(pattern):
            path.unlink()
    shown = open_run(continued.path, "test")
    assert shown.documents.corpus is None
    assert shown.images.gallery is None
    assert shown.generation.gallery is not None
    assert "the documents on the map of the run cannot be shown: " in caplog.text
    assert "the images of the run cannot be shown: " in caplog.text
    assert shown.documents.read(shown.documents.telling_words[0][0]).nearest == []


def test_a_project_in_which_nothing_has_run_and_an_environment_that_is_none(project, monkeypatch):
    monkeypatch.chdir(project.path)
    with pytest.raises(OpeningError, match=r"there is no trained model in .*: train one first"):
        open_run(project.path, "test")
    with pytest.raises(OpeningError) as raised:
        open_run(project.path, "tset")
    assert str(raised.value) == f"there is no environment 'tset' in {project.path / 'conf'}"


def test_a_model_of_feature_tables_has_no_page_and_the_reason_is_told(feature_predictor):
    shown = with_predictor(Shown("here"), feature_predictor[0])
    assert shown.images is None
    assert shown.lacking == {"pca": "the model reads rows of numbers; the page is for images"}


def test_a_model_of_feature_tables_alone_is_refused_and_beside_another_its_reason_is_told(folders):
    reason = "the model reads rows of numbers; the page is for images"
    with pytest.raises(OpeningError) as raised:
        open_models([folders["features"]])
    assert str(raised.value) == reason
    for names in (["features", "cvae"], ["cvae", "features"]):
        shown = open_models([folders[name] for name in names])
        assert shown.generation is not None
        assert shown.images is None
        assert shown.lacking["pca"] == reason
        assert set(shown.lacking) == {"clustering", "pca"}


def test_a_run_is_opened_from_another_folder(of_project, run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = open_run(of_project.path, "test")
    assert Path.cwd() == tmp_path
    assert list(tmp_path.iterdir()) == []
    assert found.lacking == {}
    np.testing.assert_array_equal(found.images.gallery.test, run.images.gallery.test)
    np.testing.assert_array_equal(found.generation.gallery.training, run.generation.gallery.training)
    text = run.documents.corpus.texts[0]
    assert found.documents.read(text) == run.documents.read(text)  # of what is read when it is asked for
    image = found.images.gallery.test[0]
    np.testing.assert_array_equal(
        found.images.rebuild(image, 2).nearest, run.images.rebuild(image, 2).nearest
    )


@pytest.mark.parametrize("content", [None, "", "[project]\nname = 'a'\n", "no TOML"])
def test_a_folder_of_no_project_is_refused(tmp_path, monkeypatch, content):
    if content is not None:
        (tmp_path / "pyproject.toml").write_text(content)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(OpeningError) as raised:
        open_run(tmp_path, None)
    assert str(raised.value) == f"{tmp_path} is no folder of a Kedro project: it has no pyproject.toml of one"


@pytest.mark.parametrize("name", ["x/nowhere", "./nowhere", "/nowhere/at/all"])
def test_a_folder_that_is_not_there_is_refused_and_mlflow_is_not_asked(tmp_path, monkeypatch, name):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(OpeningError) as raised:
        open_models([name])
    assert str(raised.value) == f"{name} cannot be shown: there is no such folder"
    assert list(tmp_path.iterdir()) == []  # nor has it made a database


def test_a_run_without_test_or_without_training_images_has_no_gallery(continued, monkeypatch, caplog):
    monkeypatch.chdir(continued.path)
    for pipeline, part in (("pca", "held_out"), ("cvae", "train")):
        path = continued.data() / "05_model_input" / pipeline / "split.npz"
        with np.load(path) as split:
            rows = dict(split)
        np.savez(path, **{**rows, part: rows[part][:0]})
    shown = open_run(continued.path, "test")
    assert shown.lacking == {}
    assert (shown.images.gallery, shown.generation.gallery) == (None, None)
    assert caplog.text.count("the images of the run cannot be shown: there are none") == 2
    assert shown.images.rebuild(np.zeros((8, 8)), 1).stranger_than is None
    shown.images.warm_up()


# The port


def test_of_ports_that_are_taken_the_next_is_chosen():
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        taken.listen()
        port = taken.getsockname()[1]
        chosen = free_port(port)
        assert port < chosen <= port + 99
        with socket.socket() as own:
            own.bind((HOST, chosen))
    assert free_port(port) == port


def test_beyond_the_last_port_there_is_none():
    with pytest.raises(OSError, match="no port from 65536 to 65535 is free"):
        free_port(65536)
