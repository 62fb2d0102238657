"""Bad input gets a clear error that names the place; odd input gets what can be had."""

import re
import tracemalloc
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from latents.datasets import DocumentTableDataset
from latents.pipelines import bags
from latents.pipelines.clustering import corpus
from latents.pipelines.clustering.parameters import FeaturesParameters, FitParameters
from latents.pipelines.cvae import nodes as cvae
from latents.pipelines.cvae.parameters import FeaturesParameters as CvaeFeatures
from latents.pipelines.cvae.parameters import FitParameters as CvaeFit
from latents.pipelines.documents import IngestParameters, read_documents
from latents.pipelines.images import as_rows, check_images
from latents.pipelines.pca import nodes as pca
from latents.pipelines.pca.parameters import FitParameters as PcaFit
from latents.pipelines.shared import SplitParameters, split_rows
from tests.pipelines.test_cvae_pictures import FIT as CVAE_FIT
from tests.pipelines.test_pca_pictures import FIT as PCA_FIT
from tests.tables import write_table

INGEST = IngestParameters(text_column="text", label_column="label")
JUDGING = FitParameters.model_construct(use_labels="judge")
FEATURES = FeaturesParameters(
    token_pattern=r"[a-z]+",
    lowercase=True,
    stop_words=None,
    ngram_range=[1, 1],
    min_df=1,
    max_df=1.0,
    max_features=None,
)
SPLIT = SplitParameters(held_out_fraction=0.25, random_state=0)


def divided(pixels, params=SPLIT, **marks):
    """Rows of pixels, of images of two lines, as the pipeline cvae divides them."""
    images = {"images": pixels["X"].reshape(len(pixels["X"]), 2, -1), **marks}
    return cvae.split(pixels, images, params, CvaeFit(**CVAE_FIT))


IMAGES = np.random.default_rng(0).random((3, 2, 2))


class TestDocuments:
    @pytest.mark.parametrize(
        ("columns", "said"),
        [
            ({"text": []}, "corpus is empty"),
            ({"body": ["a"], "label": ["x"]}, r"no column 'text' .*text_column.* among 'body', 'label'"),
            ({"text": ["a", "b"], "label": [None, "x"]}, "document 0: there is no label"),
            ({"text": ["a", "b"], "label": ["x", ""]}, "document 1: there is no label"),
        ],
    )
    def test_tables_that_say_too_little(self, columns, said):
        with pytest.raises(ValueError, match=said):
            corpus.ingest(pd.DataFrame(columns), INGEST, JUDGING)

    def test_a_missing_text_is_an_empty_one(self, caplog):
        documents, _ = corpus.ingest(
            pd.DataFrame({"text": ["a", None, "b"], "label": list("xyz")}), INGEST, JUDGING
        )
        assert documents["text"].tolist() == ["a", "", "b"]
        assert "1 documents have no text (the first: document 1)" in caplog.text

    @pytest.mark.parametrize("column", ["text", "label", "name"])
    @pytest.mark.parametrize("value", [["a", "b"], {"a": 1}, b"a", np.array(["a"])])
    def test_a_text_that_is_none(self, column, value):
        columns = {"text": ["a", "b"], "label": ["x", "y"], "name": ["one", "two"]}
        columns[column] = [columns[column][0], value]
        with pytest.raises(ValueError, match=rf"document 1: {column} is .*; allowed are texts and numbers"):
            corpus.ingest(pd.DataFrame(columns), INGEST, JUDGING)

    @pytest.mark.parametrize(
        ("column", "texts"),
        [
            (pd.Series(["a", None], dtype="category"), ["a", ""]),
            (pd.Series(["a", pd.NA], dtype="string"), ["a", ""]),
            (pd.Series([1.5, np.nan]), ["1.5", ""]),
            (pd.Series([7, 8], dtype="Int64"), ["7", "8"]),
            (pd.Series([7, 8], dtype="category"), ["7", "8"]),
            (pd.Series([True, False]), ["True", "False"]),
        ],
    )
    def test_kinds_of_columns_in_parquet(self, tmp_path, column, texts):
        pd.DataFrame({"text": column, "label": column.iloc[0]}).to_parquet(tmp_path / "a.parquet")
        table = DocumentTableDataset(str(tmp_path / "a.parquet")).load()
        documents, _ = corpus.ingest(table, INGEST, JUDGING)
        assert documents["text"].tolist() == texts
        assert documents["label"].tolist() == [texts[0]] * 2

    @pytest.mark.parametrize("values", [[["a"], ["b"]], [b"a\xff", b"b"], [{"a": 1}, {"a": 2}]])
    def test_kinds_of_columns_in_parquet_that_are_no_texts(self, tmp_path, values):
        pd.DataFrame({"text": values}).to_parquet(tmp_path / "a.parquet")
        with pytest.raises(ValueError, match=r"a\.parquet, row 0: text is .*; allowed are texts and numbers"):
            corpus.ingest(DocumentTableDataset(str(tmp_path / "a.parquet")).load(), INGEST, JUDGING)

    @pytest.mark.parametrize(
        ("name", "content", "said"),
        [
            ("a.csv", "body,label\na,b\n", ": no column 'text' .* among 'body', 'label'"),
            ("a.csv", "text,label\na,b\n\nc,\n", ", line 4: there is no label"),
            ("a.csv", "text,held_out\na,True\nb,maybe\n", ", line 3: held_out is 'maybe'; allowed are true"),
            ("a.jsonl", '{"body": "a"}', ": no column 'text'"),
            ("a.jsonl", '{"text": "a"}\n{"text": ["b"]}', r", line 2: text is \['b'\]; allowed are texts"),
            ("a.jsonl", '{"text": "a", "x": 1}\n{"x": 2}', ", line 2: text is absent; allowed are texts"),
            ("a.jsonl", '{"text": "a", "label": 1}\n{"text": "b"}', ", line 2: label is absent"),
            ("a.jsonl", '{"text": "a", "label": null}', ", line 1: there is no label"),
            ("a.jsonl", '{"text": "a", "label": ["x"]}', r", line 1: label is \['x'\]"),
            (
                "a.jsonl",
                '\n{"text": "a", "held_out": "yes"}',
                ", line 2: held_out is 'yes'; allowed are true",
            ),
            ("a.jsonl", '{"text": "a", "held_out": null}', ", line 1: held_out is None"),
        ],
    )
    def test_files_are_refused_with_line_and_reason(self, tmp_path, name, content, said):
        (tmp_path / name).write_text(content)
        with pytest.raises(ValueError, match=rf"{name}{said}"):
            corpus.ingest(DocumentTableDataset(str(tmp_path / name)).load(), INGEST, JUDGING)

    def test_marks_of_what_is_held_out(self):
        marks = [True, False, 1, 0, 1.0, "True", "false", "1", "0", np.True_]
        documents, _ = corpus.ingest(pd.DataFrame({"text": "a", "held_out": marks}), INGEST, JUDGING)
        assert documents["held_out"].tolist() == [True, False] * 2 + [True] * 2 + [False, True, False, True]

    def test_labels_and_names_are_texts_whatever_they_were(self):
        raw = pd.DataFrame(
            {"text": "a", "label": [1, "1", "01", 1.5], "name": [7, None, "", "x"]}, dtype=object
        )
        documents, _ = corpus.ingest(raw, INGEST, JUDGING)
        assert documents["label"].tolist() == ["1", "1", "01", "1.5"]
        assert documents["name"].tolist() == ["7", "document 1", "document 2", "x"]

    def test_accents_belong_to_their_letters(self):
        raw = pd.DataFrame({"text": ["scho\u0308n", "schön"], "label": ["o\u0308", "ö"]})
        documents, _ = corpus.ingest(raw, INGEST, JUDGING)
        assert documents["text"].tolist() == ["schön"] * 2
        assert documents["label"].tolist() == ["ö"] * 2

    def test_no_labels_are_reported_and_taken(self, caplog):
        documents, _ = corpus.ingest(pd.DataFrame({"text": ["a", "b"]}), INGEST, JUDGING)
        assert list(documents) == ["text"]
        assert "no column 'label' among 'text': without labels" in caplog.text

    def test_no_labels_are_asked_for(self, caplog):
        raw = pd.DataFrame({"text": ["a", "b"], "label": ["x", "y"]})
        documents, _ = corpus.ingest(raw, INGEST.model_copy(update={"label_column": None}), JUDGING)
        assert list(documents) == ["text"]
        assert caplog.text == ""

    def test_rules_that_leave_no_word(self):
        documents = pd.DataFrame({"text": ["a b", "c d"]})
        with pytest.raises(ValueError, match=r"leave no word of 2 documents .*min_df=2"):
            corpus.count_words(documents, {}, FEATURES.model_copy(update={"min_df": 2}))

    def test_documents_without_words_are_reported_and_kept(self, caplog):
        documents = pd.DataFrame({"text": ["a b a", "123", "b"]})
        counts, vocabulary, _ = corpus.count_words(documents, {}, FEATURES)
        assert "1 documents have no word" in caplog.text
        assert "row 1" in caplog.text
        np.testing.assert_array_equal(counts.toarray(), [[2, 1], [0, 0], [0, 1]])
        assert vocabulary.to_dict("list") == {
            "word": ["a", "b"],
            "n_documents": [1, 2],
            "n_occurrences": [2, 2],
        }

    @pytest.mark.parametrize("value", [-1.0, 0.5, np.nan, np.inf, 3_000_000_000, 3e9, 1e300, 2**62])
    def test_counts_that_are_no_counts(self, value):
        counts = sparse.csr_array(np.array([[1, 0, 2], [0, value, 3]]))
        found = re.escape(f"document 1, word 1 is {value}; allowed are the whole numbers")
        with pytest.raises(ValueError, match=f"{found} .* up to 2147483647"):
            bags.check_counts(counts)

    def test_counts_whose_sum_is_too_large(self, monkeypatch):
        monkeypatch.setattr(bags, "_TOTAL", 2**33)
        largest = np.full((2, 2), 2**31 - 1, dtype=np.int32)
        for counts in (largest, largest.astype(float)):
            bags.check_counts(sparse.csr_array(counts))
        with pytest.raises(
            ValueError, match=r"the counts add up to 1\.07374e\+10; allowed is up to 8589934592"
        ):
            bags.check_counts(sparse.csr_array(np.full((1, 5), 2**31 - 1, dtype=np.int32)))

    @pytest.mark.parametrize("kind", ["u1", "i4", "f4", "?"])
    def test_counts_that_are_added_up_do_not_overflow(self, kind):
        largest = {"u1": 255, "i4": 2**31 - 1, "f4": 2.0**24, "?": True}[kind]
        counts = sparse.csr_array(np.array([[largest, largest, 0], [0, 1, 1]]).astype(kind))
        raw = {"counts": counts, "words": ["Ship", "ship", "wave"], "documents": pd.DataFrame(index=range(2))}
        documents, bag = corpus.ingest(raw, INGEST.model_copy(update={"label_column": None}), JUDGING)
        counted, vocabulary, _ = corpus.count_words(documents, bag, FEATURES)
        np.testing.assert_array_equal(counted.toarray(), [[2 * int(largest), 0], [1, 1]])
        assert vocabulary["n_occurrences"].tolist() == [2 * int(largest) + 1, 1]
        if kind == "i4":  # more than a count may be, which is seen and refused
            with pytest.raises(ValueError, match="document 0, word 0 is 4294967294; allowed are"):
                bags.check_counts(counted)


class TestOtherTables:
    """Tables of documents from whatever loads them, and what is none."""

    ROWS = pd.DataFrame({"text": ["a", "b"], "label": [7, 10], "name": ["one", "two"]})

    @pytest.mark.parametrize(
        "given",
        [
            pl.DataFrame(ROWS.to_dict("list")),
            pl.DataFrame(ROWS.to_dict("list")).lazy(),
            pl.DataFrame(ROWS.to_dict("list")).with_columns(pl.col("name").cast(pl.Categorical)),
            pa.table(ROWS.to_dict("list")),
            ROWS.set_index(["label", "name"]),
            ROWS.set_index("text", drop=False),
            ROWS.assign(label=pd.array([7, 10], "Int64")),
            ROWS.assign(label=[7.0, 10.0]),
            ROWS.assign(label=[Decimal(7), Decimal(10)]),
        ],
    )
    def test_are_read_alike(self, given):
        documents, bag = corpus.ingest(given, INGEST, JUDGING)
        assert bag == {}
        assert documents.to_dict("list") == {"text": ["a", "b"], "label": ["7", "10"], "name": ["one", "two"]}

    def test_labels_beside_missing_ones_are_the_same(self):
        documents = read_documents(pd.DataFrame({"text": "a", "label": [3, None]}), INGEST).documents
        assert documents["label"].tolist() == ["3", ""]

    @pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.jsonl", "a.parquet", "b.parquet"])
    @pytest.mark.parametrize("labels", [["7", "10"], ["007", "7"], ["x", "7"]])
    def test_labels_are_the_same_texts_from_every_file(self, tmp_path, name, labels):
        rows = pd.DataFrame({"text": ["a", "b"], "label": labels})
        path = tmp_path / name
        if name == "b.parquet":
            rows.astype({"label": "category"}).to_parquet(path)
        else:
            write_table(rows, path)
        documents, _ = corpus.ingest(DocumentTableDataset(str(path)).load(), INGEST, JUDGING)
        assert documents["label"].tolist() == labels

    @pytest.mark.parametrize(
        ("given", "said"),
        [
            (
                {"one.txt": print, "two.txt": print, "three.txt": print},
                r"3 partitions \('one\.txt', 'two\.txt' and 1 more\), .*latents\.datasets\.TextFolderDataset",
            ),
            (
                sparse.csr_array(np.eye(3)),
                r"a sparse matrix without the words .*latents\.datasets\.BagOfWords",
            ),
            (sparse.csr_matrix(np.eye(3)), "a sparse matrix without the words"),
            ({"text": ["a"]}, "the documents are a dict of 'text'; allowed are tables"),
            ({}, "the documents are a dict of nothing"),
            ([{"text": "a"}], "the documents are a list; allowed are tables"),
            (None, "the documents are a NoneType"),
            (pd.Series(["a", "b"]), "the documents are a Series; allowed are tables"),
            (pa.chunked_array([["a"]]), "the documents are a ChunkedArray; allowed are tables"),
            (
                pd.DataFrame([["a", "x", "y"]], columns=["text", "label", "label"]),
                "the documents: there are several columns 'label'",
            ),
        ],
    )
    def test_what_is_none_is_refused_with_the_way(self, given, said):
        with pytest.raises(ValueError, match=said):
            corpus.ingest(given, INGEST, JUDGING)

    @pytest.mark.parametrize("column", ["text ", " label", "name ", " held_out"])
    def test_names_with_blanks_around(self, tmp_path, column):
        (tmp_path / "a.csv").write_text(f"text,{column}\na,b\n" if column != "text " else "text \na\n")
        said = rf"a\.csv: the name of column '{column}' begins or ends .*call it '{column.strip()}'"
        with pytest.raises(ValueError, match=said):
            corpus.ingest(DocumentTableDataset(str(tmp_path / "a.csv")).load(), INGEST, JUDGING)

    @pytest.mark.parametrize("column", ["text", "label", "name", "held_out"])
    def test_messages_do_not_grow_with_what_is_wrong(self, column):
        picture = b"\x89PNG" * 500_000
        rows = pd.DataFrame({"text": ["a"], "label": ["x"], column: [picture]})
        with pytest.raises(ValueError, match=column) as raised:
            corpus.ingest(rows, INGEST, JUDGING)
        assert len(str(raised.value)) < 300
        many = pd.DataFrame([range(10_000)], columns=[f"{i}" * 200 for i in range(10_000)])
        with pytest.raises(ValueError, match=r"no column 'text'.* and 9992 more") as raised:
            corpus.ingest(many, INGEST, JUDGING)
        assert len(str(raised.value)) < 1000


class TestImages:
    @pytest.mark.parametrize(
        ("given", "said"),
        [
            (
                {"pixels": IMAGES, "labels": np.zeros(3)},
                "no array 'images' or 'features' among 'labels', 'pixels'",
            ),
            ({"images": IMAGES[:0]}, "there is no image"),
            ({"images": IMAGES[:1]}, "1 image given; at least 2 are needed to learn from"),
            ({"images": np.ones((3, 2, 2))}, "all 3 images are the same"),
            ({"images": np.full((3, 2, 2), "a")}, "pixels are of type <U1"),
            ({"images": np.eye(4)}, r"shape \(4,\); allowed are \(height, width\)"),
            (
                {"images": [np.zeros((2, 2)), np.ones((2, 2)), np.ones((3, 2))]},
                r"image 2 has shape \(3, 2\), image 0 has \(2, 2\)",
            ),
            (
                {"images": IMAGES, "labels": np.zeros(3, "i4,i4")},
                "labels are of type .* numbers and texts",
            ),
            ({"images": IMAGES, "labels": np.zeros(3, "c16")}, "labels are of type .* numbers and texts"),
            (
                {"images": IMAGES, "labels": [0, 1]},
                r"labels has shape \(2,\); one value per image makes \(3,\)",
            ),
            ({"images": IMAGES, "names": ["a", "b"]}, r"names has shape \(2,\); one value per image makes"),
            (
                {"images": IMAGES, "weights": [1.0]},
                r"weights has shape \(1,\); one value per image makes \(3,\)",
            ),
            ({"images": IMAGES, "weights": ["1", "2", "3"]}, "weights are of type <U1; allowed are numbers"),
            (
                {"images": IMAGES, "weights": [1, 2, -0.5]},
                "image 2 has weight -0.5; allowed are numbers of at",
            ),
            ({"images": IMAGES, "weights": [1, np.inf, 1]}, "image 1 has weight inf"),
            ({"images": IMAGES, "weights": [1, np.nan, 1]}, "image 1 has no value in weights"),
            (pd.DataFrame({"a": [1, 2]}), r"data are a DataFrame; .*latents\.datasets\.FeatureTableDataset"),
            (IMAGES, r"the data are a ndarray; .*latents\.datasets\.NpyDataset"),
        ],
    )
    def test_refused(self, given, said):
        with pytest.raises(ValueError, match=said):
            check_images(given)

    def test_channels(self):
        images = np.random.default_rng(0).random((3, 4, 4, 3))
        assert check_images({"images": images})["images"].shape == (3, 4, 4, 3)
        assert check_images({"images": images[..., :1]})["images"].shape == (3, 4, 4)
        with pytest.raises(ValueError, match=r"have 2 channels; allowed are 1 \(grey\) and 3 \(colour\)"):
            check_images({"images": images[..., :2]})

    def test_labels_in_text_that_are_whole_numbers_are_numbers(self):
        for labels in (["7", "10", "-3"], np.array(["7", "10", "-3"], dtype=object)):
            found = check_images({"images": IMAGES, "labels": labels})["labels"]
            assert (found.dtype, found.tolist()) == (np.int64, [7, 10, -3])
        for labels in (["007", "10", "-3"], ["x", "10", "-3"]):
            assert check_images({"images": IMAGES, "labels": labels})["labels"].tolist() == labels

    @pytest.mark.parametrize(
        ("labels", "kept"),
        [
            (np.array([0, np.nan, 1]), [0, np.nan, 1]),
            (np.array(["a", "", "b"]), ["a", "", "b"]),
            (np.array(["a", None, "b"], dtype=object), ["a", "", "b"]),
            (np.array([1, pd.NA, 2], dtype=object), ["1", "", "2"]),
        ],
    )
    def test_labels_may_be_missing_where_nothing_is_learnt(self, labels, kept):
        given = {"images": IMAGES, "labels": labels}
        found = check_images(given, to_learn=False)["labels"]
        np.testing.assert_array_equal(found, kept)
        assert not found.dtype.hasobject
        with pytest.raises(ValueError, match="image 1 has no value in labels; all must have one, or none"):
            check_images(given)

    def test_names(self):
        names = check_images({"images": IMAGES, "names": np.array(["a", "b", "c"], dtype=object)})["names"]
        assert (names.tolist(), names.dtype.kind) == (["a", "b", "c"], "U")
        images = IMAGES.copy()
        images[1, 0, 0] = np.inf
        with pytest.raises(ValueError, match=r"image 1 \(b\.png\) has pixels that are NaN or infinite"):
            check_images({"images": images, "names": ["a.png", "b.png", "c.png"]})

    @pytest.mark.parametrize("kind", ["u1", "f4"])
    def test_a_memory_map_stays_one_and_is_not_copied(self, tmp_path, kind, monkeypatch):
        monkeypatch.setattr("latents.features.images._PIECE", 2**16)
        images = np.random.default_rng(0).integers(0, 256, (500, 64, 64)).astype(kind)
        np.save(tmp_path / "images.npy", images)
        mapped = np.load(tmp_path / "images.npy", mmap_mode="r")
        tracemalloc.start()
        checked = check_images({"images": mapped})
        X = as_rows(checked)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert isinstance(checked["images"], np.memmap)
        assert np.shares_memory(X, mapped)
        assert peak < images.size / 4
        np.testing.assert_array_equal(X, images.reshape(500, -1))

    def test_all_pieces_are_looked_at(self, monkeypatch):
        monkeypatch.setattr("latents.features.images._PIECE", 64)
        images = np.ones((50, 2, 2), dtype=np.float32)
        images[49, 1, 1] = 2
        check_images({"images": images})
        images[49, 1, 1] = np.nan
        with pytest.raises(ValueError, match="image 49 has pixels that are NaN"):
            check_images({"images": images})

    def test_dark_images_are_reported(self, caplog):
        images = {"images": np.array([[[0.5, 1.0]], [[0.1, 0.2]]]), "labels": np.array([0, 1])}
        cvae.scale_pixels(images, CvaeFeatures(white=16.0))
        assert "the brightest pixel is 1.0, far below white = 16.0: all images are dark, or" in caplog.text
        caplog.clear()
        cvae.scale_pixels(images, CvaeFeatures(white=1.0))
        assert caplog.text == ""

    def test_classes_are_needed_by_the_model_of_classes(self):
        with pytest.raises(ValueError, match="have no 'labels'"):
            cvae.ingest({"images": IMAGES})
        with pytest.raises(ValueError, match="all images are of one class, 'a'"):
            cvae.ingest({"images": IMAGES, "labels": np.array(["a", "a", "a"])})

    def test_one_label_of_all_is_left_out_in_few_words(self, caplog):
        assert "labels" not in pca.ingest(
            {"images": IMAGES, "labels": np.array(["a" * 99_999] * 3)},
            PcaFit(**PCA_FIT | {"n_components": 1}),
        )
        assert "all labels are 'aaa" in caplog.text
        assert len(caplog.text) < 1000

    def test_pixels_beyond_white(self):
        images = {"images": np.full((2, 1, 2), 16.0), "labels": np.array([0, 1])}
        images["images"][1, 0, 1] = 17
        with pytest.raises(
            ValueError, match=r"pixel 1 of image 1 is 17.0; allowed are 0 to 16.0 .*features\.white"
        ):
            cvae.scale_pixels(images, CvaeFeatures(white=16.0))

    def test_a_class_only_among_the_held_out(self, caplog):
        y = np.array(["a", "b", "c", "a"])
        pixels = {"X": np.ones((4, 4), np.float32), "y": y, "white": np.array(1.0)}
        rows, _, test = divided(pixels, held_out=np.array([False, False, True, True]))
        assert rows["train"].tolist() == [0, 1]
        assert rows["held_out"].tolist() == test["rows"].tolist() == [3]
        assert test["y"].tolist() == ["a"]
        assert "no image of class 'c' is trained on: 1 of the 2 that are held out are left out" in caplog.text
        with pytest.raises(ValueError, match="no image is held out"):
            divided(pixels, held_out=np.array([False, False, True, False]))

    @pytest.mark.parametrize("seed", range(5))
    @pytest.mark.parametrize("share", [0.01, 0.2, 0.9])
    def test_few_images_are_measured_on_one_at_least(self, seed, share):
        pixels = {"X": np.ones((3, 4), np.float32), "y": np.array(["a", "b", "b"]), "white": np.array(1.0)}
        params = SPLIT.model_copy(update={"random_state": seed, "held_out_fraction": share})
        rows, _, test = divided(pixels, params)
        assert set(pixels["y"][rows["train"]]) == {"a", "b"}
        assert test["y"].tolist() == ["b"]

    @pytest.mark.parametrize("seed", range(9))
    def test_classes_of_few_images(self, seed):
        y = np.array([0] * 30 + [1] * 3 + [2])
        pixels = {"X": np.random.default_rng(0).random((34, 4), np.float32), "y": y, "white": np.array(1.0)}
        rows, _, test = divided(pixels, SPLIT.model_copy(update={"random_state": seed}))
        assert set(y[rows["train"]]) == {0, 1, 2}
        assert 2 not in test["y"]

    def test_only_classes_of_one_image(self):
        pixels = {"X": np.ones((3, 4), np.float32), "y": np.array([0, 1, 2]), "white": np.array(1.0)}
        with pytest.raises(ValueError, match="of 3 images in 3 classes one of each is trained on"):
            divided(pixels)

    def test_nothing_held_out_to_measure_on(self):
        pixels = {"X": np.ones((3, 4), np.float32), "y": np.array([0, 1, 1]), "white": np.array(1.0)}
        with pytest.raises(ValueError, match="no image is held out"):
            divided(pixels, SPLIT.model_copy(update={"held_out_fraction": 0.0}))


class TestFeatures:
    ROWS = np.random.default_rng(0).random((4, 3))

    def test_rows_and_their_names(self):
        names = ["a", "b", "c"]
        checked = check_images(
            {"features": self.ROWS.tolist(), "feature_names": names, "labels": [0, 1, 0, 1]}
        )
        np.testing.assert_array_equal(pca.flatten_pixels(checked)["X"], self.ROWS)
        assert checked["feature_names"].tolist() == names
        assert checked["labels"].tolist() == [0, 1, 0, 1]
        assert check_images({"features": self.ROWS})["feature_names"].tolist() == ["x0", "x1", "x2"]
        rows = pca.split(checked, SPLIT)
        assert len(rows["train"]) + len(rows["held_out"]) == 4

    def test_decimals_are_numbers(self):
        rows = np.array([[Decimal("0.5"), Decimal(2)], [Decimal("1.25"), 3]], dtype=object)
        assert check_images({"features": rows})["features"].tolist() == [[0.5, 2], [1.25, 3]]

    @pytest.mark.parametrize(
        ("given_too", "said"),
        [
            ({"images": np.ones((4, 2, 2))}, "both 'images' and 'features' are given; allowed is one"),
            ({"features": np.ones(4)}, r"features have shape \(4,\); allowed is \(rows, numbers\)"),
            ({"features": np.ones((4, 0))}, r"features have shape \(4, 0\)"),
            ({"features": np.ones((0, 3))}, "there is no row of features"),
            ({"features": np.ones((1, 3))}, "1 row given; at least 2 are needed to learn from"),
            ({"features": np.full((4, 3), "a")}, "features are of type <U1; allowed are numbers"),
            ({"features": np.ones((4, 3))}, "all 4 rows are the same: there is nothing to learn"),
            ({"feature_names": ["a"]}, r"feature_names has shape \(1,\); one name per feature makes \(3,\)"),
            ({"feature_names": ["b", "a", "a"]}, "there are several features 'a'; allowed is one of each"),
            ({"labels": [1, 2]}, r"labels has shape \(2,\); one value per row makes \(4,\)"),
            ({"held_out": [0.0, 1.0, np.nan, 0.0]}, "row 2 has no value in held_out"),
        ],
    )
    def test_refused(self, given_too, said):
        with pytest.raises(ValueError, match=said):
            check_images({"features": self.ROWS, **given_too})

    def test_numbers_that_are_not_finite(self):
        rows = self.ROWS.copy()
        rows[2, 1] = -np.inf
        with pytest.raises(ValueError, match="row 2 has -inf in feature 'x1'; allowed are finite numbers"):
            check_images({"features": rows})
        names = {"feature_names": ["length", "width", "height"], "names": list("abcd")}
        with pytest.raises(ValueError, match=r"row 2 \(c\) has -inf in feature 'width'"):
            check_images({"features": rows, **names})

    def test_the_pipeline_that_draws_needs_images(self):
        with pytest.raises(ValueError, match=r"it needs 'images'\. .*image_shape: \[height, width\]"):
            cvae.ingest({"features": self.ROWS, "labels": [0, 1, 0, 1]})


@given(n=st.integers(2, 200), fraction=st.floats(0, 0.99), seed=st.integers(0, 2**32 - 1))
def test_a_split_divides_the_rows(n, fraction, seed):
    params = SplitParameters(held_out_fraction=fraction, random_state=seed)
    if round(fraction * n) == n:
        with pytest.raises(ValueError, match=f"all {n} rows would be held out"):
            split_rows(n, None, params)
        return
    rows = split_rows(n, None, params)
    assert len(rows["held_out"]) == round(fraction * n)
    np.testing.assert_array_equal(np.sort(np.concatenate(list(rows.values()))), np.arange(n))
    again = split_rows(n, None, params)
    np.testing.assert_array_equal(rows["train"], again["train"])


@given(
    labels=st.lists(st.sampled_from("abc"), min_size=2, max_size=40).map(np.array),
    fraction=st.floats(0, 0.99),
    seed=st.integers(0, 2**32 - 1),
)
def test_each_class_keeps_a_row_to_train_on(labels, fraction, seed):
    params = SplitParameters(held_out_fraction=fraction, random_state=seed)
    rows = split_rows(len(labels), None, params, labels)
    np.testing.assert_array_equal(np.sort(np.concatenate(list(rows.values()))), np.arange(len(labels)))
    assert set(labels[rows["train"]]) == set(labels)
    drawn = np.random.default_rng(seed).permutation(len(labels))[: round(fraction * len(labels))]
    assert len(rows["held_out"]) > 0 or fraction == 0 or len(set(labels)) == len(labels)
    stayed = np.setdiff1d(drawn, rows["held_out"])  # and nothing else has changed
    assert set(rows["held_out"]) <= set(drawn) or len(rows["held_out"]) == 1
    assert len(set(labels[stayed])) == len(stayed)
    for label in labels[stayed]:
        assert (labels[rows["train"]] == label).sum() == 1


def test_the_datas_own_split_wins():
    rows = split_rows(4, np.array([True, False, True, False]), SPLIT)
    assert rows["held_out"].tolist() == [0, 2]
    with pytest.raises(ValueError, match="all 2 rows"):
        split_rows(2, np.array([True, True]), SPLIT)
    assert split_rows(3, np.array([0, 1, 0]), SPLIT)["held_out"].tolist() == [1]
    assert split_rows(2, np.array(["true", "False"]), SPLIT)["held_out"].tolist() == [0]
    with pytest.raises(ValueError, match="row 1: held_out is 'no'; allowed are true and false, or 1 and 0"):
        split_rows(2, np.array([True, "no"], dtype=object), SPLIT)
