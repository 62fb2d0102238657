"""What the clusters say: their words, ranked in several ways."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from latents.reporting import style
from latents.reporting.clustering.names import short_names

# Each ranking: the column that its bars show, the figure's title, and how to read it.
RANKINGS = {
    "relevance": (
        "probability",
        "The most telling words of each cluster",
        "Frequent here and rarer elsewhere. Bar: share of the cluster's words; mark: share of all words.",
    ),
    "probability": (
        "probability",
        "The most probable words of each cluster",
        "Frequent here, wherever else. Bar: share of the cluster's words; mark: share of all words.",
    ),
    "lift": (
        "lift",
        "The words that set each cluster apart",
        "Rarest elsewhere, however rare here. Bar: times likelier in the cluster than in all documents.",
    ),
}
COLUMNS = ("cluster", "ranking", "rank", "word", "probability", "lift")
_MAX_COLUMNS = 4
_MAX_WORD_LENGTH = 17
_MAX_TITLE_LENGTH = 29


def topic_words(topics: pd.DataFrame, names: Sequence[str]) -> go.Figure:
    """Top words of every cluster as bars, one panel per cluster.

    Parameters
    ----------
    topics : DataFrame with columns cluster, ranking, rank, word, probability, lift
        One row a word: its cluster, the ranking it belongs to ("relevance", "probability" or
        "lift"), its rank within (smallest first), its probability in the cluster and its lift.
        Where several rankings are there, a switch changes between them.
    names : sequence of str
        The name of each cluster, by its number.

    Returns
    -------
    plotly.graph_objects.Figure
        Panels in order of the cluster's number, four to a row; each has its own scale. Marks beside
        the bars are the words' shares of the corpus: probability over lift.

    Raises
    ------
    ValueError
        If a column is missing, the table is empty or a ranking has another name.
    """
    missing = set(COLUMNS) - set(topics.columns)
    if missing:
        raise ValueError(f"topics lacks the columns {sorted(missing)}")
    unknown = set(topics["ranking"]) - set(RANKINGS)
    if unknown or topics.empty:
        raise ValueError(f"topics must hold rankings among {list(RANKINGS)}, got {sorted(unknown)}")
    titles = [style.plain(name) for name in short_names(names, _MAX_TITLE_LENGTH)]
    rankings = [ranking for ranking in RANKINGS if (topics["ranking"] == ranking).any()]
    clusters = style.in_order(topics["cluster"])
    columns = min(_MAX_COLUMNS, len(clusters))
    rows = math.ceil(len(clusters) / columns)
    n_words = int(topics.groupby(["cluster", "ranking"]).size().max())
    panel, gap, top, bottom = 20 * n_words + 12, 62, 150, 40
    height = top + bottom + rows * panel + (rows - 1) * gap
    figure = make_subplots(
        rows=rows,
        cols=columns,
        subplot_titles=[f"<b>{titles[cluster]}</b>" for cluster in clusters],
        horizontal_spacing=0.42 / columns if columns > 1 else 0.0,
        vertical_spacing=gap / (height - top - bottom) if rows > 1 else 0.0,
    )
    shown: list[str] = []
    for position, cluster in enumerate(clusters):
        row, column = position // columns + 1, position % columns + 1
        for ranking in rankings:
            chosen = (topics["cluster"] == cluster) & (topics["ranking"] == ranking)
            words = topics[chosen].sort_values("rank")
            for trace in _traces(words, ranking, f"cluster {cluster}"):
                shown.append(ranking)
                figure.add_trace(trace.update(visible=ranking == rankings[0]), row=row, col=column)
    figure.update_yaxes(
        autorange="reversed",
        type="category",
        tickfont={"size": 11},
        showgrid=False,
        dtick=1,
        labelalias={
            style.plain(word): style.plain(style.shorten(word, _MAX_WORD_LENGTH))
            for word in topics["word"].unique()
            if len(str(word)) > _MAX_WORD_LENGTH
        },
    )
    figure.update_xaxes(rangemode="tozero", nticks=4, tickfont={"size": 10})
    figure.update_annotations(font={"size": 13})
    _, title, reading = RANKINGS[rankings[0]]
    style.finish(figure, title, reading, height=height)
    figure.update_layout(margin={"t": top, "b": bottom, "l": 110}, bargap=0.25)
    if len(rankings) > 1:
        _add_switch(figure, rankings, shown)
    return figure


def _traces(words: pd.DataFrame, ranking: str, cluster: str) -> list[Any]:
    """Return the bars of one panel and, beside probabilities, the marks of the corpus."""
    column = RANKINGS[ranking][0]
    y = [style.plain(word) for word in words["word"]]
    bars = go.Bar(
        x=words[column].to_numpy(),
        y=y,
        orientation="h",
        name=f"{cluster}, {ranking}",
        marker={"color": style.ORANGE if column == "lift" else style.BLUE},
        customdata=words[["probability", "lift"]].to_numpy(),
        hovertemplate=(
            "%{y}<br>%{customdata[0]:.2p} of the cluster's words<br>%{customdata[1]:,.2r} times likelier than in "
            f"all documents<extra>{cluster}</extra>"
        ),
    )
    if column == "lift":
        return [bars]
    marks = go.Scatter(
        x=(words["probability"] / words["lift"].where(words["lift"] > 0)).to_numpy(),
        y=y,
        mode="markers",
        name=f"{cluster}, {ranking}, corpus",
        marker={"symbol": "line-ns", "size": 11, "line": {"width": 2, "color": style.ORANGE}},
        hovertemplate=f"%{{y}}<br>%{{x:.2p}} of all words<extra>{cluster}</extra>",
    )
    return [bars, marks]


def _add_switch(figure: go.Figure, rankings: list[str], shown: list[str]) -> None:
    """Add buttons that show the traces of one ranking, and say how to read it."""
    buttons = [
        {
            "label": f"by {ranking}",
            "method": "update",
            "args": [
                {"visible": [name == ranking for name in shown]},
                {"title.text": RANKINGS[ranking][1], "title.subtitle.text": RANKINGS[ranking][2]},
            ],
        }
        for ranking in rankings
    ]
    figure.update_layout(updatemenus=[style.switch(buttons, y=1 + 36 / (figure.layout.height - 190))])
