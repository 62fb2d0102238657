import base64
import gzip
import io
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread
from plotly.offline import get_plotlyjs

from latents.datasets import MatplotlibDataset
from latents.reporting import clustering, report
from latents.reporting.images import absent_picture
from latents.reporting.report import KeyNumber, Quotation, Quotations, Section, render_chart, render_report
from latents.rounding import MINUS

HOSTILE = '</script><script>alert("1")</script><img src="http://evil.example/x.png" onerror=alert(1)>&amp;'
ADDRESSES = {"src", "href", "srcset", "data", "action", "poster", "background"}


class Page(HTMLParser):
    """What a browser would see: elements with their attributes, scripts, and the text between."""

    def __init__(self, html):
        super().__init__(convert_charrefs=True)
        self.elements, self.scripts, self.styles, self.text, self._open = [], [], [], "", None
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self._open = tag if tag in ("script", "style") else None
        if self._open == "script":
            self.scripts.append((dict(attrs), ""))

    def handle_endtag(self, tag):
        self._open = None

    def handle_data(self, data):
        if self._open == "script":
            attrs, text = self.scripts[-1]
            self.scripts[-1] = (attrs, text + data)
        elif self._open == "style":
            self.styles.append(data)
        else:
            self.text += data

    def tags(self, name):
        return [attrs for tag, attrs in self.elements if tag == name]

    def charts(self):
        data = [json.loads(text) for attrs, text in self.scripts if attrs.get("type") == "application/json"]
        return [value for value in data if "layout" in value]


def picture():
    figure = Figure(figsize=(2, 1), dpi=50)
    figure.add_axes((0, 0, 1, 1)).imshow(np.eye(3))
    return figure


def chart(labels=("a", "b")):
    return go.Figure(go.Bar(x=[1, 2], y=list(labels), hovertext=list(labels)))


def render(**changes):
    table = pd.DataFrame({"word": ["alpha", "beta"], "value": [0.123456, 2.0]})
    arguments = {
        "title": "The title",
        "subtitle": "The subtitle",
        "key_numbers": [KeyNumber("Bound", -92.0617, "Higher is better.", "nats per image")],
        "sections": [
            Section("A chart", "Read the chart.\n\nTwice.", chart()),
            Section("A picture", "Read the picture.", picture()),
            Section("A table", "Read the table.", table),
        ],
        "parameters": {"fit": {"n_latents": 40, "rate": 0.00123456, "betas": [0.5, 1.0]}, "seed": None},
        "note": "Made of digits.",
    }
    return render_report(**(arguments | changes))


@pytest.fixture(scope="module")
def html():
    return render()


@pytest.fixture(scope="module")
def page(html):
    return Page(html)


def test_an_error_stands_beside_its_number():
    metrics = {"log_marginal_test": -82.5644, "log_marginal_test_error": 0.3149, "kl": 24.991}
    wanted = [("log_marginal_test", "Summed."), ("kl", "Cost."), ("log_likelihood_test", "Absent.")]
    marginal, kl = report.chosen(metrics, wanted)
    assert (marginal.value, marginal.unit) == (f"{MINUS}82.56 ± 0.31", "nats per image")
    assert kl.value == "24.99"


def test_everything_said_is_on_the_page(page):
    for text in (
        "The title",
        "The subtitle",
        "\N{MINUS SIGN}92.1",
        "nats per image",
        "Higher is better.",
        "Read the chart.",
        "Twice.",
        "Read the picture.",
        "Read the table.",
        "alpha",
        "0.123",
        "Made of digits.",
    ):
        assert text in page.text


def test_sections_have_headings_anchors_and_one_figure_each(page):
    links = [attrs["href"] for attrs in page.tags("a")]
    sections = [attrs["id"] for attrs in page.tags("section")]
    assert links == [f"#{anchor}" for anchor in sections]
    assert len(page.tags("h1")) == 1
    assert len(page.tags("h2")) == len(sections) == 4
    assert len(page.charts()) == len(page.tags("img")) == 1
    assert len(page.tags("table")) == 2


def assert_closed(page):
    """A page asks for nothing outside itself."""
    for tag, attrs in page.elements:
        for name in ADDRESSES & set(attrs):
            assert attrs[name].startswith(("data:image/png;base64,", "#")), (tag, name)
        assert "url(" not in attrs.get("style", "")
    assert not page.tags("link")
    assert not page.tags("iframe")
    assert all("url(" not in css and "@import" not in css for css in page.styles)
    (policy,) = [a["content"] for a in page.tags("meta") if a.get("http-equiv") == "Content-Security-Policy"]
    assert policy.startswith("default-src 'none'")
    assert "http" not in policy


def test_the_page_asks_for_nothing_outside_itself(page):
    assert_closed(page)


def library(page):
    """The chart library, unpacked as the page does it."""
    (packed,) = [text for attrs, text in page.scripts if attrs.get("id") == "chart-library"]
    return gzip.decompress(base64.b64decode(packed)).decode()


def test_the_chart_library_is_inside_once_and_only_where_needed(page):
    assert library(page) == get_plotlyjs()
    without = render(sections=[Section("A picture", "Read.", picture())])
    assert "plotly" not in without.lower()
    assert len(without) < 100_000


def test_charts_arrive_whole_and_cannot_upload(page):
    (found,) = page.charts()
    assert found == json.loads(chart().to_json())
    (settings,) = [json.loads(text) for attrs, text in page.scripts if attrs.get("id") == "chart-settings"]
    assert settings["config"]["showSendToCloud"] is False
    assert settings["config"]["plotlyServerURL"] == ""
    assert settings["light"]["layout"]["paper_bgcolor"] != settings["dark"]["layout"]["paper_bgcolor"]


def test_pictures_arrive_whole_with_alternative_text(page):
    (image,) = page.tags("img")
    pixels = imread(io.BytesIO(base64.b64decode(image["src"].split(",", 1)[1])))
    assert pixels.shape[:2] == (50, 100)
    assert image["alt"] == "A picture. Read the picture."
    assert all(attrs["aria-label"] for attrs in page.tags("div") if attrs.get("role") == "img")


def test_parameters_are_flat_and_exact(html):
    rows = dict(re.findall(r'<th scope="row">(.*?)</th><td>(.*?)</td>', html))
    assert rows == {
        "fit.n_latents": "40",
        "fit.rate": "0.00123456",
        "fit.betas": "0.5, 1.0",
        "seed": "none",
    }


def test_hostile_text_stays_text():
    rows = pd.DataFrame({HOSTILE: [HOSTILE]})
    figure = clustering.label_by_cluster([HOSTILE, "b"], [0, 1], [HOSTILE, "d"])
    topics = pd.DataFrame(
        [(0, "probability", 0, HOSTILE, 0.5, 2.0)],
        columns=["cluster", "ranking", "rank", "word", "probability", "lift"],
    )
    document_map = clustering.document_map(
        np.eye(2),
        [0, 1],
        [HOSTILE, "d"],
        texts=[HOSTILE] * 2,
        titles=[HOSTILE] * 2,
        labels=[HOSTILE, "b"],
        agreeing=[True, False],
        n_documents=2,
    )
    calm, hostile = (
        Page(
            render(
                title=text,
                subtitle=text,
                key_numbers=[KeyNumber(text, text, text, text)],
                sections=[
                    Section(text, text, chart([text, "b"])),
                    Section(text, text, figure),
                    Section(text, text, clustering.topic_words(topics, [HOSTILE])),
                    Section(text, text, document_map),
                    Section(text, text, [Quotations(text, text, {text: [Quotation(text, text, text)]})]),
                    Section(text, text, picture()),
                    Section(text, text, rows),
                ],
                parameters={text: {text: text}},
                note=text,
            )
        )
        for text in ("calm", HOSTILE)
    )
    assert [tag for tag, _ in hostile.elements] == [tag for tag, _ in calm.elements]
    assert not any("onerror" in attrs for _, attrs in hostile.elements)
    assert hostile.text.count(HOSTILE) > 10
    assert hostile.charts()[0]["data"][0]["y"] == [HOSTILE, "b"]
    # Plotly reads markup in labels, so there they are escaped once more.
    assert "<" not in hostile.charts()[1]["data"][0]["y"][0]
    assert "<" not in hostile.charts()[2]["data"][0]["y"][0]
    markup = set(re.findall(r"<[^>]*>", json.dumps(hostile.charts()[3])))
    assert markup == {"<b>", "</b>", "<br>", "<i>", "</i>", "<extra>", "</extra>"}


def test_json_in_a_script_cannot_end_it():
    text = json.dumps({"key": HOSTILE + "<!-- \u2028"}, ensure_ascii=False)
    escaped = report._escape_json(text)
    assert not set("<>&\u2028") & set(escaped)
    assert json.loads(escaped) == json.loads(text)


def test_unknown_figures_are_refused():
    with pytest.raises(TypeError, match=r"section 'Odd' must be a Plotly figure.*got list"):
        render(sections=[Section("Odd", "?", [1, 2])])


def test_quotations_are_folded_under_their_heading():
    group = Quotations(
        "wind, waves", "12 documents", {"Typical": [Quotation("log.txt", "3 nats", "We sail")]}
    )
    page = Page(render(sections=[Section("To read", "Read.", [group])]))
    assert len(page.tags("details")) == len(page.tags("summary")) == len(page.tags("blockquote")) == 1
    assert "open" not in page.tags("details")[0]
    opened = Page(render(sections=[Section("To read", "Read.", [replace(group, is_unfolded=True)])]))
    assert "open" in opened.tags("details")[0]
    for text in ("wind, waves", "12 documents", "Typical", "log.txt", "3 nats", "We sail"):
        assert text in page.text


def test_a_chart_of_its_own_fills_a_page_under_the_same_rules():
    html = render_chart("The <map>", chart())
    page = Page(html)
    assert page.charts() == [json.loads(chart().to_json())]
    assert library(page) == get_plotlyjs()
    assert_closed(page)
    assert "The <map>" in page.text


def test_the_wheel_zooms_into_the_map_alone():
    document_map = clustering.document_map(
        np.eye(2), [0, 1], ["a", "b"], texts=["x"] * 2, titles=["y"] * 2, n_documents=2
    )
    sections = [Section(text, "Read.", figure) for text, figure in (("Map", document_map), ("Bars", chart()))]
    for html, moved in (
        (render_chart("Map", document_map), ["pan"]),
        (render(sections=sections), ["pan", None]),
    ):
        page = Page(html)
        assert [figure["layout"].get("dragmode") for figure in page.charts()] == moved
        (script,) = [text for _, text in page.scripts if "Plotly.newPlot(chart" in text]
        assert 'const isMap = layout.dragmode === "pan";' in script
        assert "{ ...settings.config, scrollZoom: isMap }" in script
        assert "button.args.at(-1)" in script  # the change of the layout, of "update" and of "relayout" alike


def test_every_chart_has_a_place_for_its_title_on_narrow_screens():
    for html in (render_chart("Map", chart()), render()):
        names = [(tag, attrs.get("class")) for tag, attrs in Page(html).elements]
        at = names.index(("div", "chart"))
        assert names[at - 4 : at] == [("p", "heading"), ("b", None), ("span", None), ("div", "wide")]
        assert names.count(("p", "heading")) == names.count(("div", "chart"))
        assert all("hidden" in attrs for _, attrs in Page(html).elements if attrs.get("class") == "heading")


def test_a_picture_read_from_its_file_is_shown_as_it_is_there(tmp_path):
    sheet = absent_picture("No picture", "There is nothing to see.")
    entry = MatplotlibDataset(filepath=str(tmp_path / "a.png"))
    entry.save(sheet)
    drawn, read = (
        Page(render(sections=[Section("Picture", "Read it.", picture)])).tags("img")[0]
        for picture in (sheet, entry.load())
    )
    content = base64.b64encode((tmp_path / "a.png").read_bytes()).decode()
    assert read["src"] == drawn["src"] == f"data:image/png;base64,{content}"
    assert abs(int(read["width"]) - int(drawn["width"])) <= 1
