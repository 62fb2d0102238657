"""What the pages share that read an image: a canvas for it, test images to pick from, its place in a link."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from nicegui import ui
from numpy.typing import NDArray

from latents.app.components import Pad, Thumbnails
from latents.app.images import Reader
from latents.app.pages.frame import button, refuse
from latents.app.pictures import url_of
from latents.reporting import style

_COARSE = 16  # pixels of a side, below which an image is told better by its shades than by its squares


class Subject(NamedTuple):
    """The image that a page is asked about, if there is one.

    Attributes
    ----------
    url : str
        A picture as a data URL; empty if there is none.
    by_hand : bool
        Whether its ink is to be moved to where training images have theirs.
    test : int
        The number of a test image in its place, or -1.
    """

    url: str = ""
    by_hand: bool = False
    test: int = -1


class Canvas:
    """The image that a page is asked about, and what the user gives it by.

    Parameters
    ----------
    reader : Reader
        What reads it.
    key : str
        The name of a picture in a page's state.
    n_tests : int
        How many test images there are to pick from, at most.
    on_changed : callable
        Called when there is another image, or none.

    Attributes
    ----------
    subject : Subject
        The image.
    linked : dict
        What a link needs to bring it back; while a picture is not read yet, that of the image before.
    n_tests : int
        How many test images there are to pick from.
    """

    def __init__(self, reader: Reader, key: str, n_tests: int, on_changed: Callable[[], Any]) -> None:
        self._reader, self._key, self._on_changed = reader, key, on_changed
        gallery = reader.gallery
        self.n_tests = 0 if gallery is None else min(n_tests, len(gallery.test))
        # Evenly from all of them: files of a folder come class by class.
        n_held_out = 0 if gallery is None else len(gallery.test)
        self._rows = np.linspace(0, max(n_held_out - 1, 0), self.n_tests).astype(np.intp)
        self.subject = Subject()
        self.linked: dict[str, Any] = {}
        self._strip: Thumbnails | None = None

    def lay_out(self) -> None:
        """Lay out the canvas, and what can be done with it."""
        if max(self._reader.shape[:2]) < _COARSE:
            ui.query("body").classes("coarse")
        self._pad = Pad(self._reader.shape, self._reader.frame is not None, self._draw, refuse)
        with ui.element("div").classes("actions"):
            button("Clear", self._clear)
            button("Open a picture", self._pad.ask_for_picture)
            button("Exchange black and white", self._pad.invert)

    def lay_out_tests(self) -> None:
        """Lay out test images, if there are any."""
        gallery = self._reader.gallery
        if gallery is None:
            return
        urls = [url_of(image, self._reader.white) for image in gallery.test[self._rows]]
        labels = None if gallery.labels is None else gallery.labels[self._rows]
        captions = None if labels is None else [style.shorten(label, 12) for label in labels.tolist()]
        self._strip = Thumbnails("Test images", self._pick, each="Test image")
        self._strip.classes("scrolls").show(urls, captions)

    def follow(self, state: dict[str, Any]) -> None:
        """Take the image of a page's state.

        Raises
        ------
        ValueError
            If there is a picture that is none.
        """
        url = state.get(self._key)
        if url is not None:
            self._reader.image_of(str(url), by_hand=False)
            self._take(Subject(str(url), bool(state.get("byHand", False))))
            self.linked = {self._key: str(url), "byHand": self.subject.by_hand}
            self._pad.show(self.subject.url)
        elif state.get("empty") or not self.n_tests:
            self._take(Subject())
            self._pad.wipe()
        else:
            self._take(Subject(test=int(state.get("test", 0)) % self.n_tests))
            self._show_test()

    def read(self, subject: Subject) -> NDArray[np.float64] | None:
        """Return the image that is asked about, in the units of training."""
        if subject.url:
            return self._reader.image_of(subject.url, subject.by_hand)
        return None if subject.test < 0 else self._test(subject.test)

    def accept(self, subject: Subject, image: NDArray[Any]) -> bool:
        """Take the image that was read for the larger picture that it is of; whether links change by it."""
        before = self.linked
        if subject.url and subject is self.subject:
            self.subject = Subject(url_of(image, self._reader.white))
            self.linked = {self._key: self.subject.url, "byHand": False}
        return self.linked != before

    def _test(self, number: int) -> NDArray[np.float64]:
        if self._reader.gallery is None:
            raise ValueError("there are no test images")
        return np.asarray(self._reader.gallery.test[self._rows[number]], dtype=np.float64)

    def _take(self, subject: Subject) -> None:
        self.subject = subject
        if not subject.url:
            self.linked = {"empty": True} if subject.test < 0 else {"test": subject.test}
        if self._strip is not None:
            self._strip.tell(chosen=subject.test)

    def _draw(self, url: str, by_hand: bool) -> None:
        self._take(Subject(url, by_hand))
        self._on_changed()

    def _clear(self) -> None:
        self._pad.wipe()
        self._take(Subject())
        self._on_changed()

    def _pick(self, number: int) -> None:
        self._take(Subject(test=number))
        self._show_test()
        self._on_changed()

    def _show_test(self) -> None:
        self._pad.show(url_of(self._test(self.subject.test), self._reader.white))
