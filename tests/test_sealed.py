"""Whatever happens to a saved model or checkpoint, it is read as it was, or refused by its name."""

import json
import shutil

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.numpy import save as to_safetensors

from latents.estimators import ConditionalVAE, MinimumErrorPCA, MultinomialMixture, load
from latents.estimators.conditional_vae import checkpoints
from latents.sealed import digest_of, read_sealed
from tests.conftest import SAVED
from tests.damage import damaged_bytes, damaged_json, nested, repeated

KINDS = ["pca", "clustering", "reference", "ladder"]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A saved model of each kind, as bytes."""
    rng = np.random.default_rng(0)
    X, y = rng.random((12, 4)), np.array(["a", "b"] * 6)
    small = {"n_latents": 2, "epochs": 2, "random_state": 0, "device": "cpu"}
    models = {
        "pca": MinimumErrorPCA(2).partial_fit(X),
        "clustering": MultinomialMixture(2, random_state=0).fit(rng.poisson(2.0, (9, 5))),
        "reference": ConditionalVAE(network="reference", hidden=(3,), **small).fit(X, y),
        "ladder": ConditionalVAE(hidden=(3, 3), prior="per_class", **small).fit(X, y),
    }
    found = {}
    for kind, model in models.items():
        path = tmp_path_factory.mktemp("models") / "model"
        model.save(path)
        found[kind] = path.read_bytes()
    return found


def written(path, content):
    """Write a saved model, and return the path, its header and its arrays."""
    path.write_bytes(content)
    return path, *parts_of(path)


def parts_of(path, key="latents"):
    with safe_open(path, framework="numpy") as file:
        return file.metadata()[key], {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118


def sealed(text, arrays, key="latents"):
    """Write what is as good as saved: a file with a true digest."""
    return to_safetensors(arrays, metadata={key: text, "digest": digest_of(arrays, text)})


def fuzz(check, *strategies):
    """Check examples, whatever the check returns."""

    @settings(max_examples=50)
    @given(st.tuples(*strategies))
    def examples(values):
        check(*values)

    examples()


def refused_or(path, content, same=lambda model: None):
    """Load a file of this content: it is refused by its name, or passes the check of a model."""
    path.write_bytes(content)
    try:
        model = load(path)
    except ValueError as error:
        assert str(path) in str(error)  # noqa: PT017
        assert len(str(error)) < 2000  # noqa: PT017
        return False
    same(model)
    return True


@pytest.mark.parametrize("kind", KINDS)
def test_no_bit_and_no_byte_less_passes(kind, files, tmp_path):
    whole, again = files[kind], tmp_path / "again"
    path, text, arrays = written(tmp_path / "model", whole)

    def same(model):
        model.save(again)
        text_again, arrays_again = parts_of(again)
        assert json.loads(text_again) == json.loads(text)
        assert digest_of(arrays_again) == digest_of(arrays)

    assert refused_or(path, whole, same)
    fuzz(lambda content: refused_or(path, content, same), damaged_bytes(whole))


def test_every_single_bit_is_told(files, tmp_path):
    whole, path = files["pca"], tmp_path / "model"
    passed = []
    # Seven and eight have no common factor: all bits of a byte have their turn.
    for place in range(0, 8 * len(whole), 7):
        content = bytearray(whole)
        content[place // 8] ^= 1 << place % 8
        if refused_or(path, bytes(content)):
            passed.append(place)
    assert passed == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_changed_header_is_refused_by_its_digest(kind, files, tmp_path):
    path, text, arrays = written(tmp_path / "model", files[kind])
    digest = digest_of(arrays, text)

    def damage(changed):
        content = to_safetensors(arrays, metadata={"latents": json.dumps(changed), "digest": digest})
        assert json.dumps(changed) == text or not refused_or(path, content)

    fuzz(damage, damaged_json(json.loads(text)))


@pytest.mark.parametrize("kind", KINDS)
def test_a_header_and_arrays_that_no_fit_leaves_are_refused_even_with_a_true_digest(kind, files, tmp_path):
    path, text, arrays = written(tmp_path / "model", files[kind])

    def save_again(model):
        model.save(tmp_path / "again")

    def change_header(changed):
        refused_or(path, sealed(json.dumps(changed), arrays), save_again)

    def change_arrays(name, what):
        changed = dict(arrays)
        other = sorted(arrays)[0]
        array = changed.pop(name)
        if what == "swap":
            changed[other], changed[name] = array, arrays[other]
        elif what != "drop":
            changed[name] = {
                "add": lambda: array,
                "cut": lambda: array[:-1] if array.ndim else array[np.newaxis],
                "flatten": lambda: array.reshape(-1, 1, 1),
                "half": lambda: array.astype(np.float16),
                "whole": lambda: array.astype(np.int64),
                "nan": lambda: np.full_like(array, np.nan, dtype=np.float64),
            }[what]()
            if what == "add":
                changed["more_"] = np.ones(2)
        refused_or(path, sealed(text, changed), save_again)

    fuzz(change_header, damaged_json(json.loads(text)))
    kinds = ["drop", "add", "cut", "flatten", "half", "whole", "nan", "swap"]
    fuzz(change_arrays, st.sampled_from(sorted(arrays)), st.sampled_from(kinds))
    header = json.loads(text)
    estimator = {"pca": MinimumErrorPCA, "clustering": MultinomialMixture}.get(kind, ConditionalVAE)
    lacking = [
        {k: v for k, v in header["params"].items() if k != name}
        for name in header["params"]
        if name not in estimator._added_params  # which files of earlier versions lack
    ]
    for content in (
        *(sealed(text, {k: v for k, v in arrays.items() if k != name}) for name in arrays),
        sealed(text, {**arrays, "more_": np.ones(2)}),
        sealed(nested(text, "format_version"), arrays),
        sealed(repeated(text, "params"), arrays),
        *(sealed(json.dumps({**header, "params": params}), arrays) for params in lacking),
    ):
        assert not refused_or(path, content)


def test_a_network_that_no_memory_holds_is_not_made_for_a_file(files, tmp_path):
    path, text, arrays = written(tmp_path / "model", files["reference"])
    header = json.loads(text)
    header["params"]["n_latents"] = 10**12
    path.write_bytes(sealed(json.dumps(header), arrays))
    with pytest.raises(ValueError, match=r"is damaged: there are \d+ weights, fewer than the network"):
        load(path)


def test_what_would_not_be_loaded_is_not_saved(tmp_path):
    path = tmp_path / "model"
    pca = MinimumErrorPCA(1).fit(np.eye(3))
    pca.svd_solver = "guess"
    with pytest.raises(ValueError, match="svd_solver"):
        pca.save(path)
    pca.svd_solver, pca.mean_ = "auto", np.ones(2)
    with pytest.raises(ValueError, match=r"shape .* does not fit the other attributes"):
        pca.save(path)
    assert not path.exists()


def test_a_digest_tells_more_than_bytes():
    a = np.zeros(4, np.float32)
    told = [{"a": a}, {"b": a}, {"a": a.reshape(2, 2)}, {"a": a.astype(np.int32)}, {"a": a, "b": a[:0]}]
    assert len({digest_of(arrays) for arrays in told} | {digest_of({"a": a}, "x")}) == 6


# --- checkpoints ----------------------------------------------------------------------------------


def test_no_damaged_checkpoint_passes(tmp_path, caplog):
    path = tmp_path / "checkpoint"
    fingerprint = {"seeds": [1], "parameters": {"a": None}}
    state = {"weights": torch.arange(4.0), "step": (1, [2.5]), 3: {"x": None}}
    checkpoints.Checkpoints(path, fingerprint, 1).save(2, state)
    whole = path.read_bytes()
    text, arrays = parts_of(path, "latents_checkpoint")

    def load_again():
        return checkpoints.Checkpoints(path, fingerprint, 1).load()

    def damage(content):
        path.write_bytes(content)
        found = load_again()
        assert found is None or str(found) == str(state)

    def change_header(changed):
        path.write_bytes(sealed(json.dumps(changed), arrays, "latents_checkpoint"))
        load_again()
        caplog.text.encode()  # a log can be written

    fuzz(damage, damaged_bytes(whole))
    fuzz(change_header, damaged_json(json.loads(text)))
    path.write_bytes(sealed(nested(text, "epoch"), arrays, "latents_checkpoint"))
    caplog.clear()
    assert load_again() is None
    assert f"{path} is damaged: its JSON cannot be read: it nests too deeply" in caplog.text


# --- what earlier versions saved: format 1 before there were digests, 2 before estimators were packages ---


@pytest.fixture(scope="module")
def expected():
    return json.loads((SAVED / "expected.json").read_text())


@pytest.mark.parametrize("version", ["format_1", "format_2"])
def test_models_of_earlier_versions_are_loaded(version, expected, tmp_path):
    ladder = load(SAVED / version / "ladder.safetensors")
    np.testing.assert_allclose(ladder.sample(["a", "b"], random_state=0), expected["ladder"], rtol=1e-5)
    named = load(SAVED / version / "named.safetensors")
    np.testing.assert_allclose(named.explained_variance_, expected["named"], rtol=1e-12)
    assert named.feature_names_in_.tolist() == list("abcd")
    for model in (ladder, named):  # what is saved again has one
        model.save(tmp_path / "model")
        assert read_sealed(tmp_path / "model", "latents", "").digest
        assert vars(load(tmp_path / "model")).keys() == vars(model).keys()


def test_a_checkpoint_of_then_is_gone_on_from(tmp_path):
    path = shutil.copyfile(SAVED / "format_1" / "checkpoint.safetensors", tmp_path / "checkpoint")
    header, tensors = checkpoints.read(path)
    assert header["epoch"] == 1
    assert checkpoints.Checkpoints(path, header["fingerprint"], 1).load()["epoch"] == 1
    assert tensors["0"].dtype == torch.float32


@pytest.mark.parametrize("kind", ["ladder", "named"])
def test_damage_without_a_digest_ends_in_no_other_error(kind, tmp_path):
    whole = (SAVED / "format_1" / f"{kind}.safetensors").read_bytes()
    path, text, arrays = written(tmp_path / "model", whole)

    def undigested(header):
        return to_safetensors(arrays, metadata={"latents": json.dumps(header)})

    header = json.loads(text)
    fuzz(lambda content: refused_or(path, content), damaged_bytes(whole))
    fuzz(lambda changed: refused_or(path, undigested(changed)), damaged_json(header))
    for version in (2, True):
        assert not refused_or(path, undigested({**header, "format_version": version}))
