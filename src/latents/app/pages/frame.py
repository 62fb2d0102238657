"""What all pages have: their head, their look, links that bring a state back, and work that does not block."""

import asyncio
import html
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, Generic, ParamSpec, TypeVar

from nicegui import Client, ui

from latents.app import links

logger = logging.getLogger(__name__)

A = ParamSpec("A")
R = TypeVar("R")

PAGES = {"documents": "Documents", "images": "Images", "generate": "Generate"}
ICON = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32" width="28" height="28" aria-hidden="true">
<g fill="none" stroke-width="2.4"><circle cx="11" cy="12" r="7" stroke="#3f90da"/>
<circle cx="21" cy="12" r="7" stroke="#f08a00"/><circle cx="16" cy="20.5" r="7" stroke="#832db6"/></g></svg>"""
_STYLE = Path(__file__).with_name("style.css").read_text(encoding="utf-8")


async def opened_at() -> str:
    """Return what a page's address has after ``#``; nothing is laid out before that could be touched in vain."""
    ui.add_css(_STYLE)
    ui.colors(primary="#1f6fb5")
    await ui.context.client.connected()
    return str(await ui.run_javascript("return location.hash.slice(1)", timeout=10) or "")


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
    ui.page_title(f"{PAGES[page]} · Latents")
    dark = ui.dark_mode(None)

    def switch() -> None:
        dark.value = {None: True, True: False, False: None}[dark.value]
        theme.text = {None: "Theme: system", True: "Theme: dark", False: "Theme: light"}[dark.value]

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
            theme = button("Theme: system", switch)
            button("Copy link", _copy_link)
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


def button(label: str, on_click: Callable[[], Any], hint: str = "") -> ui.button:
    """Lay out a button in the house's look."""
    made = ui.button(label, on_click=on_click).props("flat no-caps dense").classes("plain")
    return made.props(f'title="{hint}"') if hint else made


def heading(text: str, explained: str = "") -> None:
    """Lay out the heading of a figure, and the sentence that explains it."""
    written("h2", text)
    if explained:
        ui.label(explained).classes("note")


def absent(page: str, name: str, reason: str) -> None:
    """Lay out a page that has no model."""
    head(page, name, PAGES[page], "There is no model for this page yet.")
    with ui.element("section").classes("card"):
        ui.label(reason)


def refuse(reason: str) -> None:
    """Show a friendly sentence for a while."""
    ui.notify(reason, position="bottom", close_button="OK", timeout=9000, multi_line=True, classes="refusal")


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
        ui.on("address", lambda event: self._read(str(event.args or "")))

    def begin(self, link: str) -> None:
        """Follow the address that the page was opened with."""
        ui.run_javascript(
            "window.addEventListener('hashchange', () => emitEvent('address', location.hash.slice(1)))"
        )
        self._read(link)

    def keep(self, **state: Any) -> None:
        """Put a state into the address; one that is too long leaves it without."""
        link = links.packed(state) or ""
        # Replacing makes no entry in the browser's history, and does not fire `hashchange`.
        ui.run_javascript(f"history.replaceState(history.state, '', location.pathname + '#{link}')")

    def _read(self, link: str) -> None:
        state: dict[str, Any] = {}
        if link:
            try:
                state = links.unpacked(link)
            except ValueError as error:
                refuse(str(error))
        try:
            self._follow(state)
        except (ArithmeticError, KeyError, TypeError, ValueError) as error:
            logger.debug("a link's state is none: %r", error)
            refuse("the link is damaged, or of another model: its state cannot be shown here")
            self._follow({})


def _copy_link() -> None:
    ui.run_javascript("navigator.clipboard.writeText(location.href)")
    ui.notify("The link is copied: it brings this very state back.", position="bottom", timeout=2500)
