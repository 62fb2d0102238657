"""Matrix Market files as SciPy, gensim, R and 10x Genomics write them; SciPy's reader is the oracle."""

import gzip

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kedro.io import DatasetError
from scipy import sparse
from scipy.io import mmread, mmwrite

from latents.datasets import BagOfWordsDataset
from latents.datasets.bags import numbers

WORDS = ["ship", "été", "null"]
GENERAL = "%%MatrixMarket matrix coordinate integer general\n"
COUNTS = [[2, 0, 1], [0, 0, 0], [0, 13, 4]]
BODY = "3 3 4\n1 1 2\n1 3 1\n3 2 13\n3 3 4\n"


def load(folder, content, name="a.mtx", words=WORDS, **options):
    content = content if isinstance(content, bytes) else content.encode()
    (folder / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    if words is not None:
        (folder / "words.txt").write_text("".join(f"{word}\n" for word in words))
        options.setdefault("vocabulary", "words.txt")
    return BagOfWordsDataset(str(folder / name), "mtx", **options).load()


@pytest.mark.parametrize(
    "content",
    [
        GENERAL + BODY,
        GENERAL.replace("integer", "real") + BODY.replace("13", "1.3e+01").replace(" 4\n", " 4.0\n"),
        GENERAL.replace("integer", "unsigned-integer") + BODY,
        GENERAL.upper() + "%\n% of mine\n\n" + BODY,
        (GENERAL + BODY).replace("\n", "\r\n"),
        (GENERAL + BODY).removesuffix("\n"),
        GENERAL.replace("integer", "real") + BODY.replace("3 3 4\n", "3 3 4" + 40 * " " + "\n", 1),  # gensim
        GENERAL + BODY.replace("1 3 1\n", " 1\t3   1 \n\n"),
        GENERAL + BODY.replace("3 3 4\n", "3 3 6\n", 1) + "2 2 0\n1 1 0\n",  # explicit zeros
        GENERAL + BODY.replace("3 3 4\n", "3 3 5\n", 1).replace("3 2 13\n", "3 2 6\n3 2 7\n"),  # listed twice
        GENERAL + "3 3 4\n3 3 4\n3 2 13\n1 3 1\n1 1 2\n",  # R goes by columns
    ],
)
@pytest.mark.parametrize("name", ["a.mtx", "a.mtx.gz"])
def test_reads_what_is_written_otherwise(tmp_path, content, name):
    bag = load(tmp_path, content, name)
    np.testing.assert_array_equal(bag["counts"].toarray(), COUNTS)
    assert (bag["counts"].dtype, bag["counts"].indices.dtype, bag["counts"].nnz) == (np.int32, np.int32, 4)
    assert bag["words"] == WORDS
    assert bag["documents"].to_dict("list") == {"name": ["1", "2", "3"]}


@pytest.mark.parametrize("size", [1, 7, 16])
def test_blocks_change_nothing(tmp_path, size, monkeypatch):
    monkeypatch.setattr(numbers, "_BLOCK", size)
    np.testing.assert_array_equal(load(tmp_path, GENERAL + BODY)["counts"].toarray(), COUNTS)


@settings(max_examples=40)
@given(
    dense=st.integers(1, 5).flatmap(
        lambda n: st.lists(st.lists(st.integers(0, 3), min_size=n, max_size=n), min_size=1, max_size=5)
    ),
    kind=st.sampled_from(["i8", "u2", "f8", "f4"]),
    symmetric=st.booleans(),
    field=st.sampled_from([None, "pattern", "real"]),
    transpose=st.booleans(),
)
def test_what_scipy_writes(tmp_path_factory, dense, kind, symmetric, field, transpose):
    folder = tmp_path_factory.mktemp("mtx")
    matrix = np.array(dense).astype(kind)
    if symmetric:
        n = min(matrix.shape)
        matrix = matrix[:n, :n] + matrix[:n, :n].T
    mmwrite(folder / "a.mtx", sparse.coo_array(matrix), field=field)
    expected = mmread(folder / "a.mtx", spmatrix=False).toarray()
    expected = expected.T if transpose else expected
    words = [f"word{j}" for j in range(expected.shape[1])]
    bag = load(folder, (folder / "a.mtx").read_bytes(), words=words, transpose=transpose)
    np.testing.assert_array_equal(bag["counts"].toarray(), expected)
    assert bag["words"] == words


def test_halves_of_a_symmetric_matrix(tmp_path):
    content = GENERAL.replace("general", "symmetric") + "3 3 4\n1 1 2\n2 1 5\n3 1 1\n3 3 4\n"
    bag = load(tmp_path, content)
    np.testing.assert_array_equal(bag["counts"].toarray(), [[2, 5, 1], [5, 0, 0], [1, 0, 4]])


def test_words_without_a_list_are_the_numbers_that_occur(tmp_path):
    bag = load(tmp_path, GENERAL + "2 2000000000 3\n1 7 1\n2 1999999999 3\n1 9 0\n", words=None)
    assert bag["words"] == ["7", "1999999999"]
    assert (bag["numbering"].first, bag["numbering"].named) == (1, False)
    np.testing.assert_array_equal(bag["counts"].toarray(), [[1, 0], [0, 3]])


def test_the_dictionary_of_gensim(tmp_path):
    """Its numbers begin at 0, may have gaps, and may go further than the corpus does."""
    (tmp_path / "a.dict").write_text("2\n3\tsail\t1\n0\tship\t2\n7\trock\t1\n")
    content = GENERAL.replace("integer", "real") + "2 4 2               \n1 1 1\n2 4 2\n"
    bag = load(tmp_path, content, words=None, vocabulary="a.dict")
    assert bag["words"] == ["ship", "sail", "rock"]
    np.testing.assert_array_equal(bag["counts"].toarray(), [[1, 0, 0], [0, 2, 0]])
    with pytest.raises(
        DatasetError, match=r"a\.mtx, line 3: the word is 2; allowed are the numbers of the 3 words"
    ):
        load(tmp_path, content.replace("1 1 1", "1 2 1"), words=None, vocabulary="a.dict")


FEATURES = "ENSG1\tTP53\tGene Expression\nENSG2\tTBCE\tGene Expression\nENSG3\tTBCE\tGene Expression\n"


class Test10x:
    def write(
        self,
        folder,
        prefix="",
        ending=".gz",
        features="features.tsv",
        text=FEATURES,
        names=("AA-1", "CC-1"),
        transpose=True,
    ):
        parts = {features: text, "barcodes.tsv": "".join(f"{name}\n" for name in names)}
        for name, content in parts.items():
            content = content.encode()
            (folder / f"{prefix}{name}{ending}").write_bytes(gzip.compress(content) if ending else content)
        content = f"{GENERAL}%metadata_json: {{}}\n3 2 3\n1 1 2\n3 1 1\n2 2 7\n"
        return load(folder, content, f"{prefix}matrix.mtx{ending}", None, transpose=transpose)

    @pytest.mark.parametrize(("prefix", "ending"), [("", ".gz"), ("", ""), ("GSM1_", ".gz")])
    @pytest.mark.parametrize("features", ["features.tsv", "genes.tsv"])
    def test_features_and_barcodes(self, tmp_path, prefix, ending, features):
        text = FEATURES if features == "features.tsv" else FEATURES.replace("\tGene Expression", "")
        bag = self.write(tmp_path, prefix, ending, features, text)
        assert bag["words"] == ["TP53", "TBCE (ENSG2)", "TBCE (ENSG3)"]
        assert bag["documents"].to_dict("list") == {"name": ["AA-1", "CC-1"]}
        np.testing.assert_array_equal(bag["counts"].toarray(), [[2, 0, 1], [0, 7, 0]])

    @pytest.mark.parametrize(
        ("text", "names", "said"),
        [
            (
                FEATURES.replace("ENSG3", "ENSG1"),
                "ab",
                "features.tsv.gz, line 3: the id 'ENSG1' is on line 1 already",
            ),
            (
                FEATURES.replace("\tTP53\tGene Expression", ""),
                "ab",
                "features.tsv.gz, line 1: 1 field; allowed are id",
            ),
            (
                FEATURES + "ENSG4\tX\n",
                "ab",
                "matrix.mtx.gz, line 3: says 3 rows; .*features.tsv.gz has 4 words",
            ),
            (FEATURES, "abc", "matrix.mtx.gz, line 3: says 2 columns; .*barcodes.tsv.gz has 3 names"),
        ],
    )
    def test_broken(self, tmp_path, text, names, said):
        with pytest.raises(DatasetError, match=said):
            self.write(tmp_path, text=text, names=names)

    def test_words_are_not_taken_for_documents(self, tmp_path):
        said = (
            r"matrix\.mtx\.gz, line 3: its 3 rows are the words of .*features\.tsv\.gz; say `transpose: true`"
        )
        with pytest.raises(DatasetError, match=said):
            self.write(tmp_path, transpose=False)
        # Features of another matrix say nothing of this one.
        bag = self.write(tmp_path, text=FEATURES + "ENSG4\tX\n", transpose=False)
        assert bag["counts"].shape == (3, 2)


@pytest.mark.parametrize(
    ("old", "new", "line", "reason"),
    [
        (GENERAL, "3 3 4\n", 1, "this is no Matrix Market file"),
        (GENERAL, "", 1, "this is no Matrix Market file"),
        ("coordinate", "array", 1, "the format is 'array'; allowed is coordinate"),
        ("integer", "complex", 1, "the field is 'complex'; allowed are integer"),
        ("general", "skew-symmetric", 1, "the symmetry is 'skew-symmetric'; allowed are general, symmetric"),
        ("3 3 4\n1 1", "3 3\n1 1", 2, "2 sizes; allowed are 3"),
        (BODY, "", 2, "0 sizes; allowed are 3"),
        ("3 3 4\n1 1", "3 3 four\n1 1", 2, "the number of entries is 'four'"),
        ("3 3 4\n1 1", "-3 3 4\n1 1", 2, "the number of rows is -3; allowed are 0 to"),
        ("3 3 4\n1 1", "3 3 5\n1 1", 2, "says 5 entries; 4 lines follow"),
        ("3 3 4\n1 1", "3 3 3\n1 1", 2, "says 3 entries; at least 4 lines follow"),
        (
            "3 3 4\n1 1",
            "3 4 4\n1 1",
            2,
            "says 4 columns; .*words.txt has 3 words; where rows are words, say `tran",
        ),
        ("1 3 1", "1 3", 4, "2 fields; allowed are 3: row, column and count"),
        ("1 3 1", "1 3 1 1", 4, "4 fields"),
        ("1 3 1", "4 3 1", 4, "the row is 4; allowed are 1 to 3"),
        ("1 3 1", "0 3 1", 4, "the row is 0; allowed are 1 to 3"),
        ("1 3 1", "1 4 1", 4, "the column is 4; allowed are 1 to 3"),
        ("1 3 1", "1.5 3 1", 4, "the row is '1.5'; allowed are whole numbers"),
        (
            "1 3 1",
            "1 3 -1",
            4,
            "the count is '-1'; allowed are the whole numbers 0 to .*: raw counts, not weights",
        ),
        ("1 3 1", "1 3 0.5", 4, "the count is '0.5'; allowed are the whole numbers 0 to .*: raw counts"),
        ("1 3 1", "1 3 nan", 4, "the count is 'nan'"),
        ("1 3 1", "1 3 3000000000", 4, "the count is '3000000000'"),
        ("1 3 1", "1 3 99999999999999999999", 4, "the count is '9999"),
        ("1 3 1", "1 3 one", 4, "the count is 'one'; allowed are the whole numbers 0 to"),
        ("1 3 1", "1 3 1.2.3", 4, "the count is '1.2.3'; allowed are the whole numbers"),
        ("1 3 1", b"1 3 \xff", 4, r"byte b'\\xff' is no utf-8"),
    ],
)
@pytest.mark.parametrize("field", ["integer", "real"])
def test_refuses_with_file_line_and_reason(tmp_path, old, new, line, reason, field):
    if old == GENERAL or field in (old, new):
        field = "integer"
    content = (GENERAL + BODY).encode()
    old, new = (text.encode() if isinstance(text, str) else text for text in (old, new))
    assert old in content
    content = content.replace(old, new, 1).replace(b"integer", field.encode(), 1)
    with pytest.raises(DatasetError, match=rf"a\.mtx, line {line}: .*{reason}"):
        load(tmp_path, content)


def test_a_symmetric_matrix_is_square(tmp_path):
    content = GENERAL.replace("general", "symmetric") + "2 3 0\n"
    with pytest.raises(DatasetError, match=r"line 2: 2 rows and 3 columns are not symmetric"):
        load(tmp_path, content)


def test_sums_beyond_what_counts_may_be(tmp_path):
    content = f"{GENERAL}1 3 2\n1 3 2147483647\n1 3 1\n"
    with pytest.raises(
        DatasetError, match=r"document 1 has word 3 2147483648 times; allowed are 1 to 2147483647"
    ):
        load(tmp_path, content)
