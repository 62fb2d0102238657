"""The page on which texts find their cluster."""

import asyncio
import html
import random
from base64 import b64encode
from typing import Any

import numpy as np
import pandas as pd
from fastapi import Request, Response
from nicegui import Client, background_tasks, ui

from latents.app.components import Bars, MarkedText, Neighbours, PointMap
from latents.app.documents import LONGEST, Corpus, Documents, Reading
from latents.app.files import texts_of
from latents.app.pages.frame import Address, Latest, button, head, heading, refuse, rewrite, written
from latents.features.documents import excerpt
from latents.reporting import style
from latents.reporting.clustering.placing import categories, heads

_EXAMPLE = 350  # characters
_SHOWN = 200  # rows of a table on the page
_LOUD = 3.0  # nats at which a word is marked as strongly as can be


class DocumentsPage:
    """One user's page, and the state of it."""

    def __init__(self, documents: Documents, name: str) -> None:
        self._documents, self._client = documents, ui.context.client
        self._corpus = documents.corpus
        self._text = ""
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
            with ui.element("div"):
                self._lay_out_place()
        self._table_at = ui.element("section").classes("card table")
        self._table_at.set_visibility(False)
        self._address = Address(self._follow)
        self._read = Latest(documents.read, self._show)

    def begin(self, link: str) -> None:
        """Show what the page's address asks for."""
        self._address.begin(link)

    async def take_file(self, name: str, content: bytes) -> str | None:
        """Read a file of texts, and show a table of what they are; return a sentence if it cannot be done."""
        try:
            texts = await asyncio.to_thread(texts_of, name, content)
            if len(texts) == 1:
                self._put(texts[0])
                return None
            table = await asyncio.to_thread(self._documents.table, texts)
        except ValueError as error:
            return str(error)
        with self._client:
            self._show_table(table)
        return None

    def _lay_out_text(self) -> None:
        with ui.element("section").classes("card"):
            heading(
                "Your text", "Marked: how much each word speaks for the cluster, against the second best."
            )
            self._box = MarkedText(
                label="Your text",
                placeholder="Type or paste a text here, or drop files: texts, CSV, JSON lines.",
                longest=LONGEST,
                files=f"/texts/{self._client.id}",
                on_typed=self._typed,
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
        with ui.element("section").classes("card"):
            self._cluster = written("h2").classes("answer").props('aria-live="polite"')
            self._sentence = ui.label("").classes("note")
            self._words = ui.html(sanitize=False).classes("chips")
            self._bars = Bars("The most probable clusters")

    def _lay_out_place(self) -> None:
        if self._corpus is None:
            return
        with ui.element("section").classes("card"):
            heading(
                "Where it falls",
                f"{len(self._corpus.titles):,} documents; near one another are those whose words speak for the "
                "same clusters. A click reads one.",
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
            self._nearest = Neighbours("Nearest documents", self._pick)

    def _follow(self, state: dict[str, Any]) -> None:
        text = state.get("text")
        if text is None and self._corpus is not None and len(self._corpus.texts):
            self._put(excerpt(self._corpus.texts[len(self._corpus.texts) // 2], _EXAMPLE), keep=False)
        else:
            self._put(str(text or ""), keep=False)

    def _put(self, text: str, keep: bool = True) -> None:
        with self._client:
            self._box.show(text)
            self._typed(text, keep)

    def _typed(self, text: str, keep: bool = True) -> None:
        self._text = text
        if keep:
            self._address.keep(text=text)
        background_tasks.create(self._read(text))

    def _example(self) -> None:
        if self._corpus is not None:
            self._put(excerpt(random.choice(self._corpus.texts), _EXAMPLE))  # noqa: S311

    def _pick(self, row: int) -> None:
        if self._corpus is not None and len(self._corpus.texts):
            self._put(self._corpus.texts[row])

    def _show(self, reading: Reading) -> None:
        known = reading.n_words > 0
        rewrite(self._cluster, reading.name if known else "No word that the model knows")
        self._cluster.style(f"--colour: {self._colours[reading.cluster] if known else 'transparent'}")
        self._sentence.text = _in_words(reading)
        self._legend.set_visibility(known and bool(reading.against))
        self._for.text, self._against.text = f"for {reading.name}", f"for {reading.against}"
        words = reading.telling_words if known else []
        self._words.content = "".join(f"<span>{html.escape(word)}</span>" for word in words)
        self._bars.show([(bar.name, bar.probability, self._colours[bar.cluster]) for bar in reading.bars])
        self._box.show_marks([(piece, max(-1.0, min(1.0, value / _LOUD))) for piece, value in reading.marks])
        if self._corpus is None:
            return
        self._map.tell(place=reading.place, near=[neighbour.row for neighbour in reading.nearest])
        self._nearest.tell(
            items=[
                {
                    "row": neighbour.row,
                    "title": neighbour.title,
                    "share": f"{neighbour.similarity:.0%}",
                    "text": neighbour.excerpt,
                    "colour": self._colours[neighbour.cluster],
                }
                for neighbour in reading.nearest
            ]
        )

    def _show_table(self, table: pd.DataFrame) -> None:
        shown = table.head(_SHOWN)
        self._table_at.clear()
        self._table_at.set_visibility(True)
        with self._table_at:
            more = f" The first {_SHOWN} are shown." if len(table) > _SHOWN else ""
            heading(f"{len(table):,} texts", f"The cluster of each, and the words that decided.{more}")
            button("Download as CSV", lambda: ui.download.content(_csv(table), "clusters.csv", "text/csv"))
            rows = [
                {
                    "id": number,
                    "text": excerpt(str(row["text"]), 110),
                    "cluster": row["cluster_name"],
                    "probability": f"{row['probability']:.1%}",
                    "words": row["deciding_words"],
                }
                for number, row in enumerate(shown.to_dict("records"))
            ]
            names = {
                "text": "Text",
                "cluster": "Cluster",
                "probability": "Probability",
                "words": "Deciding words",
            }
            columns = [
                {"name": name, "label": label, "field": name, "align": "left"}
                for name, label in names.items()
            ]
            ui.table(rows=rows, columns=columns, row_key="id", pagination=20).props("flat dense wrap-cells")
        ui.run_javascript(f"getElement({self._table_at.id}).scrollIntoView({{behavior: 'smooth'}})")


async def take_file(pages: dict[str, DocumentsPage], client: str, request: Request) -> Response:
    """Give a file that a page sends to it; what is answered is a sentence, where it was refused."""
    page = pages.get(client)
    if page is None or client not in Client.instances:
        return Response("This page is not open any more; load it again.", status_code=409)
    reason = await page.take_file(request.query_params.get("name", ""), await request.body())
    return Response(reason, status_code=422) if reason else Response(status_code=204)


def _in_words(reading: Reading) -> str:
    if not reading.n_words:
        return "Clusters are then as probable as they are in the corpus: the text says nothing of them."
    words = "1 word" if reading.n_words == 1 else f"{reading.n_words:,} words"
    found = f"With {reading.probability:.1%} probability, by the {words} that the model knows."
    if reading.fits_nowhere:
        found += " But it fits nowhere: no cluster explains its words better than the corpus as a whole does."
    return found


def _colours(documents: Documents) -> list[str]:
    """Return the colour of each cluster, that of the report's map where there is one."""
    n = len(documents.predictor.cluster_names)
    if documents.corpus is None:
        return [style.colour_of(k) for k in range(n)]
    corpus = documents.corpus
    return [colour for colour, _ in categories(heads(corpus.map.places, corpus.clusters, n))]


def _heads(corpus: Corpus, n: int) -> list[list[float] | None]:
    """Return where names stand, the largest clusters first to find room; None for clusters without a document."""
    places = heads(corpus.map.places, corpus.clusters, n)
    return [None if np.isnan(x) else [float(x), float(y)] for x, y in places]


def _csv(table: pd.DataFrame) -> bytes:
    """Return a table for spreadsheets; a text that one would compute has an apostrophe before it."""
    risky = ("=", "+", "-", "@", "\t", "\r")
    texts = table.select_dtypes(exclude="number").columns
    safe = table.assign(
        **{
            name: [f"'{v}" if isinstance(v, str) and v.startswith(risky) else v for v in table[name]]
            for name in texts
        }
    )
    return safe.to_csv(index=False).encode("utf-8-sig")
