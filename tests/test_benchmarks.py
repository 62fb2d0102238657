"""Every benchmark runs on its smallest setting, and would notice if what it compares were not the same."""

import importlib
import os
import platform
import re
import shutil
import subprocess
import sys
from functools import cache, partial
from itertools import islice, product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse
from scipy.special import gammaln, softmax

from latents.estimators import MultinomialMixture
from tests.conftest import ROOT


@pytest.fixture
def program(monkeypatch):
    """Return a module of ``benchmarks/`` by name, as its own folder sees it."""
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    common = importlib.import_module("_common")
    monkeypatch.setitem(common.CORPORA, "scipy", partial(_read_once, common.CORPORA["scipy"]))
    return importlib.import_module


@cache
def _read_once(read):
    """SciPy's docstrings take seconds to parse."""
    return read()


@pytest.fixture
def cvae_speed(program, capsys, monkeypatch, no_data):
    """Return the benchmark, and a function that runs it on little and returns what it printed."""
    monkeypatch.setattr(shutil, "which", lambda _: None)  # without a compiler nothing is compiled
    speed = program("cvae_speed")
    small = ("--images", "256", "--repetitions", "1", "--evaluated-images", "2", "--samples", "5")

    def run(loops):
        speed.main([*small, "--loops", *loops])
        return capsys.readouterr().out

    return speed, run


@pytest.mark.slow
def test_quality_fits_each_method_once_and_keeps_what_is_done(program, tmp_path, capsys, monkeypatch):
    quality = program("clustering_quality")
    output = tmp_path / "new" / "quality.csv"
    arguments = ["--documents", "150", "--output", str(output)]
    quality.main([*arguments, "--corpora", "scipy", "--seeds", "0"])
    runs = pd.read_csv(output)
    methods = quality.available(quality.METHODS)
    assert runs["method"].tolist() == methods
    assert (runs["n_clusters"] == 13).all()
    scores = runs[["nmi", "ari", "accuracy"]].to_numpy()
    assert scores.min() > 0.05  # better than chance
    assert scores.max() <= 1
    assert (runs["seconds"] > 0).all()
    printed = capsys.readouterr().out
    assert all(f"| {quality.METHODS[name].title} " in printed for name in methods)

    measured = []
    measure = quality.measure
    monkeypatch.setattr(
        quality,
        "measure",
        lambda corpus, name, seed: measured.append((corpus.name, seed)) or measure(corpus, name, seed),
    )
    quality.main([*arguments, "--corpora", "scipy", "digits", "--seeds", "0", "1", "--methods", "k-means"])
    assert measured == [("scipy", 1), ("digits", 0), ("digits", 1)]
    assert len(pd.read_csv(output)) == len(runs) + 3
    assert "digits: 150 documents x 6" in capsys.readouterr().out


def test_quality_is_written_to_a_file(program, tmp_path, capsys):
    with pytest.raises(SystemExit):
        program("clustering_quality").main(["--output", str(tmp_path)])
    assert f"--output {tmp_path} is a folder" in capsys.readouterr().err


PETS = {
    "pets.txt": "the Cat purrs\ncat . purrs purrs\n\nthe dog barks\n dog\tBarks  barks\n",
    "pets.labels.txt": "cats\ncats\ncats\ndogs \ndogs\n",
}


@pytest.fixture
def folder(tmp_path):
    """Return a function that writes files, bytes or text, into a folder of their own and returns it."""
    path = tmp_path / "corpora"

    def write(files):
        path.mkdir()
        for name, content in files.items():
            (path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def test_quality_takes_a_folder_of_corpora(program, folder, tmp_path, capsys):
    output = tmp_path / "quality.csv"
    named_by_a_number = {
        name.replace("pets", "20"): text.replace("\n", "\r\n") for name, text in PETS.items()
    }
    pairs = {**PETS, **named_by_a_number, "README.md": "Two corpora that are one."}
    arguments = ["--folder", str(folder(pairs)), "--methods", "mixture", "k-means", "--seeds", "0"]
    arguments += ["--output", str(output)]
    quality = program("clustering_quality")
    quality.main([*arguments, "--corpora", "20"])
    assert "pets:" not in capsys.readouterr().out
    quality.main(arguments)
    printed = capsys.readouterr().out
    # the, Cat, cat, purrs, the point, dog, barks, Barks: nothing is left out, and no letter is made small.
    for name in ("20", "pets"):
        assert f"\n{name}: 5 documents (4 with words) x 8 words, K = 2\n" in printed
    assert "Quality is that of documents with words." in printed
    runs = pd.read_csv(output, dtype={"corpus": str})
    assert runs["corpus"].tolist() == ["20", "20", "pets", "pets"]
    assert runs["n_documents"].eq(5).all()
    scores = runs.groupby("corpus")[["nmi", "ari", "accuracy"]].max()
    assert scores.loc["20"].equals(scores.loc["pets"])

    # What is measured was not measured again, and our own corpora are there too.
    quality.main([*arguments, "--corpora", "20", "digits", "--documents", "40"])
    runs = pd.read_csv(output, dtype={"corpus": str})
    assert runs["corpus"].tolist() == ["20", "20", "pets", "pets", "digits", "digits"]


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({}, "{folder} has no corpora; allowed is a folder of pairs name.txt"),
        ({"notes.md": "none"}, "{folder} has no corpora"),
        ({"pets.txt": "a\n"}, "{folder}/pets.txt is half a corpus: pets.labels.txt has to be beside it"),
        ({**PETS, "more.labels.txt": "a\n"}, "{folder}/more.labels.txt is half a corpus: more.txt has to be"),
        (
            {**PETS, "pets.labels.txt": "cats\n" * 6},
            "{folder}/pets.txt has 5 lines and pets.labels.txt 6; allowed is as many",
        ),
        (
            {**PETS, "pets.labels.txt": "cats\ncats\n \ndogs\ndogs"},
            "{folder}/pets.labels.txt, line 3: there is no label",
        ),
        ({"pets.txt": "\n \n", "pets.labels.txt": "a\nb\n"}, "{folder}/pets.txt: no document has words"),
        ({"pets.txt": "", "pets.labels.txt": ""}, "{folder}/pets.txt: no document has words"),
        ({**PETS, "pets.txt": b"caf\xe9\n"}, "{folder}/pets.txt cannot be read as text in UTF-8"),
        (
            {"digits.txt": "a\n", "digits.labels.txt": "a\n"},
            "{folder}/digits.txt: the benchmark has a corpus digits; rename the file",
        ),
    ],
)
def test_quality_refuses_a_folder_that_is_not_whole(program, folder, tmp_path, capsys, files, said):
    path = folder(files)
    output = tmp_path / "quality.csv"
    with pytest.raises(SystemExit):
        program("clustering_quality").main(["--folder", str(path), "--output", str(output)])
    assert f"argument --folder: {said.format(folder=path)}" in capsys.readouterr().err
    assert not output.exists()


def test_quality_refuses_what_is_no_folder_and_no_corpus(program, folder, tmp_path, capsys):
    quality = program("clustering_quality")
    with pytest.raises(SystemExit):
        quality.main(["--folder", str(tmp_path / "nowhere")])
    assert f"argument --folder: {tmp_path / 'nowhere'} is no folder" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        quality.main(["--folder", str(folder(PETS)), "--corpora", "pests"])
    said = "--corpora pests is not known; allowed are newsgroups, newsgroups-stripped, scipy, digits, pets"
    assert said in capsys.readouterr().err


def test_quality_is_that_of_documents_with_words(program):
    counts = sparse.csr_array([[1.0, 0.0], [0.0, 2.0], [0.0, 0.0], [3.0, 0.0]])
    corpus = program("_common").Corpus("c", ["a", "b", "b", "a"], counts=counts)
    assert corpus.quality([1, 0, 1, 1]) == {"nmi": 1, "ari": 1, "accuracy": 1}
    assert corpus.quality([1, 0, 0, 0])["nmi"] < 0.5


@pytest.mark.parametrize("name", ["sib", "gibbs"])
def test_peers_find_planted_clusters(program, name):
    method = program("_methods").METHODS[name]
    if method.module:
        pytest.importorskip(method.module, reason="comes with the extra 'benchmarks'")
    rng = np.random.default_rng(0)
    labels = rng.integers(3, size=400)
    words = np.where(np.arange(60) % 3 == labels[:, None], 0.4, 0.02)
    words[-5:] = 0  # documents without words have a cluster, too
    T = sparse.csr_array(rng.poisson(words).astype(float))
    clusters = method.fit_predict(T, 3, 0)
    assert clusters.shape == (400,)
    assert clusters.dtype.kind == "i"
    assert set(clusters.tolist()) == {0, 1, 2}
    assert program("_common").Corpus("planted", labels, counts=T).quality(clusters)["nmi"] > 0.9
    assert np.array_equal(clusters, method.fit_predict(T, 3, 0))


def test_a_peer_that_is_not_installed_is_named_and_left_out(program, folder, tmp_path, capsys, monkeypatch):
    quality = program("clustering_quality")
    absent = quality.METHODS["sib"]._replace(module="no_such_module")
    monkeypatch.setitem(quality.METHODS, "sib", absent)
    output = tmp_path / "quality.csv"
    arguments = ["--folder", str(folder(PETS)), "--seeds", "0", "--output", str(output), "--methods", "sib"]
    quality.main([*arguments, "k-means"])
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "sIB" in line]
    assert line == (
        "No sIB, for there is no module no_such_module; going on without it. To have it: "
        "pip install --constraint constraints.txt --editable '.[benchmarks]'"
    )
    assert pd.read_csv(output)["method"].tolist() == ["k-means"]
    with pytest.raises(SystemExit, match="No method is left"):
        quality.main(arguments)


def test_gibbs_sampling_visits_states_as_often_as_the_posterior_says(program):
    """Every state of four documents and two clusters is weighed by p(z) p(T | z), parameters integrated out."""
    T = sparse.csr_array([[2, 0, 1], [1, 0, 0], [0, 3, 0], [0, 0, 0]])
    alpha, beta, n_sweeps = 0.7, 0.5, 15_000
    states = np.array(list(product(range(2), repeat=4)))
    log_weights = []
    for state in states:
        members = np.eye(2)[state].T
        n = members @ T
        log_weights.append(
            gammaln(members.sum(axis=1) + alpha).sum()
            + gammaln(n + beta).sum()
            - gammaln(n.sum(axis=1) + 3 * beta).sum()
        )
    posterior = softmax(log_weights)
    sampled = program("_gibbs").sweeps(T, 2, alpha=alpha, beta=beta, seed=0)
    visits = (
        np.bincount([state @ [8, 4, 2, 1] for state in islice(sampled, n_sweeps)], minlength=16) / n_sweeps
    )
    assert posterior.max() > 3 * posterior.min()
    np.testing.assert_allclose(visits, posterior, atol=0.01)


@pytest.mark.parametrize(("name", "least"), [("scipy", 0.63), ("digits", 0.70)])
def test_the_mixture_keeps_its_quality(program, name, least):
    """Plain EM reaches 0.52 on SciPy's docstrings, and annealing in a haste 0.57."""
    common = program("_common")
    corpus = common.CORPORA[name]()
    models = [MultinomialMixture(corpus.n_clusters, random_state=seed) for seed in range(3)]
    found = [common.quality(corpus.labels, model.fit_predict(corpus.counts))["nmi"] for model in models]
    assert np.median(found) > least


def test_speed_compares_passes_and_fits(program, capsys, no_data):
    speed = program("clustering_speed")
    speed.main(
        [
            *("--documents", "200", "--components", "3", "--pass-repetitions", "2", "--dense-gib", "0.0005"),
            *("--methods", "mixture", "k-means", "lsa-k-means", "--fit-repetitions", "1"),
        ]
    )
    printed = capsys.readouterr().out
    assert "No newsgroups; going on with SciPy's docstrings" in printed
    assert "dense NumPy: " in printed
    assert "scaled by" in printed
    for implementation in speed.PASSES:
        assert f"| {implementation} " in printed
    assert "(target 0.30: " in printed
    assert "(target 0.5: " in printed
    assert "| LSA + k-means " in printed


def test_word_counting_compares_equal_counts(program, capsys):
    counting = program("word_counting")
    counting.main(["--corpus", "scipy", "--documents", "120", "--repetitions", "1"])
    printed = capsys.readouterr().out
    assert "scipy: 120 documents" in printed
    for setting in counting.SETTINGS:
        assert f"| {setting} " in printed
    vectorizer = counting.CountVectorizer()
    expected = vectorizer.fit_transform(["one two", "two"])
    found = counting.count_words(["one two", "two two"])
    with pytest.raises(SystemExit, match="differ"):
        counting.check(found, expected, vectorizer.get_feature_names_out().tolist())


@pytest.mark.slow
def test_pca_robust_tells_angles(program, capsys, monkeypatch):
    robust = program("pca_robust")
    monkeypatch.setattr(robust, "tall", lambda size: robust.planted(300, 20, 1))
    robust.main(["--components", "5", "--peers", "plain", "ours", "Tyler"])
    rows = [line.split("|")[1:-1] for line in capsys.readouterr().out.splitlines() if line.startswith("|")]
    names = [cell.strip() for cell in rows[0]]
    assert names == ["data", "d", "replaced by", "without", "plain", "ours", "Tyler"]
    assert len(rows) == 2 + 3 * 6
    for row in rows[2:]:
        found = dict(zip(names, (cell.strip() for cell in row), strict=True))
        assert float(found["ours"].split()[0]) < 0.1
        if found["replaced by"] in ("shifted", "a line", "heavy tails"):
            assert float(found["plain"].split()[0]) > 0.5
        assert (found["Tyler"] == "") == (found["data"] == "planted, 200 x 500")


@pytest.mark.slow
def test_pca_speed_tells_seconds_errors_and_memory(program, capsys, monkeypatch):
    speed = program("pca_speed")
    names = (speed.REFERENCE, speed.OURS)
    monkeypatch.setitem(speed.SHAPES, "wide", speed.Shape(speed.wide, {n: speed.WIDE[n] for n in names}))
    speed.main(["--shapes", "wide", "--size", "0.05", "--repetitions", "1", "--components", "5"])
    printed = capsys.readouterr().out
    assert "wide: 500 x 1,000, d = 5" in printed
    cells = [
        row.strip("| ").split(" | ") for row in printed.splitlines() if row.startswith(("| ours", "| sc"))
    ]
    assert [row[0].strip() for row in cells] == list(names)
    assert 0 < float(cells[1][3]) < 1e-5
    assert all(float(row[4]) >= 0 for row in cells)


def test_pca_speed_of_tensors_is_told_beside_torch(program, capsys, monkeypatch):
    speed = program("pca_speed")
    monkeypatch.setattr(speed, "tall", lambda size: speed.like_images(int(60_000 * size), 784))
    shape = speed.SHAPES["tensors"]
    monkeypatch.setitem(speed.SHAPES, "tensors", shape._replace(read=speed.tall_tensors))
    speed.main(["--shapes", "tensors", "--size", "0.02", "--repetitions", "1", "--components", "5"])
    printed = capsys.readouterr().out
    n, device = ("12,000", "cuda") if torch.cuda.is_available() else ("1,200", "cpu")
    assert f"tensors: {n} x 784 on {device}, d = 5" in printed
    rows = [line for line in printed.splitlines() if line.startswith(("| torch, eigh", "| ours"))]
    cells = [[cell.strip() for cell in row.strip("| ").split("|")] for row in rows]
    assert [row[0] for row in cells] == ["torch, eigh", "ours, auto", "ours, from bytes"]
    assert cells[0][2] == "1.00"
    assert all(0 < float(row[3]) < 1e-4 for row in cells[:2])


def test_pca_rank_counts_how_often_a_rank_is_found(program, capsys, monkeypatch):
    rank = program("pca_rank")
    monkeypatch.setattr(rank, "SHAPES", ((500, 100), (60, 100)))
    rank.main(["--draws", "1", "--strengths", "16", "0.01"])
    rows = [
        [cell.strip() for cell in row.strip("|").split("|")]
        for row in capsys.readouterr().out.splitlines()
        if row.startswith(("| 500", "| 60"))
    ]
    assert [row[:2] for row in rows] == [
        [shape, strength] for shape in ("500 x 100", "60 x 100") for strength in ("16", "0.01")
    ]
    assert [row[2] for row in rows] == ["1.00 (10.0)", "0.00 (0.0)"] * 2
    assert [row[3] for row in rows] == ["1.00"] * 4
    assert rows[0][4] == "1.00 (10.0)"
    assert rows[0][7] == "1.00 (10.0)"
    assert rows[2][7] == "-"


def test_pca_missing_tells_errors_and_seconds(program, capsys, monkeypatch):
    missing = program("pca_missing")
    monkeypatch.setattr(
        missing,
        "tall",
        lambda size: missing.np.random.default_rng(0).integers(
            0, 256, (int(60_000 * size), 30), dtype=np.uint8
        ),
    )
    missing.main(["--images", "200", "--pixels", "10", "--components", "2", "3", "--shares", "0.3"])
    printed = capsys.readouterr().out
    assert "30% missing, 200 x 10: d = " in printed
    rows = [row.strip("| ").split(" | ") for row in printed.splitlines() if row.startswith("| ")][2:]
    assert [row[0].strip() for row in rows] == list(missing.METHODS)
    assert all(0 < float(row[1]) < 0.2 for row in rows)


def test_start_tells_seconds_and_modules_of_both_checkouts(program, capsys):
    start = program("start")
    command = "from latents.estimators import MinimumErrorPCA"
    start.main([str(ROOT), "--commands", command, "--repetitions", "1"])
    printed = capsys.readouterr().out
    rows = [row.strip("| ").split(" | ") for row in printed.splitlines() if row.startswith(f"| {command}")]
    assert [row[1].strip() for row in rows] == ["the other", "this"]
    assert len({row[-1].strip() for row in rows}) == 1  # the same sources load the same
    assert float(rows[1][2]) > 0


def test_start_does_not_time_a_command_that_fails(program, tmp_path):
    start = program("start")
    with pytest.raises(SystemExit, match="No such command"):
        start.run(tmp_path, start.COMMANDS["kedro registry list"])


def test_speed_stops_where_an_implementation_computes_something_else(program, monkeypatch):
    speed = program("clustering_speed")
    T = sparse.csr_array(np.random.default_rng(0).poisson(1.0, (30, 12)).astype(float))
    start = speed.starting_point(T, 3)
    assert speed.check_agreement(T, start) < 1e-6
    double = speed.ours(T, start)
    scipy = speed.with_scipy(T, start)
    assert speed.disagreement(double.read(double.run()), scipy.read(scipy.run())) < 1e-12

    def wrong(T, start):
        one = speed.with_scipy(T, start)
        return one._replace(read=lambda found: one.read(found)._replace(weights=np.array([0.3, 0.3, 0.4])))

    monkeypatch.setitem(speed.PASSES, "ours", wrong)
    with pytest.raises(ValueError, match="ours differs from"):
        speed.check_agreement(T, start)


def test_speed_needs_the_method_that_others_are_held_against(program, capsys):
    with pytest.raises(SystemExit):
        program("clustering_speed").main(["--methods", "mixture"])
    assert "must have lsa-k-means" in capsys.readouterr().err


@pytest.mark.slow
def test_scale_makes_fits_compares_and_sweeps(program, tmp_path, capsys):
    scale = program("clustering_scale")
    arguments = [
        *("--documents", "600", "--words", "500", "--nonzeros", "18000", "--block-documents", "100"),
        *("--clusters", "3", "--components", "2", "4", "--repetitions", "1", "--output", str(tmp_path)),
    ]
    scale.main(arguments)
    printed = capsys.readouterr().out
    for said in ("600 documents x 500 words", "6 blocks", "above the imported library", "ratio", "Slopes"):
        assert said in printed
    table = pd.read_csv(tmp_path / "scale.csv")
    assert sorted(table["K"].unique()) == [2, 4]
    assert table["nonzeros"].nunique() == 4
    assert (tmp_path / "scale.png").read_bytes().startswith(b"\x89PNG")
    scale.main([*arguments, "--steps", "make"])
    assert "is there already" in capsys.readouterr().out


@pytest.mark.rehearsal
def test_engines_are_held_against_each_other(program, ray_of_two, tmp_path):
    blocks = program("_synthetic").write_corpus(
        *(tmp_path / "corpus",),
        **{"n_documents": 300, "n_words": 400, "n_nonzeros": 9000, "n_clusters": 3, "block_documents": 50},
    )
    assert len(blocks) == 6
    small = ("--clusters", "3", "--steps", "2", "--rows", "20000", "--bytes", "200000")
    command = (sys.executable, ROOT / "benchmarks/cluster_scale.py", "--work", "em", "pca", "words", *small)
    where = ("--corpus", tmp_path / "corpus", "--output", tmp_path, "--repetitions", "1", "--turns", "1")
    own = {**os.environ, "RAY_ADDRESS": ray_of_two.get_runtime_context().gcs_address}
    done = subprocess.run((*command, *where), env=own, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("the same to the last bit by all engines: yes") == 2
    assert "annealed: Ray, 2 x 1 to one thread" in done.stdout
    assert "words: 2 workers to 1" in done.stdout


@pytest.mark.slow
def test_a_pipeline_tells_what_its_driver_held(tmp_path):
    size = ("--documents", "200", "--words", "300", "--nonzeros", "5000", "--clusters", "2", "--block", "70")
    command = (sys.executable, ROOT / "benchmarks/cluster_pipeline.py", *size, "--output", tmp_path)
    engine = ("--engine", '{"name": "local", "n_threads": 1}')
    done = subprocess.run((*command, *engine), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert '"n_documents": 180' in done.stdout
    assert "above the import's" in done.stdout


def test_slopes_are_those_of_a_power_law(program):
    table = pd.DataFrame([(n, K) for n in (10, 100, 1000) for K in (2, 8)], columns=["nonzeros", "K"])
    slopes = program("clustering_scale").fitted_slopes(
        table.assign(seconds=3e-9 * table["nonzeros"] ** 0.9 * table["K"] ** 1.2)
    )
    assert slopes["nonzeros"] == pytest.approx(0.9)
    assert slopes["K"] == pytest.approx(1.2)
    assert 0.9 < slopes["product"] < 1.2


@pytest.fixture
def corpus(program, tmp_path):
    """Blocks with planted clusters, and the labels."""
    synthetic = program("_synthetic")
    blocks = synthetic.write_corpus(
        tmp_path / "corpus",
        n_documents=900,
        n_words=1000,
        n_nonzeros=45_000,
        n_clusters=3,
        block_documents=400,
    )
    return blocks, np.load(tmp_path / "corpus" / synthetic.LABELS)


def test_the_synthetic_corpus_is_what_was_ordered(corpus):
    blocks, labels = corpus
    parts = [T for T, _ in blocks]
    assert [part.shape for part in parts] == [(400, 1000), (400, 1000), (100, 1000)]
    assert sum(part.nnz for part in parts) == blocks.n_nonzeros
    assert blocks.n_nonzeros == pytest.approx(45_000, rel=0.05)
    assert labels.size == 900
    for part in parts:
        assert part.data.min() >= 1
        assert all(np.all(np.diff(part[[row]].indices) > 0) for row in range(0, part.shape[0], 50))


def test_the_synthetic_corpus_has_zipfs_words_and_the_planted_clusters(corpus):
    blocks, labels = corpus
    T = sparse.csr_array(sparse.vstack([part for part, _ in blocks]))
    frequencies = np.sort(T.sum(axis=0))[::-1]
    ranks = np.arange(1, 101) + 10.0
    slope = np.polyfit(np.log(ranks), np.log(frequencies[:100]), 1)[0]
    assert -1.4 < slope < -0.6
    # Whole documents are likelier under the words of their own cluster than of the others.
    mu = np.array([T[labels == k].sum(axis=0) + 1.0 for k in range(3)])
    joint = T @ np.log(mu / mu.sum(axis=1, keepdims=True)).T
    assert (joint.argmax(axis=1) == labels).mean() > 0.95


def test_more_different_words_than_there_are_cannot_be_drawn(program, tmp_path):
    with pytest.raises(ValueError, match="95 different words a document cannot be drawn from 100"):
        program("_synthetic").write_corpus(
            tmp_path, n_documents=10, n_words=100, n_nonzeros=950, n_clusters=2, block_documents=5
        )


def test_tasks_take_turns(program):
    turns = []
    tasks = {name: (lambda name=name: turns.append(name)) for name in "abc"}
    seconds = program("_common").interleaved(tasks, 2)
    assert "".join(turns) == "abc" + "abc" + "bca"
    assert {name: values.size for name, values in seconds.items()} == {"a": 2, "b": 2, "c": 2}
    hurried = program("_common").interleaved(tasks, 2, most_seconds=0)
    assert {name: values.size for name, values in hurried.items()} == {"a": 1, "b": 1, "c": 1}


def test_resident_memory_sees_what_is_held_and_what_was():
    """In a process of its own: one that has held much before takes an array out of what it has kept."""
    code = """
import numpy as np
from _common import resident_bytes
size = 64 * 2**20
before, _ = resident_bytes()
held = np.ones(size // 8)
now, _ = resident_bytes()
del held
after, peak = resident_bytes()
assert now - before > 0.8 * size
assert peak - before > 0.8 * size
assert after < now - 0.8 * size
"""
    subprocess.run([sys.executable, "-c", code], cwd=ROOT / "benchmarks", check=True)


def test_a_sample_keeps_documents_and_labels_together(program):
    common = program("_common")
    texts = [f"{word} {word}" for word in "abcdefgh"]
    corpus = common.Corpus("c", list("abcdefgh"), texts=texts, words={"token_pattern": r"\w"}).sample(5)
    words = np.array(sorted(set(corpus.labels)))
    assert [words[row].tolist() for row in corpus.counts.toarray().argmax(axis=1)] == corpus.labels.tolist()
    assert corpus.counts.shape == (5, 5)
    assert corpus.sample(100) is corpus
    assert set(corpus.seconds) == {"counts"}
    assert corpus.features("tf-idf").shape == (5, 5)


def test_tables_are_aligned(program):
    common = program("_common")
    table = pd.DataFrame({"method": ["a", "long name"], "n": [1, 22]})
    assert common.markdown(table).splitlines() == [
        "| method    |   n |",
        "| --------- | --: |",
        "| a         |   1 |",
        "| long name |  22 |",
    ]
    assert common.spread([0.25]) == "0.250"
    assert common.spread([3, 1, 2], 1) == "2.0 (1.0..3.0)"


@pytest.mark.slow
@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="settings of x86 processors")
def test_figures_name_the_processor(program):
    first, second = program("_common").machine().splitlines()
    assert re.fullmatch(r".+; widest instructions \S+, BLAS for .+, bfloat16 (native|emulated)", first)
    assert re.match(r"\d+ cores, OMP_NUM_THREADS: ", second)
    code = "import _common; print(_common.processor())"
    setting = {"OPENBLAS_CORETYPE": "Haswell", "ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT / "benchmarks",
        env={**os.environ, **setting},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.endswith("; widest instructions AVX2, BLAS for Haswell, bfloat16 emulated\n")


def test_cvae_speed_leaves_out_what_is_emulated(cvae_speed, monkeypatch):
    speed, run = cvae_speed
    monkeypatch.setattr(speed, "HAS_BFLOAT16", False)
    printed = run(name for name in speed.LOOPS if "compiled" not in name and name != speed.DEFAULT)
    assert "This processor emulates bfloat16, ten times slower than float32: it is left out" in printed
    assert "| ours, float32 " in printed
    assert "| ours, bfloat16 " not in printed
    assert "| bfloat16 " not in printed


def test_cvae_speed_compares_loops_that_train_the_same_network(cvae_speed, monkeypatch):
    speed, run = cvae_speed
    loops = [name for name in speed.LOOPS if "compiled" not in name]
    printed = run(loops)
    assert "No MNIST; going on with random images" in printed
    if not speed.HAS_BFLOAT16:
        loops = [name for name in loops if "bfloat16" not in name]
    assert all(f"| {name} " in printed for name in loops)
    assert "5 importance samples, measured on 2 images" in printed

    monkeypatch.setitem(speed.LOOPS, "another", lambda *_: iter([-1.0, -1.0]))
    with pytest.raises(SystemExit, match=r"another has a bound of -1\.00"):
        run([*loops, "another"])


@pytest.mark.slow
def test_robustness_reads_what_is_hostile_and_says_what_survived(program, tmp_path, capsys):
    robustness = program("robustness")
    table = tmp_path / "robustness.csv"
    everything = robustness.all_cases()
    assert len(everything) > 200
    chosen = [
        next(number for number, case in enumerate(everything) if (case.group, case.title) == wanted)
        for wanted in (("uci", "-1 documents"), ("npy", "Python objects"), ("parameters", "epochs=-1"))
    ]
    arguments = ["--parts", "hostile", "--output", str(table), "--cases", *map(str, chosen)]
    with pytest.raises(SystemExit) as ended:
        robustness.main(arguments)
    printed = capsys.readouterr().out
    assert ended.value.code == 0, printed
    assert printed.count("survived: hostile: ") == 3
    assert "| all                 |     3 |        3 |" in printed
    assert pd.read_csv(table)["seen"].str.contains("line 1: the number of documents is -1").sum() == 1


@pytest.mark.slow
def test_robustness_notices_what_does_not_survive(program, tmp_path):
    confined, hostile = program("_confined"), program("_hostile")

    def case(read, make=lambda *_: None):
        return hostile.Case("g", "t", make, read, "x.csv", "line 3")

    tried = {
        0: case(Path.exists),
        1: case(Path.read_text),
        2: case(Path.exists, lambda folder, _: (folder / hostile.TRAP).touch()),
    }
    read, foreign, sprung = (outcome.complaint for outcome in confined.look(tried, tmp_path))
    assert read == "read, and not refused"
    assert foreign.startswith("an error of another's: raised in ")
    assert sprung == "a pickle was executed"

    good = {"type": "DatasetError", "message": "x.csv, line 3: no", "ours": True, "where": "", "peak": 2**29}
    assert confined.complaint(tried[0], good) == ""
    for change, said in (
        ({"peak": 2**31}, "2.0 GiB of memory"),
        ({"message": "x.csv: no"}, "lacks 'line 3'"),
        ({"message": "line 3: no"}, "lacks 'x.csv'"),
        ({"message": "x.csv, line 3: " + 9999 * "x"}, "a message of 10,014 characters"),
    ):
        assert said in confined.complaint(tried[0], {**good, **change})
    assert "without an answer" in confined.complaint(tried[0], {})


def test_robustness_reads_outputs_to_their_end(program, finished, tmp_path):
    disturbed = program("_disturbed")
    outputs = [path for path in (finished.path / "data/test").rglob("*.*") if not path.name.startswith(".")]
    assert {path.suffix for path in outputs} >= {".csv", ".html", ".json", ".parquet", ".png", ".safetensors"}
    assert [path.name for path in outputs if disturbed.unread(path)] == []
    for suffix in (".html", ".json", ".parquet", ".png", ".npz", ".safetensors"):
        whole = next(path for path in outputs if path.suffix == suffix)
        half = tmp_path / f"half{suffix}"
        half.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
        assert disturbed.unread(half)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="asks the kernel for what is resident")
def test_a_vae_of_many_images_is_trained_from_a_map(program, tmp_path, capsys):
    scale = program("cvae_scale")
    small = ["--images", "30000", "--window", str(2**22), "--output", str(tmp_path)]
    scale.main(small)
    said = capsys.readouterr().out
    assert re.search(r"fit: an epoch in windows of 4 MiB, \d+ s \([\d,]+ images a second\)", said)
    assert "(target below 1.0: met)" in said
    written = (tmp_path / "images.npy").stat().st_mtime_ns
    scale.main(small)
    assert "is there" in capsys.readouterr().out
    assert (tmp_path / "images.npy").stat().st_mtime_ns == written
