"""Checkpoints: whole, of this very training, or not taken."""

import json
import os
import re

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from latents.estimators import ConditionalVAE
from latents.estimators.conditional_vae import checkpoints as module
from latents.estimators.conditional_vae.checkpoints import Checkpoints, digest_of, pack, read, unpack
from latents.estimators.conditional_vae.pixels import binarise

SMALL = {
    "n_latents": 2,
    "hidden": (8, 8),
    "epochs": 4,
    "batch_size": 16,
    "learning_rate": 1e-2,
    "random_state": 0,
}


@pytest.fixture
def images():
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (50, 12)) / 255, np.arange(50) % 3


@pytest.fixture
def path(tmp_path):
    return tmp_path / "models" / "checkpoint.safetensors"


class Stop(Exception):  # noqa: N818
    pass


def stop_at(epoch):
    def callback(name, value, step):
        if step == epoch:
            raise Stop

    return callback


def fit_until(epoch, images, path, **changes):
    with pytest.raises(Stop):
        ConditionalVAE(**SMALL | changes).fit(*images, checkpoint=path, callback=stop_at(epoch))


def assert_same(one, other):
    for name, weight in one.network_.state_dict().items():
        assert torch.equal(weight, other.network_.state_dict()[name]), name
    assert str(one.history_) == str(other.history_)


def test_state_of_any_shape_comes_back():
    state = {
        "numbers": [1, 2.5, True, None, float("inf")],
        0: {"betas": (0.9, 0.999), "step": torch.tensor(3.0), "name": "x"},
        "empty": {},
        "transposed": torch.arange(6).reshape(2, 3).T,
        "bytes": torch.arange(5, dtype=torch.uint8),
        "half": torch.ones(2, dtype=torch.bfloat16),
    }
    tensors = {}
    text = json.dumps(pack(state, tensors))
    found = unpack(json.loads(text), tensors)
    assert str(found) == str(state)
    assert type(found[0]["betas"]) is tuple
    assert found["half"].dtype == torch.bfloat16
    with pytest.raises(TypeError, match="a function has no form in a checkpoint"):
        pack({"call": pack}, {})


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"prior": "per_class"},
        {"likelihood": "gaussian"},
        {"likelihood": "discretised"},
        {"objective": "iwae", "n_particles": 2},
        {"spatial": (4,), "image_shape": (3, 4)},
    ],
)
@pytest.mark.parametrize("every", [1, 2, 3])
def test_a_fit_goes_on_and_ends_bit_for_bit(images, path, changes, every):
    test = binarise(images[0][:10], 0), images[1][:10]
    arguments = {"validation": test, "on_epoch": lambda model, epoch: {"seen": epoch} if epoch % 2 else None}
    told_whole, told = [], []
    whole = ConditionalVAE(**SMALL | changes).fit(
        *images, **arguments, callback=lambda *call: told_whole.append(call)
    )
    with pytest.raises(Stop):
        ConditionalVAE(**SMALL | changes).fit(
            *images, **arguments, checkpoint=path, checkpoint_every=every, callback=stop_at(4)
        )
    assert read(path)[0]["epoch"] == 3 // every * every
    resumed = ConditionalVAE(**SMALL | changes)
    resumed.fit(
        *images,
        **arguments,
        checkpoint=path,
        checkpoint_every=every,
        callback=lambda *call: told.append(call),
    )
    assert_same(resumed, whole)
    assert told == told_whole
    assert read(path)[0]["epoch"] == 4  # the last epoch has one in any case


def test_a_finished_training_is_not_trained_again(images, path):
    first = ConditionalVAE(**SMALL).fit(*images, checkpoint=path)
    content = path.read_bytes()
    second = ConditionalVAE(**SMALL).fit(
        *images, checkpoint=path, on_epoch=lambda *_: pytest.fail("trained again")
    )
    assert_same(first, second)
    X, y = images
    np.testing.assert_array_equal(first.score_samples(X, y), second.score_samples(X, y))
    assert not second.network_.training
    assert first.fit_seconds_ == second.fit_seconds_ > 0
    assert path.read_bytes() == content


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"learning_rate": 2e-2}, r"parameters.learning_rate 0.01 there, 0.02 here"),
        ({"hidden": (9, 9)}, r"parameters.hidden \[8, 8\] there, \[9, 9\] here"),
        ({"epochs": 5}, r"parameters.epochs 4 there, 5 here"),
        ({"spatial": (4,), "image_shape": (3, 4)}, r"spatial levels"),
        ({"random_state": 1}, r"seeds "),
        ({"random_state": None}, r"seeds "),
    ],
)
def test_other_parameters_are_another_training(images, path, caplog, changes, said):
    fit_until(3, images, path)
    other = ConditionalVAE(**SMALL | changes).fit(*images, checkpoint=path)
    assert f"{path} is a checkpoint of another training" in caplog.text
    assert len(caplog.records) == 1
    assert re.search(said, caplog.text)
    if changes.get("random_state", 0) is not None:
        assert_same(other, ConditionalVAE(**SMALL | changes).fit(*images))


def test_other_data_are_another_training(images, path, caplog):
    X, y = images
    moved = X.copy()
    moved[3, 4] = 1 - moved[3, 4]
    fit_until(3, images, path)
    kept = path.read_bytes()
    for data, validation, said in [
        ((moved, y), None, "training data"),
        ((X, np.roll(y, 1)), None, "training data"),
        ((X, y + 1), None, "classes"),
        ((X, y), (X[:5].round(), y[:5]), "validation data"),
    ]:
        caplog.clear()
        path.write_bytes(kept)
        found = ConditionalVAE(**SMALL).fit(*data, validation=validation, checkpoint=path)
        assert said in caplog.text
        assert_same(found, ConditionalVAE(**SMALL).fit(*data, validation=validation))


def test_damaged_files_are_named_with_the_reason_and_not_read(images, path, caplog):
    fit_until(3, images, path)
    whole = path.read_bytes()
    expected = ConditionalVAE(**SMALL).fit(*images)
    for content, said in [
        (b"", "is not a whole safetensors file"),
        (whole[:-1], "is not a whole safetensors file"),
        (whole[:-5] + bytes([whole[-5] ^ 1]) + whole[-4:], "is damaged"),
        (whole.replace(b"learning_rate", b"Learning_rate"), "is damaged"),
    ]:
        caplog.clear()
        path.write_bytes(content)
        assert_same(ConditionalVAE(**SMALL).fit(*images, checkpoint=path), expected)
        assert f"{path} {said}" in caplog.text
        assert "begins anew" in caplog.text


def test_other_files_are_no_checkpoints(path, monkeypatch):
    path.parent.mkdir()
    save_file({"a": torch.ones(2)}, path)
    with pytest.raises(ValueError, match="is a safetensors file, but no checkpoint"):
        read(path)
    Checkpoints(path, {}, 1).save(1, {"a": torch.ones(2)})
    monkeypatch.setattr(module, "FORMAT_VERSION", 2)
    with pytest.raises(ValueError, match="has format version 1; this version reads 2"):
        read(path)


def test_a_write_that_breaks_leaves_the_former_checkpoint(path, monkeypatch):
    Checkpoints(path, {}, 1).save(1, {"a": torch.ones(2)})
    before = path.read_bytes()

    def full(descriptor):
        raise OSError("no space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="no space left"):
        Checkpoints(path, {}, 1).save(2, {"a": torch.zeros(2)})
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_another_build_goes_on_and_says_so(images, path, caplog, monkeypatch):
    fit_until(3, images, path)
    monkeypatch.setattr(module, "_build", lambda: "another torch")
    ConditionalVAE(**SMALL).fit(*images, checkpoint=path)
    assert "this is another torch: the training goes on, but its last digits may differ" in caplog.text


def test_digests_tell_types_and_shapes_apart():
    a = torch.zeros(6, dtype=torch.uint8)
    assert len({digest_of(a), digest_of(a.reshape(2, 3)), digest_of(a.bool()), digest_of(a[:3], a[3:])}) == 4


def test_an_impossible_interval_is_refused(images, path):
    with pytest.raises(ValueError, match="checkpoint_every is 0"):
        ConditionalVAE(**SMALL).fit(*images, checkpoint=path, checkpoint_every=0)
