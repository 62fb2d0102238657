"""The page on which texts find their cluster."""

import asyncio
import html
import json
import random
from base64 import b64encode
from collections.abc import Sequence
from typing import Any
from weakref import WeakValueDictionary

import numpy as np
import pandas as pd
from fastapi import Request, Response
from nicegui import Client, background_tasks, ui

from latents.app.components import Bars, MarkedText, Neighbours, PointMap
from latents.app.documents import LONGEST, Corpus, Documents, Reading
from latents.app.files import texts_of
from latents.app.pages.frame import (
    Address,
    Latest,
    Spoken,
    button,
    head,
    heading,
    refuse,
    rewrite,
    share,
    written,
)
from latents.datasets.formulas import disarmed
from latents.features.documents import excerpt
from latents.reporting import style
from latents.reporting.clustering.placing import categories, heads

_SHOWN = 200  # rows of a table on the page
_LOUD = 3.0  # nats at which a word is marked as strongly as can be
_N_LOUDEST = 5  # words named for a cluster, and against it


class DocumentsPage:
    """One user's page, and the state of it."""

    def __init__(self, documents: Documents, name: str) -> None:
        self._documents, self._client = documents, ui.context.client
        _opened[self._client.id] = self
        self._corpus = documents.corpus
        self._text = ""
        self._jumps = False
        self._colours = _colours(documents)
        head(
            "documents",
            name,
            "Which cluster does a text belong to, and why?",
            "Type, paste or drop a text. Change a word and see it move.",
        )
        with ui.element("div").classes("columns two"):
            with ui.element("div"):
                self._lay_out_text()
                self._lay_out_answer()
            with ui.element("div"):
                self._lay_out_place()
        self._table_at = ui.element("section").classes("card table")
        self._table_at.set_visibility(False)
        self._spoken = Spoken()
        self._address = Address(self._follow)
        self._read = Latest(self._reading, self._show)

    def begin(self, link: str) -> None:
        """Show what the page's address asks for."""
        self._address.begin(link)

    async def take_files(self, files: Sequence[tuple[str, bytes]]) -> str | None:
        """Read files of texts: one text goes into the box, more make a table; return why, if it cannot be done."""
        try:
            texts = [
                (name, text)
                for name, content in files
                for text in await asyncio.to_thread(texts_of, name, content)
            ]
            if len(texts) != 1:
                table = await asyncio.to_thread(self._documents.table, [text for _, text in texts])
                if len(files) > 1:
                    table.insert(0, "file", [name for name, _ in texts])
        except ValueError as error:
            return str(error)
        with self._client:
            if len(texts) == 1:
                self._put(texts[0][1])
            else:
                self._show_table(table)
        return None

    def _lay_out_text(self) -> None:
        with ui.element("section").classes("card"):
            heading("Your text", "Marked: how much each word speaks for the cluster, or for the second best.")
            self._box = MarkedText(
                label="Your text",
                placeholder="Type or paste a text here, or drop files: texts, CSV, JSON lines.",
                longest=LONGEST,
                files=f"/texts/{self._client.id}",
                on_typed=self._typed,
                on_long=self._too_long,
                on_refused=refuse,
            )
            with ui.element("div").classes("actions"):
                if self._corpus is not None and len(self._corpus.texts):
                    button("Another example", self._example)
                button(
                    "Open files", self._box.ask_for_files, "Several texts, or a table of them, give a table"
                )
                button("Clear", lambda: self._put(""))
            with ui.element("p").classes("legend") as self._legend:
                self._for, self._against = ui.label("").classes("for"), ui.label("").classes("against")

    def _lay_out_answer(self) -> None:
        with ui.element("section").classes("card"):
            self._cluster = written("h2").classes("answer")
            self._sentence = ui.label("").classes("note")
            self._words_name = ui.label("Words that tell of this cluster").classes("small")
            self._words = ui.html(sanitize=False).classes("chips")
            ui.label("The most probable clusters").classes("small")
            self._bars = Bars("The most probable clusters")

    def _lay_out_place(self) -> None:
        if self._corpus is None:
            return
        with ui.element("section").classes("card"):
            heading(
                "Where it falls",
                f"{len(self._corpus.titles):,} documents: near one another where their words speak for the same "
                "clusters. ● your text, ○ the nearest documents. A click reads one.",
            )
            xy = self._corpus.map.places
            self._map = PointMap(
                points=b64encode(xy.astype("<f4").tobytes()).decode(),
                clusters=self._corpus.clusters.tolist(),
                colours=self._colours,
                names=list(self._documents.predictor.cluster_names),
                heads=_heads(self._corpus, len(self._documents.predictor.cluster_names)),
                titles=[title[:90] for title in self._corpus.titles],
                on_picked=self._pick,
            )
        with ui.element("section").classes("card"):
            heading(
                "Nearest documents",
                "By the words they share, rare ones counting more: 100% is the same words.",
            )
            self._alone = ui.label("No document shares a word with it.").classes("small")
            self._nearest = Neighbours("Nearest documents", self._pick)

    def _follow(self, state: dict[str, Any]) -> None:
        text = state.get("text")
        self._box.show(self._documents.example(seed=0) if text is None else str(text))

    def _put(self, text: str) -> None:
        """Put a text into the box; the browser's way back leads to the one before."""
        self._jumps = True
        with self._client:
            self._box.show(text)

    def _typed(self, text: str, version: int) -> None:
        self._text = text
        self._address.keep(text=text, jumps=self._jumps)
        self._jumps = False
        background_tasks.create(self._read(text, version))

    def _too_long(self, n_characters: int) -> None:
        rewrite(self._cluster, "This text is too long")
        self._cluster.style("--colour: transparent")
        self._sentence.text = (
            f"It has {n_characters:,} characters; this page reads up to {LONGEST:,}. A part of it will do."
        )
        self._show_rest(None)

    def _example(self) -> None:
        self._put(self._documents.example(random.randrange(2**31)))  # noqa: S311

    def _pick(self, row: int) -> None:
        if self._corpus is not None and len(self._corpus.texts):
            self._put(self._corpus.texts[row])

    def _reading(self, text: str, version: int) -> tuple[Reading, str, int]:
        return self._documents.read(text), text, version

    def _show(self, found: tuple[Reading, str, int]) -> None:
        reading, text, version = found
        title, sentence = _in_words(reading, text)
        rewrite(self._cluster, title)
        self._cluster.style(
            f"--colour: {self._colours[reading.cluster] if reading.n_words else 'transparent'}"
        )
        self._sentence.text = sentence
        self._spoken.say(f"{title}. {sentence}")
        self._box.show_marks(
            version, [(piece, max(-1.0, min(1.0, value / _LOUD))) for piece, value in reading.marks]
        )
        self._show_rest(reading)

    def _show_rest(self, reading: Reading | None) -> None:
        known = reading is not None and reading.n_words > 0
        telling = reading.telling_words if reading is not None and known else []
        self._words_name.set_visibility(known)
        self._words.content = "".join(f"<span>{html.escape(word)}</span>" for word in telling)
        bars = reading.bars if reading is not None else []
        self._bars.show([(bar.name, bar.probability, self._colours[bar.cluster]) for bar in bars])
        self._legend.set_visibility(reading is not None and known and bool(reading.against))
        if reading is not None:
            self._for.text = _loudest(f"For {reading.name}", reading, 1)
            self._against.text = _loudest(f"For {reading.against}", reading, -1)
        if self._corpus is None:
            return
        nearest = reading.nearest if reading is not None else []
        self._map.tell(
            place=reading.place if reading is not None else None,
            near=[neighbour.row for neighbour in nearest],
        )
        self._alone.set_visibility(not nearest)
        self._nearest.tell(
            items=[
                {
                    "row": neighbour.row,
                    "title": neighbour.title,
                    "share": f"{neighbour.similarity:.0%}",
                    "text": neighbour.excerpt,
                    "colour": self._colours[neighbour.cluster],
                }
                for neighbour in nearest
            ]
        )

    def _show_table(self, table: pd.DataFrame) -> None:
        shown = table.head(_SHOWN)
        csv = disarmed(table).to_csv(index=False).encode("utf-8-sig")  # by whose mark spreadsheets know UTF-8
        self._table_at.clear()
        self._table_at.set_visibility(True)
        with self._table_at:
            more = f" The first {_SHOWN} are shown." if len(table) > _SHOWN else ""
            heading(f"{len(table):,} texts", f"The cluster of each, and the words that decided.{more}")
            with ui.element("div").classes("actions"):
                button("Download as CSV", lambda: ui.download.content(csv, "clusters.csv", "text/csv"))
                button("Close", lambda: self._table_at.set_visibility(False))
            names = {
                "file": "File",
                "text": "Text",
                "cluster": "Cluster",
                "probability": "Probability",
                "words": "Deciding words",
            }
            rows = [
                {
                    "id": number,
                    "file": row.get("file", ""),
                    "text": excerpt(str(row["text"]), 110),
                    "cluster": row["cluster_name"],
                    "probability": share(row["probability"]),
                    "words": row["deciding_words"],
                }
                for number, row in enumerate(shown.to_dict("records"))
            ]
            columns = [
                {"name": name, "label": label, "field": name, "align": "left"}
                for name, label in names.items()
                if name != "file" or "file" in table
            ]
            ui.table(rows=rows, columns=columns, row_key="id", pagination=20).props("flat dense wrap-cells")
        ui.run_javascript(f"getElement({self._table_at.id}).scrollIntoView()")


# Those that are open, by their clients.
_opened: WeakValueDictionary[str, DocumentsPage] = WeakValueDictionary()


async def take_files(client: str, request: Request) -> Response:
    """Give files that a page sends to it; what is answered is a sentence, where they were refused."""
    page = _opened.get(client)
    if page is None or client not in Client.instances:
        return Response("This page is not open any more; load it again.", status_code=409)
    body = await request.body()
    files, start = [], 0
    try:
        for name, size in json.loads(request.query_params.get("files", "")):
            files.append((str(name), body[start : start + int(size)]))
            start += int(size)
    except (TypeError, ValueError):
        return Response("These are no files that the page has sent.", status_code=422)
    reason = await page.take_files(files)
    return Response(reason, status_code=422) if reason else Response(status_code=204)


def _in_words(reading: Reading, text: str) -> tuple[str, str]:
    """Return a title and a sentence."""
    common = "The bars show how common each cluster is."
    if not text.strip():
        return "Type a text", common
    if not reading.n_words:
        return "No word that the model knows", common
    words = "one word" if reading.n_words == 1 else f"{reading.n_words:,} words"
    found = f"With a probability of {share(reading.probability)}, by the {words} that the model knows."
    if reading.fits_nowhere:
        found += " But it fits nowhere: no cluster explains its words better than the corpus as a whole does."
    return reading.name, found


def _loudest(title: str, reading: Reading, side: int) -> str:
    """Name the words that speak most for one of the two clusters, each once."""
    told: dict[str, float] = {}
    for piece, value in reading.marks:
        if value * side > 0:
            told[piece.lower()] = told.get(piece.lower(), 0.0) + value * side
    words = sorted(told, key=lambda word: -told[word])[:_N_LOUDEST]
    return f"{title}: {', '.join(words) or 'no word'}"


def _colours(documents: Documents) -> list[str]:
    """Return the colour of each cluster, that of the report's map where there is one."""
    n = len(documents.predictor.cluster_names)
    if documents.corpus is None:
        return [style.colour_of(k) for k in range(n)]
    corpus = documents.corpus
    return [colour for colour, _ in categories(heads(corpus.map.places, corpus.clusters, n))]


def _heads(corpus: Corpus, n: int) -> list[list[float] | None]:
    """Return where the name of each cluster stands; None for clusters without a document."""
    places = heads(corpus.map.places, corpus.clusters, n)
    return [None if np.isnan(x) else [float(x), float(y)] for x, y in places]
