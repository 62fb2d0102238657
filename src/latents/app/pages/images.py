"""The page on which images are rebuilt from a few numbers."""

from typing import Any

import numpy as np
from nicegui import background_tasks, ui

from latents.app.components import Curve, Slider, Thumbnails
from latents.app.images import Images, Rebuilt
from latents.app.pages.canvas import Canvas, Subject
from latents.app.pages.frame import Address, Latest, Spoken, head, heading, rewrite, written
from latents.app.pictures import url_of, url_of_missing

_N_TESTS = 24


class ImagesPage:
    """One user's page, and the state of it."""

    def __init__(self, images: Images, name: str) -> None:
        self._images = images
        self._d = images.n_components
        self._is_touched = False  # since a link was followed, whose state the address has
        self._canvas = Canvas(images, "picture", _N_TESTS, self._touch)
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
        with ui.element("section").classes("card first"):
            heading("An image", "Draw with a mouse or a finger, drop or paste a picture.")
            self._canvas.lay_out()
        if self._canvas.n_tests:
            with ui.element("section").classes("card third"):
                heading("Test images", "The model has not seen them.")
                self._canvas.lay_out_tests()

    def _lay_out_rebuilt(self) -> None:
        most, (height, width) = self._images.n_components, self._images.shape[:2]
        with ui.element("section").classes("card second"):
            self._three = ui.element("div").classes("three empty")
            with self._three:
                self._pictures, notes = [], []
                for title, said in (
                    ("Your image", f"in the model's {height} x {width} pixels"),
                    ("Rebuilt", ""),
                    ("Missing", "orange: too dark, blue: too bright"),
                ):
                    with ui.element("figure"):
                        written("figcaption", title)
                        picture = ui.element("img").props(f'alt="{title}"').classes("pixels")
                        self._pictures.append(picture.style(f"aspect-ratio: {width} / {height}"))
                        notes.append(ui.label(said).classes("note"))
                self._rebuilt_note = notes[1]
            self._count = written("h2").classes("count")
            slider = Slider(min=0, max=most, value=most).props('aria-label="Number of components d" label')
            self._slider = slider.on_value_change(lambda event: self._move(int(event.value)))
        with ui.element("section").classes("card"):
            self._answer = written("h2").classes("answer")
            self._spoken = Spoken()
            self._answered = ui.element("div")
            with self._answered:
                self._place = ui.label("").classes("note")
                with ui.element("div").classes("curves"):
                    if self._images.gallery is not None:
                        with ui.element("div"):
                            self._spread = Curve("Test images by their error", stepped=True)
                            ui.label("The test images by their error at this d; the mark is yours.").classes(
                                "note"
                            )
                    with ui.element("div"):
                        self._curve = Curve("The squared error for each number of components")
                        ui.label(
                            "The squared error for each d. The rest cannot be told by any d of this model."
                        ).classes("note")
        if self._images.gallery is not None:
            self._near = ui.element("section").classes("card")
            with self._near:
                heading("Nearest training images", "By the first d numbers only: with few, all look alike.")
                self._nearest = Thumbnails("Nearest training images", each="Training image")
                self._nearest.classes("eight")

    def _follow(self, state: dict[str, Any]) -> None:
        self._is_touched = False
        most = self._images.n_components
        self._d = min(max(int(state.get("d", most // 2)), 0), most)
        self._slider.set_value(self._d)
        self._canvas.follow(state)
        self._go()

    def _move(self, d: int) -> None:
        if d != self._d:
            self._d = d
            self._touch()

    def _touch(self) -> None:
        self._is_touched = True
        self._keep()
        self._go()

    def _keep(self) -> None:
        self._address.keep(d=self._d, **self._canvas.linked)

    def _go(self) -> None:
        rewrite(self._count, f"d = {self._d}")
        background_tasks.create(self._rebuild(self._canvas.subject, self._d))

    def _rebuilt(self, subject: Subject, d: int) -> tuple[Subject, int, Rebuilt | None]:
        image = self._canvas.read(subject)
        return subject, d, None if image is None else self._images.rebuild(image, d)

    def _show(self, found: tuple[Subject, int, Rebuilt | None]) -> None:
        subject, d, rebuilt = found
        is_empty = rebuilt is None
        self._three.classes(**{"add" if is_empty else "remove": "empty"})
        self._answered.set_visibility(not is_empty)
        if rebuilt is None:
            below = ", drop a picture or pick one below." if self._canvas.n_tests else " or drop a picture."
            self._say(f"Draw something{below}")
            self._rebuilt_note.text = ""
        else:
            if self._canvas.accept(subject, rebuilt.image) and self._is_touched:
                self._keep()
            self._show_rebuilt(rebuilt, d)
        if self._images.gallery is not None:
            near = np.empty(0, np.intp) if rebuilt is None else rebuilt.nearest
            training = self._images.gallery.training[near]
            self._nearest.show([url_of(image, self._images.white) for image in training])
            self._near.set_visibility(not is_empty)

    def _show_rebuilt(self, rebuilt: Rebuilt, d: int) -> None:
        white, most = self._images.white, self._images.n_components
        urls = (
            url_of(rebuilt.image, white),
            url_of(rebuilt.rebuilt, white),
            url_of_missing(rebuilt.image - rebuilt.rebuilt, white),
        )
        for element, url in zip(self._pictures, urls, strict=True):
            element.props(f'src="{url}"')
        n_numbers = int(np.prod(self._images.shape))
        self._rebuilt_note.text = f"from {d} numbers in place of {n_numbers:,}"
        error, of_mean = float(rebuilt.curve[d]), float(rebuilt.curve[0])
        told = f"{error:,.0f}" if error >= 100 else f"{error:.3g}"
        kept = f"{1 - error / max(of_mean, 1e-12):.0%} of what sets it apart from the mean image is kept."
        self._curve.show(rebuilt.curve.tolist(), d / max(most, 1), told, ("d = 0", f"d = {most}"))
        if rebuilt.stranger_than is None:
            self._say(f"Squared error {told}")
            self._place.text = kept.capitalize()
            return
        self._say(_among(rebuilt.stranger_than))
        self._place.text = f"Squared error {told}: {kept}"
        self._spread.show(rebuilt.counts.tolist(), rebuilt.place, "yours", ("small error", "large error"))

    def _say(self, text: str) -> None:
        rewrite(self._answer, text)
        self._spoken.say(text)


def _among(share: float) -> str:
    """Say how an image stands among test images, of which a share is less strange; "all" and "none" are meant."""
    if share in (0, 1):
        return f"Stranger than {'all' if share else 'none of the'} test images"
    return f"Stranger than {min(max(round(100 * share), 1), 99)}% of the test images"
