"""The page on which images are drawn by class."""

from typing import Any, NamedTuple

import numpy as np
from nicegui import background_tasks, ui
from numpy.typing import NDArray

from latents.app.components import Bars, Pad, Thumbnails
from latents.app.generation import FARTHEST, Generation, Hand
from latents.app.pages.frame import Address, Latest, button, head, heading, refuse
from latents.app.pictures import read_picture, url_of
from latents.reporting import style

_N_DRAWN = 24
_N_STEPS = 11
_N_TESTS = 12
_LARGEST_SEED = 2**31 - 1


class Drawn(NamedTuple):
    """What a state of the page draws."""

    images: NDArray[np.float32]
    way: NDArray[np.float32]
    ends: NDArray[np.float32]


class GeneratePage:
    """One user's page, and the state of it."""

    def __init__(self, generation: Generation, name: str) -> None:
        self._generation, self._classes = generation, generation.classes
        self._white = generation.predictor.white
        self._state: dict[str, Any] = {}
        self._is_following = False
        head(
            "generate",
            name,
            "What does the model think a class looks like?",
            "Choose a class, and move what the model has found to vary in it. None of these is a training image.",
        )
        with ui.element("div").classes("columns two wide-right"):
            with ui.element("div"):
                self._lay_out_choices()
            with ui.element("div"):
                self._lay_out_drawings()
                self._lay_out_hand()
        self._address = Address(self._follow)
        self._draw = Latest(self._drawn, self._show)
        self._read = Latest(self._read_hand, self._show_hand)

    def begin(self, link: str) -> None:
        """Show what the page's address asks for."""
        self._address.begin(link)

    def _lay_out_choices(self) -> None:
        generation = self._generation
        options = {number: style.shorten(label, 18) for number, label in enumerate(self._classes)}
        with ui.element("section").classes("card choices"):
            heading("Class", "y: what is drawn.")
            self._class: ui.toggle | ui.select
            if len(options) <= 12:
                self._class = (
                    ui.toggle(options, value=0).props("no-caps unelevated spread").classes("classes")
                )
            else:
                self._class = ui.select(options, value=0).props("outlined dense")
            self._class.props('aria-label="Class"').on_value_change(self._changed)
            with ui.element("div").classes("actions"):
                self._seed = ui.number("Seed", value=0, min=0, max=_LARGEST_SEED, precision=0)
                self._seed.props("outlined dense").on_value_change(self._changed)
                button("Roll the dice", self._roll, "Other latents, hence other images")
            ui.label("Temperature").classes("slider-name")
            self._temperature = self._slider(0.0, 1.5, 1.0, "Temperature")
            ui.label("0: the mean of the class. 1: as varied as the model has it.").classes("note")
        with ui.element("section").classes("card"):
            heading(
                "What varies",
                "The latents z that change images most, each with what it does to the class at its two ends.",
            )
            self._sliders: dict[int, ui.slider] = {}
            self._ends: list[list[ui.element]] = []
            for latent in generation.busiest:
                ui.label(f"z{latent + 1}").classes("latent-name")
                with ui.element("div").classes("latent"):
                    ends = [ui.element("img").props('alt=""').classes("pixels")]
                    self._sliders[latent] = self._slider(-FARTHEST, FARTHEST, 0.0, f"Latent z{latent + 1}")
                    ends.append(ui.element("img").props('alt=""').classes("pixels"))
                    self._ends.append(ends)
            button("All to the middle", self._reset)

    def _lay_out_drawings(self) -> None:
        with ui.element("section").classes("card stays"):
            heading("Drawn", "Each from its own z; the sliders move all of them.")
            self._grid = Thumbnails("Drawn images")
            self._grid.classes("large")
        with ui.element("section").classes("card"):
            with ui.element("div").classes("actions"):
                heading("On the way to")
                options = {number: style.shorten(label, 18) for number, label in enumerate(self._classes)}
                self._to = ui.select(options, value=len(options) - 1).props("outlined dense")
                self._to.props('aria-label="To class"').on_value_change(self._changed)
            ui.label("The first image above; its z stays, and the weight of the class moves.").classes("note")
            self._way = Thumbnails("On the way from one class to another")
            self._way.classes("one-row")

    def _lay_out_hand(self) -> None:
        generation = self._generation
        with ui.element("section").classes("card"), ui.element("div").classes("hand"):
            with ui.element("div"):
                heading("Write it in my hand", "Draw something of a class: the model reads its style.")
                self._pad = Pad(generation.predictor.shape, self._by_hand, refuse)
                with ui.element("div").classes("actions"):
                    button("Clear", self._clear)
                    button("Open a picture", self._pad.ask_for_picture)
            with ui.element("div"):
                heading("Which class?", "p(y | x): how probable the model finds each class, by Bayes' rule.")
                self._shares = Bars("Probability of each class")
            with ui.element("div"):
                heading("Every class in that hand", "The same z, another y.")
                self._styled = Thumbnails("Every class in the style of the drawing")
                if generation.gallery is not None:
                    ui.label("Or pick a test image:").classes("note")
                    tests = generation.gallery.test[:_N_TESTS]
                    strip = Thumbnails("Test images", self._pick)
                    strip.show([url_of(image, self._white) for image in tests], [""] * len(tests))

    def _slider(self, low: float, high: float, at: float, name: str) -> ui.slider:
        slider = ui.slider(min=low, max=high, step=0.1, value=at)
        return slider.props(f'aria-label="{name}" label').on_value_change(self._changed)

    def _follow(self, state: dict[str, Any]) -> None:
        self._is_following = True  # values that are set tell of a change each
        try:
            n = len(self._classes)
            self._class.set_value(int(state.get("class", 0)) % n)
            self._to.set_value(int(state.get("to", n - 1)) % n)
            self._seed.set_value(min(max(int(state.get("seed", 0)), 0), _LARGEST_SEED))
            self._temperature.set_value(min(max(float(state.get("temperature", 1.0)), 0.0), 1.5))
            moved = {str(latent): float(by) for latent, by in dict(state.get("moved", {})).items()}
            for latent, slider in self._sliders.items():
                slider.set_value(min(max(moved.get(str(latent), 0.0), -FARTHEST), FARTHEST))
            self._hand = str(state.get("hand", ""))
        finally:
            self._is_following = False
        self._go(keep=False)
        if self._hand:
            self._pad.show(self._hand)
            background_tasks.create(self._read(self._hand, bool(state.get("byHand", True))))
        elif self._generation.gallery is not None:
            self._pick(0, keep=False)

    def _changed(self) -> None:
        if not self._is_following and self._seed.value is not None and self._class.value is not None:
            self._go()

    def _go(self, keep: bool = True) -> None:
        moved = {latent: float(slider.value) for latent, slider in self._sliders.items() if slider.value}
        self._state = {
            "class": int(self._class.value),
            "to": int(self._to.value),
            "seed": min(max(int(self._seed.value), 0), _LARGEST_SEED),
            "temperature": float(self._temperature.value),
            "moved": moved,
        }
        if keep:
            self._keep()
        background_tasks.create(self._draw(dict(self._state)))

    def _keep(self) -> None:
        hand = {"hand": self._hand, "byHand": self._is_by_hand} if self._hand else {}
        self._address.keep(**self._state, **hand)

    def _roll(self) -> None:
        self._seed.set_value((int(self._seed.value or 0) + 1) % _LARGEST_SEED)

    def _reset(self) -> None:
        self._is_following = True
        for slider in self._sliders.values():
            slider.set_value(0.0)
        self._is_following = False
        self._go()

    def _drawn(self, state: dict[str, Any]) -> Drawn:
        label, to = (self._classes[state[name]] for name in ("class", "to"))
        how = {"seed": state["seed"], "temperature": state["temperature"], "moved": state["moved"]}
        return Drawn(
            self._generation.draw(label, _N_DRAWN, **how),
            self._generation.way(label, to, _N_STEPS, **how),
            self._generation.ends(label),
        )

    def _show(self, drawn: Drawn) -> None:
        self._grid.show([url_of(image, self._white) for image in drawn.images], [""] * _N_DRAWN)
        self._way.show([url_of(image, self._white) for image in drawn.way], [""] * _N_STEPS)
        for elements, ends in zip(self._ends, drawn.ends, strict=True):
            for element, image in zip(elements, ends, strict=True):
                element.props(f'src="{url_of(image, self._white)}"')

    _hand, _is_by_hand = "", True

    def _by_hand(self, url: str, by_hand: bool) -> None:
        self._hand, self._is_by_hand = url, by_hand
        self._keep()
        background_tasks.create(self._read(url, by_hand))

    def _clear(self) -> None:
        self._pad.wipe()
        self._hand = ""
        self._keep()

    def _pick(self, number: int, keep: bool = True) -> None:
        if self._generation.gallery is None:
            return
        url = url_of(self._generation.gallery.test[number], self._white)
        self._pad.show(url)
        if keep:
            self._by_hand(url, by_hand=False)
        else:
            background_tasks.create(self._read(url, False))

    def _read_hand(self, url: str, by_hand: bool) -> Hand:
        frame = self._generation.frame if by_hand else None
        image = read_picture(url, self._generation.predictor.shape, frame)
        return self._generation.read(image * np.float32(self._white))

    def _show_hand(self, hand: Hand) -> None:
        names = [style.shorten(label, 24) for label in self._classes]
        order = np.argsort(-hand.shares, kind="stable") if len(names) > 12 else np.arange(len(names))
        self._shares.show(
            [(names[k], float(hand.shares[k]), style.colour_of(int(k))) for k in order[:12].tolist()]
        )
        self._styled.show([url_of(image, self._white) for image in hand.styled], names)
