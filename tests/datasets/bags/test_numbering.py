"""Where the numbers of svmlight's words begin: what tells it, and what is refused; lda-c is told by its labels."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kedro.io import DatasetError
from scipy import sparse
from sklearn.datasets import dump_svmlight_file

from latents.datasets import BagOfWordsDataset
from latents.features.numbering import Numbering, settled

WORDS = ["ship", "sail", "wave", "rock"]


def bag_of(folder, content, words=WORDS, **options):
    (folder / "a.svm").write_bytes(content if isinstance(content, bytes) else content.encode())
    if words:
        (folder / "words.txt").write_text("".join(f"{word}\n" for word in words))
        options["vocabulary"] = "words.txt"
    return BagOfWordsDataset(str(folder / "a.svm"), "svmlight", **options).load()


def texts(bag, words):
    return [
        {words[column]: count for column, count in enumerate(row) if count} for row in bag["counts"].toarray()
    ]


@pytest.mark.parametrize(
    ("content", "options", "first", "row"),
    [
        ("x 0:1 2:5\n", {}, 0, {"ship": 1, "wave": 5}),
        ("x 2:5 4:1\n", {}, 1, {"sail": 5, "rock": 1}),
        ("x 1:1 2:5\n", {"zero_based": True}, 0, {"sail": 1, "wave": 5}),
        ("x 1:1 2:5\n", {"zero_based": False}, 1, {"ship": 1, "sail": 5}),
        ("# Column indices are zero-based\nx 1:1 2:5\n", {}, 0, {"sail": 1, "wave": 5}),
        ("# Column indices are one-based\nx 1:1 2:5\n", {}, 1, {"ship": 1, "sail": 5}),
        ("\n# of mine\n# Column indices are zero-based\r\n#\nx 1:1 2:5\n", {}, 0, {"sail": 1, "wave": 5}),
        ("\ufeff# Column indices are zero-based\nx 1:1 2:5\n", {}, 0, {"sail": 1, "wave": 5}),
    ],
)
def test_what_tells_the_first_number(tmp_path, content, options, first, row):
    bag = bag_of(tmp_path, content, **options)
    assert bag["numbering"].first == first
    words = settled(bag["words"], bag["numbering"])
    assert texts(bag, words) == [row]
    assert texts(bag, settled(bag["words"], bag["numbering"], 1 - first)) == [row]  # no training unsays it


@pytest.mark.parametrize(
    "comment", ["x 1:1 2:5\n# Column indices are zero-based\n", "x 1:1 2:5 # zero-based\n"]
)
def test_what_does_not_tell_it_is_left_to_the_training(tmp_path, comment):
    bag = bag_of(tmp_path, comment)
    assert bag["numbering"].first is None
    assert texts(bag, settled(bag["words"], bag["numbering"], 0)) == [{"sail": 1, "wave": 5}]
    assert texts(bag, settled(bag["words"], bag["numbering"], 1)) == [{"ship": 1, "sail": 5}]
    with pytest.raises(
        ValueError, match=r"a\.svm does not tell whether .* from 0 or from 1.*`zero_based: true`"
    ):
        settled(bag["words"], bag["numbering"])


@settings(max_examples=60)
@given(
    dense=st.lists(st.lists(st.integers(0, 3), min_size=4, max_size=4), min_size=1, max_size=5),
    zero_based=st.booleans(),
    comment=st.sampled_from([None, "mine", "Column indices are two-based\nColumn indices are zero-based"]),
)
def test_what_scikit_learn_writes_is_read_right_or_refused(tmp_path_factory, dense, zero_based, comment):
    """With a vocabulary; where the file does not tell, a training by the same base does."""
    folder = tmp_path_factory.mktemp("svm")
    counts = np.array(dense)
    file = io.BytesIO()
    dump_svmlight_file(
        sparse.csr_array(counts), np.zeros(len(counts)), file, zero_based=zero_based, comment=comment
    )
    bag = bag_of(folder, file.getvalue())
    used = counts.any(axis=0)
    known = comment is not None or used[0 if zero_based else 3]
    assert (bag["numbering"].first is None) == (not known)
    words = settled(bag["words"], bag["numbering"], int(not zero_based))
    expected = [{WORDS[j]: n for j, n in enumerate(row) if n} for row in dense]
    assert texts(bag, words) == expected


def test_words_that_are_numbers_are_those_of_the_training(tmp_path):
    zero = bag_of(tmp_path, "x 0:1 2:5\n", words=None)
    assert (zero["words"], zero["numbering"].first) == (["0", "2"], 0)
    assert settled(zero["words"], zero["numbering"], 1) == ["1", "3"]
    assert settled(zero["words"], zero["numbering"], 0) == ["0", "2"]
    either = bag_of(tmp_path, "x 1:1 2:5\n", words=None)
    assert either["numbering"].first is None
    for first in (None, 0, 1):  # the numbers are those of the training's file
        assert settled(either["words"], either["numbering"], first) == ["1", "2"]
    one = bag_of(tmp_path, "x 1:1 2:5\n", words=None, zero_based=False)
    assert settled(one["words"], one["numbering"], 0) == ["0", "1"]
    assert settled(["7"], None, 0) == ["7"]


def test_a_dictionary_with_gaps(tmp_path):
    (tmp_path / "words.txt").write_text("3\n5\tship\t2\n2\tsail\t1\n9\twave\t3\n")
    bag = bag_of(tmp_path, "x 3:1 10:2\ny 6:1\n", words=None, vocabulary="words.txt")
    assert bag["numbering"].first == 1  # gensim's SvmLightCorpus adds one
    assert texts(bag, bag["words"]) == [{"sail": 1, "wave": 2}, {"ship": 1}]


@pytest.mark.parametrize(
    ("content", "options", "said"),
    [
        ("x 0:1\n", {"zero_based": False}, "line 1: the word is 0; allowed are .* 1 to 4 .zero_based: false"),
        (
            "x 1:1\ny 4:1\n",
            {"zero_based": True},
            "line 2: the word is 4; allowed are .* 0 to 3 .zero_based: true",
        ),
        (
            "x 4:1\ny\nz 1:2 0:1\n",
            {},
            "line 3: the word is 0, and line 1 has the word 4; allowed are .* 0 to 3",
        ),
        ("x 5:1\n", {}, "line 1: the word is 5; allowed are .* 0 to 3 .zero_based: true., or else .* 1 to 4"),
        (
            "# Column indices are zero-based\nx 1:1\n",
            {"zero_based": False},
            "line 1: says that words are numbered from 0; zero_based is false",
        ),
        (
            "# mine\n# Column indices are one-based\nx 1:1\n",
            {"zero_based": True},
            "line 2: says that words are numbered from 1; zero_based is true",
        ),
    ],
)
def test_what_contradicts_it(tmp_path, content, options, said):
    with pytest.raises(DatasetError, match=rf"a\.svm, {said}"):
        bag_of(tmp_path, content, **options)


def test_words_without_a_list_may_be_said_to_begin_at_1(tmp_path):
    with pytest.raises(
        DatasetError, match=r"line 1: the word is 0; allowed are 1 to 2147483647 \(zero_based: f"
    ):
        bag_of(tmp_path, "x 0:1\n", words=None, zero_based=False)


def test_lda_c_is_known_by_its_labels(tmp_path):
    with pytest.raises(DatasetError, match=r"line 2: the label is how many words .* say `format: lda-c`"):
        bag_of(tmp_path, "# mine\n2 0:1 3:2\n1 3:1\n0\n", words=None)
    for content in (
        "2 0:1 3:2\n1 3:1\n1 1:1 2:1\n",
        "1 1:1\n1 2:1\n",
        "2 1:1 2:1\n",
        "0\n1 1:1\n",
    ):  # one is no number of pairs
        bag_of(tmp_path, content, words=None)


def test_lda_c(tmp_path):
    path = tmp_path / "a.ldac"
    path.write_text("2 0:1 3:2\n0 \n1 1:7\n")
    bag = BagOfWordsDataset(str(path), "lda-c").load()
    assert bag["words"] == ["0", "1", "3"]
    assert bag["numbering"] == Numbering(str(path), 0, named=False)
    assert texts(bag, bag["words"]) == [{"0": 1, "3": 2}, {}, {"1": 7}]
    assert bag["documents"].to_dict("list") == {"name": ["line 1", "line 2", "line 3"]}
    for name in ("vocab.txt", "a.vocab", "a.ldac.vocab"):
        (tmp_path / name).write_text("".join(f"{word}{name[0]}\n" for word in WORDS))
        bag = BagOfWordsDataset(str(path), "lda-c").load()
        assert (bag["words"], bag["numbering"]) == ([word + name[0] for word in WORDS], None)
    (tmp_path / "other").write_text("".join(f"{word}\n" for word in WORDS))
    assert BagOfWordsDataset(str(path), "lda-c", vocabulary="other").load()["words"] == WORDS


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("2 0:1\n", "line 1: says 2 different words; 1 pairs follow"),
        ("1 0:1\n\n", "line 2: '' does not begin with the number of the document's words"),
        ("0:1\n", "line 1: '0:1' does not begin with the number"),
        ("x 0:1\n", "line 1: the number of words is 'x'; allowed are whole numbers"),
        ("1 4:1\n", "line 1: the word is 4; allowed are the numbers of the 4 words of .*vocab.txt, 0 to 3"),
        ("2 1:1 1:1\n", "line 1: a word is there twice in document 1"),
        ("1 1:0.5\n", "line 1: the count of word 1 is '0.5'; allowed are .* 1 to .*: raw counts"),
        ("99999999999 1:1\n", "line 1: says 99999999999 different words; 1 pairs follow"),
        ("", " has no document"),
    ],
)
def test_broken_lda_c(tmp_path, content, said):
    (tmp_path / "vocab.txt").write_text("".join(f"{word}\n" for word in WORDS))
    (tmp_path / "a.ldac").write_text(content)
    with pytest.raises(DatasetError, match=rf"a\.ldac,? {said.strip()}"):
        BagOfWordsDataset(str(tmp_path / "a.ldac"), "lda-c").load()
