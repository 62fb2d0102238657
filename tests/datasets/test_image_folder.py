"""The user's own pictures in a folder, and what is refused there."""

import logging
import os
import struct
import zlib

import numpy as np
import pytest
from kedro.io import DatasetError
from PIL import Image, ImageOps

from latents.datasets import ImageFolderDataset
from latents.tracking.monitor import FitMonitor

RNG = np.random.default_rng(0)


def picture(path, pixels, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    (pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)).save(path, **options)


def random(*shape):
    return RNG.integers(0, 256, shape, dtype=np.uint8)


def bands(height, width):
    """A picture whose left, middle and right thirds are black, grey and white."""
    pixels = np.zeros((height, width), dtype=np.uint8)
    pixels[:, width // 3 :] = 128
    pixels[:, -(width // 3) :] = 255
    return pixels


def load(folder, **options):
    return ImageFolderDataset(str(folder), **options).load()


class TestLayout:
    def test_subfolders_are_labels(self, tmp_path):
        pixels = {name: random(4, 3) for name in ("ships/b.png", "planes/z.png", "planes/old/a.bmp")}
        for name, values in pixels.items():
            picture(tmp_path / name, values)
        (tmp_path / ".git").mkdir()
        (tmp_path / ".git/config").write_text("no picture")
        (tmp_path / "ships/.DS_Store").write_text("no picture")
        data = load(tmp_path, grey=True)
        assert data["names"].tolist() == ["planes/z.png", "planes/old/a.bmp", "ships/b.png"]
        assert data["labels"].tolist() == ["planes", "planes", "ships"]
        assert data["images"].dtype == np.uint8
        np.testing.assert_array_equal(data["images"], [pixels[name] for name in data["names"]])

    def test_a_flat_folder_has_no_labels(self, tmp_path):
        for i in (2, 10, 1):
            picture(tmp_path / f"{i}.png", random(4, 3))
        picture(tmp_path / ".hidden/9.png", random(4, 3))
        data = load(tmp_path)
        assert data["names"].tolist() == ["1.png", "10.png", "2.png"]
        assert data["images"].shape == (3, 4, 3, 3)
        assert "labels" not in data

    def test_a_pattern_leaves_the_rest_out(self, tmp_path):
        picture(tmp_path / "a/1.png", random(2, 2))
        picture(tmp_path / "b/2.png", random(2, 2))
        (tmp_path / "a/Thumbs.db").write_text("no picture")
        (tmp_path / "README.txt").write_text("no picture")
        assert load(tmp_path, pattern="*.png")["names"].tolist() == ["a/1.png", "b/2.png"]

    def test_a_file_beside_the_subfolders(self, tmp_path):
        picture(tmp_path / "a/1.png", random(2, 2))
        picture(tmp_path / "2.png", random(2, 2))
        with pytest.raises(DatasetError, match=r"2\.png lies beside the subfolders, which are the labels"):
            load(tmp_path)

    def test_nothing_there(self, tmp_path):
        with pytest.raises(DatasetError, match=r"there is no folder .*nowhere"):
            load(tmp_path / "nowhere")
        with pytest.raises(DatasetError, match=r"has no file \*\.png"):
            load(tmp_path, pattern="*.png")
        picture(tmp_path / "a/1.png", random(2, 2))
        (tmp_path / "empty").mkdir()
        assert load(tmp_path)["labels"].tolist() == ["a"]

    @pytest.mark.parametrize(
        ("options", "said"),
        [
            ({"size": [28]}, r"size is \[28\]; allowed are \[height, width\], in whole numbers from 1"),
            ({"size": [28, 0]}, r"size is \[28, 0\]"),
            ({"size": [28, 2.5]}, r"size is \[28, 2\.5\]"),
            ({"size": 28}, "size is 28"),
            ({"fit": "zoom"}, "fit is 'zoom'; allowed are crop, pad, stretch"),
            ({"grey": "yes"}, "grey is 'yes'; allowed are true and false"),
        ],
    )
    def test_refused_parameters(self, tmp_path, options, said):
        with pytest.raises(DatasetError, match=said):
            ImageFolderDataset(str(tmp_path), **options)

    def test_a_long_one_tells_how_far_it_is(self, tmp_path, caplog, monkeypatch):
        for i in range(3):
            picture(tmp_path / f"{i}.png", random(2, 2))
        monkeypatch.setattr(
            "latents.datasets.image_folder.FitMonitor", lambda prefix: FitMonitor(prefix, log_seconds=0)
        )
        with caplog.at_level(logging.INFO):
            load(tmp_path)
        assert "reading images: 3 of 3" in caplog.text


class TestSize:
    def test_without_it_all_must_be_of_one(self, tmp_path):
        picture(tmp_path / "a.png", random(4, 3))
        picture(tmp_path / "b.png", random(3, 4))
        with pytest.raises(DatasetError, match=r"b\.png is 3 x 4 pixels, a\.png is 4 x 3; give size"):
            load(tmp_path)

    def test_proportions(self, tmp_path):
        picture(tmp_path / "a.png", bands(20, 60))
        size = [20, 20]
        cropped, padded, stretched = (
            load(tmp_path, size=size, grey=True, fit=fit)["images"][0] for fit in ("crop", "pad", "stretch")
        )
        assert (cropped == 128).all()  # the middle third
        assert (padded[:6] == 0).all()
        assert (padded[-6:] == 0).all()
        assert padded[10, 0] == 0
        assert padded[10, 10] == 128
        assert padded[10, -1] == 255
        np.testing.assert_array_equal(stretched[0, [0, 10, -1]], [0, 128, 255])

    def test_height_comes_before_width(self, tmp_path):
        picture(tmp_path / "a.png", random(30, 30))
        assert load(tmp_path, size=[6, 9])["images"].shape == (1, 6, 9, 3)

    @pytest.mark.parametrize(("ending", "tolerance"), [("png", 0), ("jpg", 4)])
    def test_large_pictures_come_out_as_if_decoded_whole(self, tmp_path, ending, tolerance):
        y, x = np.mgrid[:600, :800]
        waves = (127 + 120 * np.sin(x / 70) * np.cos(y / 50)).astype(np.uint8)
        picture(tmp_path / f"a.{ending}", np.stack([waves, waves[::-1], 255 - waves], axis=-1))
        with Image.open(tmp_path / f"a.{ending}") as whole:
            expected = np.asarray(ImageOps.fit(whole.convert("RGB"), (40, 30))).astype(int)
        assert np.abs(load(tmp_path, size=[30, 40])["images"][0] - expected).max() <= tolerance


class TestColours:
    def test_grey_is_the_brightness(self, tmp_path):
        colours = random(5, 4, 3)
        picture(tmp_path / "a.png", colours)
        np.testing.assert_array_equal(load(tmp_path)["images"][0], colours)
        expected = colours @ [0.299, 0.587, 0.114]
        assert np.abs(load(tmp_path, grey=True)["images"][0] - expected).max() <= 0.51

    def test_grey_pictures_among_coloured_ones(self, tmp_path):
        grey = random(5, 4)
        picture(tmp_path / "a.png", grey)
        picture(tmp_path / "b.png", random(5, 4, 3))
        images = load(tmp_path)["images"]
        np.testing.assert_array_equal(images[0], np.repeat(grey[..., None], 3, axis=-1))

    def test_palettes_bits_and_16_bits(self, tmp_path):
        grey = np.array([[0, 100], [200, 255]], dtype=np.uint8)
        picture(tmp_path / "1.png", Image.fromarray(grey).convert("P"))
        picture(tmp_path / "2.png", Image.fromarray(grey).convert("1", dither=Image.Dither.NONE))
        picture(tmp_path / "3.png", grey.astype(np.uint16) * 257)
        picture(tmp_path / "4.tif", grey.astype(np.uint16) * 257)
        images = load(tmp_path, grey=True)["images"]
        np.testing.assert_array_equal(images[0], grey)
        np.testing.assert_array_equal(images[1], [[0, 0], [255, 255]])
        np.testing.assert_array_equal(images[2], grey)
        np.testing.assert_array_equal(images[3], grey)

    def test_transparency_lies_on_white(self, tmp_path):
        pixels = np.zeros((1, 3, 4), dtype=np.uint8)
        pixels[0, :, 3] = [0, 255, 51]
        picture(tmp_path / "a.png", pixels)
        np.testing.assert_array_equal(load(tmp_path, grey=True)["images"][0], [[255, 0, 204]])

    def test_pictures_are_turned_upright(self, tmp_path):
        exif = Image.Exif()
        exif[0x0112] = 6  # the camera was turned: rows are columns
        pixels = bands(30, 60)
        picture(tmp_path / "a.png", pixels, exif=exif)
        np.testing.assert_array_equal(load(tmp_path, grey=True)["images"][0], np.rot90(pixels, -1))
        picture(tmp_path / "a.png", bands(300, 600))
        picture(tmp_path / "b.jpg", Image.fromarray(bands(300, 600)), exif=exif, quality=95)
        upright = load(tmp_path, size=[60, 30], grey=True, pattern="*.jpg")["images"][0]
        assert np.abs(upright[[0, 30, -1], 15].astype(int) - [0, 128, 255]).max() <= 3

    def test_the_first_frame_of_several(self, tmp_path):
        frames = [Image.fromarray(np.full((2, 2), grey, dtype=np.uint8)) for grey in (255, 0)]
        frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
        assert (load(tmp_path, grey=True)["images"] == 255).all()


def bomb():
    """A few bytes of PNG that say to be 60,000 x 60,000 pixels."""
    parts = [
        (b"IHDR", struct.pack(">2I5B", 60_000, 60_000, 8, 0, 0, 0, 0)),
        (b"IDAT", zlib.compress(b"\0" * 99)),
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in [*parts, (b"IEND", b"")]
    )


def cut(tmp_path, name):
    picture(tmp_path / name, random(50, 50, 3))
    content = (tmp_path / name).read_bytes()
    return content[: len(content) // 2]


class TestRefused:
    @pytest.mark.parametrize(
        ("name", "content", "said"),
        [
            ("notes.txt", lambda _: b"no picture", "it is of none of the formats AVIF, BMP"),
            ("empty.png", lambda _: b"", "it is of none of the formats"),
            ("drawing.eps", lambda _: b"%!PS-Adobe-3.0 EPSF-3.0\n", "it is of none of the formats"),
            ("half.png", lambda folder: cut(folder, "half.png"), "truncated"),
            ("half.jpg", lambda folder: cut(folder, "half.jpg"), "truncated"),
            ("half.bmp", lambda folder: cut(folder, "half.bmp"), "truncated"),
            ("bomb.png", lambda _: bomb(), "decompression bomb"),
        ],
    )
    def test_by_name_and_reason(self, tmp_path, name, content, said):
        picture(tmp_path / "fine.png", random(50, 50, 3))
        (tmp_path / name).write_bytes(content(tmp_path))
        with pytest.raises(DatasetError, match=rf"{name} is refused: .*{said}.*leave it out by `pattern`"):
            load(tmp_path, size=[8, 8])

    def test_a_broken_checksum(self, tmp_path):
        picture(tmp_path / "a.png", random(50, 50, 3))
        content = bytearray((tmp_path / "a.png").read_bytes())
        content[20] ^= 1
        (tmp_path / "a.png").write_bytes(content)
        with pytest.raises(DatasetError, match=r"a\.png is refused"):
            load(tmp_path)

    def test_after_an_error_the_rest_is_not_read(self, tmp_path, monkeypatch):
        for i in range(300):
            picture(tmp_path / f"{i:03}.png", random(2 + (i == 1), 2))
        read = []
        one = ImageFolderDataset._image
        monkeypatch.setattr(ImageFolderDataset, "_image", lambda *which: read.append(which) or one(*which))
        with pytest.raises(DatasetError, match=r"001\.png is 3 x 2 pixels, 000\.png is 2 x 2"):
            load(tmp_path)
        assert len(read) < 300

    def test_names_that_are_no_text(self, tmp_path):
        picture(tmp_path / "a.png", random(2, 2))
        os.rename(tmp_path / "a.png", os.fsencode(tmp_path) + b"/\xff.png")
        with pytest.raises(DatasetError, match=r"the file name '\\udcff\.png' in .* is no utf-8; rename it"):
            load(tmp_path)

    def test_numbers_without_white(self, tmp_path):
        picture(tmp_path / "a.tif", Image.fromarray(np.ones((2, 2), dtype=np.float32)))
        with pytest.raises(
            DatasetError, match=r"a\.tif is refused: its pixels are 32-bit numbers \(mode F\)"
        ):
            load(tmp_path)
