"""The page on which images are rebuilt from a few numbers."""

from typing import Any

import numpy as np
from nicegui import background_tasks, ui
from numpy.typing import NDArray

from latents.app.components import Curve, Pad, Thumbnails
from latents.app.images import Images, Rebuilt
from latents.app.pages.frame import Address, Latest, button, head, heading, refuse, rewrite, written
from latents.app.pictures import read_picture, url_of, url_of_missing

_N_TESTS = 24


class ImagesPage:
    """One user's page, and the state of it."""

    def __init__(self, images: Images, name: str) -> None:
        self._images = images
        self._url, self._by_hand, self._test = "", False, 0
        self._d = images.n_components
        head(
            "images",
            name,
            "How many numbers does an image need?",
            "Draw, drop a picture or pick one, then move the slider: it is rebuilt from its first d numbers.",
        )
        with ui.element("div").classes("columns two wide-right"):
            with ui.element("div"):
                self._lay_out_image()
            with ui.element("div"):
                self._lay_out_rebuilt()
        self._address = Address(self._follow)
        self._rebuild = Latest(self._rebuilt, self._show)

    def begin(self, link: str) -> None:
        """Show what the page's address asks for."""
        self._address.begin(link)

    def _lay_out_image(self) -> None:
        with ui.element("section").classes("card"):
            heading("An image", "Draw with a mouse or a finger, drop or paste a picture.")
            self._pad = Pad(self._images.shape, self._drawn, refuse)
            with ui.element("div").classes("actions"):
                button("Clear", self._clear)
                button("Open a picture", self._pad.ask_for_picture)
                button("Exchange black and white", self._pad.invert)
        tests = self._tests
        if tests is not None:
            with ui.element("section").classes("card"):
                heading("Test images", "The model has not seen them.")
                self._strip = Thumbnails("Test images", self._pick)
                self._strip.show([url_of(image, self._images.white) for image in tests], [""] * len(tests))

    def _lay_out_rebuilt(self) -> None:
        most = self._images.n_components
        with ui.element("section").classes("card"):
            with ui.element("div").classes("three"):
                self._pictures = []
                for title, said in (
                    ("As the model reads it", "in its own pixels"),
                    ("Rebuilt", ""),
                    ("Missing", "orange: too dark, blue: too bright"),
                ):
                    with ui.element("figure"):
                        written("figcaption", title)
                        self._pictures.append(ui.element("img").props(f'alt="{title}"').classes("pixels"))
                        note = ui.label(said).classes("note")
                        if title == "Rebuilt":
                            self._rebuilt_note = note
            self._count = written("h2").classes("count")
            slider = ui.slider(min=0, max=most, value=most).props('aria-label="Number of components d" label')
            self._slider = slider.on_value_change(lambda event: self._move(int(event.value)))
        with ui.element("section").classes("card"):
            self._error = written("h2").classes("answer").props('aria-live="polite"')
            self._place = ui.label("").classes("note")
            self._curve = Curve("The squared error for each number of components")
            ui.label(
                "The curve: the squared error of this image for d from 0, where it is the mean image, to "
                f"{most}. What it has left at the end no number of the model tells."
            ).classes("note")
        if self._images.gallery is not None:
            with ui.element("section").classes("card"):
                heading(
                    "Nearest training images",
                    "As far as the d numbers tell them apart: with few, all look alike.",
                )
                self._nearest = Thumbnails("Nearest training images")

    @property
    def _tests(self) -> NDArray[Any] | None:
        return None if self._images.gallery is None else self._images.gallery.test[:_N_TESTS]

    def _follow(self, state: dict[str, Any]) -> None:
        self._d = min(max(int(state.get("d", self._images.n_components // 2)), 0), self._images.n_components)
        self._slider.set_value(self._d)
        self._url, self._by_hand = str(state.get("picture", "")), bool(state.get("byHand", False))
        self._test = int(state.get("test", 0))
        if self._url:
            self._pad.show(self._url)
        self._go(keep=False)

    def _drawn(self, url: str, by_hand: bool) -> None:
        self._url, self._by_hand = url, by_hand
        self._go()

    def _clear(self) -> None:
        self._pad.wipe()

    def _pick(self, number: int) -> None:
        self._url, self._test = "", number
        self._go()

    def _move(self, d: int) -> None:
        if d != self._d:
            self._d = d
            self._go()

    def _go(self, keep: bool = True) -> None:
        if keep:
            own = {"picture": self._url, "byHand": self._by_hand} if self._url else {"test": self._test}
            self._address.keep(d=self._d, **own)
        background_tasks.create(self._rebuild(self._url, self._by_hand, self._test, self._d))

    def _rebuilt(self, url: str, by_hand: bool, test: int, d: int) -> tuple[Rebuilt, int, int]:
        tests = self._tests
        if url:
            image = read_picture(url, self._images.shape, self._images.frame if by_hand else None)
            return self._images.rebuild(image.astype(np.float64) * self._images.white, d), d, -1
        if tests is None:
            return self._images.rebuild(np.zeros(self._images.shape), d), d, -1
        chosen = test % len(tests)
        return self._images.rebuild(np.asarray(tests[chosen], dtype=np.float64), d), d, chosen

    def _show(self, found: tuple[Rebuilt, int, int]) -> None:
        rebuilt, d, test = found
        white = self._images.white
        urls = (
            url_of(rebuilt.image, white),
            url_of(rebuilt.rebuilt, white),
            url_of_missing(rebuilt.image - rebuilt.rebuilt, white),
        )
        for element, url in zip(self._pictures, urls, strict=True):
            element.props(f'src="{url}"')
        n_numbers = int(np.prod(self._images.shape))
        rewrite(self._count, f"d = {d}")
        self._rebuilt_note.text = f"from {d} numbers in place of {n_numbers:,}"
        error = float(rebuilt.curve[d])
        rewrite(self._error, f"Error {error:,.0f}" if error >= 100 else f"Error {error:.3g}")
        kept = 1 - error / max(float(rebuilt.curve[0]), 1e-12)
        self._place.text = (
            f"Squared distance to the rebuilt image; {kept:.0%} of what sets it apart from the mean is kept."
        )
        if rebuilt.stranger_than is not None:
            self._place.text += f" Stranger than {rebuilt.stranger_than:.0%} of the test images at this d."
        self._curve.show([float(value) for value in rebuilt.curve], d)
        if self._images.gallery is not None:
            training = self._images.gallery.training
            self._nearest.show(
                [url_of(training[row], white) for row in rebuilt.nearest], [""] * len(rebuilt.nearest)
            )
            self._strip.tell(chosen=test)
            if test >= 0:
                self._pad.show(urls[0])
