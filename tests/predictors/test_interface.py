"""Predictors are written whole and read back as they were; what is damaged is refused."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from kedro.io import DatasetError

from latents import estimators, predictors
from latents.datasets import PredictorDataset
from latents.predictors.interface import settings_digest
from latents.sealed import seal_of
from tests.conftest import SAVED
from tests.damage import damaged_bytes, damaged_json, nested, repeated
from tests.predictors.examples import SEA, SKY, change

FUZZ = settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
KINDS = ["clustering", "pca", "cvae"]


@pytest.fixture
def saved(request, tmp_path):
    def save(kind):
        predictor = request.getfixturevalue(f"{kind}_predictor")
        predictor.save(tmp_path / "deep" / kind)
        return predictor, tmp_path / "deep" / kind

    return save


def data_of(kind, request):
    return [SEA, SKY, ""] if kind == "clustering" else request.getfixturevalue("digits")[0][:5]


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_loaded_predicts_as_what_was_saved(kind, saved, request):
    predictor, folder = saved(kind)
    assert sorted(path.name for path in folder.iterdir()) == ["model.safetensors", "predictor.json"]
    data = data_of(kind, request)
    for loaded in (
        predictors.load(folder),
        type(predictor).load(folder),
        PredictorDataset(str(folder), kind).load(),
    ):
        assert type(loaded) is type(predictor)
        assert isinstance(loaded, predictors.Predictor)
        pd.testing.assert_frame_equal(loaded.predict(data), predictor.predict(data))
    estimator = estimators.load(folder / "model.safetensors")
    assert type(estimator) is type(predictor.model)


def test_features_and_word_rules_are_kept(feature_predictor, clustering_predictor, tmp_path):
    feature_predictor[0].save(tmp_path / "a")
    loaded = predictors.load(tmp_path / "a")
    assert (loaded.shape, loaded.feature_names) == (None, ["a", "b", "c"])
    clustering_predictor.save(tmp_path / "b")
    assert predictors.load(tmp_path / "b").rules == clustering_predictor.rules


def test_odd_words_are_kept(tmp_path):
    words = ["\ud800", "日本", "null", '"', "a b"]
    model = estimators.MultinomialMixture(1).fit(np.ones((3, 5)))
    rules = predictors.clustering.WordRules("x", False, frozenset(["\udfff"]), (1, 2))
    predictors.ClusteringPredictor(model, words, rules, ["é"]).save(tmp_path / "a")
    loaded = predictors.load(tmp_path / "a")
    assert (loaded.vocabulary, loaded.rules, loaded.cluster_names) == (words, rules, ["é"])


def test_saving_replaces_a_predictor_and_nothing_else(saved, pca_predictor):
    _, folder = saved("clustering")
    pca_predictor.save(folder)
    assert type(predictors.load(folder)) is predictors.PCAPredictor
    (folder / ".DS_Store").write_text("a file manager's")
    pca_predictor.save(folder)
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(FileExistsError, match=r"notes\.txt is no part of a predictor"):
        pca_predictor.save(folder)
    assert (folder / "notes.txt").read_text() == "mine"
    with pytest.raises(FileExistsError, match=r"notes\.txt is no part of a predictor"):
        pca_predictor.save(folder / "notes.txt")
    assert sorted(path.name for path in folder.parent.iterdir()) == ["clustering"]


def test_a_failed_save_leaves_the_former_one(saved, pca_predictor, monkeypatch):
    predictor, folder = saved("clustering")

    def fail(self, path):
        raise OSError("disk full")

    monkeypatch.setattr(type(pca_predictor.model), "save", fail)
    with pytest.raises(OSError, match="disk full"):
        pca_predictor.save(folder)
    assert predictors.load(folder).vocabulary == predictor.vocabulary
    assert [path.name for path in folder.parent.iterdir()] == ["clustering"]


@pytest.mark.parametrize(
    ("kind", "parts", "said"),
    [
        ("pca", {"format_version": 3}, "has format version 3; this version reads 1 and 2"),
        (
            "pca",
            {"predictor": "Oracle"},
            "holds a 'Oracle'; allowed are CVAEPredictor, ClusteringPredictor, PCAPre",
        ),
        ("pca", {"predictor": "CVAEPredictor"}, "holds a PCAPredictor|is damaged: it lacks 'white'"),
        ("pca", {"settings": []}, "is damaged: .*it lacks 'settings'"),
        ("pca", {"format_version": 3, "settings": []}, "has format version 3"),
        ("pca", {"shape": [8, 9]}, "is damaged: .*make 72 numbers a row; the model has 64"),
        ("pca", {"shape": "ab"}, "is damaged"),
        ("pca", {"shape": None}, "is damaged: either the shape"),
        ("cvae", {"white": "bright"}, "is damaged: could not convert"),
        ("cvae", {"white": None}, "is damaged"),
        ("cvae", {"shape": [8]}, "is damaged"),
        ("clustering", {"vocabulary": ["a", "b"]}, "is damaged: vocabulary has 2 entries; the model has 7"),
        ("clustering", {"vocabulary": 7}, "is damaged"),
        ("clustering", {"rules": {}}, "is damaged: it lacks 'ngram_range'"),
        ("clustering", {"rules": []}, "is damaged"),
        (
            "clustering",
            {"rules": {"token_pattern": "(", "lowercase": True, "stop_words": [], "ngram_range": [1, 1]}},
            "is damaged: token_pattern .* is no regular expression",
        ),
    ],
)
def test_damaged_settings_are_refused(kind, parts, said, saved):
    _, folder = saved(kind)
    change(folder, **parts)
    with pytest.raises(ValueError, match=said) as refused:
        predictors.load(folder)
    assert str(folder) in str(refused.value)


def test_missing_and_broken_files_are_refused(saved, tmp_path):
    _, folder = saved("pca")
    with pytest.raises(ValueError, match="holds a PCAPredictor, not a CVAEPredictor"):
        predictors.CVAEPredictor.load(folder)
    for other in (estimators.MinimumErrorPCA(4), estimators.MultinomialMixture(1)):
        other.fit(np.random.default_rng(0).random((6, 64))).save(folder / "model.safetensors")
        with pytest.raises(ValueError, match=r"model\.safetensors is not the model that .* of another train"):
            predictors.load(folder)
    change(folder, model=seal_of(folder / "model.safetensors"))
    with pytest.raises(ValueError, match="the model is a MultinomialMixture; allowed is a MinimumErrorPCA"):
        predictors.load(folder)
    (folder / "model.safetensors").write_bytes(b"half")
    with pytest.raises(ValueError, match="is not a whole safetensors file"):
        predictors.load(folder)
    (folder / "model.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match="no saved estimator"):
        predictors.load(folder)
    for content in (b"{", b"\xff\xfe", b"[]", b"null"):
        (folder / "predictor.json").write_bytes(content)
        with pytest.raises(ValueError, match=r"predictor\.json is (damaged|not of a saved predictor)"):
            predictors.load(folder)
    with pytest.raises(FileNotFoundError, match="no saved predictor in"):
        predictors.load(tmp_path / "nowhere")


def load_or_refuse(folder):
    try:
        return predictors.load(folder)
    except ValueError as error:
        assert str(folder) in str(error)  # noqa: PT017
        assert len(str(error)) < 2000  # noqa: PT017
        return None


@pytest.mark.parametrize("kind", KINDS)
def test_no_damage_passes(kind, saved):
    predictor, folder = saved(kind)
    path = folder / "predictor.json"
    whole = path.read_bytes()
    content = json.loads(whole)

    def same():
        return load_or_refuse(folder)._settings() == predictor._settings()

    assert same()
    path.write_text(json.dumps(content, sort_keys=True))  # in another order and layout it says the same
    assert same()

    @FUZZ
    @given(damaged_bytes(whole))
    def damage(changed):
        path.write_bytes(changed)
        assert load_or_refuse(folder) is None or same()

    @FUZZ
    @given(damaged_json(content))
    def change_settings(changed):
        path.write_text(json.dumps(changed))
        assert load_or_refuse(folder) is None or changed == content
        # Even with a true digest there is no other error than the one that is promised.
        path.write_text(json.dumps({**changed, "digest": settings_digest(changed)}))
        load_or_refuse(folder)

    damage()
    change_settings()
    text = whole.decode()
    for changed in (nested(text, "format_version"), repeated(text, "settings"), text.replace("null", "NaN")):
        path.write_text(changed)
        assert (load_or_refuse(folder) is None) == (changed != text)


@pytest.mark.parametrize("version", ["format_1", "format_2"])
@pytest.mark.parametrize("kind", KINDS)
def test_predictors_of_earlier_versions_are_loaded(kind, version, tmp_path):
    expected = json.loads((SAVED / "expected.json").read_text())
    predictor = predictors.load(SAVED / version / kind)
    if kind == "clustering":
        found = predictor.predict(["sea ship ship", "the star sky"])[["p_0", "p_1"]]
    elif kind == "pca":
        found = predictor.predict(np.reshape(expected["images"], (3, 2, 2)))
    else:
        found = predictor.generate(["a", "b"], random_state=0).reshape(2, 4)
    np.testing.assert_allclose(found, expected[kind], rtol=1e-5)
    predictor.save(tmp_path / "again")
    assert predictors.load(tmp_path / "again")._settings() == predictor._settings()


@pytest.mark.parametrize("kind", KINDS)
def test_damage_without_digests_ends_in_no_other_error(kind, tmp_path):
    folder = shutil.copytree(SAVED / "format_1" / kind, tmp_path / kind, copy_function=shutil.copyfile)
    path = folder / "predictor.json"
    content = json.loads(path.read_bytes())

    @FUZZ
    @given(damaged_json(content))
    def change_settings(changed):
        path.write_text(json.dumps(changed))
        load_or_refuse(folder)

    change_settings()
    for changed in ({**content, "digest": ""}, {**content, "format_version": 2}, {**content, "settings": {}}):
        path.write_text(json.dumps(changed))
        assert load_or_refuse(folder) is None


def test_an_entry_without_a_model_says_what_to_run(tmp_path):
    with pytest.raises(DatasetError, match=r"there is no trained model in .*: .*`kedro run --pipelines pca`"):
        PredictorDataset(str(tmp_path / "none"), "pca").load()


def test_neither_kedro_nor_torch_is_loaded_for_a_basis():
    code = (
        "import sys; from latents.predictors import PCAPredictor, ClusteringPredictor, load; "
        "sys.exit(any(name in sys.modules for name in ('kedro', 'mlflow', 'torch', 'matplotlib', 'plotly')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
