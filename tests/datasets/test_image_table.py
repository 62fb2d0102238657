"""Tables of pictures in Parquet, in the layout that Hugging Face's `datasets` writes."""

import io
import json
import logging

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from kedro.io import DatasetError
from PIL import Image

from latents.datasets import ImageTableDataset

RNG = np.random.default_rng(0)
PICTURES = RNG.integers(0, 256, (6, 4, 3), dtype=np.uint8)
NUMBERS = [0, 1, 1, 0, 2, 1]
IMAGE = {"_type": "Image"}


def encoded(pixels, kind="PNG"):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind)
    return file.getvalue()


def classes(*names):
    return {"names": list(names), "_type": "ClassLabel"}


def cells(pictures=PICTURES, paths=None):
    paths = [None] * len(pictures) if paths is None else paths
    rows = [
        {"bytes": one if one is None or isinstance(one, bytes) else encoded(one), "path": path}
        for one, path in zip(pictures, paths, strict=True)
    ]
    return pa.array(rows, pa.struct([("bytes", pa.binary()), ("path", pa.string())]))


def write(path, columns, features=None, **options):
    table = pa.table(columns)
    if features is not None:
        content = features if isinstance(features, str) else json.dumps({"info": {"features": features}})
        table = table.replace_schema_metadata({"huggingface": content})
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path, **options)


def load(path, **options):
    return ImageTableDataset(str(path), **{"grey": True, **options}).load()


class TestRows:
    @pytest.mark.parametrize("row_group_size", [1, 4, 100])
    def test_pictures_and_classes_by_name(self, tmp_path, row_group_size):
        features = {"image": IMAGE, "label": classes("cat", "dog", "emu")}
        write(
            tmp_path / "a.parquet",
            {"image": cells(), "label": NUMBERS},
            features,
            row_group_size=row_group_size,
        )
        data = load(tmp_path / "a.parquet")
        assert data.keys() == {"images", "labels"}
        np.testing.assert_array_equal(data["images"], PICTURES)
        assert data["labels"].tolist() == ["cat", "dog", "dog", "cat", "emu", "dog"]

    def test_classes_that_are_numbers(self, tmp_path):
        """As MNIST has them on the Hub."""
        features = {"image": IMAGE, "label": classes(*"0123456789")}
        write(tmp_path / "a.parquet", {"image": cells(), "label": NUMBERS}, features)
        labels = load(tmp_path / "a.parquet")["labels"]
        assert labels.dtype.kind == "i"
        assert labels.tolist() == NUMBERS

    def test_missing_labels(self, tmp_path):
        features = {"image": IMAGE, "label": classes("cat", "dog")}
        write(tmp_path / "a.parquet", {"image": cells(), "label": [-1, 0, None, 1, 1, -1]}, features)
        assert load(tmp_path / "a.parquet")["labels"].tolist() == ["", "cat", "", "dog", "dog", ""]

    @pytest.mark.parametrize(
        ("label", "expected"),
        [(NUMBERS, NUMBERS), (["a", "b", None, "a", "b", "c"], ["a", "b", "", "a", "b", "c"])],
    )
    def test_without_what_hugging_face_adds(self, tmp_path, label, expected):
        pictures = pa.array([encoded(one) for one in PICTURES], pa.large_binary())
        write(tmp_path / "a.parquet", {"picture": pictures, "label": label, "width": [3] * 6})
        data = load(tmp_path / "a.parquet")
        np.testing.assert_array_equal(data["images"], PICTURES)
        assert data["labels"].tolist() == expected

    def test_columns_of_other_names(self, tmp_path):
        features = {
            "img": IMAGE,
            "mask": IMAGE,
            "fine_label": classes("a", "b", "c"),
            "coarse_label": classes("x"),
        }
        columns = {
            "img": cells(),
            "mask": cells(PICTURES[::-1]),
            "fine_label": NUMBERS,
            "coarse_label": [0] * 6,
        }
        write(tmp_path / "a.parquet", columns, features)
        data = load(tmp_path / "a.parquet", image="mask", label="fine_label")
        np.testing.assert_array_equal(data["images"], PICTURES[::-1])
        assert data["labels"].tolist() == [*"abbacb"]
        with pytest.raises(
            DatasetError, match="several columns of pictures, 'img', 'mask'; name one by `image`"
        ):
            load(tmp_path / "a.parquet")
        with pytest.raises(
            DatasetError, match="several columns of classes, 'fine_label', 'coarse_label'; name one"
        ):
            load(tmp_path / "a.parquet", image="img")

    def test_names_and_the_form_of_pictures(self, tmp_path):
        paths = [f"{i}.jpg" for i in range(6)]
        large = RNG.integers(0, 256, (6, 40, 30, 3), dtype=np.uint8)
        write(tmp_path / "a.parquet", {"image": cells(large, paths)})
        data = load(tmp_path / "a.parquet", size=[8, 6], grey=False)
        assert data["images"].shape == (6, 8, 6, 3)
        assert data["names"].tolist() == paths
        assert "labels" not in data
        deep = RNG.integers(0, 65536, (2, 4, 3)).astype(np.uint16)
        write(tmp_path / "a.parquet", {"image": cells(deep)})
        np.testing.assert_array_equal(load(tmp_path / "a.parquet")["images"], deep)


class TestFolders:
    @pytest.mark.parametrize(
        "names",
        [
            ["test-00000-of-00001.parquet", "train-00000-of-00002.parquet", "train-00001-of-00002.parquet"],
            ["test/0000.parquet", "train/0000.parquet", "train/0001.parquet"],
            [
                "data/validation-0-of-1-ab12.parquet",
                "data/train-0-of-2-cd.parquet",
                "data/train-1-of-2-ef.parquet",
            ],
            ["test.parquet", "train.parquet", "train-00000-of-00001.parquet"],
        ],
    )
    def test_files_of_a_split(self, tmp_path, names, caplog):
        for i, name in enumerate(names):
            columns = {"image": cells(PICTURES[2 * i : 2 * i + 2]), "label": NUMBERS[2 * i : 2 * i + 2]}
            write(tmp_path / name, columns)
        with caplog.at_level(logging.INFO):
            data = load(tmp_path)
        order = np.argsort([names.index(name) for name in sorted(names)])
        rows = np.concatenate([[2 * i, 2 * i + 1] for i in np.argsort(order)])
        np.testing.assert_array_equal(data["images"], PICTURES[rows])
        assert data["labels"].tolist() == [NUMBERS[row] for row in rows]
        assert data["held_out"].tolist() == [bool(row < 2) for row in rows]
        assert "are a split: " in caplog.text

    def test_files_that_are_none(self, tmp_path):
        for name in ("a.parquet", "b.parquet", "part-00000-of-00001.parquet"):
            write(tmp_path / name, {"image": cells(PICTURES[:2])})
        data = load(tmp_path)
        assert data.keys() == {"images"}
        assert len(data["images"]) == 6
        assert len(load(tmp_path, pattern="a*")["images"]) == 2

    def test_files_that_do_not_fit_together(self, tmp_path):
        write(tmp_path / "a.parquet", {"image": cells(), "label": NUMBERS}, {"label": classes("a", "b", "c")})
        write(tmp_path / "b.parquet", {"image": cells(), "label": NUMBERS}, {"label": classes("b", "a", "c")})
        with pytest.raises(
            DatasetError, match=r"b\.parquet and .*a\.parquet have different columns, or other cl"
        ):
            load(tmp_path)


def without_end(path):
    path.write_bytes(path.read_bytes()[:-20])


def damaged(path):
    content = bytearray(path.read_bytes())
    content[40:90] = bytes(50)
    path.write_bytes(content)


class TestRefused:
    @pytest.mark.parametrize(
        ("pictures", "said"),
        [
            ([*PICTURES[:3], b"no picture"], r"a\.parquet, row 3 is refused: it is of none of the formats"),
            (
                [*PICTURES[:3], encoded(PICTURES[3])[:40]],
                r"a\.parquet, row 3 is refused: .*; mend it, or leave the row",
            ),
            (
                [*PICTURES[:3], PICTURES[3].T],
                r"a\.parquet, row 3 is 3 x 4 pixels, .*row 0 is 4 x 3; give size",
            ),
            ([*PICTURES[:3], None], r"a\.parquet, row 3: column 'image' is empty"),
        ],
    )
    def test_by_row(self, tmp_path, pictures, said):
        write(tmp_path / "a.parquet", {"image": cells(pictures)}, row_group_size=2)
        with pytest.raises(DatasetError, match=said):
            load(tmp_path / "a.parquet")

    def test_pictures_that_are_elsewhere(self, tmp_path):
        write(tmp_path / "a.parquet", {"image": cells([PICTURES[0], None], ["0.png", "cats/1.png"])})
        with pytest.raises(
            DatasetError,
            match=r"row 1: column 'image' has no picture, but says that it is at 'cats/1\.png'; write",
        ):
            load(tmp_path / "a.parquet")

    @pytest.mark.parametrize(
        ("columns", "features", "options", "said"),
        [
            ({"image": NUMBERS}, None, {}, "has no column of pictures .*, but 'image'; name it by `image`"),
            (
                {"image": cells()},
                None,
                {"image": "x"},
                "has no column 'x', which image names; it has 'image'",
            ),
            ({"image": cells()}, None, {"label": "x"}, "has no column 'x', which label names"),
            (
                {"image": cells(), "n": NUMBERS},
                None,
                {"image": "n"},
                "column 'n' is of type int64; allowed are struct<bytes, path> and binary",
            ),
            (
                {"image": cells(), "label": [[0, 1]] * 6},
                None,
                {},
                "column 'label' is of type list<.*; allowed for labels are whole numbers and texts, one for each",
            ),
            (
                {"image": cells(), "label": [0, 1, 2, 3, 0, 0]},
                {"label": classes("a", "b", "c")},
                {},
                "row 3: column 'label' is 3; the schema names 3 classes, numbered from 0",
            ),
            ({"image": cells()}, "{", {}, "under 'huggingface' is not as Hugging Face writes it"),
            ({"image": cells()}, '{"info": 5}', {}, "under 'huggingface' is not as Hugging Face writes it"),
            ({"image": cells()}, "[" * 99999, {}, "under 'huggingface' is not as Hugging Face writes it"),
            (
                {"image": cells(), "label": NUMBERS},
                {"label": {"names": "abc", "_type": "ClassLabel"}},
                {},
                "the names of the classes of 'label' are 'abc'; allowed are texts",
            ),
            ({"image": cells([])}, None, {}, "has no row"),
        ],
    )
    def test_by_column(self, tmp_path, columns, features, options, said):
        write(tmp_path / "a.parquet", columns, features)
        with pytest.raises(DatasetError, match=rf"a\.parquet.* {said}"):
            load(tmp_path / "a.parquet", **options)

    @pytest.mark.parametrize("change", [without_end, damaged, lambda path: path.write_bytes(b"no table")])
    def test_broken_files(self, tmp_path, change):
        write(tmp_path / "a.parquet", {"image": cells(), "label": NUMBERS})
        change(tmp_path / "a.parquet")
        with pytest.raises(DatasetError, match=r"a\.parquet is no whole Parquet file"):
            load(tmp_path / "a.parquet")

    def test_what_unpacks_to_too_much(self, tmp_path):
        blank = [bytes(2**20)] * 80
        write(tmp_path / "a.parquet", {"image": pa.array(blank)}, compression="zstd", use_dictionary=False)
        with pytest.raises(DatasetError, match=r"a\.parquet has .* say `max_unpacked: 64 MiB` or more"):
            load(tmp_path / "a.parquet")
        with pytest.raises(DatasetError, match="row 0 is refused: it is of none of the formats"):
            load(tmp_path / "a.parquet", max_unpacked="1 GiB")

    def test_nothing_there(self, tmp_path):
        with pytest.raises(DatasetError, match=r"there is no file .*nowhere\.parquet"):
            load(tmp_path / "nowhere.parquet")
        with pytest.raises(DatasetError, match=r"has no file \*\.parquet"):
            load(tmp_path)
