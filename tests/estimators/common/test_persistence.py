"""Saved estimators: everything comes back, and nothing else is taken for one."""

import json
import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from safetensors.numpy import save as to_safetensors
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError

from latents.estimators import ConditionalVAE, MinimumErrorPCA, MultinomialMixture, load
from latents.estimators.common.persistence import FORMAT_VERSION, PersistentEstimator
from latents.sealed import digest_of

DTYPES = ["bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"]
DTYPES += ["float16", "float32", "float64"]
DAMAGED, FOREIGN = "is damaged", "not one of a saved estimator"
KEEPER = {"setting": None, "random_state": None}
HEADER = {"format_version": FORMAT_VERSION, "estimator": "Keeper", "params": KEEPER, "values": {}}


class Keeper(PersistentEstimator, BaseEstimator):
    """Learns whatever it is told, and keeps it."""

    _parameter_constraints = {}  # noqa: RUF012

    def __init__(self, setting=None, random_state=None):
        self.setting = setting
        self.random_state = random_state

    def fit(self, **learned):
        for name, value in {"fitted_": True, **learned}.items():
            setattr(self, name, value)
        return self


def there_and_back(keeper, path):
    keeper.save(path)
    return Keeper.load(path)


def write(path, header, **tensors):
    """Write a sealed file whose metadata hold this header, or this text in its place."""
    text = header if isinstance(header, str) else json.dumps(header)
    tensors = tensors or {"a_": np.ones(2)}
    metadata = {"latents": text, "digest": digest_of(tensors, text)}
    path.write_bytes(to_safetensors(tensors, metadata=metadata))


# --- there and back -------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
def test_numeric_arrays_keep_their_dtype_and_shape(tmp_path, dtype):
    values = np.array([[0, 1, 2], [3, 4, 100]]).astype(dtype)
    learned = {"whole_": values, "scalar_": values[1, 1:2].reshape(()), "empty_": values[:0]}
    restored = there_and_back(Keeper().fit(**learned), tmp_path / "k.safetensors")
    for name, value in learned.items():
        assert getattr(restored, name).dtype == value.dtype
        assert getattr(restored, name).shape == value.shape
        np.testing.assert_array_equal(getattr(restored, name), value)


@given(arrays(np.float64, array_shapes(max_dims=3, max_side=4), elements=st.floats()))
def test_every_float_comes_back(tmp_path_factory, values):
    restored = there_and_back(Keeper().fit(values_=values), tmp_path_factory.mktemp("k") / "k")
    assert restored.values_.tobytes() == values.tobytes()


def test_views_come_back_in_order(tmp_path):
    grid = np.arange(24.0).reshape(2, 3, 4)
    views = {
        "t_": grid.T,
        "reversed_": grid[:, ::-1],
        "strided_": grid[..., ::2],
        "f_": np.asfortranarray(grid),
    }
    views["big_endian_"] = grid.astype(">f8")
    restored = there_and_back(Keeper().fit(**views), tmp_path / "k.safetensors")
    for name, view in views.items():
        np.testing.assert_array_equal(getattr(restored, name), view, err_msg=name)


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        -3,
        0.1,
        float("inf"),
        "naïve “text” \U0001f600\0",
        (),
        (1, ("a", None), [2.5, (True,)]),
        [1, [2, (3,)]],
    ],
)
def test_plain_values_keep_value_and_type(tmp_path, value):
    restored = there_and_back(Keeper(setting=value).fit(learned_=value), tmp_path / "k.safetensors")
    for found in (restored.setting, restored.learned_):
        assert repr(found) == repr(value)


def test_numpy_numbers_come_back_as_numbers(tmp_path):
    keeper = Keeper(setting=np.float32(0.5)).fit(n_=np.int64(3), is_=np.bool_(True))
    restored = there_and_back(keeper, tmp_path / "k.safetensors")
    assert (restored.setting, restored.n_, restored.is_) == (0.5, 3, True)


@pytest.mark.parametrize("dtype", [object, str])
def test_arrays_of_strings_come_back(tmp_path, dtype):
    words = np.array([["alpha", "βῆτα"], ["", "a\nb"]], dtype=dtype)
    restored = there_and_back(Keeper().fit(words_=words, none_=words[:0, 0]), tmp_path / "k.safetensors")
    np.testing.assert_array_equal(restored.words_, words)
    assert restored.words_.dtype == words.dtype
    assert restored.none_.shape == (0,)


def test_what_is_not_learned_is_not_saved(tmp_path):
    keeper = Keeper().fit()
    keeper.scratch = object()
    keeper._private_ = object()
    assert vars(there_and_back(keeper, tmp_path / "k")).keys() == vars(Keeper().fit()).keys()


def test_folders_on_the_way_are_made(tmp_path):
    assert there_and_back(Keeper().fit(), tmp_path / "a" / "b" / "k").fitted_


# --- what is not saved ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("keeper", "name"),
    [
        (Keeper(random_state=np.random.RandomState(0)).fit(), "random_state is a RandomState"),
        (Keeper(setting={"a": {1}}).fit(), "setting is a set"),
        (Keeper(setting=(1, [len])).fit(), "setting is a builtin"),
        (Keeper().fit(learned_=object()), "learned_ is a object"),
        (Keeper().fit(mixed_=np.array(["a", 1], dtype=object)), "mixed_ is an array of objects"),
        (Keeper().fit(bytes_=np.array([b"a"])), "bytes_ is an array of objects"),
        (Keeper().fit(complex_=np.ones(2, dtype=complex)), "complex_ is a ndarray"),
        (Keeper().fit(day_=np.datetime64("2026-01-01")), "day_ is a date"),
    ],
)
def test_what_has_no_form_is_refused_and_the_old_file_stays(tmp_path, keeper, name):
    path = tmp_path / "k.safetensors"
    Keeper(setting="old").fit().save(path)
    with pytest.raises(TypeError, match=name):
        keeper.save(path)
    assert Keeper.load(path).setting == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("kind", [Keeper, ConditionalVAE, MinimumErrorPCA, MultinomialMixture])
def test_an_unfitted_estimator_leaves_no_file(tmp_path, kind):
    with pytest.raises(NotFittedError):
        kind().save(tmp_path / "k.safetensors")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("is_there", [False, True])
def test_a_failed_write_leaves_what_was_there(tmp_path, monkeypatch, is_there):
    path = tmp_path / "k.safetensors"
    if is_there:
        Keeper(setting="old").fit().save(path)
    before = {file: file.read_bytes() for file in tmp_path.iterdir()}

    def full_disk(_):
        raise OSError("no space left")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(OSError, match="no space left"):
        Keeper(setting="new").fit().save(path)
    assert {file: file.read_bytes() for file in tmp_path.iterdir()} == before


# --- what is not read -----------------------------------------------------------------------------


def test_a_missing_file_is_named(tmp_path):
    for read in (Keeper.load, load):
        for path in (tmp_path / "absent.safetensors", tmp_path):
            with pytest.raises(FileNotFoundError, match=str(path)):
                read(path)


def test_a_file_cut_anywhere_is_refused(tmp_path):
    whole, cut = tmp_path / "whole.safetensors", tmp_path / "cut.safetensors"
    Keeper(setting="x").fit(a_=np.arange(5.0)).save(whole)
    content = whole.read_bytes()
    for length in range(len(content)):
        cut.write_bytes(content[:length])
        with pytest.raises(ValueError, match=str(cut)):
            Keeper.load(cut)
    cut.write_bytes(content + b"more")
    with pytest.raises(ValueError, match=f"{cut} is not a whole safetensors file"):
        Keeper.load(cut)


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("{not json", DAMAGED),
        ("[1, 2]", FOREIGN),
        ({}, f"format version None; this version reads 1 and {FORMAT_VERSION}"),
        ({**HEADER, "format_version": FORMAT_VERSION + 1}, f"format version {FORMAT_VERSION + 1}"),
        ({**HEADER, "estimator": None}, f"{DAMAGED}: its header lacks 'estimator'"),
        ({**HEADER, "params": []}, f"{DAMAGED}: its header lacks 'params'"),
        ({k: v for k, v in HEADER.items() if k != "values"}, f"{DAMAGED}: its header lacks 'values'"),
        ({**HEADER, "estimator": "Stranger"}, "holds a Stranger, not a Keeper"),
        ({**HEADER, "params": {"setting": 1, "old": 2, "beta": 3}}, "does not know: beta, old"),
    ],
)
def test_a_header_that_is_not_ours_is_refused(tmp_path, header, message):
    path = tmp_path / "k.safetensors"
    write(path, HEADER)
    assert isinstance(Keeper.load(path), Keeper)  # it is the change below that matters
    write(path, header)
    with pytest.raises(ValueError, match=f"{path}.*{message}"):
        Keeper.load(path)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 a zip archive", b"\x80\x04K\x01.", b"\xff" * 64])
def test_a_file_of_another_format_is_refused(tmp_path, content):
    path = tmp_path / "k.safetensors"
    path.write_bytes(content)
    for read in (Keeper.load, load):
        with pytest.raises(ValueError, match=f"{path} is not a whole safetensors file"):
            read(path)


def test_tensors_of_someone_else_are_refused_unread(tmp_path):
    path = tmp_path / "weights.safetensors"
    for metadata in (None, {"format": "pt"}):
        path.write_bytes(to_safetensors({"a": np.ones(3)}, metadata=metadata))
        with pytest.raises(ValueError, match=f"{path} .*{FOREIGN}"):
            Keeper.load(path)
    # numpy has no such dtype: reading the tensor would fail before the header is looked at.
    description = b'{"a":{"dtype":"BF16","shape":[2],"data_offsets":[0,4]}}'
    path.write_bytes(len(description).to_bytes(8, "little") + description + bytes(4))
    with pytest.raises(ValueError, match=f"{path} .*{FOREIGN}"):
        Keeper.load(path)


# --- load -----------------------------------------------------------------------------------------


def test_load_finds_the_class(tmp_path):
    X = np.random.default_rng(0).poisson(2.0, (20, 5))
    for model in (MinimumErrorPCA(2), MultinomialMixture(2, random_state=0)):
        model.fit(X).save(tmp_path / "model.safetensors")
        restored = load(tmp_path / "model.safetensors")
        assert type(restored) is type(model)
        assert restored.get_params() == model.get_params()
        np.testing.assert_array_equal(restored.score_samples(X), model.score_samples(X))


def test_load_refuses_an_estimator_it_does_not_know(tmp_path):
    path = tmp_path / "k.safetensors"
    Keeper().fit().save(path)
    with pytest.raises(
        ValueError, match=f"{path} holds a 'Keeper'; allowed are ConditionalVAE, MinimumErrorPCA"
    ):
        load(path)
    # Names that the package has, but no estimators.
    for name in ("load", "bayes", "__name__"):
        write(path, {**HEADER, "estimator": name})
        with pytest.raises(ValueError, match=f"holds a '{name}'; allowed are"):
            load(path)


def test_an_estimator_refuses_the_file_of_another(tmp_path):
    path = tmp_path / "model.safetensors"
    MinimumErrorPCA(1).fit(np.eye(3)).save(path)
    with pytest.raises(ValueError, match=f"{path} holds a MinimumErrorPCA, not a MultinomialMixture"):
        MultinomialMixture.load(path)
