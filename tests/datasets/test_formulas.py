"""Tables as CSV hold nothing that a spreadsheet would compute, and come back as they were."""

import csv

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from latents.datasets import CSVDataset

BEGINNINGS = "=+-@\t\r\n\uff1d\uff0b\uff0d\uff20"


def entry(tmp_path, **load_args):
    save_args = {"index": False, "lineterminator": "\n"}
    return CSVDataset(filepath=str(tmp_path / "a.csv"), save_args=save_args, load_args=load_args)


def fields(tmp_path):
    with (tmp_path / "a.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


@pytest.mark.parametrize("beginning", BEGINNINGS)
def test_texts_and_names_of_columns_are_no_formulas(tmp_path, beginning):
    text = f'{beginning}HYPERLINK("http://a.example","x")'
    table = pd.DataFrame({text: [text, "plain", f"'{text}"], "b": pd.Categorical([text, text, "a"])})
    dataset = entry(tmp_path)
    dataset.save(table)
    names, *rows = fields(tmp_path)
    assert names == [f"'{text}", "b"]
    assert rows == [[f"'{text}", f"'{text}"], ["plain", f"'{text}"], [f"''{text}", "a"]]
    assert dataset.load().to_dict("list") == table.astype(object).to_dict("list")
    assert dataset.load().dtypes.tolist() == pd.DataFrame({"a": ["x"], "b": ["y"]}).dtypes.tolist()
    assert table.columns[0] == text  # what is given stays


def test_numbers_and_missing_values_stay_what_they_are(tmp_path):
    table = pd.DataFrame({"a": [-1.5, np.nan], "b": [-3, 4], "c": pd.Series([-7, None], dtype=object)})
    dataset = entry(tmp_path)
    dataset.save(table)
    assert fields(tmp_path) == [["a", "b", "c"], ["-1.5", "-3", "-7"], ["", "4", ""]]
    pd.testing.assert_frame_equal(dataset.load(), table.astype({"c": float}))


def test_files_of_others_are_read_as_they_are(tmp_path):
    (tmp_path / "a.csv").write_text("a,'b\n'tis,'\n-x,it's\n")
    assert entry(tmp_path).load().to_dict("list") == {"a": ["'tis", "-x"], "'b": ["'", "it's"]}


@given(
    st.lists(st.text(st.one_of(st.sampled_from(f"'{BEGINNINGS}"), st.characters(codec="utf-8"))), min_size=1)
)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_texts_come_back_and_none_is_a_formula(tmp_path, texts):
    dataset = entry(tmp_path, dtype=str, keep_default_na=False, skip_blank_lines=False)
    dataset.save(pd.DataFrame({"a": texts, "b": "x"}))
    assert dataset.load()["a"].tolist() == texts
    assert not any(field[:1] and field[0] in BEGINNINGS for row in fields(tmp_path) for field in row)
