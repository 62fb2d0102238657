"""Every dataset in a store: what is saved is loaded, whole or not at all, and nobody sees half of it."""

import hashlib
import os
import pickle
import shutil
from pathlib import Path

import fsspec
import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest
from fsspec.implementations.dirfs import DirFileSystem
from kedro.io import DatasetError
from kedro.io.core import Version
from matplotlib.figure import Figure
from PIL import Image
from scipy import sparse

from latents import datasets, places, predictors
from latents.estimators import MinimumErrorPCA
from latents.files import whole_file, whole_folder
from latents.leases import Leases
from latents.places import PlaceError, Remote, place
from latents.predictors import Candidate, Headline
from tests.datasets.test_documents import write_newsgroups
from tests.datasets.test_images import write_mnist
from tests.datasets.test_whole import Unwritable

TABLE = pd.DataFrame({"a": [1, 2], "b": ["x", "=y"]})


@pytest.fixture(autouse=True)
def scratch(tmp_path, monkeypatch):
    """A scratch folder of the test's own, and a store of memory with nothing in it."""
    monkeypatch.setenv("LATENTS_SCRATCH", str(tmp_path / "scratch"))
    store = fsspec.filesystem("memory")
    store.store.clear()
    store.pseudo_dirs[:] = [""]
    return tmp_path / "scratch"


@pytest.fixture
def store():
    return fsspec.filesystem("memory")


def files_of(store):
    """Return the files of the store, but for what names folders that are whole."""
    return sorted(store.find("/"))


def sent(store, path, content):
    store.pipe_file(f"/b/{path}", content if isinstance(content, bytes) else content.encode())


@pytest.mark.parametrize(
    ("dataset", "name", "good", "bad"),
    [
        ("CSVDataset", "a.csv", TABLE, pd.DataFrame({"a": [1, Unwritable()]})),
        ("ParquetDataset", "a.parquet", TABLE, pd.DataFrame({"a": [1, Unwritable()]})),
        ("JSONDataset", "a.json", {"a": 1}, {"a": 1, "b": Unwritable()}),
        ("MetricsDataset", "a.json", {"a": 1.5}, {"a": 1, "b": Unwritable()}),
        ("TextDataset", "a.txt", "good", 3),
        ("PlotlyDataset", "a.json", go.Figure(), Unwritable()),
        ("MatplotlibDataset", "a.png", Figure(), Unwritable()),
        ("NpzDataset", "a.npz", {"a": np.arange(3)}, {"a": np.arange(3), "b": np.array([Unwritable()])}),
        ("SparseMatrixDataset", "a.npz", sparse.csr_array(np.eye(2)), Unwritable()),
        ("EstimatorDataset", "a.safetensors", MinimumErrorPCA(1).fit(np.eye(3)), MinimumErrorPCA()),
    ],
)
@pytest.mark.parametrize("scheme", ["memory", "file"])
def test_a_file_is_there_whole_or_not_at_all(store, tmp_path, scheme, dataset, name, good, bad):
    root = tmp_path / "b" if scheme == "file" else "/b"
    more = {"prefix": "p"} if dataset == "MetricsDataset" else {}
    entry = getattr(datasets, dataset)(filepath=f"{scheme}://{root}/deep/{name}", **more)
    assert not entry.exists()
    with pytest.raises(DatasetError, match=f"{root}/deep/{name}"):
        entry.load()
    entry.save(good)
    assert entry.exists()
    found = store if scheme == "memory" else fsspec.filesystem("file")
    path = f"{root}/deep/{name}"
    before = found.cat_file(path)
    loaded = entry.load()
    if isinstance(good, pd.DataFrame):
        pd.testing.assert_frame_equal(loaded, good)
    elif name.endswith("json") and isinstance(good, dict):
        assert loaded == good
    elif dataset == "NpzDataset":
        np.testing.assert_array_equal(loaded["a"], good["a"])
    elif dataset == "SparseMatrixDataset":
        assert (loaded != good).nnz == 0
    with pytest.raises(DatasetError):
        entry.save(bad)
    assert found.cat_file(path) == before
    assert [step.rpartition("/")[2] for step in found.find(str(root))] == [name]


@pytest.fixture
def in_scratch(scratch):
    """Return a function that gives the files of the scratch folder."""
    return lambda: sorted(path.name for path in scratch.rglob("*") if path.is_file())


def test_a_copy_is_brought_once_and_again_when_the_file_has_changed(store, in_scratch, monkeypatch):
    sent(store, "a.csv", "text\nsea\n")
    entry = datasets.DocumentTableDataset(filepath="memory://b/a.csv")
    brought = []
    real = type(store).get_file
    monkeypatch.setattr(
        type(store), "get_file", lambda self, *a, **k: (brought.append(a), real(self, *a, **k))
    )
    for _ in range(2):
        assert entry.load()["text"].tolist() == ["sea"]
    assert len(brought) == 1
    assert in_scratch() == ["a.csv"]
    sent(store, "a.csv", "text\nsky\n")
    assert entry.load()["text"].tolist() == ["sky"]
    assert len(brought) == 2


@pytest.fixture
def digests(store, monkeypatch):
    """Let the store tell digests of its files, as S3 does."""
    real = type(store).info

    def info(self, path, **options):
        found = real(self, path, **options)
        if found["type"] == "file":
            found["ETag"] = f'"{hashlib.md5(self.cat_file(path)).hexdigest()}"'
        return found

    monkeypatch.setattr(type(store), "info", info)


@pytest.mark.parametrize("tells", ["digests", "times"])
def test_what_another_has_written_meanwhile_is_what_is_read(store, monkeypatch, request, tells):
    if tells == "digests":
        request.getfixturevalue("digests")
    real = type(store).put_file

    def put_file(self, *words, **options):
        real(self, *words, **options)
        self.pipe_file("/b/a.txt", b"theirs")

    monkeypatch.setattr(type(store), "put_file", put_file)
    with whole_file(place("memory://b/a.txt")) as new:
        new.write_text("ours:)")
    assert place("memory://b/a.txt").read_text() == "theirs"


def test_what_was_just_written_is_not_brought_back(store, digests, monkeypatch):
    entry = datasets.NpzDataset(filepath="memory://b/a.npz")
    entry.save({"a": np.arange(3)})
    monkeypatch.setattr(type(store), "get_file", None)
    np.testing.assert_array_equal(entry.load()["a"], np.arange(3))


def test_messages_name_the_address_and_the_line(store):
    sent(store, "a.jsonl", '{"text": "sea"}\n[1]\n')
    with pytest.raises(DatasetError, match=r"memory://b/a.jsonl, line 2: "):
        datasets.DocumentTableDataset(filepath="memory://b/a.jsonl").load()


def test_a_bag_finds_its_words_beside_it(store):
    sent(store, "docword.kos.txt", "1\n2\n2\n1 1 3\n1 2 1\n")
    sent(store, "vocab.kos.txt", "sea\nsky\n")
    bag = datasets.BagOfWordsDataset(filepath="memory://b/docword.kos.txt", format="uci").load()
    assert bag["words"] == ["sea", "sky"]
    assert bag["counts"].toarray().tolist() == [[3, 1]]


def test_folders_of_texts_and_pictures_have_labels_and_no_hidden_files(store, tmp_path):
    Image.new("L", (3, 2), 7).save(tmp_path / "a.png")
    for name, content in (("sea/a.txt", "waves"), ("sky/b.txt", "clouds"), ("sky/.DS_Store", "")):
        sent(store, f"texts/{name}", content)
        sent(store, f"pictures/{name}".replace(".txt", ".png"), (tmp_path / "a.png").read_bytes())
    table = datasets.TextFolderDataset(path="memory://b/texts").load()
    assert table.to_dict("list") == {
        "name": ["sea/a.txt", "sky/b.txt"],
        "text": ["waves", "clouds"],
        "label": ["sea", "sky"],
    }
    data = datasets.ImageFolderDataset(path="memory://b/pictures", grey=True).load()
    assert data["images"].shape == (2, 2, 3)
    assert data["labels"].tolist() == ["sea", "sky"]
    with pytest.raises(DatasetError, match="there is no folder memory://b/nothing"):
        datasets.TextFolderDataset(path="memory://b/nothing").load()


def test_tables_of_parts_and_of_pictures(store, tmp_path):
    for part, value in (("part-10", 10), ("part-2", 2)):
        pd.DataFrame({"text": [f"x{value}"]}).to_parquet(tmp_path / "t.parquet")
        sent(store, f"parts.parquet/{part}.parquet", (tmp_path / "t.parquet").read_bytes())
    table = datasets.DocumentTableDataset(filepath="memory://b/parts.parquet").load()
    assert table["text"].tolist() == ["x2", "x10"]
    Image.new("L", (3, 2), 7).save(tmp_path / "a.png")
    pictures = pd.DataFrame({"image": [(tmp_path / "a.png").read_bytes()] * 2, "label": ["a", "b"]})
    pictures.to_parquet(tmp_path / "p.parquet")
    sent(store, "pictures/train-00000-of-00001.parquet", (tmp_path / "p.parquet").read_bytes())
    data = datasets.ImageTableDataset(filepath="memory://b/pictures").load()
    assert data["labels"].tolist() == ["a", "b"]


def test_arrays_and_their_labels(store, tmp_path):
    for name, array in (("images.npy", np.zeros((2, 3, 3))), ("labels.npy", np.array([1, 2]))):
        np.save(tmp_path / name, array)
        sent(store, name, (tmp_path / name).read_bytes())
    data = datasets.NpyDataset(filepath="memory://b/images.npy", labels="labels.npy").load()
    assert isinstance(data["images"], np.memmap)
    assert data["labels"].tolist() == [1, 2]


class TestFolders:
    """A folder is whole at every moment, and its former files go."""

    @pytest.fixture
    def entry(self):
        return datasets.NpyFolderDataset(filepath="memory://b/arrays")

    def test_comes_back_mapped(self, entry):
        assert not entry.exists()
        with pytest.raises(DatasetError, match="there is no folder memory://b/arrays"):
            entry.load()
        entry.save({"a": np.arange(3), "b": np.ones((2, 2))})
        assert entry.exists()
        loaded = entry.load()
        assert isinstance(loaded["a"], np.memmap)
        np.testing.assert_array_equal(loaded["a"], np.arange(3))
        np.testing.assert_array_equal(loaded["b"], np.ones((2, 2)))

    def test_is_replaced_and_what_is_in_use_stays(self, entry, store):
        entry.save({"a": np.arange(3), "b": np.ones(2)})
        before = entry.load()
        entry.save({"a": np.arange(4)})
        assert list(entry.load()) == ["a"]
        np.testing.assert_array_equal(before["b"], np.ones(2))
        assert [path.rpartition("/")[2] for path in store.find("/")] == [".manifest.json", "a.npy"]

    def test_half_an_upload_is_none(self, entry, store, monkeypatch):
        real, calls = type(store).put_file, []

        def put_file(self, *words, **options):
            calls.append(words)
            if len(calls) == 2:
                raise OSError("the line is dead")
            return real(self, *words, **options)

        with monkeypatch.context() as patched:
            patched.setattr(type(store), "put_file", put_file)
            with pytest.raises(DatasetError, match=r"memory://b/arrays .*the line is dead"):
                entry.save({"a": np.arange(3), "b": np.ones(2)})
        assert len(store.find("/")) == 1  # which no manifest names
        assert not entry.exists()
        entry.save({"a": np.arange(3)})
        calls.clear()
        with monkeypatch.context() as patched:
            patched.setattr(type(store), "put_file", put_file)
            with pytest.raises(DatasetError, match="the line is dead"):
                entry.save({"c": np.arange(3), "b": np.ones(2)})
        assert list(entry.load()) == ["a"]

    def test_is_replaced_while_it_is_read(self, entry, store, monkeypatch):
        entry.save({"a": np.arange(3)})
        real, hidden = places.bring, []

        def bring(files):
            if not hidden:  # another's copy: nothing of it is here
                hidden.append(True)
                other = datasets.NpyFolderDataset(filepath="memory://b/arrays")
                other.save({"a": np.arange(5)})
                for path in places.scratch.folder().rglob("*.npy"):
                    path.unlink()
            real(files)

        monkeypatch.setattr(places, "bring", bring)
        np.testing.assert_array_equal(entry.load()["a"], np.arange(5))

    def test_of_the_users_own_is_read_as_it_lies(self, entry, store, tmp_path):
        np.save(tmp_path / "a.npy", np.arange(3))
        sent(store, "arrays/a.npy", (tmp_path / "a.npy").read_bytes())
        np.testing.assert_array_equal(entry.load()["a"], np.arange(3))
        entry.save({"b": np.arange(2)})
        assert list(entry.load()) == ["b"]
        assert store.exists("/b/arrays/a.npy")  # what is the user's stays

    def test_a_day_old_half_goes_with_the_next(self, entry, store):
        sent(store, "arrays/.whole-000000000000/a.npy", "half")
        sent(store, "arrays/.whole-000000000001/a.npy", "at work")
        store.store["/b/arrays/.whole-000000000000/a.npy"].created -= pd.Timedelta(days=2)
        entry.save({"a": np.arange(3)})
        assert not store.exists("/b/arrays/.whole-000000000000/a.npy")
        assert store.exists("/b/arrays/.whole-000000000001/a.npy")

    def test_blocks_of_counts_are_brought_in_their_turn(self, store, in_scratch):
        entry = datasets.CountBlocksDataset(filepath="memory://b/blocks")
        assert not entry.exists()
        with pytest.raises(DatasetError, match=r"memory://b/blocks has no manifest\.json"):
            entry.load()
        blocks = [sparse.csr_array(np.eye(3)), sparse.csr_array(np.ones((2, 3)))]
        entry.save(blocks)
        assert entry.exists()
        for path in places.scratch.folder().rglob("*.npy"):
            path.unlink()
        loaded = pickle.loads(pickle.dumps(entry.load()))
        assert not [name for name in in_scratch() if name.endswith(".npy")]
        np.testing.assert_array_equal(loaded[1][0].toarray(), np.ones((2, 3)))
        assert len([name for name in in_scratch() if name.endswith(".npy")]) == 6
        assert [rows.shape[0] for rows, _ in loaded] == [3, 2]

    def test_predictors(self, pca_predictor, digits):
        entry = datasets.PredictorDataset(filepath="memory://b/predictor", trained_by="pca")
        with pytest.raises(DatasetError, match="no trained model in memory://b/predictor: train one first"):
            entry.load()
        headline = Headline("distortion", 1.0, highest_wins=False, conditions={})
        for _ in range(2):
            entry.save(Candidate(pca_predictor, digits[0][:2], headline))
        pd.testing.assert_frame_equal(
            entry.load().predict(digits[0]), pca_predictor.predict(digits[0]), check_exact=True
        )
        assert isinstance(predictors.load(place("memory://b/predictor").here()), predictors.PCAPredictor)


def test_snapshots_and_checkpoints(store):
    entry = datasets.SnapshotsDataset(path="memory://b/epochs", artifact_path="epochs")
    assert entry.load().load() == {}
    for epoch in (100, 20):
        entry.load().save(epoch, {"images": np.full(3, epoch)}, Figure())
    assert list(entry.load().load()) == [20, 100]
    sent(store, "epochs/mine.png", "mine")
    entry.load().clear()
    assert [path.rpartition("/")[2] for path in store.find("/")] == ["mine.png"]

    monitor = datasets.FitMonitorDataset(prefix="cvae", filepath="memory://b/checkpoint.safetensors")
    checkpoint = monitor.load().checkpoint
    assert not os.path.isfile(checkpoint)
    with whole_file(checkpoint) as temporary:
        temporary.write_text("kept")
    assert Path(checkpoint).read_text() == "kept"
    monitor.discard()
    assert not os.path.isfile(checkpoint)
    monitor.discard()


def test_the_scratch_folder_has_a_limit(store, scratch, monkeypatch):
    monkeypatch.setenv("LATENTS_SCRATCH_LIMIT", "100 KiB")
    monkeypatch.setattr(places.scratch, "_room", None)
    files = [place(f"memory://b/{number}.txt") for number in range(12)]
    for number in range(12):
        sent(store, f"{number}.txt", b"x" * 20_000)
    for file in files:
        file.here()
        os.utime(file.copy, ns=(file.copy.stat().st_atime_ns - 120 * 10**9, file.copy.stat().st_mtime_ns))
    assert sum(path.stat().st_size for path in scratch.rglob("*.txt")) <= 100 * 1024
    assert files[-1].copy.is_file()
    assert all(file.read_bytes() == b"x" * 20_000 for file in files)
    monkeypatch.setenv("LATENTS_SCRATCH_LIMIT", "much")
    monkeypatch.setattr(places.scratch, "_room", None)
    sent(store, "new.txt", "new")
    with pytest.raises(ValueError, match="LATENTS_SCRATCH_LIMIT is 'much'; allowed"):
        place("memory://b/new.txt").here()


def test_what_is_in_use_stays_beyond_the_limit(store, monkeypatch):
    monkeypatch.setenv("LATENTS_SCRATCH_LIMIT", "100 KiB")
    monkeypatch.setattr(places.scratch, "_room", None)
    files = [place(f"memory://b/{number}.txt") for number in range(12)]
    for number in range(12):
        sent(store, f"{number}.txt", b"x" * 20_000)
    places.bring(files)
    assert all(file.copy.is_file() for file in files)


def test_only_the_user_may_read_the_copies(store, scratch):
    scratch.mkdir(mode=0o755)
    sent(store, "a.txt", "secret")
    copy = place("memory://b/a.txt").here()
    assert next(path for path in copy.parents if path.parent == scratch).stat().st_mode & 0o777 == 0o700
    assert scratch.stat().st_mode & 0o777 == 0o755  # which is the user's


def test_what_is_no_copy_is_never_removed_to_make_room(store, scratch, monkeypatch):
    monkeypatch.setenv("LATENTS_SCRATCH_LIMIT", "100 KiB")
    monkeypatch.setattr(places.scratch, "_room", None)
    own = scratch / "thesis/results.csv"
    own.parent.mkdir(parents=True)
    own.write_bytes(b"x" * 90_000)
    os.utime(own, (0, 0))
    sent(store, "a.txt", b"y" * 50_000)
    place("memory://b/a.txt").here()
    assert own.is_file()


def _aged(folder):
    """Let all files of a folder have been used for the last time two minutes ago."""
    for path in folder.rglob("*"):
        if path.is_file():
            found = path.stat()
            os.utime(path, ns=(found.st_atime_ns - 120 * 10**9, found.st_mtime_ns))


@pytest.mark.parametrize("when", ["the former goes", "the answer is lost"])
def test_what_the_manifest_names_stays_whatever_happens_after(store, scratch, monkeypatch, when):
    entry = datasets.CountBlocksDataset("memory://b/blocks")
    entry.save([sparse.csr_array(np.eye(3))])

    def interrupted(*_):
        raise KeyboardInterrupt

    upload = type(store).pipe_file

    def lost(*given, **more):
        upload(*given, **more)
        raise OSError("the connection is lost")

    with monkeypatch.context() as patched:
        if when == "the former goes":
            patched.setattr(places.Remote, "_clear", interrupted)
        else:
            patched.setattr(type(store), "pipe_file", lost)
        with pytest.raises((KeyboardInterrupt, DatasetError, places.PlaceError)):
            entry.save([sparse.csr_array(np.ones((2, 3)))])
    shutil.rmtree(scratch)
    assert entry.load().rows == [2]


def test_what_is_being_written_is_never_removed_to_make_room(store, scratch, monkeypatch):
    monkeypatch.setenv("LATENTS_SCRATCH_LIMIT", "100 KiB")
    monkeypatch.setattr(places.scratch, "_room", None)
    entry = datasets.CountBlocksDataset("memory://b/blocks")

    def blocks():
        for number in range(3):
            if number == 2:
                _aged(scratch)
                sent(store, "input.txt", b"z" * 101_000)
                place("memory://b/input.txt").here()
            yield sparse.csr_array(np.full((4, 5), number + 1))

    entry.save(blocks())
    assert [rows.toarray()[0, 0] for rows, _ in entry.load()] == [1, 2, 3]


def test_blocks_of_which_a_file_is_gone_do_not_replace_the_former(store, scratch):
    entry = datasets.CountBlocksDataset("memory://b/blocks")
    entry.save([sparse.csr_array(np.eye(3))])
    (former,) = store.glob("/b/blocks/.whole-*")

    def blocks():
        yield sparse.csr_array(np.ones((2, 3)))
        (new,) = set(store.glob("/b/blocks/.whole-*")) - {former}
        store.rm(f"{new}/block-00000/words.data.npy")
        yield sparse.csr_array(np.ones((2, 3)))

    with pytest.raises(FileNotFoundError, match=r"words\.data\.npy is missing"):
        entry.save(blocks())
    assert entry.load().rows == [3]
    assert store.glob("/b/blocks/.whole-*") == [former]


def test_what_a_killed_writer_has_left_goes_with_the_next_of_any_name(store, scratch):
    left = places.scratch.being_written() / ".writing-0123456789ab-.whole-0123456789ab/new/a.npy"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"half")
    datasets.NpzDataset(filepath="memory://b/a.npz").save({"a": np.arange(3)})
    assert os.listdir(places.scratch.being_written()) == []


def test_a_limit_that_is_none_is_told_before_anything_is_made(monkeypatch):
    monkeypatch.setenv("LATENTS_SCRATCH_LIMIT", "much")
    with pytest.raises(ValueError, match="LATENTS_SCRATCH_LIMIT is 'much'; allowed"):  # noqa: SIM117
        with whole_file(place("memory://b/a.txt")):
            raise RuntimeError("made")


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("memory://b/../../etc/passwd", "memory://b/../../etc/passwd is no place: its name leads upwards"),
        (
            "gs://bucket/a.npz",
            "gs://bucket/a.npz takes a package that is not installed, gcsfs: pip install gcsfs",
        ),
        ("nostore://bucket/a.npz", "nostore://bucket/a.npz cannot be had (Protocol not known: nostore)"),
    ],
)
def test_what_is_no_place_is_told_in_one_sentence(address, reason):
    with pytest.raises(PlaceError) as raised:
        place(address).is_file()
    assert str(raised.value) == reason


def test_a_name_in_a_manifest_never_leads_out_of_the_scratch_folder(store):
    sent(store, "arrays/.manifest.json", '{"folder": ".whole-1", "files": {"../../../../x.npy": 1}}')
    with pytest.raises(DatasetError, match="leads upwards"):
        datasets.NpyFolderDataset(filepath="memory://b/arrays").load()


def test_a_damaged_manifest_is_named(store):
    sent(store, "arrays/.manifest.json", '{"folder": 3}')
    with pytest.raises(DatasetError, match=r"memory://b/arrays/\.manifest\.json is damaged"):
        datasets.NpyFolderDataset(filepath="memory://b/arrays").load()


def test_credentials_and_passwords_are_not_told():
    entry = datasets.NpzDataset(
        filepath="memory://b/a.npz", credentials={"secret": "hush"}, fs_args={"client": "hush"}
    )
    assert "hush" not in f"{entry!r} {entry}"
    assert str(Remote("sftp://me:hush@host/a", {})) == "sftp://me@host/a"
    assert str(Remote("sftp://me:hu@sh@host/a", {})) == "sftp://me@host/a"
    assert str(Remote("https://host/a.csv?signature=hush", {})) == "https://host/a.csv"
    assert str(Remote("s3://bucket/a:b@c/d?", {})) == "s3://bucket/a:b@c/d?"
    table = datasets.CSVDataset(filepath="memory://b/a.csv", credentials={"secret": "hush"})
    assert "memory://b/a.csv" in repr(table)
    assert "hush" not in repr(table)


def test_stores_of_one_address_are_told_apart():
    by_hosts = [
        place("s3://b/a", {"secret": "hush", "client_kwargs": {"endpoint_url": f"http://{host}"}})
        for host in ("one", "two")
    ]
    assert by_hosts[0] != by_hosts[1]
    assert by_hosts[0].copy != by_hosts[1].copy
    by_keys = [place("s3://b/a", {"secret": secret}) for secret in ("hush", "more")]
    assert by_keys[0] == by_keys[1]
    assert by_keys[0].copy == by_keys[1].copy
    signed = [place(f"https://host/a?id={n}") for n in (1, 2)]
    assert signed[0].copy != signed[1].copy


def test_a_driver_is_given_only_what_it_takes(monkeypatch):
    class Folder(DirFileSystem):
        protocol = "ledge"

        def __init__(self, **options):
            given.append(options)
            super().__init__("/nowhere", target_protocol="file")

    given = []
    fsspec.register_implementation("ledge", Folder, clobber=True)
    assert not place("ledge://deep/a.txt").is_file()
    assert given == [{}]


@pytest.mark.parametrize("mode", ["w", "wb", "a", "r+b", "x"])
def test_a_copy_is_opened_to_be_read_only(store, mode):
    sent(store, "a.txt", "kept")
    with pytest.raises(ValueError, match=r"memory://b/a\.txt cannot be opened by the mode"):
        place("memory://b/a.txt").open(mode)
    assert place("memory://b/a.txt").read_text() == "kept"


def test_what_is_one_file_is_not_asked_for_what_lies_in_it(store, monkeypatch):
    sent(store, "a.txt", "kept")
    monkeypatch.setattr(type(store), "cat_file", None)
    monkeypatch.setattr(type(store), "find", None)
    assert places.now(place("memory://b/a.txt")).read_text() == "kept"


def test_credentials_of_a_folder_hold_for_versions_too():
    places.remember("dir://b", {"path": "/nowhere", "target_protocol": "file"})
    try:
        entry = datasets.CSVDataset(filepath="dir://b/a.csv", version=Version(None, None))
        assert entry._fs.path == "/nowhere"
    finally:
        places.remember("", None)


def test_credentials_of_a_folder_hold_for_all_that_lies_in_it():
    places.remember("memory://b/data/", {"key": "k"})
    try:
        assert place("memory://b/data/x")._options == {"key": "k"}
        assert place("memory://b/database")._options == {}
        assert place("memory://b/data/x", {"key": "own"}, {"more": 1})._options == {"key": "own", "more": 1}
    finally:
        places.remember("", None)


def test_stores_that_are_no_object_stores_are_renamed_in(tmp_path, monkeypatch):
    class Folder(DirFileSystem):
        protocol = "shelf"

    fsspec.register_implementation("shelf", Folder, clobber=True)
    (tmp_path / "shelf").mkdir()
    options = {"path": str(tmp_path / "shelf"), "target_protocol": "file"}
    entry = datasets.NpyFolderDataset(filepath="shelf://deep/arrays", credentials=options)
    entry.save({"a": np.arange(3)})
    np.testing.assert_array_equal(entry.load()["a"], np.arange(3))
    one = place("shelf://deep/a.txt", options)
    moved = []
    real = Folder.mv
    monkeypatch.setattr(Folder, "mv", lambda self, a, b, **k: (moved.append((a, b)), real(self, a, b, **k)))
    with whole_file(one) as temporary:
        temporary.write_text("kept")
    assert one.read_text() == "kept"
    assert [to.rpartition("/")[2] for _, to in moved] == ["a.txt"]
    assert sorted(os.listdir(tmp_path / "shelf/deep")) == ["a.txt", "arrays"]


def test_a_block_that_raises_uploads_nothing(store, in_scratch):
    for write in (whole_file, whole_folder):
        with pytest.raises(RuntimeError, match="half way"), write(place("memory://b/x")):
            raise RuntimeError("half way")
    assert files_of(store) == []
    assert in_scratch() == []


@pytest.mark.parametrize("write", [whole_file, whole_folder])
def test_who_has_lost_its_lock_uploads_nothing_more(store, write):
    folder = place("memory://b/out")
    with Leases([folder]) as held, places.guarded(held.check):
        with write(folder / "first") as new:
            (new / "a.npy" if new.is_dir() else new).write_text("ours")
        before = files_of(store)
        held._until = 0.0
        with pytest.raises(PlaceError, match="the lock of memory://b/out was lost"):  # noqa: SIM117
            with write(folder / "second") as new:
                (new / "a.npy" if new.is_dir() else new).write_text("ours")
        assert files_of(store) == before
    with write(folder / "second") as new:
        (new / "a.npy" if new.is_dir() else new).write_text("theirs")
    assert any("second" in path for path in files_of(store))


def test_what_loaders_have_downloaded_before_is_read_from_a_store(store, tmp_path):
    write_mnist(tmp_path / "there")
    write_newsgroups(tmp_path / "there", [("waves", "sci.sea"), ("clouds", "sci.sky")])
    with pytest.raises(DatasetError, match="memory://b/home"):
        datasets.TorchvisionImagesDataset("memory://b/home").load()
    with pytest.raises(DatasetError, match="memory://b/home"):
        datasets.NewsgroupsDataset("memory://b/home").load()
    for path in (tmp_path / "there").rglob("*"):
        if path.is_file():
            sent(store, f"home/{path.relative_to(tmp_path / 'there').as_posix()}", path.read_bytes())
    assert datasets.TorchvisionImagesDataset("memory://b/home").load()["images"].shape == (80, 28, 28)
    assert len(datasets.NewsgroupsDataset("memory://b/home").load()) == 2
