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
from latents.datasets.decoding import PictureForm
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
        assert data["names"].tolist() == ["planes/old/a.bmp", "planes/z.png", "ships/b.png"]
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

    def test_train_and_test_are_a_split(self, tmp_path, caplog):
        for name in ("train/ships/a.png", "train/planes/b.png", "test/ships/c.png"):
            picture(tmp_path / name, random(2, 2))
        with caplog.at_level(logging.INFO):
            data = load(tmp_path)
        assert data["names"].tolist() == ["test/ships/c.png", "train/planes/b.png", "train/ships/a.png"]
        assert data["labels"].tolist() == ["ships", "planes", "ships"]
        assert data["held_out"].tolist() == [True, False, False]
        assert "are a split: test is held out, train is trained on" in caplog.text

    @pytest.mark.parametrize(
        ("options", "said"),
        [
            ({"size": [28]}, r"size is \[28\]; allowed are \[height, width\], in whole numbers from 1"),
            ({"size": [28, 0]}, r"size is \[28, 0\]"),
            ({"size": [28, 2.5]}, r"size is \[28, 2\.5\]"),
            ({"size": 28}, "size is 28"),
            ({"fit": "zoom"}, "fit is 'zoom'; allowed are crop, pad, stretch"),
            ({"grey": "yes"}, "grey is 'yes'; allowed are true and false"),
            ({"bits": 12}, "bits is 12; allowed are 8 and 16"),
            (
                {"size": [100_000, 100_000]},
                r"size is \[100000, 100000\], which makes 10,000,000,000 pixels a picture; allowed are up to",
            ),
        ],
    )
    def test_refused_parameters(self, tmp_path, options, said):
        with pytest.raises(DatasetError, match=said):
            ImageFolderDataset(str(tmp_path), **options)

    def test_a_long_one_tells_how_far_it_is(self, tmp_path, caplog, monkeypatch):
        for i in range(3):
            picture(tmp_path / f"{i}.png", random(2, 2))
        monkeypatch.setattr(
            "latents.datasets.pictures.FitMonitor", lambda prefix: FitMonitor(prefix, log_seconds=0)
        )
        with caplog.at_level(logging.INFO):
            load(tmp_path)
        assert "reading images: 3 of 3" in caplog.text


class TestSize:
    def test_without_it_all_must_be_of_one(self, tmp_path):
        picture(tmp_path / "a.png", random(4, 3))
        picture(tmp_path / "b.png", random(3, 4))
        with pytest.raises(DatasetError, match=r"b\.png is 3 x 4 pixels, .*a\.png is 4 x 3; give size"):
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

    def test_palettes_and_bits(self, tmp_path):
        grey = np.array([[0, 100], [200, 255]], dtype=np.uint8)
        picture(tmp_path / "1.png", Image.fromarray(grey).convert("P"))
        picture(tmp_path / "2.png", Image.fromarray(grey).convert("1", dither=Image.Dither.NONE))
        images = load(tmp_path, grey=True)["images"]
        np.testing.assert_array_equal(images[0], grey)
        np.testing.assert_array_equal(images[1], [[0, 0], [255, 255]])

    def test_transparency_lies_on_white(self, tmp_path):
        pixels = np.zeros((1, 3, 4), dtype=np.uint8)
        pixels[0, :, 3] = [0, 255, 51]
        picture(tmp_path / "a.png", pixels)
        np.testing.assert_array_equal(load(tmp_path, grey=True)["images"][0], [[255, 0, 204]])
        palette = Image.frombytes("P", (3, 1), bytes([0, 1, 2]))
        palette.putpalette([9, 9, 9, 60, 120, 240, 0, 0, 0])
        picture(tmp_path / "a.png", palette, transparency=2)
        np.testing.assert_array_equal(
            load(tmp_path)["images"][0], [[[9, 9, 9], [60, 120, 240], [255, 255, 255]]]
        )

    def test_inks_of_print(self, tmp_path):
        inks = np.zeros((16, 32, 4), dtype=np.uint8)
        inks[:, 16:, :3] = [0, 255, 255]  # no cyan, all of magenta and yellow: red
        picture(tmp_path / "a.jpg", Image.frombytes("CMYK", (32, 16), inks.tobytes()), quality=95)
        pixels = load(tmp_path)["images"][0].astype(int)
        assert np.abs(pixels[:, 2:14] - 255).max() <= 3
        assert np.abs(pixels[:, 18:30] - [255, 0, 0]).max() <= 3

    def test_pictures_are_turned_upright(self, tmp_path):
        exif = Image.Exif()
        exif[0x0112] = 6  # the camera was turned: rows are columns
        pixels = bands(30, 60)
        picture(tmp_path / "a.png", pixels, exif=exif)
        np.testing.assert_array_equal(load(tmp_path, grey=True)["images"][0], np.rot90(pixels, -1))
        picture(tmp_path / "a.png", bands(300, 600))
        for number in range(1, 9):  # Pillow reads a TIFF file's orientation by itself
            exif[0x0112] = number
            picture(tmp_path / f"tiff/{number}.tif", pixels, exif=exif)
            picture(tmp_path / f"png/{number}.png", pixels, exif=exif)
            np.testing.assert_array_equal(
                *(load(tmp_path / kind, pattern=f"{number}.*")["images"] for kind in ("tiff", "png"))
            )
        exif[0x0112] = 6
        picture(tmp_path / "b.jpg", Image.fromarray(bands(300, 600)), exif=exif, quality=95)
        upright = load(tmp_path, size=[60, 30], grey=True, pattern="b.jpg")["images"][0]
        assert np.abs(upright[[0, 30, -1], 15].astype(int) - [0, 128, 255]).max() <= 3

    def test_the_first_frame_of_several(self, tmp_path, caplog):
        frames = [Image.fromarray(np.full((2, 2), grey, dtype=np.uint8)) for grey in (255, 0, 255)]
        for name in ("a.png", "b.webp", "c.gif", "d.tif"):
            frames[0].save(tmp_path / name, save_all=name != "a.png", append_images=frames[1:])
        assert (load(tmp_path, grey=True)["images"] == 255).all()
        (record,) = caplog.records
        assert "3 of 4 pictures have several pages or frames, 9 together, such as" in record.message
        assert "b.webp, which has 3; the first of each is read" in record.message

    @pytest.mark.parametrize("options", [{}, {"big_tiff": True}, {"compression": "tiff_lzw"}])
    @pytest.mark.parametrize("following", [b"", b"\0" * 6, None])
    def test_pages_of_tiff_of_any_kind(self, tmp_path, caplog, options, following):
        """Also where one leads back to the first, out of the file, or to what is no page."""
        pages = [Image.fromarray(random(20, 30)) for _ in range(4)]
        path = tmp_path / "a.tif"
        pages[0].save(path, save_all=True, append_images=pages[1:], **options)
        n_pages = 4
        if not options and following is not None:
            content = bytearray(path.read_bytes())
            first = place = int.from_bytes(content[4:8], "little")
            for _ in range(4):
                end = place + 2 + 12 * int.from_bytes(content[place : place + 2], "little")
                place = int.from_bytes(content[end : end + 4], "little")
            content[end : end + 4] = (len(content) if following else first).to_bytes(4, "little")
            path.write_bytes(content + following)
            n_pages += len(following) > 0
        data = load(tmp_path, grey=True)
        np.testing.assert_array_equal(data["images"][0], np.asarray(pages[0]))
        assert f"which has {n_pages}; the first of each is read" in caplog.text

    def test_tens_of_thousands_of_pages(self, tmp_path, caplog):
        picture(tmp_path / "a.tif", random(2, 2))
        content = bytearray((tmp_path / "a.tif").read_bytes())
        first = int.from_bytes(content[4:8], "little")
        end = first + 2 + 12 * int.from_bytes(content[first : first + 2], "little")
        content[end : end + 4] = len(content).to_bytes(4, "little")
        pages = [struct.pack("<HI", 0, len(content) + 6 * (i + 1)) for i in range(50_000)]
        (tmp_path / "a.tif").write_bytes(bytes(content) + b"".join(pages))
        load(tmp_path)
        assert "which has 50001;" in caplog.text


def deep_png(pixels, colours):
    """A PNG file of 16 bits, by the format's own description, which Pillow does not write of colours."""
    height, width = pixels.shape[:2]
    lines = b"".join(b"\0" + line.astype(">u2").tobytes() for line in pixels)
    return png(struct.pack(">2I5B", width, height, 16, colours, 0, 0, 0), zlib.compress(lines))


def png(header, data):
    parts = [(b"IHDR", header), (b"IDAT", data), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in parts
    )


def tiff(pixels, order, photometric, sample_format=1):
    """A TIFF file by the format's own description: bytes in either order, white or black as zero."""
    height, width, n = (*pixels.shape, 1)[:3]
    data = pixels.astype(pixels.dtype.newbyteorder(order)).tobytes()
    bits = 8 * pixels.itemsize
    start = 8 + 2 + 12 * 10 + 4  # of what does not fit into an entry: bits of three channels, and pixels
    entries = [
        (256, "HH", (width, 0)),
        (257, "HH", (height, 0)),
        (258, "HH", (bits, 0)) if n == 1 else (258, "I", (start,)),
        (259, "HH", (1, 0)),
        (262, "HH", (photometric, 0)),
        (273, "I", (start + 6,)),
        (277, "HH", (n, 0)),
        (278, "HH", (height, 0)),
        (279, "I", (len(data),)),
        (339, "HH", (sample_format, 0)),
    ]
    head = struct.pack(f"{order}2sHIH", b"II" if order == "<" else b"MM", 42, 8, len(entries))
    body = b"".join(
        struct.pack(
            f"{order}HHI{kind}", tag, 3 if kind == "HH" or tag == 258 else 4, n if tag == 258 else 1, *value
        )
        for tag, kind, value in entries
    )
    return head + body + bytes(4) + struct.pack(f"{order}3H", *[bits] * 3) + data


class TestSixteenBits:
    DEEP = RNG.integers(0, 4096, (6, 5)).astype(np.uint16)  # of a camera of 12 bits

    @pytest.mark.parametrize(
        ("name", "write"),
        [
            ("a.png", lambda path, pixels: picture(path, pixels)),
            ("a.tif", lambda path, pixels: picture(path, pixels)),
            ("a.tif", lambda path, pixels: picture(path, pixels, compression="tiff_lzw")),
            ("a.tif", lambda path, pixels: picture(path, pixels.astype(">u2"))),
            ("a.tif", lambda path, pixels: path.write_bytes(tiff(pixels, "<", 1))),
            ("a.tif", lambda path, pixels: path.write_bytes(tiff(pixels, ">", 1))),
            ("a.tif", lambda path, pixels: path.write_bytes(tiff(65535 - pixels, "<", 0))),  # white is zero
            ("a.jp2", lambda path, pixels: picture(path, pixels)),
            (
                "a.pgm",
                lambda path, pixels: path.write_bytes(b"P5 5 6 65535\n" + pixels.astype(">u2").tobytes()),
            ),
        ],
    )
    def test_grey_values_are_kept(self, tmp_path, name, write):
        write(tmp_path / name, self.DEEP)
        images = load(tmp_path, grey=True)["images"]
        assert images.dtype == np.uint16
        np.testing.assert_array_equal(images[0], self.DEEP)
        np.testing.assert_array_equal(load(tmp_path)["images"][0], np.stack([self.DEEP] * 3, axis=-1))
        shallow = load(tmp_path, grey=True, bits=8)["images"]
        assert shallow.dtype == np.uint8
        np.testing.assert_array_equal(shallow[0], self.DEEP >> 8)

    @pytest.mark.parametrize("fit", ["crop", "pad", "stretch"])
    def test_resized_as_8_bits_are_but_finer(self, tmp_path, fit):
        y, x = np.mgrid[:40, :60]
        waves = 0.5 + 0.5 * np.sin(x / 9) * np.cos(y / 7)
        (tmp_path / "8").mkdir()
        picture(tmp_path / "8/a.png", np.rint(255 * waves).astype(np.uint8))
        picture(tmp_path / "16/a.png", np.rint(65535 * waves).astype(np.uint16))
        options = {"size": [20, 25], "grey": True, "fit": fit}
        shallow = load(tmp_path / "8", **options)["images"].astype(float)
        deep = load(tmp_path / "16", **options)["images"]
        assert deep.dtype == np.uint16
        assert np.abs(deep / 257 - shallow).max() <= 1.5
        assert len(np.unique(deep)) > len(np.unique(shallow))

    def test_no_value_overflows_where_edges_are_sharp(self, tmp_path):
        picture(tmp_path / "a.png", bands(90, 90).astype(np.uint16) * 257)
        resized = load(tmp_path, size=[31, 31], grey=True, fit="stretch")["images"][0]
        assert (resized[:, :8] < 3000).all()
        assert (resized[:, -8:] > 62000).all()

    def test_turned_upright(self, tmp_path):
        exif = Image.Exif()
        exif[0x0112] = 6
        picture(tmp_path / "a.png", self.DEEP, exif=exif)
        picture(tmp_path / "b.tif", self.DEEP.astype(">u2"), exif=exif)
        for image in load(tmp_path, grey=True)["images"]:
            np.testing.assert_array_equal(image, np.rot90(self.DEEP, -1))

    @pytest.mark.parametrize("value", [0, 4000])
    def test_a_transparent_value_is_white(self, tmp_path, value):
        pixels = self.DEEP.copy()
        pixels[2, 3] = value
        picture(tmp_path / "a.png", pixels, transparency=value)
        expected = np.where(pixels == value, 65535, pixels)
        np.testing.assert_array_equal(load(tmp_path, grey=True)["images"][0], expected)

    def test_colours_lose_bits_and_that_is_said(self, tmp_path, caplog):
        colours = RNG.integers(0, 65536, (6, 5, 3)).astype(np.uint16)
        (tmp_path / "a.ppm").write_bytes(b"P6 5 6 65535\n" + colours.astype(">u2").tobytes())
        (tmp_path / "b.tif").write_bytes(tiff(colours, "<", 2))
        (tmp_path / "c.png").write_bytes(deep_png(colours, colours=2))
        picture(tmp_path / "d.png", random(6, 5, 3))
        images = load(tmp_path)["images"]
        assert images.dtype == np.uint8
        assert np.abs(images[:3] - colours / 257).max() <= 1
        (record,) = caplog.records
        assert "3 of 4 pictures have 16 bits a colour, such as" in record.message
        assert "a.ppm, of which the upper 8 are read" in record.message
        caplog.clear()
        np.testing.assert_array_equal(load(tmp_path, bits=8)["images"], images)
        assert not caplog.records

    def test_a_cameras_12_bits_stay_12(self, tmp_path):
        pixels = np.zeros((32, 32), np.uint16)
        pixels[:, 16:] = 4095  # beside an edge bicubic curves overshoot
        picture(tmp_path / "a.png", pixels)
        for fit in ("crop", "pad", "stretch"):
            images = load(tmp_path, grey=True, size=[13, 9], fit=fit)["images"]
            assert images.max() == 4095

    def test_among_pictures_of_8_bits(self, tmp_path):
        grey = random(6, 5)
        picture(tmp_path / "a.png", grey)
        picture(tmp_path / "b.png", self.DEEP)
        with pytest.raises(
            DatasetError, match=r"b\.png has 16 bits a pixel, .*a\.png has 8; give bits: 16 .* or bits: 8"
        ):
            load(tmp_path, grey=True)
        images = load(tmp_path, grey=True, bits=16)["images"]
        np.testing.assert_array_equal(images, [grey.astype(np.uint16) * 257, self.DEEP])
        images = load(tmp_path, grey=True, bits=8)["images"]
        np.testing.assert_array_equal(images, [grey, self.DEEP >> 8])

    @pytest.mark.parametrize(
        ("pixels", "sample_format"), [(DEEP.astype(np.int16), 2), (DEEP.astype(np.int8), 2)]
    )
    def test_signed_numbers_are_refused(self, tmp_path, pixels, sample_format):
        (tmp_path / "a.tif").write_bytes(tiff(pixels, "<", 1, sample_format))
        with pytest.raises(DatasetError, match=r"a\.tif is refused: its pixels are signed numbers"):
            load(tmp_path)


def bomb():
    """A few bytes of PNG that say to be 60,000 x 60,000 pixels."""
    return png(struct.pack(">2I5B", 60_000, 60_000, 8, 0, 0, 0, 0), zlib.compress(b"\0" * 99))


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
            ("bomb.png", lambda _: bomb(), r"claims to have, more than 178,956,970 pixels; scale it down"),
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
        one = PictureForm.decode
        monkeypatch.setattr(PictureForm, "decode", lambda *which: read.append(which) or one(*which))
        with pytest.raises(DatasetError, match=r"001\.png is 3 x 2 pixels, .*000\.png is 2 x 2"):
            load(tmp_path)
        assert len(read) < 300

    @pytest.mark.parametrize(("kind", "mode"), [(np.float32, "F"), (np.int32, "I")])
    def test_numbers_without_white(self, tmp_path, kind, mode):
        picture(tmp_path / "a.tif", Image.fromarray(np.ones((2, 2), dtype=kind)))
        with pytest.raises(
            DatasetError, match=rf"a\.tif is refused: its pixels are 32-bit numbers \(mode {mode}\)"
        ):
            load(tmp_path)

    def test_more_than_memory_holds(self, tmp_path, monkeypatch):
        picture(tmp_path / "a.png", random(50, 40, 3))
        monkeypatch.setattr(os, "sysconf", {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": 1}.get)
        with pytest.raises(
            DatasetError, match=r"1 pictures of 50 x 40 pixels take .* GB, and this machine has"
        ):
            load(tmp_path)
        assert load(tmp_path, size=[5, 5])["images"].shape == (1, 5, 5, 3)

    @pytest.mark.parametrize("side", [7_100, 10_000])  # 50 and 100 megapixels
    def test_large_pictures_are_read(self, tmp_path, side, recwarn):
        picture(tmp_path / "a.png", Image.new("1", (side, side), 1))
        assert (load(tmp_path, size=[4, 4], grey=True)["images"] == 255).all()
        assert not recwarn.list
