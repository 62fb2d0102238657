import pickle

import numpy as np
import pandas as pd
import pytest
from kedro.io import DatasetError

from latents.datasets import DocumentBlocksDataset
from latents.datasets.document_blocks import TextBlocks
from latents.estimators.common.blocks import LocalBlocks
from latents.features.documents import DocumentBlocks

TEXTS = ["one two", "", "three\nlines\r\nof", "vier, 五 🎈", "\x00"]


@pytest.fixture
def documents():
    return pd.DataFrame({"text": TEXTS, "label": list("abaab"), "held_out": [True, False] * 2 + [True]})


@pytest.fixture(params=["here", "in a store"])
def place(request, tmp_path, monkeypatch):
    monkeypatch.setenv("LATENTS_SCRATCH", str(tmp_path / "scratch"))
    return str(tmp_path / "documents") if request.param == "here" else f"memory://{tmp_path.name}/documents"


def loaded(entry):
    found = entry.load()
    return [text for texts in found.texts.each(list) for text in texts], found


@pytest.mark.parametrize("size", [1, 2, 5, 10_000])
def test_a_table_comes_back_in_parts(place, documents, size):
    entry = DocumentBlocksDataset(place, documents_per_block=size)
    assert not entry.exists()
    entry.save(documents)
    assert entry.exists()
    texts, found = loaded(entry)
    assert texts == TEXTS
    assert found.n_rows == [len(part) for part in np.array_split(TEXTS, range(size, 5, size))]
    pd.testing.assert_frame_equal(found.told, documents[["label", "held_out"]])
    if not place.startswith("memory"):
        again = pickle.loads(pickle.dumps(TextBlocks(place)))
        assert [text for part in again for text in part] == TEXTS


def test_blocks_are_written_as_they_are_parted(place, documents):
    parts = LocalBlocks([TEXTS[:2], [], TEXTS[2:]], 2)
    entry = DocumentBlocksDataset(place, {"name": "local", "n_threads": 2})
    entry.save(documents)
    entry.save(DocumentBlocks(parts, documents[["label"]], [2, 0, 3]))
    texts, found = loaded(entry)
    assert texts == TEXTS
    assert found.n_rows == [2, 0, 3]
    assert list(found.told) == ["label"]


def test_documents_of_which_nothing_is_told_are_counted(place):
    entry = DocumentBlocksDataset(place)
    entry.save(pd.DataFrame({"text": TEXTS}))
    texts, found = loaded(entry)
    assert (texts, len(found), list(found.told)) == (TEXTS, 5, [])


def test_what_breaks_off_leaves_the_former(place, documents):
    entry = DocumentBlocksDataset(place)
    entry.save(documents)

    def broken():
        yield TEXTS[:2]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        entry.save(DocumentBlocks(LocalBlocks(broken()), documents[["label"]], [2, 3]))
    assert loaded(entry)[0] == TEXTS


def test_what_has_changed_since_it_was_looked_through_is_not_saved(place, documents):
    entry = DocumentBlocksDataset(place)
    entry.save(documents)
    with pytest.raises(DatasetError, match=r"documents: block 1: it has 2 documents, and had 3 when"):
        entry.save(DocumentBlocks(LocalBlocks([TEXTS[:2], TEXTS[3:]]), documents[["label"]], [2, 3]))
    assert loaded(entry)[0] == TEXTS


@pytest.mark.parametrize("other", ["x", [["x"]], None])
def test_what_is_no_table_is_refused(tmp_path, other):
    with pytest.raises(DatasetError, match=r"allowed are a table with a column text and|Saving .None"):
        DocumentBlocksDataset(str(tmp_path / "documents")).save(other)


def test_a_block_that_is_gone_is_named(tmp_path, documents):
    entry = DocumentBlocksDataset(str(tmp_path / "documents"), documents_per_block=2)
    entry.save(documents)
    (tmp_path / "documents/block-00001/text.parquet").unlink()
    with pytest.raises(DatasetError, match=r"block-00001.text\.parquet is missing"):
        entry.load()


def test_what_is_no_folder_of_blocks_stays(tmp_path, documents):
    (tmp_path / "documents").mkdir()
    (tmp_path / "documents/mine.txt").write_text("mine")
    with pytest.raises(DatasetError, match=r"documents is there, and has no manifest\.json; allowed are"):
        DocumentBlocksDataset(str(tmp_path / "documents")).save(documents)
    assert (tmp_path / "documents/mine.txt").read_text() == "mine"


@pytest.mark.parametrize("size", [0, -1, 1.5, "7"])
def test_a_size_that_there_is_not(size):
    with pytest.raises(DatasetError, match=r"documents_per_block is .*; allowed are whole numbers"):
        DocumentBlocksDataset("documents", documents_per_block=size)
