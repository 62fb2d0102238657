"""Characters that Matplotlib's font lacks: drawn by an installed one, or told of."""

import logging
import os
import subprocess
import sys

import numpy as np
import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen

from latents.reporting import cvae, fonts
from latents.reporting.images import text_width

DRAW = """
import logging, sys
import numpy as np
from latents.reporting import cvae
logging.basicConfig()
figure = cvae.generated_grid(np.zeros((2, 3, 8, 8)), ["plain", sys.argv[1]])
figure.savefig(sys.argv[2])
print(max((text.get_fontfamily() for text in figure.axes[0].texts), key=len))
"""


def font_with(path, name, characters):
    """Write a font whose characters are black squares."""
    pen = TTGlyphPen(None)
    pen.moveTo((100, 0))
    for point in ((100, 700), (800, 700), (800, 0)):
        pen.lineTo(point)
    pen.closePath()
    square = pen.glyph()
    names = [".notdef", *(f"g{ord(character):x}" for character in characters)]
    font = FontBuilder(1000)
    font.setupGlyphOrder(names)
    font.setupCharacterMap({ord(character): f"g{ord(character):x}" for character in characters})
    font.setupGlyf(dict.fromkeys(names, square))
    font.setupHorizontalMetrics(dict.fromkeys(names, (900, 100)))
    font.setupHorizontalHeader(ascent=800, descent=-200)
    font.setupNameTable({"familyName": name, "styleName": "Regular"})
    font.setupOS2(sTypoAscender=800, usWinAscent=800, usWinDescent=200)
    font.setupPost()
    path.parent.mkdir(parents=True, exist_ok=True)
    font.save(path)


def draw(tmp_path, text, **variables):
    """Draw a sheet in a process that looks for fonts below `tmp_path`; return what it printed."""
    environment = {**os.environ, "XDG_DATA_HOME": str(tmp_path), "MPLCONFIGDIR": str(tmp_path / "matplotlib")}
    picture = str(tmp_path / "drawn.png")
    return subprocess.run(
        [sys.executable, "-c", DRAW, text, picture],
        env={**environment, **variables},
        capture_output=True,
        text=True,
        check=True,
    )


def test_an_installed_font_is_found(tmp_path):
    draw(tmp_path, "plain")  # makes Matplotlib's list of fonts, which that of the user is not in
    (tmp_path / "fonts").mkdir()
    (tmp_path / "fonts/broken.ttf").write_bytes(b"no font")
    character = "\U00031350"  # in few fonts, if in any
    font_with(tmp_path / "fonts/own.ttf", "AAA Sans of the user", [character])
    done = draw(tmp_path, f"{character}a")
    assert done.stdout.strip() == "['DejaVu Sans', 'AAA Sans of the user']"
    assert done.stderr == ""
    assert (tmp_path / "drawn.png").stat().st_size > 0


@pytest.mark.parametrize(
    ("text", "package"),
    [
        ("猫", "fonts-noto-cjk"),
        ("カタカナ", "fonts-noto-cjk"),
        ("한국", "fonts-noto-cjk"),
        ("हिन्दी", "fonts-noto-core"),
        ("\U0001f9d9", "fonts-symbola"),
    ],
)
def test_what_no_font_has_is_told_once(caplog, monkeypatch, text, package):
    monkeypatch.setattr(fonts, "_installed", lambda: [(fonts.OWN, fonts.font_manager.findfont(fonts.OWN))])
    for cached in (fonts._others, fonts._tell):
        cached.cache_clear()
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            assert fonts.families(f"{text} and plain") == [fonts.OWN]
            cvae.generated_grid(np.zeros((2, 3, 8, 8)), ["plain", text])
    assert [record.message for record in caplog.records] == [
        "no installed font has some of the characters in the figures, which are boxes there; Debian's package "
        f"{package} may bring one"
    ]
    for cached in (fonts._others, fonts._tell):
        cached.cache_clear()


def test_without_fonts_of_the_system_there_are_boxes_and_one_line(tmp_path):
    done = draw(tmp_path, "猫咪猫咪", MPL_IGNORE_SYSTEM_FONTS="1")
    assert done.stdout.strip() == "['DejaVu Sans']"
    assert done.stderr.count("\n") == 1
    assert "Debian's package fonts-noto-cjk" in done.stderr


def test_what_the_own_font_has_needs_no_other():
    assert fonts.families("plain, Ελληνικά, русский, עברית, العربية, \u200d \n") == [fonts.OWN]


def test_there_is_room_for_wider_characters():
    assert text_width(["ab"]) < text_width(["猫咪"]) < text_width(["abcd"])
