import pytest

from latents.reporting import style


@pytest.mark.parametrize("colour", style.CATEGORY_COLOURS)
def test_ink_reaches_the_contrast_asked_of_text(colour):
    def luminance(hexadecimal):
        channels = [int(hexadecimal[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    darker, lighter = sorted([luminance(colour), luminance(style.ink_on(colour))])
    assert (lighter + 0.05) / (darker + 0.05) >= 4.5


def test_labels_sort_by_value_or_alphabet():
    assert style.in_order([10, 9, 2, 9]) == [2, 9, 10]
    assert style.in_order(["b", "a"]) == ["a", "b"]


def test_an_absent_chart_says_why():
    figure = style.absent("Labels <b>", "There are no labels.")
    assert figure.layout.title.text == "Labels &lt;b&gt;"
    assert figure.layout.annotations[0].text == "There are no labels."
    assert len(figure.data) == 0
