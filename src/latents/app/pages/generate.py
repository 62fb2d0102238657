"""The page on which images are drawn by class."""

from typing import Any

import numpy as np
from nicegui import background_tasks, ui
from numpy.typing import NDArray

from latents.app.components import Bars, Slider, Thumbnails
from latents.app.generation import FARTHEST, Generation, Hand
from latents.app.pages.canvas import Canvas, Subject
from latents.app.pages.frame import Address, Latest, button, head, heading, rewrite, written
from latents.app.pictures import url_of
from latents.reporting import style

_N_DRAWN = 24
_N_STEPS = 11
_N_TESTS = 12
_LARGEST_SEED = 2**31 - 1
_N_SEEDS = 10_000  # that the dice have


class GeneratePage:
    """One user's page, and the state of it."""

    def __init__(self, generation: Generation, name: str) -> None:
        self._generation, self._classes = generation, generation.classes
        self._options = {number: style.shorten(label, 18) for number, label in enumerate(self._classes)}
        self._seed_used = 0
        self._is_following = False
        self._is_touched = False  # since a link was followed, whose state the address has
        self._asked: dict[Latest[Any, Any], list[Any]] = {}
        self._canvas = Canvas(generation, "hand", _N_TESTS, self._touch_hand)
        head(
            "generate",
            name,
            "What does the model think a class looks like?",
            "Choose a class, and move what the model has found to vary in it. None of these is a training image.",
        )
        with ui.element("div").classes("columns two wide-right workbench"):
            with ui.element("div"):
                self._lay_out_choices()
                self._lay_out_sliders()
            with ui.element("div"):
                self._lay_out_drawings()
        with ui.element("div").classes("columns"):
            self._lay_out_hand()
        self._address = Address(self._follow)
        self._draw = Latest(self._drawn, self._grid.show)
        self._walk = Latest(self._walked, self._way.show)
        self._bend = Latest(self._bent, self._show_ends)
        self._read = Latest(self._read_hand, self._show_hand)

    def begin(self, link: str) -> None:
        """Show what the page's address asks for."""
        self._address.begin(link)

    def _lay_out_choices(self) -> None:
        with ui.element("section").classes("card choices"):
            heading("Class", "What to draw (y).")
            self._class: ui.toggle | ui.select
            if len(self._options) <= 12:
                self._class = ui.toggle(self._options, value=0).props("no-caps unelevated spread")
                self._class.classes("classes")
            else:
                self._class = ui.select(self._options, value=0).props("outlined dense")
            self._class.props('aria-label="Class"').on_value_change(self._changed)
            with ui.element("div").classes("actions"):
                # The format keeps fractions out of the box.
                self._seed = ui.number(
                    "Seed", value=0, min=0, max=_LARGEST_SEED, step=1, precision=0, format="%d"
                )
                self._seed.props("outlined dense").on_value_change(self._changed)
                self._seed.on("blur", self._refill_seed, [])
                button("Roll the dice", self._roll, "Other latents, hence other images")
            ui.label("Temperature").classes("slider-name")
            self._temperature = self._slider(0.0, 1.5, 1.0, "Temperature")
            ui.label("0: the mean of the class. 1: as varied as the model has it.").classes("note")

    def _lay_out_sliders(self) -> None:
        with ui.element("section").classes("card"):
            heading(
                "What varies",
                "The latents z that change images most, and what the first image drawn becomes at their ends.",
            )
            self._sliders: dict[int, ui.slider] = {}
            self._ends: list[ui.element] = []
            for latent in self._generation.busiest:
                ui.label(f"z{latent + 1}").classes("latent-name")
                with ui.element("div").classes("latent"):
                    self._ends.append(ui.element("img").props('alt=""').classes("pixels"))
                    slider = self._slider(-FARTHEST, FARTHEST, 0.0, f"Latent z{latent + 1}")
                    # It has its zero in the middle, and nothing that would fill it from the left.
                    self._sliders[latent] = slider.props("selection-color=transparent")
                    self._ends.append(ui.element("img").props('alt=""').classes("pixels"))
            with ui.element("div").classes("actions"):
                button("Reset the sliders", self._reset)

    def _lay_out_drawings(self) -> None:
        with ui.element("section").classes("card stays"):
            heading("Drawn", "Each from random latents of its own; the sliders move all of them.")
            self._grid = Thumbnails("Drawn images", each="Drawn image")
            self._grid.classes("large")
        with ui.element("section").classes("card"):
            with ui.element("div").classes("from-to"):
                self._from = written("h2")
                self._to = ui.select(self._options, value=len(self._options) - 1).props("outlined dense")
                self._to.props('aria-label="To class"').on_value_change(self._changed)
            ui.label("The first image above; its z stays, and the weight of the class moves.").classes("note")
            self._way = Thumbnails("On the way from one class to another", each="Step")
            self._way.classes("one-row")

    def _lay_out_hand(self) -> None:
        with ui.element("section").classes("card"), ui.element("div").classes("hand"):
            with ui.element("div"):
                heading("Write it in my hand", "Draw one of the classes; the model reads your style.")
                self._canvas.lay_out()
            with ui.element("div"):
                heading("Which class?", "p(y | x): how probable the model finds each class, by Bayes' rule.")
                self._shares = Bars("Probability of each class")
                self._bound = ui.label("").classes("note bound")
            with ui.element("div"):
                heading("Every class in that hand", "The same z, another y.")
                self._styled = Thumbnails("Every class in the style of the drawing")
                self._styled.classes("five")
                self._nothing = ui.label("Draw something to see it in every class.")
                if self._canvas.n_tests:
                    ui.label("Or pick a test image:").classes("note or")
                    self._canvas.lay_out_tests()

    def _slider(self, low: float, high: float, at: float, name: str) -> ui.slider:
        slider = Slider(min=low, max=high, step=0.1, value=at)
        return slider.props(f'aria-label="{name}" label').on_value_change(self._changed)

    def _follow(self, state: dict[str, Any]) -> None:
        self._is_touched, self._is_following = False, True  # values that are set tell of a change each
        try:
            n = len(self._classes)
            self._class.set_value(int(state.get("class", 0)) % n)
            self._to.set_value(int(state.get("to", n - 1)) % n)
            self._seed_used = _seed_of(float(state.get("seed", 0)))
            self._seed.set_value(self._seed_used)
            self._temperature.set_value(_within(state.get("temperature", 1.0), 0.0, 1.5))
            moved = dict(state.get("moved", {}))
            for latent, slider in self._sliders.items():
                slider.set_value(_within(moved.get(str(latent), 0.0), -FARTHEST, FARTHEST))
        finally:
            self._is_following = False
        self._canvas.follow(state)
        self._go()
        self._go_on_hand()

    def _changed(self) -> None:
        if self._is_following:
            return
        if self._seed.value is not None:
            self._seed_used = _seed_of(self._seed.value)
        self._is_touched = True
        self._go()
        self._keep()

    def _go(self) -> None:
        label, to = self._classes[int(self._class.value)], self._classes[int(self._to.value)]
        how = {"seed": self._seed_used, "temperature": self._temperature.value, "moved": self._moved}
        rewrite(self._from, f"From {self._options[int(self._class.value)]} to")
        asked: list[tuple[Latest[Any, Any], list[Any]]] = [
            (self._draw, [label, how]),
            (self._bend, [label, how]),
            (self._walk, [label, to, how]),
        ]
        for work, arguments in asked:
            if self._asked.get(work) != arguments:
                self._asked[work] = arguments
                background_tasks.create(work(*arguments))

    @property
    def _moved(self) -> dict[int, float]:
        return {latent: float(slider.value) for latent, slider in self._sliders.items() if slider.value}

    def _touch_hand(self) -> None:
        self._is_touched = True
        self._keep()
        self._go_on_hand()

    def _go_on_hand(self) -> None:
        background_tasks.create(self._read(self._canvas.subject))

    def _keep(self) -> None:
        state: dict[str, Any] = {
            "class": int(self._class.value),
            "to": int(self._to.value),
            "seed": self._seed_used,
            "temperature": float(self._temperature.value),
            "moved": self._moved,
        }
        self._address.keep(**state, **self._canvas.linked)

    def _refill_seed(self) -> None:
        self._seed.set_value(self._seed_used)
        self._seed.update()

    def _roll(self) -> None:
        self._seed.set_value(int(np.random.default_rng().integers(_N_SEEDS)))

    def _reset(self) -> None:
        self._is_following = True
        for slider in self._sliders.values():
            slider.set_value(0.0)
        self._is_following = False
        self._changed()

    def _drawn(self, label: Any, how: dict[str, Any]) -> list[str]:
        return self._urls(self._generation.draw(label, _N_DRAWN, **how))

    def _walked(self, label: Any, to: Any, how: dict[str, Any]) -> list[str]:
        return self._urls(self._generation.way(label, to, _N_STEPS, **how))

    def _bent(self, label: Any, how: dict[str, Any]) -> list[str]:
        ends = self._generation.ends(label, **how)
        return self._urls(ends.reshape(-1, *ends.shape[2:]))

    def _show_ends(self, urls: list[str]) -> None:
        for element, url in zip(self._ends, urls, strict=True):
            element.props(f'src="{url}"')

    def _urls(self, images: NDArray[Any]) -> list[str]:
        return [url_of(image, self._generation.white) for image in images]

    def _read_hand(self, subject: Subject) -> tuple[Subject, NDArray[np.float64], Hand] | None:
        image = self._canvas.read(subject)
        if image is None:
            return None
        # Test images may lack pixels, or have some that are brighter than those of training.
        image = np.clip(np.nan_to_num(image), 0, self._generation.white)
        return subject, image, self._generation.read(image.astype(np.float32))

    def _show_hand(self, found: tuple[Subject, NDArray[np.float64], Hand] | None) -> None:
        self._nothing.set_visibility(found is None)
        self._styled.set_visibility(found is not None)
        self._shares.set_visibility(found is not None)
        self._bound.set_visibility(found is not None)
        if found is None:
            self._shares.show([])
            self._styled.show([])
        else:
            subject, image, hand = found
            if self._canvas.accept(subject, image) and self._is_touched:
                self._keep()
            names = [style.shorten(label, 24) for label in self._classes]
            order = np.argsort(-hand.shares, kind="stable") if len(names) > 12 else np.arange(len(names))
            self._shares.show(
                [(names[k], float(hand.shares[k]), style.colour_of(int(k))) for k in order[:12].tolist()]
            )
            bound = f"{hand.lower_bound:,.1f}".replace("-", "\N{MINUS SIGN}")
            self._bound.text = f"log p(x | y) is at least {bound} nats under the likeliest class."
            self._styled.show(self._urls(hand.styled), names)


def _seed_of(number: float) -> int:
    return round(min(max(number, 0), _LARGEST_SEED))


def _within(value: Any, low: float, high: float) -> float:
    number = float(value)
    if not np.isfinite(number):
        raise ValueError(f"{value} is no number")
    return min(max(number, low), high)
