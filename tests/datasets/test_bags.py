"""Bags of words in their three formats: what is read, and what is refused with its line."""

import gzip
import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kedro.io import DatasetError
from scipy import sparse
from sklearn.datasets import dump_svmlight_file, load_svmlight_file

from latents.datasets import BagOfWordsDataset
from latents.datasets.bags import numbers

COUNTS = np.array([[2, 0, 1], [0, 0, 0], [0, 13, 4]])
WORDS = ["ship", "été", "null"]
FILES = {
    "uci": {
        "docword.sea.txt": "3\n3\n4\n1 1 2\n1 3 1\n3 2 13\n3 3 4\n",
        "vocab.sea.txt": "ship\nété\nnull\n",
    },
    "svmlight": {
        "sea.svm": "# labels of the sea\na 1:2 3:1\nb # nothing\n\n #\na 2:13 3:4 # the end\n\n",
        "words.txt": "ship\nété\nnull\n",
    },
    "numbered": {
        "sea.libsvm": "d7\t11:2 40:1\nd8\t\nd9\t12:13 40:4\n",
        "sea.vocab": "11\tship\t1\n40\tnull\t2\n12\tété\t1\n",
    },
}


def write(folder, texts):
    for name, text in texts.items():
        content = text if isinstance(text, bytes) else text.encode()
        (folder / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    return folder


def dataset(folder, format_, texts=None, **options):
    texts = FILES[format_] if texts is None else texts
    write(folder, texts)
    if format_ == "svmlight" and "words.txt" in texts:
        options.setdefault("vocabulary", "words.txt")
    return BagOfWordsDataset(str(folder / next(iter(texts))), format_, **options)


def check(bag, format_):
    np.testing.assert_array_equal(bag["counts"].toarray(), COUNTS)
    assert bag["counts"].dtype == np.int32
    assert bag["counts"].indices.dtype == np.int32
    assert bag["counts"].nnz == 4
    assert list(bag["words"]) == WORDS
    names = {
        "uci": ["1", "2", "3"],
        "svmlight": ["line 2", "line 3", "line 6"],
        "numbered": ["d7", "d8", "d9"],
    }
    assert bag["documents"]["name"].tolist() == names[format_]
    assert ("label" in bag["documents"]) == (format_ == "svmlight")
    if format_ == "svmlight":
        assert bag["documents"]["label"].tolist() == ["a", "b", "a"]


@pytest.mark.parametrize("format_", FILES)
def test_reads(tmp_path, format_):
    check(dataset(tmp_path, format_).load(), format_)


@pytest.mark.parametrize("format_", FILES)
@pytest.mark.parametrize(
    "rewrite",
    [
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.removesuffix("\n"),
        lambda text: text.replace("13", "13.0").replace(":2 ", ":2.0  "),
        lambda text: "\ufeff" + text,
    ],
    ids=["CRLF", "no last line break", "other writing", "byte-order mark"],
)
def test_reads_what_is_written_otherwise(tmp_path, format_, rewrite):
    texts = {name: rewrite(text) for name, text in FILES[format_].items()}
    check(dataset(tmp_path, format_, texts).load(), format_)


@pytest.mark.parametrize("format_", FILES)
def test_reads_compressed_files(tmp_path, format_):
    texts = {f"{name}.gz": text for name, text in FILES[format_].items()}
    options = {"vocabulary": "words.txt.gz"} if format_ == "svmlight" else {}
    check(dataset(tmp_path, format_, texts, **options).load(), format_)


@pytest.mark.parametrize("format_", FILES)
@pytest.mark.parametrize("size", [1, 7, 16])
def test_blocks_change_nothing(tmp_path, format_, size, monkeypatch):
    monkeypatch.setattr(numbers, "_BLOCK", size)
    check(dataset(tmp_path, format_).load(), format_)


def test_words_without_a_vocabulary_are_their_numbers(tmp_path):
    bag = dataset(tmp_path, "svmlight", {"a.svm": "-1 7:1 2000000000:3\n+1 2:5\n"}).load()
    assert bag["words"] == ["2", "7", "2000000000"]
    np.testing.assert_array_equal(bag["counts"].toarray(), [[0, 1, 3], [5, 0, 0]])
    assert bag["documents"]["label"].tolist() == ["-1", "+1"]
    bag = dataset(tmp_path, "svmlight", {"a.svm": "0 0:1 2:3\n"}, zero_based=True).load()
    assert bag["words"] == ["0", "2"]
    bag = dataset(
        tmp_path, "svmlight", {"a.svm": "0 0:1 2:3\n", "words.txt": "x\ny\nz\n"}, zero_based=True
    ).load()
    assert bag["words"] == ["x", "y", "z"]
    np.testing.assert_array_equal(bag["counts"].toarray(), [[1, 0, 3]])


@settings(max_examples=40)
@given(
    dense=st.lists(st.lists(st.integers(0, 3), min_size=4, max_size=4), min_size=1, max_size=6),
    zero_based=st.booleans(),
    comment=st.none()
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=9),
)
def test_what_scikit_learn_writes(tmp_path_factory, dense, zero_based, comment):
    folder = tmp_path_factory.mktemp("svm")
    counts = np.array(dense)
    file = io.BytesIO()
    labels = np.arange(len(counts)) % 2
    dump_svmlight_file(sparse.csr_array(counts), labels, file, zero_based=zero_based, comment=comment)
    (folder / "a.svm").write_bytes(file.getvalue())
    expected, labels = load_svmlight_file(str(folder / "a.svm"), n_features=4, zero_based=zero_based)
    bag = BagOfWordsDataset(str(folder / "a.svm"), "svmlight", zero_based=zero_based).load()
    found = np.zeros_like(counts)
    found[:, [int(word) - (not zero_based) for word in bag["words"]]] = bag["counts"].toarray()
    np.testing.assert_array_equal(found, expected.toarray())
    assert bag["documents"]["label"].astype(float).tolist() == labels.tolist()


# What a file says, what it says instead, in which line, and the reason.
REFUSED = {
    ("uci", "docword.sea.txt"): [
        ("1 3 1", "1 3", 5, "2 fields; allowed are 3: document, word and count"),
        ("1 3 1", "1 3 1 1", 5, "4 fields"),
        ("1 3 1\n", "\n", 5, "0 fields"),
        ("1 3 1", "1 3 one", 5, "the count of word 3 is 'one'; allowed are .* 1 to"),
        ("1 3 1", "1 3 1.5", 5, "the count of word 3 is '1.5'; .*: raw counts"),
        ("1 3 1", "1 3 nan", 5, "the count of word 3 is 'nan'"),
        ("1 3 1", "1 3 1_0", 5, "the count of word 3 is '1_0'"),
        ("1 3 1", "1 3 -1", 5, "the count of word 3 is '-1'; allowed are .* 1 to"),
        ("1 3 1", "1 3 0", 5, "the count of word 3 is '0'"),
        ("1 3 1", "1 3 99999999999999999999", 5, "the count of word 3 is '9999"),
        ("1 3 1", "4 3 1", 5, "the document is 4; allowed are 1 to 3"),
        ("1 3 1", "0 3 1", 5, "the document is 0"),
        ("1 3 1", "1 4 1", 5, "the word is 4; allowed are the numbers of the 3 words of"),
        ("1 3 1", "1 1 1", 5, "a word is there twice in document 1"),
        ("1 3 1\n", "", 3, "says 4 entries; 3 lines follow"),
        ("3\n3\n4", "3\n4\n4", 2, "says 4 words; .*vocab.sea.txt has 3"),
        ("3\n3\n4", "three\n3\n4", 1, "the number of documents is 'three'"),
        ("3\n3\n4", "-3\n3\n4", 1, "the number of documents is -3"),
        ("3\n3\n4", "99999999999\n3\n4", 1, "the number of documents is 9999"),
        ("3\n3\n4\n1 1 2\n1 3 1\n3 2 13\n3 3 4\n", "3\n", 2, "the number of words is ''"),
        ("1 3 1", b"1 3 \xff", 5, r"byte b'\\xff' is no utf-8"),
    ],
    ("uci", "vocab.sea.txt"): [
        ("null", "ship", 3, "the word 'ship' is on line 1 already"),
        ("été", "", 2, "there is no word"),
        ("été", b"\xe9t\xe9", 2, r"byte b'\\xe9' is no utf-8"),
    ],
    ("svmlight", "sea.svm"): [
        ("b #", "3:1 #", 3, "'3:1 # nothing' does not begin with a label"),
        ("b #", "\0\0 #", 3, r"'\\x00\\x00 # nothing' does not begin with a label"),
        ("2:13", "2", 6, "'2' is no number:count"),
        ("2:13", "2:", 6, "the count of word 2 is ''"),
        ("2:13", ":13", 6, "the word is ''"),
        ("2:13", "2:3:4", 6, "the count of word 2 is '3:4'"),
        ("2:13", "qid:13", 6, "the word is 'qid'"),
        ("2:13", "2:-1", 6, "the count of word 2 is '-1'"),
        ("2:13", "2:0", 6, "the count of word 2 is '0'"),
        ("2:13", "2:0.5", 6, "the count of word 2 is '0.5'"),
        ("2:13", "0:13", 6, "the word is 0, and line 2 has the word 3; allowed are the"),
        ("2:13", "4:13", 6, "the word is 4"),
        ("2:13", "3:13", 6, "a word is there twice in document 3"),
    ],
    ("numbered", "sea.libsvm"): [
        ("d8\t\n", "d8\n", 2, "'d8' does not begin with the document's id and a tab"),
        ("d8\t\n", "\t11:1\n", 2, "does not begin with the document's id and a tab"),
        ("d8\t\n", "\n", 2, "'' does not begin with the document's id and a tab"),
        ("d9", "d7", 3, "document 'd7' is on line 1 already"),
        ("12:13", "13:13", 3, "the word is 13; allowed are the numbers of the 3 words of"),
        ("12:13", "12=13", 3, "'12=13' is no number:count"),
        ("12:13", "40:13", 3, "a word is there twice"),
        ("12:13", b"12:\xe9", 3, r"byte b'\\xe9' is no utf-8"),
    ],
    ("numbered", "sea.vocab"): [
        ("40\tnull\t2", "40\tnull", 2, "2 fields; allowed are 3: number, word and frequency"),
        ("40\tnull\t2", "x\tnull\t2", 2, "the number is 'x'"),
        ("40\tnull\t2", "-4\tnull\t2", 2, "the number is -4"),
        ("40\tnull\t2", "40\tnull\tmany", 2, "the frequency is 'many'"),
        ("40\tnull\t2", "11\tnull\t2", 2, "the number 11 is on line 1 already"),
        ("40\tnull\t2", "40\tship\t2", 2, "the word 'ship' is on line 1 already"),
        ("40\tnull\t2\n", "", 1, "the word is 40"),
    ],
}


@pytest.mark.parametrize(
    ("format_", "file", "old", "new", "line", "reason"),
    [(*where, *case) for where, cases in REFUSED.items() for case in cases],
)
def test_refuses_with_file_line_and_reason(tmp_path, format_, file, old, new, line, reason):
    new = new.encode() if isinstance(new, str) else new
    content = FILES[format_][file].encode()
    assert old.encode() in content
    texts = {**FILES[format_], file: content.replace(old.encode(), new, 1)}
    where = "sea.libsvm" if reason == "the word is 40" else file
    with pytest.raises(DatasetError, match=rf"{where}, line {line}: .*{reason}"):
        dataset(tmp_path, format_, texts).load()


@pytest.mark.parametrize(
    ("format_", "name", "content"),
    [
        ("uci", "docword.sea.txt", "0\n3\n0\n"),
        ("svmlight", "sea.svm", ""),
        ("svmlight", "sea.svm", "# nothing\n"),
        ("numbered", "sea.libsvm", ""),
    ],
)
def test_files_without_documents_are_refused(tmp_path, format_, name, content):
    with pytest.raises(DatasetError, match=rf"{name} has no document"):
        dataset(tmp_path, format_, {**FILES[format_], name: content}).load()


def test_refuses_settings_and_files_that_are_not_there(tmp_path):
    with pytest.raises(
        DatasetError, match="format is 'mat'; allowed are uci, svmlight, numbered, lda-c, mtx, npz, h5ad"
    ):
        BagOfWordsDataset("a.mat", "mat")
    for name, format_ in (("transpose", "mtx"), ("zero_based", "svmlight")):
        for value in ("no", "false", 0):
            with pytest.raises(DatasetError, match=f"{name} is {value!r}; allowed are true and false"):
                BagOfWordsDataset("a", format_, **{name: value})
    for value in (-1, 1.5, "many", None, True):
        with pytest.raises(
            DatasetError, match=r"max_empty_documents is .*; allowed are the whole numbers from 0"
        ):
            BagOfWordsDataset("a", "uci", max_empty_documents=value)
    for name, value, formats in (
        ("transpose", True, "mtx or npz"),
        ("layer", "counts", "h5ad"),
        ("label", "kind", "h5ad"),
        ("zero_based", False, "svmlight"),
        ("zero_based", True, "svmlight"),
    ):
        with pytest.raises(DatasetError, match=f"{name} is of the format {formats}, not of uci"):
            BagOfWordsDataset("a", "uci", **{name: value})
    with pytest.raises(DatasetError, match=r"vocabulary is of the format .*, not of h5ad"):
        BagOfWordsDataset("a", "h5ad", vocabulary="words.txt")
    with pytest.raises(DatasetError, match=r"there is no file .*a\.svm"):
        BagOfWordsDataset(str(tmp_path / "a.svm"), "svmlight").load()
    with pytest.raises(DatasetError, match=r"there is no vocabulary .*vocab\.sea\.txt .* name it by"):
        dataset(tmp_path, "uci", {"docword.sea.txt": FILES["uci"]["docword.sea.txt"]}).load()
    for content in (gzip.compress(b"1 1:1\n" * 1000)[:-9], b"1 1:1\n"):
        (tmp_path / "a.svm.gz").write_bytes(content)
        with pytest.raises(DatasetError, match=r"a\.svm\.gz is no whole \.gz file"):
            BagOfWordsDataset(str(tmp_path / "a.svm.gz"), "svmlight").load()
