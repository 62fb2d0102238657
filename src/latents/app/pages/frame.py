"""What all pages have: their head, their look, links that bring a state back, and work that does not block."""

import asyncio
import html
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, Generic, ParamSpec, TypeVar
from weakref import WeakKeyDictionary

from nicegui import Client, app, ui

from latents.app import links

logger = logging.getLogger(__name__)

A = ParamSpec("A")
R = TypeVar("R")

PAGES = {"documents": "Documents", "images": "Images", "generate": "Generate"}
ICON = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32" width="28" height="28" aria-hidden="true">
<g fill="none" stroke-width="2.4"><circle cx="11" cy="12" r="7" stroke="#3f90da"/>
<circle cx="21" cy="12" r="7" stroke="#f08a00"/><circle cx="16" cy="20.5" r="7" stroke="#832db6"/></g></svg>"""
_STYLE, _SCRIPT = (
    Path(__file__).with_name(name).read_text(encoding="utf-8") for name in ("style.css", "frame.js")
)
# Where the models of each page that is open come from.
_names: WeakKeyDictionary[Client, str] = WeakKeyDictionary()


async def opened_at() -> str:
    """Return the state in a page's address, or what its tab has last shown of it.

    Nothing is laid out before, that could be touched in vain.
    """
    ui.add_css(_STYLE)
    ui.add_body_html(f"<script>{_SCRIPT}</script>")
    ui.colors(primary="#1f6fb5")
    await ui.context.client.connected()
    link = str(await ui.run_javascript("return location.hash.slice(1)", timeout=10) or "")
    return link or str(app.storage.tab.get(f"link of {_path()}", ""))


def head(page: str, name: str, title: str, lead: str) -> None:
    """Lay out the top of a page.

    Parameters
    ----------
    page : str
        One of ``PAGES``.
    name : str
        Where the models come from.
    title, lead : str
        What can be done here, in words and in a sentence.
    """
    ui.page_title(f"{PAGES.get(page, 'Latents')} · Latents")
    _names[ui.context.client] = name
    themes = {None: "Theme: system", True: "Theme: dark", False: "Theme: light"}
    dark = ui.dark_mode(app.storage.tab.get("theme"))

    def switch() -> None:
        dark.value = app.storage.tab["theme"] = {None: True, True: False, False: None}[dark.value]
        theme.text = themes[dark.value]

    with ui.element("header").classes("top"):
        with ui.element("a").props('href="/" aria-label="Latents"').classes("brand"):
            ui.html(ICON, sanitize=False)
            ui.label("Latents")
        with ui.element("nav").props('aria-label="Pages"'):
            for path, label in PAGES.items():
                link = ui.link(label, f"/{path}")
                if path == page:
                    link.props('aria-current="page"')
        with ui.element("div").classes("tools"):
            theme = button(themes[dark.value], switch)
            # A browser lets a page copy while a click lasts: not once a server was asked.
            button("Copy link").on("click", js_handler="() => latents.copy()")
            ui.on("copied", lambda event: _say_copied(str(event.args)))
    with ui.element("div").classes("lead"):
        written("h1", title)
        ui.label(lead).classes("subtitle")
        ui.label(f"Models of {name}.").classes("note")


def written(tag: str, text: str = "") -> ui.html:
    """Lay out an element of HTML that holds a text, to be changed by ``rewrite``."""
    return ui.html(html.escape(text), sanitize=False, tag=tag)


def rewrite(element: ui.html, text: str) -> None:
    """Put another text in place of that of an element."""
    element.content = html.escape(text)


def button(label: str, on_click: Callable[[], Any] | None = None, hint: str = "") -> ui.button:
    """Lay out a button in the house's look."""
    made = ui.button(label, on_click=on_click, color=None).props("flat no-caps dense").classes("plain")
    return made.props(f'title="{hint}"') if hint else made


def heading(text: str, explained: str = "") -> None:
    """Lay out the heading of a figure, and the sentence that explains it."""
    written("h2", text)
    if explained:
        ui.label(explained).classes("note")


def absent(page: str, name: str, reason: str) -> None:
    """Lay out a page that has no model."""
    head(page, name, PAGES.get(page, "Latents"), "There is nothing to show here yet.")
    with ui.element("section").classes("card"):
        ui.label(reason)


def refuse(reason: str) -> None:
    """Show a friendly sentence for a while, in place of the one before."""
    how: dict[str, Any] = {"group": "refusal", "badgeClass": "hidden", "classes": "refusal"}
    ui.notify(reason, position="bottom", close_button="OK", timeout=9000, multi_line=True, **how)


def share(of_one: float) -> str:
    """Return a probability in words that do not round what is nearly sure to what is."""
    if of_one > 0.9995:
        return "more than 99.9%"
    return "less than 0.1%" if of_one < 0.0005 else f"{of_one:.1%}"


class Spoken:
    """What a screen reader says of an answer, once answers have stopped to change."""

    def __init__(self) -> None:
        self._label = ui.label().classes("spoken").props('aria-live="polite"')
        self._timer: ui.timer | None = None

    def say(self, text: str) -> None:
        """Say a text in a second, unless another comes before."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = ui.timer(1.0, lambda: self._label.set_text(text), once=True)


class Latest(Generic[A, R]):
    """Does work in a thread, one at a time; of calls that come meanwhile the last is done, and no other.

    Parameters
    ----------
    work : callable
        Raises ``ValueError`` with a sentence where it cannot be done.
    show : callable
        Called with what came of it, on the page.
    """

    def __init__(self, work: Callable[A, R], show: Callable[[R], None]) -> None:
        self._work, self._show = work, show
        self._client: Client = ui.context.client
        self._next: Callable[[], R] | None = None
        self._is_busy = False

    async def __call__(self, *args: A.args, **kwargs: A.kwargs) -> None:
        """Ask for the work."""
        self._next = lambda: self._work(*args, **kwargs)
        if self._is_busy:
            return
        self._is_busy = True
        try:
            while self._next is not None and not self._client.is_deleted:
                asked, self._next = self._next, None
                try:
                    found = await asyncio.to_thread(asked)
                except ValueError as error:
                    with self._client:
                        refuse(str(error))
                    continue
                except Exception:  # whatever it is, an answer of before does not stand for this one
                    logger.exception("the page could not answer")
                    with self._client:
                        refuse(
                            "Something went wrong here, which is our fault; the terminal of the page says what."
                        )
                    continue
                if not self._client.is_deleted:
                    with self._client:
                        self._show(found)
        finally:
            self._is_busy = False


class Address:
    """Keeps the state of a page in its address, and follows when another one is put there.

    Parameters
    ----------
    follow : callable
        Called with a state, which is empty where the address has none.
    """

    def __init__(self, follow: Callable[[dict[str, Any]], None]) -> None:
        self._follow = follow
        self._client = ui.context.client
        ui.on("address", lambda event: self._read(str(event.args or "")))

    def begin(self, link: str) -> None:
        """Follow the address that the page was opened with."""
        self._read(link)

    def keep(self, *, jumps: bool = False, **state: Any) -> None:
        """Put a state into the address; one that is too long leaves it without.

        Where it `jumps`, the browser's way back leads to the state before.
        """
        link = links.packed({**state, "of": _names[self._client]})
        self._client.run_javascript(f"latents.keep({json.dumps(link)}, {json.dumps(jumps)})")
        if self._client.has_socket_connection:
            app.storage.tab[f"link of {_path()}"] = link or ""

    def _read(self, link: str) -> None:
        state: dict[str, Any] = {}
        if link:
            try:
                state = links.unpacked(link)
            except ValueError as error:
                refuse(str(error))
        of, here = state.pop("of", None), _names[self._client]
        if of is not None and of != here:
            refuse(
                f"The link was made on the models of {of}; these are those of {here}, and may say something else."
            )
        try:
            self._follow(state)
        except (ArithmeticError, KeyError, TypeError, ValueError) as error:
            logger.debug("a link's state is none: %r", error)
            refuse("the link is damaged, or of another model: its state cannot be shown here")
            self._follow({})


def _say_copied(how: str) -> None:
    if how == "done":
        ui.notify("The link is copied: it brings this very state back.", position="bottom", timeout=2500)
    elif how == "long":
        refuse("What is on the page is too long for a link, which holds all of it. A shorter text has one.")
    else:
        refuse("The browser does not let this page copy; take the link from its address line.")


def _path() -> str:
    return str(ui.context.client.page.path)
