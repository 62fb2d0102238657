"""The user's own tables of numbers, and what is refused in them."""

import gzip
import re
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kedro.io import DatasetError

from latents.datasets import FeatureTableDataset
from latents.messages import first_repeated
from latents.pipelines.shared import truth_values
from tests.tables import write_table

KINDS = [".csv", ".tsv", ".csv.gz", ".parquet"]


def table(tmp_path, content, name="a.csv", **options):
    path = tmp_path / name
    if isinstance(content, pd.DataFrame):
        write_table(content, path)
    else:
        content = content if isinstance(content, bytes) else content.encode()
        path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    return FeatureTableDataset(str(path), **options)


def as_lists(data):
    return {name: values.tolist() for name, values in data.items()}


class TestWhatIsRead:
    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("odd", [False, True])
    def test_weights(self, tmp_path, kind, odd, caplog):
        rows = pd.DataFrame({"a": [1, 2, 300], "weight": [0.5, 0, 3], "b": [3, 4, 5]})
        if odd:  # what is read line by line
            rows = rows.assign(label=["x", "", "y"])
        data = table(tmp_path, rows, f"a{kind}", weight="weight").load()
        assert data["weights"].tolist() == [0.5, 0, 3]
        assert data["feature_names"].tolist() == ["a", "b"]
        caplog.set_level("INFO")
        assert table(tmp_path, rows, f"a{kind}").load()["feature_names"].tolist() == ["a", "weight", "b"]
        assert "column 'weight' is a feature; `weight: weight`" in caplog.text

    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize(
        ("cells", "said"),
        [
            ([1.5, None, 3], r"(line 3|row 1): column 'w' is (empty|nan)"),
            (["1", "heavy", "3"], "column 'w' is '(heavy|1)'; allowed are finite numbers"),
        ],
    )
    def test_weights_that_are_no_numbers(self, tmp_path, kind, cells, said):
        rows = pd.DataFrame({"a": [1, 2, 300], "w": cells})
        with pytest.raises(DatasetError, match=said):
            table(tmp_path, rows, f"a{kind}", weight="w").load()
        with pytest.raises(DatasetError, match=r"no column 'v', which weight names; it has 'a', 'w'"):
            table(tmp_path, rows, f"a{kind}", weight="v").load()

    @pytest.mark.parametrize("kind", KINDS)
    def test_features_and_what_is_known_of_rows(self, tmp_path, kind):
        rows = pd.DataFrame(
            {
                "name": ["Wölfe", 'a "b", c', "NA"],
                "length": [1.5, -2e-7, 3.0],
                "label": ["x", "null", "01"],
                "width": [1, 2, 300],
                "held_out": [True, False, True],
            }
        )
        data = table(tmp_path, rows, f"a{kind}", quoting=True).load()
        assert as_lists(data) == {
            "features": [[1.5, 1], [-2e-7, 2], [3, 300]],
            "feature_names": ["length", "width"],
            "labels": ["x", "null", "01"],
            "held_out": [True, False, True],
            "names": ["Wölfe", 'a "b", c', "NA"],
        }
        assert data["features"].dtype == np.float64
        assert data["held_out"].dtype == bool

    @pytest.mark.parametrize("kind", KINDS)
    def test_pixels_are_bytes_and_make_images(self, tmp_path, kind):
        pixels = np.random.default_rng(0).integers(0, 256, (5, 12))
        rows = pd.DataFrame(pixels, columns=[f"pixel{i}" for i in range(12)]).assign(label=[7, 3, 3, -1, 0])
        data = table(tmp_path, rows, f"a{kind}", image_shape=[4, 3]).load()
        assert data.keys() == {"images", "labels"}
        assert data["images"].dtype == np.uint8
        np.testing.assert_array_equal(data["images"], pixels.reshape(5, 4, 3))
        assert data["labels"].tolist() == [7, 3, 3, -1, 0]
        with pytest.raises(
            DatasetError, match=rf"a{kind} has 12 columns of features; image_shape 5 x 3 needs 15"
        ):
            FeatureTableDataset(str(tmp_path / f"a{kind}"), image_shape=[5, 3]).load()

    @pytest.mark.parametrize("kind", KINDS)
    def test_columns_by_name(self, tmp_path, kind):
        rows = pd.DataFrame({"id": [7, 8], "species": ["a", "b"], "label": [1.5, 2], "note": ["x", None]})
        data = table(tmp_path, rows, f"a{kind}", label="species", drop=["id", "note"]).load()
        assert as_lists(data) == {
            "features": [[1.5], [2.0]],
            "feature_names": ["label"],
            "labels": ["a", "b"],
        }

    @pytest.mark.parametrize("kind", [*KINDS, "categories"])
    def test_labels_of_text_become_numbers_only_if_all_are(self, tmp_path, kind):
        def labels_of(*labels):
            column = pd.Series(labels, dtype="category" if kind == "categories" else "str")
            name = "a.parquet" if kind == "categories" else f"a{kind}"
            return table(tmp_path, pd.DataFrame({"label": column, "a": [1, 2]}), name).load()["labels"]

        assert labels_of("10", "-3").dtype == np.int64
        assert labels_of("10", "-3").tolist() == [10, -3]
        for other in ("01", "007", "1.0", "x", " 1", "99999999999999999999"):
            assert labels_of(other, "-3").tolist() == [other, "-3"]

    def test_in_tsv_quotation_marks_are_characters_and_lines_are_rows(self, tmp_path):
        names = [f'"{i}' if i % 2 else f'{i}"' for i in range(40)]
        content = "name\ta\n" + "".join(f"{name}\t{i}\n" for i, name in enumerate(names))
        data = table(tmp_path, content, "a.tsv").load()
        assert (data["names"].tolist(), data["features"][:, 0].tolist()) == (names, list(range(40)))
        slowly = table(tmp_path, content.replace("39\n", "39 \n"), "a.tsv").load()
        assert as_lists(slowly) == as_lists(data)

    @pytest.mark.parametrize("mark", ["", "1.0.2"])
    def test_encodings_and_decimal_commas(self, tmp_path, mark):
        content = f"name;a;b\nWölfe{mark};1,5;2\nBär;-2,5e3;,25\n".encode("cp1252")
        data = table(tmp_path, content, separator=";", encoding="cp1252", decimal=",").load()
        assert as_lists(data) == {
            "features": [[1.5, 2], [-2500, 0.25]],
            "feature_names": ["a", "b"],
            "names": [f"Wölfe{mark}", "Bär"],
        }

    @pytest.mark.parametrize("cell", ["1.5", "1.234,5"])
    def test_a_point_is_none_where_the_comma_is(self, tmp_path, cell):
        with pytest.raises(
            DatasetError, match=rf"line 3: column 'a' is '{cell}'; allowed are finite numbers"
        ):
            table(tmp_path, f"a;b\n1,5;2\n{cell};2\n", separator=";", decimal=",").load()

    def test_what_pandas_keeps_as_index_is_a_column(self, tmp_path):
        rows = pd.DataFrame({"label": ["x", "y"], "name": ["one", "two"], "year": [1, 2], "a": [0.5, 1]})
        rows.set_index(["label", "name", "year"]).to_parquet(tmp_path / "a.parquet")
        assert as_lists(FeatureTableDataset(str(tmp_path / "a.parquet")).load()) == {
            "features": [[0.5, 1], [1, 2]],
            "feature_names": ["a", "year"],
            "labels": ["x", "y"],
            "names": ["one", "two"],
        }

    def test_decimals_are_numbers(self, tmp_path):
        rows = {"a": [Decimal("1.50"), Decimal("-2.25")], "label": [Decimal(7), Decimal(10)]}
        data = table(tmp_path, pd.DataFrame(rows), "a.parquet").load()
        assert as_lists(data) == {"features": [[1.5], [-2.25]], "feature_names": ["a"], "labels": [7, 10]}

    def test_a_folder_of_parquet_files(self, tmp_path):
        for number in (0, 1):
            part = tmp_path / f"a.parquet/label={number}/part-0000{number}.parquet"
            part.parent.mkdir(parents=True)
            pd.DataFrame({"a": [number + 0.5]}).to_parquet(part)
        (tmp_path / "a.parquet/_SUCCESS").touch()
        data = FeatureTableDataset(str(tmp_path / "a.parquet")).load()
        assert as_lists(data) == {"features": [[0.5], [1.5]], "feature_names": ["a"], "labels": [0, 1]}

    @pytest.mark.parametrize(
        ("content", "place", "labels"),
        [
            ("label,a\n\n3,1\n,2\n", "line 4", ["3", ""]),
            ({"label": ["x", None], "a": [1, 2]}, "row 1", ["x", ""]),
            ({"label": [3, None], "a": [1, 2]}, "row 1", [3.0, np.nan]),
            ({"label": pd.array([3, None], "Int64"), "a": [1, 2]}, "row 1", [3.0, np.nan]),
            ({"label": pd.array([True, None], "boolean"), "a": [1, 2]}, "row 1", ["True", ""]),
        ],
    )
    def test_missing_labels_are_told_of(self, tmp_path, caplog, content, place, labels):
        if isinstance(content, str):
            data = table(tmp_path, content).load()
        else:
            data = table(tmp_path, pd.DataFrame(content), "a.parquet").load()
        np.testing.assert_array_equal(data["labels"], labels)
        assert not data["labels"].dtype.hasobject
        assert f"{place}: column 'label' is empty; 1 rows have no label" in caplog.text

    def test_empty_lines_byte_order_marks_and_separators(self, tmp_path):
        content = "\ufefflabel;a;b\r\nx;1;2\r\n\r\ny;3;400\r\n\r\n"
        for written in (content, content.replace("y", '"y"'), content.replace("400", "400 ")):
            data = table(tmp_path, written, separator=";").load()
            assert as_lists(data) == {
                "features": [[1, 2], [3, 400]],
                "feature_names": ["a", "b"],
                "labels": ["x", "y"],
            }
        for separator in ("|", " ", "§"):
            written = content.replace(";", separator)
            assert table(tmp_path, written, separator=separator).load()["features"].tolist() == [
                [1, 2],
                [3, 400],
            ]

    def test_the_index_of_pandas_is_no_column(self, tmp_path):
        rows = pd.DataFrame({"a": [1.5, 2, 3], "b": [4, 5, 6]}, index=[7, 9, 8])
        assert table(tmp_path, rows, "a.parquet").load()["feature_names"].tolist() == ["a", "b"]
        rows.to_csv(tmp_path / "a.csv")
        with pytest.raises(DatasetError, match=r"a\.csv: column 1 has no name, as row numbers have"):
            FeatureTableDataset(str(tmp_path / "a.csv")).load()
        assert FeatureTableDataset(str(tmp_path / "a.csv"), drop=[""]).load()["features"].shape == (3, 2)

    @pytest.mark.parametrize(
        ("cells", "kind"),
        [
            (np.array([0, 255], np.int64), np.uint8),
            (np.array([0.0, 255.0]), np.uint8),
            (np.array([True, False]), np.uint8),
            (np.array([0, 256], np.int64), np.int64),
            (np.array([-1, 2], np.int8), np.int8),
            (np.array([0.5, 2], np.float32), np.float32),
        ],
    )
    def test_the_type_of_numbers(self, tmp_path, cells, kind):
        data = table(tmp_path, pd.DataFrame({"a": cells}), "a.parquet").load()["features"]
        assert data.dtype == kind
        np.testing.assert_array_equal(data[:, 0], cells)

    def test_nullable_numbers_and_categories_of_parquet(self, tmp_path):
        rows = pd.DataFrame(
            {"a": pd.array([1, 900], "Int64"), "b": [0.5, 1], "label": pd.Categorical(["x", "y"])}
        )
        data = table(tmp_path, rows, "a.parquet").load()
        assert data["features"].tolist() == [[1, 0.5], [900, 1]]
        assert data["features"].dtype == np.float64
        assert data["labels"].tolist() == ["x", "y"]

    @given(
        st.lists(
            st.tuples(
                st.text(st.characters(codec="utf-8")),
                st.floats(allow_nan=False, allow_infinity=False),
                st.booleans(),
            ),
            min_size=1,
        )
    )
    @settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
    def test_both_ways_of_reading_agree(self, tmp_path, rows):
        # pandas writes carriage returns bare, which end a line.
        rows = [(f"<{name}>".replace("\r", ""), number, mark) for name, number, mark in rows]
        text = pd.DataFrame(rows, columns=["name", "a", "held_out"]).to_csv(index=False, lineterminator="\n")
        data = table(tmp_path, text).load()
        assert [
            tuple(row) for row in zip(data["names"], data["features"][:, 0], data["held_out"], strict=True)
        ] == rows
        # polars takes no number with a blank behind it, so that the file is read line by line.
        slowly = table(tmp_path, re.sub(r"(?<=\d),(True|False)\n", r" ,\1\n", text)).load()
        assert as_lists(slowly) == as_lists(data)


class CountedName(str):
    """A name that counts how often it is compared with another one."""

    comparisons = 0
    __hash__ = str.__hash__

    def __eq__(self, other):
        CountedName.comparisons += 1
        return str.__eq__(self, other)


@pytest.mark.parametrize("n_columns", [100, 1000])
def test_no_name_of_a_wide_table_is_sought_in_a_list(tmp_path, n_columns):
    """Columns that were sought by comparing would cost their number squared, minutes for large pictures."""
    names = [CountedName(f"pixel{i}") for i in range(n_columns)]
    CountedName.comparisons = 0
    assert first_repeated(names) is None
    meanings = FeatureTableDataset(str(tmp_path / "a.csv"), drop=["pixel7"])._meanings(names)
    assert len(meanings.features) == n_columns - 1
    assert CountedName.comparisons < 20 * n_columns


@pytest.mark.parametrize(
    "marks", [("true", "false"), ("True", "FALSE"), ("1", "0"), ("1.0", "0.0"), (" true", "0 ")]
)
@pytest.mark.parametrize("label", ["sea", ""])  # a row without one is read line by line
def test_marks_of_what_is_held_out_are_those_of_documents(tmp_path, marks, label):
    (tmp_path / "a.csv").write_text(f"a,label,held_out\n1,sea,{marks[0]}\n2,{label},{marks[1]}\n")
    data = FeatureTableDataset(str(tmp_path / "a.csv")).load()
    assert data["held_out"].tolist() == truth_values(marks).tolist() == [True, False]


class TestMissingNumbers:
    """Empty cells where ``missing: true`` lets numbers lack."""

    ROWS = ((1.5, 2.0, "x"), (None, 7.0, "y"), (4.0, None, "z"))

    @pytest.mark.parametrize("odd", [False, True])
    @pytest.mark.parametrize("whole", [False, True])
    @pytest.mark.parametrize("kind", ["csv", "parquet"])
    def test_are_nan(self, tmp_path, kind, whole, odd):
        rows = pd.DataFrame([*self.ROWS], columns=["a", "b", "name"])
        if whole:
            rows = rows.assign(a=rows["a"].round()).astype({"a": "Int64", "b": "Int64"})
        path = tmp_path / f"a.{kind}"
        if kind == "parquet":
            rows.to_parquet(path)
        else:
            text = rows.to_csv(index=False)
            path.write_text(text.replace("7", " 7") if odd else text)
        data = FeatureTableDataset(str(path), missing=True).load()
        expected = rows[["a", "b"]].to_numpy(np.float64, na_value=np.nan)
        np.testing.assert_array_equal(data["features"], expected)
        assert data["features"].dtype == np.float64
        with pytest.raises(DatasetError, match="column 'a' is empty"):
            FeatureTableDataset(str(path)).load()

    def test_make_images_and_leave_whole_ones_bytes(self, tmp_path):
        text = "a,b,c,d\n1,2,3,4\n5,{},7,8\n"
        gap, whole = (
            table(tmp_path, text.format(cell), image_shape=[2, 2], missing=True).load()["images"]
            for cell in ("", "6")
        )
        assert np.argwhere(np.isnan(gap)).tolist() == [[1, 0, 1]]
        assert whole.dtype == np.uint8

    def test_are_what_other_programs_write_for_them(self, tmp_path):
        """R writes NA, others a question mark or a number that there is none of; names may be such texts."""
        data = table(
            tmp_path, "a,b,name\n1,NA,NA\n?,2,x\n-999, -999 ,?\n,-9,y\n", missing=["NA", "?", "-999"]
        )
        lacks, found = np.nan, data.load()
        np.testing.assert_array_equal(
            found["features"], [[1, lacks], [lacks, 2], [lacks, lacks], [lacks, -9]]
        )
        assert found["names"].tolist() == ["NA", "x", "?", "y"]
        with pytest.raises(DatasetError, match=r"line 2: column 'b' is 'NA'; allowed are finite numbers"):
            table(tmp_path, "a,b\n1,NA\n", missing=["?"]).load()

    @pytest.mark.parametrize("missing", ["NA", [""], [1], {"NA": 1}, None])
    def test_are_told_by_texts(self, tmp_path, missing):
        with pytest.raises(
            DatasetError, match=r"missing is .*; allowed are true, false, and a list of texts"
        ):
            table(tmp_path, "a,b\n1,2\n", missing=missing)

    @pytest.mark.parametrize(
        ("content", "said"),
        [
            ("a,b\n1,NaN\n", "line 2: column 'b' is 'NaN'; allowed are finite"),
            ("a,b\n1,inf\n,2\n", "line 2: column 'b' is 'inf'"),
            ("a,b\n1,1e999\n,2\n", "line 2: column 'b' is '1e999', which is too large"),
            ("a,b,name\n1,,\n", "line 2: column 'name' is empty"),
            ("a,b,weight\n1,,\n", "line 2: column 'weight' is empty"),
        ],
    )
    def test_are_no_other_cells(self, tmp_path, content, said):
        weight = "weight" if "weight" in content else None
        with pytest.raises(DatasetError, match=said):
            table(tmp_path, content, missing=True, weight=weight).load()

    def test_of_parquet_may_be_nan_and_are_not_infinite(self, tmp_path):
        path = tmp_path / "a.parquet"
        pq.write_table(pa.table({"a": pa.array([1.0, float("nan"), None])}), path)
        found = FeatureTableDataset(str(path), missing=True).load()["features"]
        assert np.isnan(found[:, 0]).tolist() == [False, True, True]
        pq.write_table(pa.table({"a": [1.0, float("inf")]}), path)
        with pytest.raises(DatasetError, match="row 1: column 'a' is inf"):
            FeatureTableDataset(str(path), missing=True).load()


class TestRefused:
    @pytest.mark.parametrize(
        ("content", "said"),
        [
            ("a,b\n1,2\n\n3,\n", "line 4: column 'b' is empty"),
            ("a,b\n1,2\n , 3\n", "line 3: column 'a' is empty"),
            ("a,b\n1,2\n3\n", "line 3: 1 fields; the first line names 2: 'a', 'b'"),
            ("a,b\n1,2\n3,4,5\n", "line 3: 3 fields"),
            ('name,a\n"x\ny",1\nz,abc\n', "line 4: column 'a' is 'abc'; allowed are finite numbers"),
            ("a\n1.5\nNA\n", "line 3: column 'a' is 'NA'"),
            ("a\n1.5\nnan\n", "line 3: column 'a' is 'nan'"),
            ("a\n1.5\n-inf\n", "line 3: column 'a' is '-inf'"),
            ("a\n1.5\n1e999\n", "line 3: column 'a' is '1e999', which is too large"),
            ("a\n1_000\n2\n", "line 2: column 'a' is '1_000'"),
            ("a\n1\n2021-03-04\n", "line 3: column 'a' is '2021-03-04'"),
            ("a,name\n1,x\n2,y\0\n", "line 3: column 'name' ends in a NUL character"),
            ('a,b\n1,"1,5"\n', r"line 2: column 'b' is '1,5'; allowed are .* \(decimal: ',' would read it\)"),
            ("a;b\n1,5;2\n", "1: 1 fields|line 2: 2 fields; the first line names 1"),
            ("a,name\n1,x\n2,\n", "line 3: column 'name' is empty"),
            ("a,held_out\n1,true\n2,maybe\n", "line 3: held_out is 'maybe'; allowed are true and false"),
            ("a,a\n1,2\n", "line 1: there are several columns 'a'"),
            ("5,0,0\n1,2,3\n", "line 1: there are several columns '0'; the first line must name them"),
            ("label,name\nx,y\n", "has no column of features; it has 'label', 'name'"),
            ("", "is empty: a line with the names of the columns is missing"),
            (b"a,label\n1,W\xf6lfe\n", r"line 2: byte b'\\xf6' is no utf-8"),
            ('a,b\n1,2\n3,"4\n', "line 3: unexpected end of data in the row that begins here"),
        ],
    )
    @pytest.mark.parametrize("name", ["a.csv", "a.csv.gz"])
    def test_with_file_line_and_column(self, tmp_path, name, content, said):
        with pytest.raises(DatasetError, match=rf"{name}.*{said}"):
            table(tmp_path, content, name).load()

    @pytest.mark.parametrize(
        ("rows", "said"),
        [
            ({"a": [1, 2], "b": [1.5, None]}, "row 1: column 'b' is empty"),
            ({"a": ["1", "2"]}, "row 0: column 'a' is '1'; allowed are finite numbers .*of type"),
            ({"a": [1, 2], "b": [0, np.inf]}, "row 1: column 'b' is inf; allowed are finite numbers"),
            ({"a": [1, 2], "name": ["x", None]}, "row 1: column 'name' is empty"),
            ({"a": pd.to_datetime(["2021-03-04"])}, "row 0: column 'a' is datetime"),
            ({"a": [[1, 2], [3, 4]]}, r"row 0: column 'a' is \[1, 2\]; allowed are finite numbers"),
            ({"label": ["x"]}, "has no column of features"),
            ({"a": [b"x" * 2_000_000]}, "row 0: column 'a' is b'x{78}; allowed are finite numbers"),
            ({"a": [1], "label": [b"x" * 2_000_000]}, "row 0: column 'label' is b'x{78}; allowed are texts"),
        ],
    )
    def test_with_file_row_and_column(self, tmp_path, rows, said):
        with pytest.raises(DatasetError, match=rf"a\.parquet.* {said}"):
            table(tmp_path, pd.DataFrame(rows), "a.parquet").load()

    @pytest.mark.parametrize("name", ["a.csv", "a.parquet"])
    def test_columns_that_are_not_there(self, tmp_path, name):
        rows = pd.DataFrame(np.ones((2, 10)), columns=[f"c{i}" for i in range(10)])
        with pytest.raises(
            DatasetError, match=r"no column 'species', which label names; it has 'c0', .* 'c7' and 2 more"
        ):
            table(tmp_path, rows, name, label="species").load()
        with pytest.raises(DatasetError, match="no column 'id', which drop names"):
            table(tmp_path, rows, name, drop=["id"]).load()
        with pytest.raises(DatasetError, match=r"no column True, .* is what YAML makes of yes, on and true"):
            table(tmp_path, rows, name, drop=["c0", True]).load()

    @pytest.mark.parametrize("name", ["a.csv", "a.parquet"])
    @pytest.mark.parametrize("column", [" label", "held_out ", "  name"])
    def test_a_column_that_would_have_a_meaning_but_for_blanks(self, tmp_path, name, column):
        rows = pd.DataFrame({"a": [1.5, 2], " b": [3, 4], column: [0, 1]})
        with pytest.raises(DatasetError, match=rf"{name} has a column {column!r}, .*'{column.strip()}', or"):
            table(tmp_path, rows, name).load()
        data = table(tmp_path, rows, name, drop=[column]).load()
        assert data["feature_names"].tolist() == ["a", " b"]
        if column == " label":
            assert table(tmp_path, rows, name, label=column).load()["labels"].tolist() == [0, 1]

    def test_parameters(self):
        with pytest.raises(DatasetError, match="drop is 'id'; allowed is a list of columns"):
            FeatureTableDataset("a.csv", drop="id")
        with pytest.raises(DatasetError, match=r"decimal is ';'; allowed are '\.' and ','"):
            FeatureTableDataset("a.csv", decimal=";")
        with pytest.raises(DatasetError, match=r"decimal and separator are both ','.* give the separator"):
            FeatureTableDataset("a.csv", decimal=",")
        with pytest.raises(DatasetError, match=r"image_shape is \[28\]"):
            FeatureTableDataset("a.csv", image_shape=[28])
