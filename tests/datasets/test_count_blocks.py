import re
from pathlib import Path

import numpy as np
import pytest
from kedro.io import DatasetError
from scipy import sparse

from latents.datasets import CountBlocksDataset
from latents.datasets.block_folder import writing
from latents.datasets.count_blocks import CountBlocks, finish, write_block
from latents.estimators import MultinomialMixture
from tests.conftest import ROOT


@pytest.fixture
def parts():
    rng = np.random.default_rng(0)
    return [sparse.csr_array(rng.poisson(0.4, (n, 12))) for n in (30, 40, 5)]


def test_blocks_come_back_in_both_layouts_as_often_as_asked(tmp_path, parts):
    dataset = CountBlocksDataset(filepath=str(tmp_path / "new" / "blocks"))
    assert not dataset.exists()
    dataset.save(part for part in parts)
    assert dataset.exists()
    blocks = dataset.load()
    assert (blocks.n_documents, blocks.n_words, len(blocks)) == (75, 12, 3)
    assert blocks.n_nonzeros == sum(part.nnz for part in parts)
    for _ in range(2):
        for (by_documents, by_words), part in zip(blocks, parts, strict=True):
            assert not by_documents.data.flags.owndata  # mapped from disk, not read
            np.testing.assert_array_equal(by_documents.toarray(), part.toarray())
            np.testing.assert_array_equal(by_words.toarray(), part.toarray())
            assert (by_documents.format, by_words.format) == ("csr", "csc")


def test_a_fit_streams_over_them(tmp_path, parts):
    blocks = CountBlocks.write(tmp_path / "blocks", parts)
    streamed = MultinomialMixture(2, random_state=0).fit(blocks)
    listed = MultinomialMixture(2, random_state=0).fit(parts)
    np.testing.assert_array_equal(streamed.word_probabilities_, listed.word_probabilities_)


def test_new_blocks_replace_the_old_ones_whole_or_not_at_all(tmp_path, parts):
    dataset = CountBlocksDataset(filepath=str(tmp_path / "blocks"))
    dataset.save(parts)
    dataset.save(parts[:1])
    assert len(dataset.load()) == 1

    def broken():
        yield parts[0]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        CountBlocks.write(tmp_path / "blocks", broken())
    with pytest.raises(DatasetError, match="block 1 has 3 words, but block 0 has 12"):
        dataset.save([parts[0], sparse.csr_array(np.ones((2, 3)))])
    with pytest.raises(DatasetError, match="block 1 has no documents"):
        dataset.save([parts[0], parts[0][:0]])
    with pytest.raises(DatasetError, match="no block to write"):
        dataset.save([])
    assert len(dataset.load()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["blocks"]


@pytest.mark.parametrize("failing", [1, 2])
def test_an_interruption_between_old_and_new_leaves_the_old(tmp_path, parts, monkeypatch, failing):
    CountBlocks.write(tmp_path / "blocks", parts)
    rename, calls = Path.rename, []

    def interrupted(path, target):
        calls.append(path)
        if len(calls) == failing:
            raise KeyboardInterrupt
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", interrupted)
    with pytest.raises(KeyboardInterrupt):
        CountBlocks.write(tmp_path / "blocks", parts[:1])
    assert len(CountBlocks(tmp_path / "blocks")) == 3
    assert [path.name for path in tmp_path.iterdir()] == ["blocks"]


def test_what_is_no_folder_of_blocks_is_not_replaced(tmp_path, parts, monkeypatch):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "thesis.txt").write_text("years of work")
    for place in (tmp_path / "thesis", tmp_path / "thesis" / "thesis.txt"):
        with pytest.raises(FileExistsError, match=rf"{place.name} is there, and has no manifest\.json"):
            CountBlocks.write(place, parts)
        with pytest.raises(DatasetError, match="is there"):
            CountBlocksDataset(filepath=str(place)).save(parts)
    assert (tmp_path / "thesis" / "thesis.txt").read_text() == "years of work"
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    assert CountBlocks.write(".", parts).n_documents == 75


def test_stored_zeros_and_duplicates_are_no_nonzeros(tmp_path):
    T = sparse.csr_array((np.array([1.0, 0.0, 2.0, 3.0]), [0, 1, 2, 2], [0, 4]), shape=(1, 3))
    blocks = CountBlocks.write(tmp_path / "blocks", [T])
    assert (blocks.n_nonzeros, T.nnz) == (2, 4)
    for layout in blocks[0]:
        np.testing.assert_array_equal(layout.toarray(), [[1, 0, 5]])
        assert layout.nnz == 2


@pytest.mark.parametrize(
    ("largest", "dtype"),
    [
        (255, "uint8"),
        (256, "uint16"),
        (70_000, "uint32"),
        (2**40, "float64"),
        (0.5, "float64"),
        (-1, "float64"),
    ],
)
def test_whole_counts_take_as_few_bytes_as_hold_the_largest(tmp_path, largest, dtype):
    T = sparse.csr_array(np.array([[1, largest], [3, 0]], dtype=float))
    blocks = CountBlocks.write(tmp_path / "blocks", [T, sparse.csr_array(np.eye(2, dtype=np.int64))])
    for layout in blocks[0]:
        assert layout.dtype == dtype
        np.testing.assert_array_equal(layout.toarray().astype(float), T.toarray())
    assert blocks[1][0].dtype == "uint8"


@pytest.mark.parametrize(
    ("data", "total"), [(np.array([200, 100], np.uint8), 300), (np.array([True, True]), 2)]
)
def test_duplicates_add_up_beyond_their_type(tmp_path, data, total):
    T = sparse.csr_array((data, [0, 0], [0, 2]), shape=(1, 1))
    assert CountBlocks.write(tmp_path / "blocks", [T])[0][0].toarray().tolist() == [[total]]


def test_blocks_that_were_written_elsewhere_are_missed(tmp_path):
    block = sparse.csr_array(np.eye(2))
    with (
        pytest.raises(FileNotFoundError, match=r"block-00001.documents\.data\.npy is missing"),
        writing(tmp_path / "b") as new,
    ):
        finish(new, [write_block(new, 0, block), write_block(tmp_path, 1, block)])
    assert not (tmp_path / "b").exists()
    with pytest.raises(FileNotFoundError):
        write_block(tmp_path / "not there", 0, block)


def test_blocks_are_numbered_as_in_a_list(tmp_path, parts):
    blocks = CountBlocks.write(tmp_path / "blocks", parts)
    assert blocks[-1][0].shape == (5, 12)
    with pytest.raises(IndexError):
        blocks[3]


@pytest.mark.parametrize("text", ["{}", "[]", '{"n_doc', '{"n_documents": "many"}'])
def test_a_damaged_list_of_blocks_is_named(tmp_path, parts, text):
    CountBlocks.write(tmp_path / "blocks", parts)
    (tmp_path / "blocks" / "manifest.json").write_text(text)
    with pytest.raises(ValueError, match=r"blocks/manifest\.json is damaged"):
        CountBlocks(tmp_path / "blocks")


def test_a_missing_file_is_named(tmp_path, parts):
    CountBlocks.write(tmp_path / "blocks", parts)
    (tmp_path / "blocks" / "block-00001" / "words.data.npy").unlink()
    with pytest.raises(FileNotFoundError, match=r"block-00001/words\.data\.npy is missing"):
        CountBlocks(tmp_path / "blocks")


def test_a_folder_without_blocks(tmp_path):
    with pytest.raises(DatasetError, match=r"has no manifest\.json"):
        CountBlocksDataset(filepath=str(tmp_path)).load()


def test_the_documented_example(tmp_path, parts, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (code,) = re.findall(r"```python\n([^`]*CountBlocks[^`]*)```", (ROOT / "docs/models.md").read_text())
    namespace = {"sparse_matrices": parts}
    exec(code, namespace)
    assert namespace["model"].n_documents_seen_ == namespace["clusters"].size == 75
