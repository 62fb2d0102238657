"""Images that are read as they are needed, held against the same ones in memory."""

import subprocess
import sys
import threading

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from latents.engines import LocalEngine
from latents.estimators import ConditionalVAE
from latents.estimators.conditional_vae.batches import Batches, grey_levels
from latents.estimators.conditional_vae.checkpoints import digest_of, read
from latents.estimators.conditional_vae.pixels import DiscretisedPixels, binarise
from latents.estimators.conditional_vae.windows import ReadImages, batches_of, begin, fingerprint_of
from tests.estimators.conditional_vae.test_checkpoints import Stop, assert_same, stop_at
from tests.estimators.conditional_vae.test_objective import seeded

SMALL = {
    "n_latents": 2,
    "hidden": (8, 8),
    "epochs": 3,
    "batch_size": 16,
    "learning_rate": 1e-2,
    "random_state": 0,
}
N, P = 150, 12


@pytest.fixture(scope="module")
def images():
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (N, P)) / 255, np.arange(N) % 3


@pytest.fixture(scope="module")
def mapped(images, tmp_path_factory):
    path = tmp_path_factory.mktemp("mapped") / "X.npy"
    np.save(path, images[0])
    return np.load(path, mmap_mode="r")


class Reread:
    """Blocks that do not come by number."""

    def __init__(self, blocks):
        self.blocks = blocks

    def __iter__(self):
        return iter(self.blocks)


def cut(X, size):
    return [np.array(X[start : start + size]) for start in range(0, len(X), size)]


def read_of(X, **how):
    return ReadImages(X, lambda block, _: np.asarray(block), **how)


# The same fit


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"network": "reference", "hidden": (8,)},
        {"likelihood": "gaussian"},
        {"likelihood": "discretised"},
        {"objective": "iwae", "n_particles": 2},
        {"spatial": (4,), "image_shape": (4, 3)},
    ],
)
def test_all_that_fit_into_a_window_give_the_fit_of_memory_bit_for_bit(images, mapped, changes):
    X, y = images
    validation = binarise(X[:30], 0), y[:30]
    expected = ConditionalVAE(**SMALL | changes).fit(X, y, validation=validation)
    for given_images in (mapped, mapped[:], cut(X, 1), cut(X, 40), cut(X, 1000), Reread(cut(X, 7))):
        model = ConditionalVAE(**SMALL | changes).fit(
            given_images, y, validation=(cut(validation[0], 9), validation[1])
        )
        assert_same(model, expected)


@pytest.mark.parametrize(("n", "size"), [(1, 1), (20, 7), (2500, 300), (1999, 1999)])
def test_discretised_pixels_begin_alike_whether_images_are_read_or_held(n, size):
    X = np.random.default_rng(2).random((n, 3), np.float32)
    held, read = DiscretisedPixels(), DiscretisedPixels()
    held.begin(torch.from_numpy(X))
    begin(read, read_of(cut(X, size), window=12))  # an image at a time
    assert torch.equal(read.start, held.start)


def test_grey_values_that_are_no_levels_are_read_as_well(images):
    X, y = np.random.default_rng(1).random((N, P)), images[1]
    expected = ConditionalVAE(**SMALL).fit(X, y)
    assert_same(ConditionalVAE(**SMALL).fit(cut(X, 40), y), expected)


@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian", "discretised"])
@pytest.mark.parametrize("n_window", [20, 64])
def test_a_mapped_array_gives_the_fit_of_its_blocks(images, mapped, likelihood, n_window):
    model = ConditionalVAE(**SMALL, likelihood=likelihood, window=n_window * P)
    of_map = model.fit(mapped, images[1]).network_.state_dict()
    blocks = cut(images[0], max(1, n_window // 32))  # as many rows of a map are read at a time
    for again in (blocks, [block.astype(np.float32) for block in blocks]):
        for name, weight in model.fit(again, images[1]).network_.state_dict().items():
            assert torch.equal(weight, of_map[name]), name
    whole = ConditionalVAE(**SMALL, likelihood=likelihood).fit(*images)
    bounds = [fitted.score(*images) for fitted in (model, whole)]
    assert bounds[0] != bounds[1]  # another order
    assert bounds[0] == pytest.approx(bounds[1], rel=0.05)


# The order


@settings(max_examples=60, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 23), min_size=1, max_size=12),
    n_window=st.integers(1, 60),
    batch_size=st.integers(1, 20),
    by_number=st.booleans(),
    seed=st.integers(0, 99),
)
def test_an_epoch_has_each_image_once_in_batches_of_full_size(sizes, n_window, batch_size, by_number, seed):
    n = sum(sizes)
    grey = torch.arange(n * 2).reshape(n, 2) / (2 * n)
    blocks = [part.numpy() for part in torch.split(grey, sizes)]
    images = read_of(blocks if by_number else Reread(blocks), window=n_window * 2 * 4)
    batches = batches_of(
        *(images, torch.arange(n)), binarise=False, batch_size=batch_size, n_latents=1, generator=seeded(seed)
    )
    assert images.is_one_window == (n <= n_window)
    for _ in range(2):
        epoch = list(batches.epoch())
        assert [len(batch.x) for batch in epoch] == [batch_size] * (n // batch_size) + [
            n % batch_size
        ] * bool(n % batch_size)
        order = torch.cat([batch.y for batch in epoch])
        assert sorted(order.tolist()) == list(range(n))
        assert torch.equal(torch.cat([batch.x for batch in epoch]), grey[order])


def test_windows_hold_blocks_of_all_parts_and_none_is_larger_than_asked_for():
    """Blocks that come by number, at least: of a sorted set a window else holds one class."""
    n, size, n_window = 1000, 5, 100
    blocks = cut(np.linspace(0, 1, n)[:, None], size)
    for by_number in (True, False):
        images = read_of(blocks if by_number else Reread(blocks), window=n_window * 4)
        batches = batches_of(
            *(images, torch.arange(n)), binarise=False, batch_size=10, n_latents=1, generator=seeded()
        )
        orders = [torch.cat([batch.y for batch in batches.epoch()]) for _ in range(2)]
        assert not torch.equal(*orders)
        spread = [float(part.double().std()) for part in torch.split(orders[0], n_window)]
        assert min(spread) > 200 if by_number else max(spread) < 40


def test_shares_are_parts_of_the_same_batches():
    grey = torch.rand(90, 4, generator=seeded(1))

    def drawn(share):
        images = read_of(cut(grey.numpy(), 8), window=30 * 4, binarise=True)
        how = {"batch_size": 16, "n_latents": 2, "generator": seeded()}
        return list(batches_of(images, torch.arange(90), binarise=True, **how).epoch(share))

    for whole, *parts in zip(
        drawn(None), *(drawn(lambda n, r=r: slice(r * n // 2, (r + 1) * n // 2)) for r in (0, 1)), strict=True
    ):
        for name in ("x", "y", "noise"):
            assert torch.equal(torch.cat([getattr(part, name) for part in parts]), getattr(whole, name))


# What is looked at beforehand


@settings(max_examples=40, deadline=None)
@given(
    m=st.sampled_from([1, 2, 3, 15, 16, 100, 254, 255]),
    other=st.sampled_from([None, 1 / 3, 0.5, 1 / 254, 0.1234567]),
    size=st.integers(1, 50),
    seed=st.integers(0, 9),
)
def test_levels_are_those_of_all_images_together(m, other, size, seed):
    grey = (np.random.default_rng(seed).integers(0, m + 1, (50, 3)) / m).astype(np.float32)
    if other is not None:
        grey[-1, -1] = other
    brute = [
        k
        for k in range(1, 256)
        if (np.abs(grey * np.float32(k) - np.rint(grey * np.float32(k))) <= 5e-7 * grey * k).all()
    ]
    found = grey_levels(torch.from_numpy(grey))
    assert (found and found[1]) == (brute[0] if brute else None)
    assert read_of(cut(grey, size), binarise=True).form.n_levels == (found and found[1])


def test_digest_and_variances_are_those_of_memory(images):
    X, y = torch.from_numpy(images[0]).float(), torch.from_numpy(images[1])
    for size in (1, 40, 1000):
        blocks = cut(X.numpy(), size)
        several, one = read_of(blocks, window=4), read_of(blocks)
        assert fingerprint_of(several, y) == fingerprint_of(one, y) == digest_of(X, y)
        assert torch.equal(one.kept, X)
        assert len(several.alike) == 2
        for moment in (torch.mean, lambda x, dim: x.var(dim=dim, correction=0)):
            torch.testing.assert_close(moment(several.alike, dim=0), moment(X, dim=0))


# Checkpoints


@pytest.mark.parametrize("window", [2**28, 40 * P])
@pytest.mark.parametrize("by_number", [True, False])
def test_a_fit_from_blocks_goes_on_and_ends_bit_for_bit(images, tmp_path, window, by_number):
    X, y = images
    blocks = cut(X, 11) if by_number else Reread(cut(X, 11))
    path = tmp_path / "checkpoint.safetensors"
    model = ConditionalVAE(**SMALL, window=window)
    with pytest.raises(Stop):
        model.fit(blocks, y, checkpoint=path, callback=stop_at(2))
    assert read(path)[0]["epoch"] == 1
    resumed = ConditionalVAE(**SMALL, window=window).fit(
        blocks, y, checkpoint=path, callback=lambda name, value, epoch: None
    )
    assert_same(resumed, ConditionalVAE(**SMALL, window=window).fit(blocks, y))


def test_what_was_begun_in_memory_goes_on_from_a_map_and_not_in_another_order(
    images, mapped, tmp_path, caplog
):
    X, y = images
    path = tmp_path / "checkpoint.safetensors"
    expected = ConditionalVAE(**SMALL).fit(X, y)
    with pytest.raises(Stop):
        ConditionalVAE(**SMALL).fit(X, y, checkpoint=path, callback=stop_at(3))
    assert "window" not in str(read(path)[0]["fingerprint"])
    with caplog.at_level("INFO"):
        assert_same(ConditionalVAE(**SMALL).fit(mapped, y, checkpoint=path), expected)
    assert "going on after epoch 2" in caplog.text
    caplog.clear()
    ConditionalVAE(**SMALL, window=64 * P).fit(mapped, y, checkpoint=path)
    assert "another training (window None there, " in caplog.text
    caplog.clear()
    ConditionalVAE(**SMALL, window=60 * P).fit(mapped, y, checkpoint=path)
    assert "another training (window.images 64 there, 60 here" in caplog.text


# What goes wrong


class Failing(list):
    """Blocks of which one fails when it is read for so many times."""

    def __init__(self, blocks, number, time, error):
        super().__init__(blocks)
        self.number, self.left, self.error = number, time, error

    def __getitem__(self, number):
        if number == self.number:
            self.left -= 1
            if not self.left:
                raise self.error
        return super().__getitem__(number)


def readers():
    return [thread for thread in threading.enumerate() if thread is not threading.main_thread()]


def test_a_block_that_fails_while_others_are_trained_on_ends_the_fit(images, tmp_path):
    X, y = images
    before, path = readers(), tmp_path / "checkpoint.safetensors"
    for error, said in [
        (OSError("the disk of photos.h5 is gone"), r"^the disk of photos\.h5 is gone"),
        (ValueError("row 3 is torn"), "^block 4: row 3 is torn$"),
    ]:
        # In the second epoch; the digest takes it once, and iteration over a list takes no item.
        blocks = Failing(cut(X, 11), 4, 3, error)
        with pytest.raises(type(error), match=said) as caught:
            ConditionalVAE(**SMALL, window=40 * P).fit(blocks, y, checkpoint=path)
        assert isinstance(error, ValueError) or caught.value.__notes__ == ["while block 4 of X was read"]
        assert caught.value is error or caught.value.__cause__ is error
        assert readers() == before
        assert read(path)[0]["epoch"] == 1
        path.unlink()


def test_whoever_ends_a_fit_ends_its_reader(images):
    before = readers()

    class Slow(list):
        def __getitem__(self, number):
            if len(readers()) > len(before):
                reading.set()
            return super().__getitem__(number)

    reading = threading.Event()
    with pytest.raises(Stop):
        ConditionalVAE(**SMALL, window=20 * P).fit(Slow(cut(images[0], 4)), images[1], callback=stop_at(1))
    assert reading.is_set()
    assert readers() == before


def test_blocks_that_change_are_refused(images):
    X, y = images

    class Shrinking:
        times = 0

        def __iter__(self):
            self.times += 1
            # Three looks at what X is, and one at its values.
            return iter([X[:100], X[100 : 150 - (self.times > 4)]])

    with pytest.raises(ValueError, match=r"block 1: its shape is \(49, 12\), and was \(50, 12\) when it was"):
        ConditionalVAE(**SMALL, window=60 * P).fit(Shrinking(), y)


@pytest.mark.parametrize("value", [np.nan, np.inf, -0.5, 1.5, 255])
def test_values_that_cannot_be_are_named_by_their_place(images, tmp_path, value):
    X, y = images
    wrong = X.copy()
    wrong[130, 4] = value
    np.save(tmp_path / "X.npy", wrong)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    fitted = ConditionalVAE(**SMALL).fit(X, y)
    model = ConditionalVAE(**SMALL, window=40 * P)
    for call in (model.fit, fitted.score, fitted.transform):
        with pytest.raises(ValueError, match=rf"^X\[130, 4\] is {value}.*, but pixels must lie in \[0, 1\]"):
            call(mapped, y)
        with pytest.raises(ValueError, match=rf"^block 13: X\[0, 4\] is {value}.*, but pixels must lie"):
            call(cut(wrong, 10), y)


def test_what_cannot_be_read_is_refused(images, mapped, tmp_path):
    X, y = images
    model = ConditionalVAE(**SMALL)
    np.save(tmp_path / "none.npy", X[:0])
    empty = np.load(tmp_path / "none.npy", mmap_mode="r")
    for wrong, said in [
        (empty, r"^Found array with 0 sample\(s\) \(shape=\(0, 12\)\) while a minimum of 1 is required"),
        ((block for block in cut(X, 10)), "X can be iterated only once"),
        (Reread([]), "X has no blocks"),
        ([X[:100], X[100:, 1:]], "block 1: X has 11 features, but ConditionalVAE is expecting 12"),
        ([X[:100], X[:0]], "block 1: Found array with 0 sample"),
        ([X[:100]], r"inconsistent numbers of samples: \[100, 150\]"),
        (mapped[:100], r"inconsistent numbers of samples: \[100, 150\]"),
        (mapped.reshape(10, 15, 12), "Found array with dim 3"),
        (mapped[0], "Expected 2D array, got 1D array"),
        (LocalEngine().blocks(cut(X, 10)), "X is LocalBlocks, whose blocks are worked on elsewhere; allowed"),
    ]:
        with pytest.raises(ValueError, match=said):
            model.fit(wrong, y)
    with pytest.raises(ValueError, match="requires y to be passed"):
        model.fit(mapped, None)
    with pytest.raises(ValueError, match="'window' parameter of ConditionalVAE must be an int"):
        ConditionalVAE(**SMALL, window=0).fit(mapped, y)


# What a model says of them


def test_all_that_is_said_of_images_is_said_of_those_that_are_read(images, mapped):
    X, y = images
    model = ConditionalVAE(**SMALL).fit(X, y)
    for method, arguments in [
        ("bound_terms", {}),
        ("score_samples", {}),
        ("score", {}),
        ("log_likelihood", {"n_samples": 5}),
        ("transform", {}),
        ("reconstruct", {}),
        ("latent_variances", {}),
        ("active_units", {}),
    ]:
        expected = getattr(model, method)(X, y, **arguments)
        for given_images in (mapped, cut(X, 40), Reread(cut(X, 7))):
            np.testing.assert_array_equal(getattr(model, method)(given_images, y, **arguments), expected)
    for method in ("class_log_likelihood", "log_marginal", "predict_proba", "predict"):
        expected = getattr(model, method)(X, n_samples=3)
        for given_images in (mapped, cut(X, 40), Reread(cut(X, 7))):
            np.testing.assert_array_equal(getattr(model, method)(given_images, n_samples=3), expected)


# Memory

_FIT = """
import re
import resource
import sys

import numpy as np

from latents.estimators import ConditionalVAE

X = np.load(sys.argv[1], mmap_mode="r")
y = np.arange(len(X)) % 2
how = {"n_latents": 2, "hidden": (4,), "network": "reference", "batch_size": 100, "epochs": 1, "random_state": 0}
ConditionalVAE(**how, window=2**20).fit(X[:5000], y[:5000]).transform(X[:5000], y[:5000])
held = int(re.search(r"VmData:\\s+(\\d+) kB", open("/proc/self/status").read())[1]) * 1024
limit = held + int(0.9 * X.nbytes)
resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))  # of a process's own memory, mapped files apart
if sys.argv[2] == "mapped":
    ConditionalVAE(**how, window=2**20).fit(X, y).transform(X, y)
else:
    X = np.array(X)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="asks the kernel for what a process holds")
def test_no_copy_of_a_mapped_array_is_made_and_there_would_be_no_room(tmp_path):
    images = np.lib.format.open_memmap(tmp_path / "X.npy", "w+", np.uint8, (300_000, 784))
    images[:, 300:310] = np.random.default_rng(0).integers(0, 2, (300_000, 10))
    images.flush()
    for kind, said in [("mapped", ""), ("copied", "MemoryError")]:
        ran = subprocess.run(
            [sys.executable, "-c", _FIT, tmp_path / "X.npy", kind],
            capture_output=True,
            text=True,
            check=False,
        )
        assert (ran.returncode == 0) == (kind == "mapped"), ran.stderr
        assert said in ran.stderr


def test_batches_in_memory_are_as_ever(images):
    X, y = torch.from_numpy(images[0]).float(), torch.from_numpy(images[1])
    how = {"binarise": True, "batch_size": 8, "n_latents": 2, "generator": seeded()}
    assert type(batches_of(X, y, **how)) is Batches
    blocks = cut(X.numpy(), 40)  # of a tensor NumPy would ask for a copy in a way that torch does not know
    assert type(batches_of(read_of(blocks, binarise=True), y, **how)) is Batches
