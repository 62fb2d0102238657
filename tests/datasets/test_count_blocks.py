import re

import numpy as np
import pytest
from kedro.io import DatasetError
from scipy import sparse

from latents.datasets import CountBlocksDataset
from latents.datasets.count_blocks import CountBlocks
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
    with pytest.raises(DatasetError, match="no block to write"):
        dataset.save([])
    assert len(dataset.load()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["blocks"]


def test_a_folder_without_blocks(tmp_path):
    with pytest.raises(DatasetError, match=r"has no manifest\.json"):
        CountBlocksDataset(filepath=str(tmp_path)).load()


def test_the_readmes_example(tmp_path, parts, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (code,) = re.findall(r"```python\n([^`]*CountBlocks[^`]*)```", (ROOT / "README.md").read_text())
    namespace = {"sparse_matrices": parts}
    exec(code, namespace)
    assert namespace["model"].n_documents_seen_ == 75
