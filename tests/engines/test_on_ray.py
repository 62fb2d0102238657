"""The same fits on a Ray cluster as in this process, to the last bit, whatever befalls its workers."""

import os
import signal
import socket
import threading
import time
from itertools import pairwise

import cloudpickle
import numpy as np
import pytest
import scipy.sparse as sp

from latents.datasets.count_blocks import CountBlocks
from latents.engines import LocalEngine, RayEngine, on_ray
from latents.engines.on_ray import ClusterError
from latents.estimators import MinimumErrorPCA, MultinomialMixture
from latents.estimators.common.blocks import subtrees

LEARNED = ("weights_", "word_probabilities_", "lower_bounds_", "tempered_bounds_")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """Blocks of unlike sizes on disk, of documents of four topics."""
    rng = np.random.default_rng(0)
    mu = rng.dirichlet(np.full(80, 0.2), size=4)
    X = np.array([rng.multinomial(rng.poisson(15), mu[k]) for k in rng.integers(4, size=700)])
    edges = [0, 40, 150, 300, 555, 610, 700]
    blocks = [sp.csr_array(X[a:b]) for a, b in pairwise(edges)]
    return CountBlocks.write(tmp_path_factory.mktemp("counts") / "blocks", blocks)


def fitted(engine, corpus, **given):
    y = np.where(np.arange(700) % 50 == 0, np.arange(700) % 3, -1)
    model = MultinomialMixture(5, n_init=2, length_growth=1.3, steps_per_length=1, random_state=0)
    return model.fit(engine.blocks(corpus), y, **given)


def assert_same(model, other):
    for name in LEARNED:
        np.testing.assert_array_equal(getattr(model, name), getattr(other, name), err_msg=name)


@pytest.fixture(scope="module")
def expected(corpus):
    return fitted(LocalEngine(1), corpus)


@pytest.fixture(scope="module")
def engine(ray_of_two):
    with RayEngine(n_workers=2) as engine:
        yield engine


@pytest.mark.parametrize("n_threads", [2, 3])
def test_threads_fit_the_same(corpus, expected, n_threads):
    assert_same(fitted(LocalEngine(n_threads), corpus), expected)


@pytest.mark.parametrize(("n_blocks", "n_workers"), [(30, 2), (16, 4), (1, 3), (7, 7), (100, 6), (1000, 100)])
def test_blocks_are_dealt_out_evenly_and_in_few_parts(n_blocks, n_workers):
    edges = on_ray.dealt_out(n_blocks, n_workers)
    assert [edges[0], edges[-1], len(edges)] == [0, n_blocks, n_workers + 1]
    lengths = np.diff(edges)
    assert lengths.min() >= 0
    assert lengths.max() <= max(1, np.ceil(1.2 * n_blocks / n_workers))
    parts = [len(subtrees(a, b, n_blocks)) for a, b in pairwise(edges) if a < b]
    assert np.mean(parts) <= {30: 1, 16: 1, 1: 1, 7: 1, 100: 3, 1000: 3}[n_blocks]


def test_workers_fit_and_read_the_same(engine, corpus, expected):
    assert_same(fitted(engine, corpus), expected)
    blocks, local = engine.blocks(corpus), LocalEngine(1).blocks(corpus)
    for method in ("predict_proba", "score_samples", "familiarity", "score", "perplexity", "bic", "icl"):
        measure = getattr(expected, method)
        np.testing.assert_array_equal(measure(blocks), measure(local), method)


@pytest.mark.parametrize(("n_workers", "n_threads"), [(1, 1), (3, 1), (4, 1), (2, 2)])
def test_any_number_of_workers_fits_the_same(ray_of_two, engine, corpus, expected, n_workers, n_threads):
    with RayEngine(n_workers=n_workers, n_threads=n_threads) as other:
        assert_same(fitted(other, corpus), expected)


def test_a_worker_that_is_killed_changes_nothing(ray_of_two, engine, corpus, expected):
    steps, killed = [], []

    def callback(name, value, step):
        steps.append(step)
        if len(steps) == 5:
            (victim,) = ray_of_two.get([engine._begun()[1].process.remote()])
            os.kill(victim, signal.SIGKILL)
            killed.append(victim)

    assert_same(fitted(engine, corpus, callback=callback), expected)
    assert len(killed) == 1
    assert len(steps) > 20


def test_what_is_wrong_with_a_block_is_told_as_here(engine):
    bad = [sp.csr_array(np.eye(4)), sp.csr_array(-np.eye(4))]
    for blocks in (bad, engine.blocks(bad)):
        with pytest.raises(ValueError, match=r"^block 1: Negative values in data"):
            MultinomialMixture(2).fit(blocks)
    with pytest.raises(ValueError, match="X has no blocks"):
        engine.blocks([])


def test_a_file_that_a_worker_cannot_see_is_named(engine, tmp_path):
    blocks = CountBlocks.write(tmp_path / "moved", [sp.csr_array(np.eye(4))] * 2)
    (tmp_path / "moved").rename(tmp_path / "away")
    with pytest.raises(FileNotFoundError, match=r"worker on .* cannot see .*block-00000.*by the same path"):
        MultinomialMixture(2).fit(engine.blocks(blocks))


def test_a_cluster_without_room_says_so(ray_of_two, engine, monkeypatch):
    monkeypatch.setattr(on_ray, "_PATIENCE", 0.5)
    with pytest.raises(
        ClusterError, match=r"has 6 free processors of 8; n_workers=4 with n_threads=2 ask for 8"
    ):
        RayEngine(n_workers=4, n_threads=2)


def test_a_worker_that_cannot_live_ends_the_sum(ray_of_two):
    """As one does that outgrows its memory each time."""
    with RayEngine(n_workers=1) as engine, pytest.raises(ClusterError, match="a worker has ended"):
        engine.blocks([1]).add_up(lambda _: os.kill(os.getpid(), signal.SIGKILL))


def test_no_cluster_is_one_sentence():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        free = taken.getsockname()[1]
    began = time.monotonic()
    with pytest.raises(ClusterError, match=rf"no Ray cluster answers at '127.0.0.1:{free}'"):
        on_ray.begin(pytest.importorskip("ray"), f"127.0.0.1:{free}", 1)
    with pytest.raises(ClusterError, match="allowed are 'local', 'auto' and host:port"):
        on_ray.begin(pytest.importorskip("ray"), "somewhere", 1)
    assert time.monotonic() - began < 30


def test_what_is_no_cluster_but_listens_is_one_sentence():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

        def answer():
            there, _ = server.accept()
            there.sendall(b"SSH-2.0-OpenSSH\r\n")
            there.close()

        threading.Thread(target=answer, daemon=True).start()
        with pytest.raises(ClusterError, match="is no head of a Ray cluster"):
            on_ray.begin(pytest.importorskip("ray"), f"127.0.0.1:{port}", 1)


def test_another_cluster_than_the_connected_one_is_refused(ray_of_two):
    with pytest.raises(ClusterError, match=r"connected to the cluster at .*, and '127.0.0.1:1' is another"):
        RayEngine("127.0.0.1:1", n_workers=1)


def test_a_worker_that_is_silent_is_missed_where_there_is_no_place_for_another(ray_of_two, monkeypatch):
    """As where others fill up the cluster in the moment when one dies."""
    monkeypatch.setattr(on_ray, "_PATIENCE", 1.0)
    monkeypatch.setattr(on_ray, "_LOOK", 0.5)
    with RayEngine(n_workers=1) as engine:
        assert engine.blocks([1, 2]).add_up(float) == 3
        (victim,) = ray_of_two.get([engine._workers[0].process.remote()])
        free = int(ray_of_two.available_resources()["CPU"])
        group = ray_of_two.util.placement_group([{"CPU": 1}] * free)
        assert group.wait(timeout_seconds=30)
        while (
            ray_of_two.available_resources().get("CPU", 0) >= 1
        ):  # Ray tells of what it gives somewhat later
            time.sleep(0.1)
        os.kill(victim, signal.SIGSTOP)
        try:
            with pytest.raises(ClusterError, match="1 of 1 workers are gone, and 0 of 8 processors"):
                engine.blocks([1, 2]).add_up(float)
        finally:
            os.kill(victim, signal.SIGCONT)
            ray_of_two.util.remove_placement_group(group)


def test_what_stops_one_worker_is_told_while_others_work(engine):
    def work(block):
        if block == 0:
            raise ValueError("at once")
        time.sleep(20)
        return 1

    began = time.monotonic()
    with pytest.raises(ValueError, match="block 0: at once"):
        engine.blocks([0, 1]).add_up(work)
    assert time.monotonic() - began < 15


def test_labels_and_weights_are_sent_once(ray_of_two, engine, corpus, monkeypatch):
    sent = []
    put = engine.put
    monkeypatch.setattr(engine, "put", lambda what: sent.append(len(cloudpickle.dumps(what))) or put(what))
    model = MultinomialMixture(3, n_init=1, length_growth=1.3, random_state=0)
    model.fit(engine.blocks(corpus), sample_weight=np.linspace(1, 2, 700))
    heavy = [n for n in sent if n > 8 * 700 + 4 * 80 * 3 + 3000]
    assert len(sent) > 40
    assert len(heavy) <= 8


def test_machines_with_other_versions_are_refused():
    here = {"Python": "3.11.7", "latents": "1.0", "torch": "2.15.0"}
    on_ray.check_versions("10.0.0.2", dict(here), here)
    with pytest.raises(
        ClusterError, match=r"the machine 10.0.0.2 of the cluster has Python 3.12.1, and this one 3.11"
    ):
        on_ray.check_versions("10.0.0.2", {**here, "Python": "3.12.1"}, here)
    with pytest.raises(ClusterError, match=r"the machine 10.0.0.2 of the cluster has no package latents"):
        on_ray.check_versions("10.0.0.2", {**here, "latents": None}, here)


@pytest.mark.parametrize("weights", [None, np.arange(700) % 3])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_components_of_blocks_are_the_same(engine, dtype, weights):
    X = np.random.default_rng(0).integers(0, 256, size=(700, 12)).astype(dtype)
    blocks = np.split(X, [100, 110, 300, 500])
    there, here = (
        MinimumErrorPCA(5).fit(who.blocks(blocks), sample_weight=weights) for who in (engine, LocalEngine(2))
    )
    for name in ("components_", "mean_", "distortion_curve_"):
        np.testing.assert_array_equal(getattr(there, name), getattr(here, name), err_msg=name)
