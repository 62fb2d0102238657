"""The user's own arrays, in NumPy's files and in MNIST's, and what is refused in them."""

import gc
import gzip
import struct
import zipfile

import numpy as np
import pytest
from kedro.io import DatasetError

from latents.datasets import IdxDataset, NpyDataset, NpyFolderDataset, NpzDataset
from latents.datasets.idx import read_idx
from latents.features.rows import MadeRows
from latents.pipelines.images import check_images

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (6, 4, 3), dtype=np.uint8)
CODES = {"u1": 0x08, "i1": 0x09, "i2": 0x0B, "i4": 0x0C, "f4": 0x0D, "f8": 0x0E}


def idx(values, code=None, sizes=None):
    """The bytes of an IDX file, by the format's own description."""
    code = CODES[values.dtype.str[1:]] if code is None else code
    sizes = values.shape if sizes is None else sizes
    head = struct.pack(f">4B{len(sizes)}I", 0, 0, code, len(sizes), *sizes)
    return head + values.astype(values.dtype.newbyteorder(">")).tobytes()


def lies_on_the_disk(array):
    """Whether an array's numbers are those of a file mapped into memory."""
    while array is not None and not isinstance(array, np.memmap):
        array = array.base
    return array is not None


class TestIdx:
    @pytest.mark.parametrize("ending", ["", ".gz"])
    @pytest.mark.parametrize("kind", CODES)
    def test_all_types_of_numbers(self, tmp_path, kind, ending):
        values = (RNG.normal(size=(5, 4, 3)) * 50).astype(kind)
        path = tmp_path / f"images{ending}"
        path.write_bytes(gzip.compress(idx(values)) if ending else idx(values))
        (data,) = IdxDataset(str(path)).load().values()
        assert data.dtype == values.dtype
        assert data.dtype.isnative
        np.testing.assert_array_equal(data, values)

    def test_reads_what_torchvision_reads(self, tmp_path):
        from torchvision.datasets.mnist import read_sn3_pascalvincent_tensor

        (tmp_path / "a").write_bytes(idx(RNG.integers(-999, 999, (3, 2, 2)).astype(np.int16)))
        expected = read_sn3_pascalvincent_tensor(str(tmp_path / "a"), strict=False).numpy()
        np.testing.assert_array_equal(IdxDataset(str(tmp_path / "a")).load()["images"], expected)

    def test_bytes_stay_on_the_disk(self, tmp_path):
        (tmp_path / "images").write_bytes(idx(IMAGES))
        assert lies_on_the_disk(IdxDataset(str(tmp_path / "images")).load()["images"])

    def test_labels_lie_beside(self, tmp_path):
        (tmp_path / "images").write_bytes(idx(IMAGES))
        (tmp_path / "labels.gz").write_bytes(gzip.compress(idx(np.arange(6, dtype=np.uint8))))
        data = IdxDataset(str(tmp_path / "images"), labels="labels.gz").load()
        assert data["labels"].tolist() == [0, 1, 2, 3, 4, 5]
        (tmp_path / "labels.gz").write_bytes(gzip.compress(idx(np.arange(5, dtype=np.uint8))))
        with pytest.raises(
            DatasetError, match=r"labels\.gz has labels of shape \(5,\); one for each of the 6 of .*images"
        ):
            IdxDataset(str(tmp_path / "images"), labels="labels.gz").load()

    def test_rows_and_rows_that_are_images(self, tmp_path):
        (tmp_path / "rows").write_bytes(idx(IMAGES.reshape(6, 12)))
        assert IdxDataset(str(tmp_path / "rows")).load()["features"].shape == (6, 12)
        images = IdxDataset(str(tmp_path / "rows"), image_shape=[4, 3]).load()["images"]
        np.testing.assert_array_equal(images, IMAGES)

    def test_images_that_lie_column_by_column(self, tmp_path):
        (tmp_path / "a").write_bytes(idx(IMAGES))
        images = IdxDataset(str(tmp_path / "a"), transpose=True).load()["images"]
        assert lies_on_the_disk(images)
        np.testing.assert_array_equal(images, [image.T for image in IMAGES])
        colours = np.stack([IMAGES] * 3, axis=-1)
        (tmp_path / "a").write_bytes(idx(colours))
        images = IdxDataset(str(tmp_path / "a"), transpose=True).load()["images"]
        np.testing.assert_array_equal(images, colours.transpose(0, 2, 1, 3))
        (tmp_path / "a").write_bytes(idx(IMAGES.reshape(6, 12)))
        with pytest.raises(DatasetError, match="has rows and no images, which `transpose` is for"):
            IdxDataset(str(tmp_path / "a"), transpose=True).load()
        with pytest.raises(DatasetError, match="transpose is 'yes'; allowed are true and false"):
            IdxDataset(str(tmp_path / "a"), transpose="yes")

    def test_labels_of_eight_numbers(self, tmp_path):
        (tmp_path / "a").write_bytes(idx(IMAGES))
        rows = RNG.integers(0, 9, (6, 8)).astype(np.int32)
        (tmp_path / "labels").write_bytes(idx(rows))
        np.testing.assert_array_equal(
            IdxDataset(str(tmp_path / "a"), labels="labels").load()["labels"], rows[:, 0]
        )
        (tmp_path / "labels").write_bytes(idx(rows[:, :7]))
        with pytest.raises(DatasetError, match=r"labels has labels of shape \(6, 7\); one for each of the 6"):
            IdxDataset(str(tmp_path / "a"), labels="labels").load()

    def test_without_any_images(self, tmp_path):
        (tmp_path / "a").write_bytes(idx(IMAGES[:0]))
        assert read_idx(tmp_path / "a").shape == (0, 4, 3)

    @pytest.mark.parametrize("ending", ["", ".gz"])
    @pytest.mark.parametrize(
        ("content", "said"),
        [
            (b"", r"is no IDX file: it begins with b''"),
            (b"\x89PNG and more", r"is no IDX file: it begins with b'\\x89PNG', and not with two zero bytes"),
            (idx(IMAGES, code=0x0A), "the type of its numbers is 0x0a; allowed are 0x08, 0x09, 0x0b"),
            (b"\0\0\x08\0", "has 0 dimensions; allowed are 1 to 4"),
            (b"\0\0\x08\x05" + bytes(99), "has 5 dimensions"),
            (b"\0\0\x08\x03" + bytes(11), "ends within its header, which has 3 sizes"),
            (idx(IMAGES)[:-1], r"has 71 bytes of numbers; its header says 72 \(shape \(6, 4, 3\), 1 each\)"),
            (idx(IMAGES) + b"\0", "73 bytes of numbers; its header says 72"),
            (idx(IMAGES, code=0x0E), "has 72 bytes of numbers; its header says 576"),
            (
                idx(IMAGES, sizes=[2**32 - 1] * 3),
                "has 72 bytes of numbers; its header says 79228162458924105385",
            ),
            (idx(IMAGES[:, 0, 0]), r"has shape \(6,\); allowed are \(N, numbers\), \(N, height, width\)"),
        ],
    )
    def test_refused_by_name_and_reason(self, tmp_path, content, said, ending):
        path = tmp_path / f"images{ending}"
        path.write_bytes(gzip.compress(content) if ending else content)
        with pytest.raises(DatasetError, match=rf"images{ending}.* {said}"):
            IdxDataset(str(path)).load()

    def test_a_cut_archive(self, tmp_path):
        (tmp_path / "a.gz").write_bytes(gzip.compress(idx(IMAGES))[:-4])
        with pytest.raises(DatasetError, match=r"a\.gz is no whole \.gz file"):
            IdxDataset(str(tmp_path / "a.gz")).load()

    def test_nothing_there(self, tmp_path):
        with pytest.raises(DatasetError, match=r"there is no file .*nowhere"):
            IdxDataset(str(tmp_path / "nowhere")).load()


class TestNpy:
    @pytest.mark.parametrize("kind", ["u1", "f4", ">f8", "?"])
    def test_images_are_mapped_and_not_copied(self, tmp_path, kind):
        np.save(tmp_path / "a.npy", IMAGES.astype(kind))
        images = NpyDataset(str(tmp_path / "a.npy")).load()["images"]
        assert isinstance(images, np.memmap)
        assert images.dtype == kind
        np.testing.assert_array_equal(images, IMAGES.astype(kind))

    def test_rows_and_rows_that_are_images(self, tmp_path):
        np.save(tmp_path / "a.npy", IMAGES.reshape(6, 12))
        assert NpyDataset(str(tmp_path / "a.npy")).load()["features"].shape == (6, 12)
        images = NpyDataset(str(tmp_path / "a.npy"), image_shape=[4, 3]).load()["images"]
        assert lies_on_the_disk(images)
        np.testing.assert_array_equal(images, IMAGES)
        coloured = NpyDataset(str(tmp_path / "a.npy"), image_shape=[2, 2, 3]).load()["images"]
        np.testing.assert_array_equal(coloured, IMAGES.reshape(6, 2, 2, 3))

    @pytest.mark.parametrize("labels", [np.arange(6), np.array(list("aabbcc"))])
    def test_labels_lie_beside(self, tmp_path, labels):
        np.save(tmp_path / "a.npy", IMAGES)
        np.save(tmp_path / "y.npy", labels)
        np.testing.assert_array_equal(NpyDataset(str(tmp_path / "a.npy"), "y.npy").load()["labels"], labels)
        np.save(tmp_path / "y.npy", labels[:, None])
        with pytest.raises(DatasetError, match=r"y\.npy has labels of shape \(6, 1\); one for each of the 6"):
            NpyDataset(str(tmp_path / "a.npy"), "y.npy").load()

    def test_no_pickle_is_read(self, tmp_path):
        class Trap:
            def __reduce__(self):
                return (open, (str(tmp_path / "sprung"), "w"))

        np.save(tmp_path / "a.npy", np.array([Trap(), Trap()]), allow_pickle=True)
        np.save(tmp_path / "images.npy", IMAGES)
        for given in ({"filepath": "a.npy"}, {"filepath": "images.npy", "labels": "a.npy"}):
            with pytest.raises(DatasetError, match=r"a\.npy holds Python objects, which are not read"):
                NpyDataset(str(tmp_path / given.pop("filepath")), **given).load()
        assert not (tmp_path / "sprung").exists()

    @pytest.mark.parametrize(
        ("change", "said"),
        [
            (lambda content: content[:-1], "has 199 bytes; its header says 200"),
            (lambda content: content[:40], "is no whole .npy file"),
            (lambda content: b"", "is no whole .npy file"),
            (lambda content: b"not at all", "is no whole .npy file"),
            (
                lambda content: content + b"\0",
                r"has 201 bytes; its header says 200 \(shape \(6, 4, 3\) of uint8",
            ),
        ],
    )
    def test_broken_files(self, tmp_path, change, said):
        np.save(tmp_path / "a.npy", IMAGES)
        (tmp_path / "a.npy").write_bytes(change((tmp_path / "a.npy").read_bytes()))
        with pytest.raises(DatasetError, match=rf"a\.npy {said}"):
            NpyDataset(str(tmp_path / "a.npy")).load()

    @pytest.mark.parametrize(
        ("shape", "image_shape", "said"),
        [
            ((6,), None, r"has shape \(6,\); allowed are"),
            ((6, 2, 2, 3, 1), None, r"has shape \(6, 2, 2, 3, 1\)"),
            ((6, 12), [4, 4], "has 12 numbers a row; image_shape 4 x 4 needs 16"),
            ((6, 4, 3), [3, 4], r"has images of shape \(4, 3\); image_shape says \(3, 4\)"),
        ],
    )
    def test_shapes(self, tmp_path, shape, image_shape, said):
        np.save(tmp_path / "a.npy", np.zeros(shape))
        with pytest.raises(DatasetError, match=rf"a\.npy {said}"):
            NpyDataset(str(tmp_path / "a.npy"), image_shape=image_shape).load()

    @pytest.mark.parametrize("image_shape", [[4], [4, "3"], [4, 3, 3, 1], [0, 3], "4x3", [True, 3]])
    def test_image_shapes_that_are_none(self, image_shape):
        with pytest.raises(DatasetError, match=r"image_shape is .*; allowed are \[height, width\] and"):
            NpyDataset("a.npy", image_shape=image_shape)

    def test_several_arrays_and_none(self, tmp_path):
        np.savez(tmp_path / "a.npz", images=IMAGES)
        with pytest.raises(DatasetError, match=r"a\.npz holds several arrays; latents.datasets.NpzDataset"):
            NpyDataset(str(tmp_path / "a.npz")).load()
        with pytest.raises(DatasetError, match=r"there is no file .*nowhere\.npy"):
            NpyDataset(str(tmp_path / "nowhere.npy")).load()


def npy(shape, kind="|u1", content=b"", version=1):
    """A `.npy` file whose header says what it likes."""
    header = f"{{'descr': {kind!r}, 'fortran_order': False, 'shape': {shape}, }}".ljust(200) + "\n"
    length = struct.pack("<H" if version == 1 else "<I", len(header))
    return b"\x93NUMPY" + bytes([version, 0]) + length + header.encode() + content


class TestHeadersThatLie:
    SHAPES = (
        "(-1, -4)",
        "(-1, -4, 1)",
        "(-4,)",
        "(1000000000000000000, 0)",
        "(100000000000, 0, 4)",
        "(0, 100000000000, 100000000000)",
        "(4294967296, 4294967296, 1)",
        "(18446744073709551616, 2)",
        "(True, 4)",
        "('4', 1)",
        "(2.0, 2)",
        "(1, nan)",
        f"({'1, ' * 70})",
    )

    @pytest.mark.parametrize("shape", SHAPES)
    def test_in_numpys_files(self, tmp_path, shape):
        """Neither reading nor checking takes memory, and all is refused by name or for its shape."""
        content = npy(shape, content=b"abcd")
        (tmp_path / "a.npy").write_bytes(content)
        with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
            archive.writestr("images.npy", content)
        for dataset in (NpyDataset(str(tmp_path / "a.npy")), NpzDataset(str(tmp_path / "a.npz"))):
            with pytest.raises(DatasetError, match=r"a\.np[yz](: | is | has )(?!.*Failed)"):
                dataset.load()
        empty = npy(shape)
        (tmp_path / "a.npy").write_bytes(empty)
        with pytest.raises((DatasetError, ValueError), match=r"a\.npy|(images|features) have shape"):
            check_images(NpyDataset(str(tmp_path / "a.npy")).load())

    @pytest.mark.parametrize("ending", ["", ".gz"])
    @pytest.mark.parametrize("sizes", [[0, 2**32 - 1, 2**32 - 1], [2**32 - 1, 0, 0], [2**32 - 1, 0]])
    def test_without_numbers_in_idx(self, tmp_path, sizes, ending):
        content = idx(IMAGES[:0], sizes=sizes)
        path = tmp_path / f"a{ending}"
        path.write_bytes(gzip.compress(content) if ending else content)
        with pytest.raises((DatasetError, ValueError), match=r"which no array can have|have shape"):
            check_images(IdxDataset(str(path)).load())

    @pytest.mark.parametrize("method", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
    def test_methods_that_ask_for_memory(self, tmp_path, method):
        with zipfile.ZipFile(tmp_path / "a.npz", "w", method) as archive:
            archive.writestr("images.npy", npy("(1, 2, 2)", content=b"abcd"))
        with pytest.raises(DatasetError, match=rf"'images' by compression method {method}; allowed are 0"):
            NpzDataset(str(tmp_path / "a.npz")).load()


class TestNpyFolder:
    def test_arrays_come_back_mapped(self, tmp_path):
        entry = NpyFolderDataset(str(tmp_path / "a/b"))
        assert not entry.exists()
        with pytest.raises(DatasetError, match=r"there is no folder .*b"):
            entry.load()
        entry.save({"images": IMAGES[:, ::-1], "labels": np.array(list("aabbcc"))})
        first = entry.load()
        assert all(lies_on_the_disk(array) for array in first.values())
        np.testing.assert_array_equal(first["images"], IMAGES[:, ::-1])
        assert first["labels"].tolist() == list("aabbcc")
        entry.save({"X": first["images"].reshape(6, -1)})  # from a map of what is replaced
        assert entry.load().keys() == {"X"}
        np.testing.assert_array_equal(entry.load()["X"], IMAGES[:, ::-1].reshape(6, -1))
        assert [path.name for path in entry._filepath.parent.iterdir()] == ["b"]

    def test_rows_of_another_folder_are_the_same_file(self, tmp_path):
        images = NpyFolderDataset(str(tmp_path / "images"))
        rows = NpyFolderDataset(str(tmp_path / "rows"), rows_of={"filepath": str(tmp_path / "images")})
        expected = IMAGES.reshape(6, -1)
        for array, is_shared in ((IMAGES, True), (expected, True), (np.asfortranarray(IMAGES), False)):
            images.save({"images": array})
            rows.save({"X": images.load()["images"].reshape(6, -1)})
            files = tmp_path / "images/images.npy", tmp_path / "rows/X.npy"
            assert files[0].samefile(files[1]) == is_shared
            images.save({"images": IMAGES + 1})  # as the next run does
            assert lies_on_the_disk(rows.load()["X"])
            np.testing.assert_array_equal(rows.load()["X"], expected)

    def test_what_is_no_matrix_stays_as_it_is_beside_rows(self, tmp_path):
        images = NpyFolderDataset(str(tmp_path / "images"))
        rows = NpyFolderDataset(str(tmp_path / "rows"), rows_of={"filepath": str(tmp_path / "images")})
        images.save({"images": IMAGES, "labels": np.array(list("aabbcc"))})
        found = images.load()
        rows.save({"X": found["images"].reshape(6, -1), "y": found["labels"], "white": np.array(16.0)})
        again = rows.load()
        assert again["X"].shape == (6, IMAGES[0].size)
        assert again["y"].tolist() == list("aabbcc")
        assert again["white"].shape == ()
        assert float(again["white"]) == 16

    @pytest.mark.parametrize("dtype", [np.uint8, np.float32])
    def test_rows_that_are_made_are_written_as_they_come(self, tmp_path, dtype):
        X = np.arange(60).reshape(12, 5)
        entry = NpyFolderDataset(str(tmp_path / "a"))
        made = MadeRows((12, 5), dtype, lambda: (X[start : start + 5].astype(dtype) for start in (0, 5, 10)))
        for _ in range(2):
            entry.save({"X": made, "y": np.arange(12)})
            np.testing.assert_array_equal(entry.load()["X"], X)
            assert entry.load()["X"].dtype == dtype
        np.testing.assert_array_equal(np.asarray(made), X)

        def broken():
            yield X[:5]
            raise ValueError("the disk is full of it")

        with pytest.raises(DatasetError, match="full of it"):
            entry.save({"X": MadeRows((12, 5), dtype, broken)})
        np.testing.assert_array_equal(entry.load()["X"], X)

    def test_rows_of_nothing_but_a_whole_file_of_that_folder_are_written(self, tmp_path, monkeypatch):
        images, own = (NpyFolderDataset(str(tmp_path / name)) for name in ("images", "own"))
        rows = NpyFolderDataset(str(tmp_path / "rows"), rows_of={"filepath": str(tmp_path / "images")})
        images.save({"images": IMAGES})
        own.save({"images": IMAGES})  # a user's, which may change
        kept = images.load()["images"]
        for array in (IMAGES, own.load()["images"], kept[:5], kept[::-1], kept[:, 1:]):
            rows.save({"X": array.reshape(len(array), -1)})
            assert (tmp_path / "rows/X.npy").stat().st_nlink == 1
            np.testing.assert_array_equal(rows.load()["X"], array.reshape(len(array), -1))

        def refuse(*paths):
            raise PermissionError("no links here")

        monkeypatch.setattr("os.link", refuse)
        rows.save({"X": kept.reshape(6, -1)})
        assert (tmp_path / "rows/X.npy").stat().st_nlink == 1
        np.testing.assert_array_equal(rows.load()["X"], IMAGES.reshape(6, -1))

    def test_what_cannot_be_saved_leaves_what_was_there(self, tmp_path):
        entry = NpyFolderDataset(str(tmp_path / "a"))
        entry.save({"X": IMAGES})
        with pytest.raises(DatasetError, match="array 'Y' holds Python objects; allowed are numbers"):
            entry.save({"X": IMAGES + 1, "Y": np.array([{}])})
        np.testing.assert_array_equal(entry.load()["X"], IMAGES)
        assert [path.name for path in tmp_path.iterdir()] == ["a"]

    def test_a_folder_of_other_files_is_not_replaced(self, tmp_path):
        (tmp_path / "letter.txt").write_text("keep me")
        with pytest.raises(DatasetError, match=r"letter\.txt is none of the arrays"):
            NpyFolderDataset(str(tmp_path)).save({"X": IMAGES})
        assert (tmp_path / "letter.txt").read_text() == "keep me"


class TestNpz:
    def test_several_arrays_and_one(self, tmp_path):
        for save in (np.savez, np.savez_compressed):
            save(tmp_path / "a.npz", images=np.asfortranarray(IMAGES), labels=np.array([*"éabbc", "ab"]))
            data = NpzDataset(str(tmp_path / "a.npz")).load()
            assert list(data) == ["images", "labels"]
            np.testing.assert_array_equal(data["images"], IMAGES)
            assert data["labels"].tolist() == [*"éabbc", "ab"]
        np.save(tmp_path / "a.npy", IMAGES)
        with pytest.raises(DatasetError, match=r"a\.npy holds one array; latents\.datasets\.NpyDataset"):
            NpzDataset(str(tmp_path / "a.npy")).load()
        with pytest.raises(DatasetError, match=r"there is no file .*nowhere\.npz"):
            NpzDataset(str(tmp_path / "nowhere.npz")).load()

    def test_no_pickle_is_read(self, tmp_path):
        np.savez(tmp_path / "a.npz", images=IMAGES, labels=np.array(list("aabbcc"), dtype=object))
        said = r"a\.npz: array 'labels' holds Python objects, which .*: save texts as `labels\.astype\(str\)`"
        with pytest.raises(DatasetError, match=said):
            NpzDataset(str(tmp_path / "a.npz")).load()

    @pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning")  # a file left open
    @pytest.mark.parametrize(
        ("change", "said"),
        [
            (lambda content: content[:-1], "File is not a zip file"),
            (lambda content: content[:40], "File is not a zip file"),
            (lambda content: b"", "File is not a zip file"),
            (lambda content: b"not at all", "File is not a zip file"),
            (lambda content: b"PK\3\4 and more", "File is not a zip file"),
            (lambda content: content[content.index(b"\x93NUMPY") :][:200], "File is not a zip file"),  # .npy
            (lambda content: content.replace(IMAGES.tobytes(), bytes(IMAGES.size)), "Bad CRC-32"),
        ],
    )
    def test_broken_files(self, tmp_path, change, said):
        np.savez(tmp_path / "a.npz", images=IMAGES)
        (tmp_path / "a.npz").write_bytes(change((tmp_path / "a.npz").read_bytes()))
        with pytest.raises(DatasetError, match=rf"a\.npz is no whole \.npz file: {said}"):
            NpzDataset(str(tmp_path / "a.npz")).load()
        gc.collect()

    def test_a_broken_stream(self, tmp_path):
        np.savez_compressed(tmp_path / "a.npz", images=np.zeros(9999))
        content = bytearray((tmp_path / "a.npz").read_bytes())
        content[100:110] = b"\xff" * 10
        (tmp_path / "a.npz").write_bytes(content)
        with pytest.raises(DatasetError, match=r"a\.npz is no whole \.npz file: Error -3"):
            NpzDataset(str(tmp_path / "a.npz")).load()
