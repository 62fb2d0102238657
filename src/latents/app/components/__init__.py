"""Elements that NiceGUI lacks, each a class here and its part in the browser in a file of its name."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from nicegui import ui

from latents.app.files import sound


class Part(ui.element):
    """An element whose properties are told to the browser together."""

    def tell(self, **properties: Any) -> None:
        """Change properties of the part in the browser."""
        for name, value in properties.items():
            self._props[name] = value
        self.update()


class MarkedText(Part, component="marked_text.js"):
    """A box to type a text into, whose words are marked while one types.

    Parameters
    ----------
    label, placeholder : str
    longest : int
        Characters that it takes.
    files : str
        The address that files are sent to.
    on_typed : callable
        Called with a text and its version, to be given back with its marks.
    on_long : callable
        Called with the number of characters of a text that is too long.
    on_refused : callable
        Called with a sentence.
    """

    LEVELS = 5
    """Of strength, for and against."""

    def __init__(
        self,
        label: str,
        placeholder: str,
        longest: int,
        files: str,
        on_typed: Callable[[str, int], Any],
        on_long: Callable[[int], Any],
        on_refused: Callable[[str], Any],
    ) -> None:
        super().__init__()
        self.tell(label=label, placeholder=placeholder, longest=longest, files=files)
        self.on("typed", lambda event: on_typed(sound(str(event.args["text"])), int(event.args["version"])))

        def refused(told: dict[str, Any]) -> None:
            if "length" in told:
                on_long(int(told["length"]))
            else:
                on_refused(str(told["reason"]))

        self.on("refused", lambda event: refused(event.args))

    def show(self, text: str) -> None:
        """Put a text into the box, as if it were typed."""
        self.run_method("show", text)

    def show_marks(self, version: int, pieces: Sequence[tuple[str, float]]) -> None:
        """Mark the text of a version, unless another was typed since; the pieces make it up, each from -1 to 1."""
        marks, start = [], 0
        for piece, strength in pieces:
            stop = start + len(piece.encode("utf-16-le")) // 2  # as browsers count characters
            level = int(np.sign(strength) * np.ceil(abs(strength) * self.LEVELS))
            if level:
                marks.append((start, stop, level))
            start = stop
        self.run_method("mark", version, marks)

    def ask_for_files(self) -> None:
        """Let the user choose files."""
        self.run_method("choose")


class Pad(Part, component="pad.js"):
    """A canvas to draw on with a mouse, a pen or a finger, or to drop a picture on.

    Parameters
    ----------
    shape : tuple of int
        Of the images that a model reads: (height, width), or with 3 colours last.
    ink_on_dark : bool
        Whether they are bright ink on a dark ground; pictures of dark ink are then made so.
    on_drawn : callable
        Called with the picture as a data URL, and whether it was drawn by hand.
    on_refused : callable
        Called with a sentence.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        ink_on_dark: bool,
        on_drawn: Callable[[str, bool], Any],
        on_refused: Callable[[str], Any],
    ) -> None:
        super().__init__()
        self.tell(ratio=shape[1] / shape[0], colours=len(shape) == 3, inkOnDark=ink_on_dark)
        self._n_drawings = 0

        def drawn(told: dict[str, Any]) -> None:
            self._n_drawings = int(told["drawings"])
            on_drawn(str(told["png"]), bool(told["byHand"]))

        self.on("drawn", lambda event: drawn(event.args))
        self.on("refused", lambda event: on_refused(str(event.args)))

    def show(self, url: str) -> None:
        """Put a picture on it, without telling of it, unless there is a drawing that was not told of yet."""
        self.run_method("show", url, self._n_drawings)

    def wipe(self) -> None:
        """Make it black."""
        self.run_method("wipe")

    def invert(self) -> None:
        """Exchange black and white."""
        self.run_method("invert")

    def ask_for_picture(self) -> None:
        """Let the user choose a picture."""
        self.run_method("choose")


class PointMap(Part, component="point_map.js"):
    """Documents as points, and the place of a text among them.

    Parameters
    ----------
    points : str
        Places as float32, x and y in turn, in base64.
    clusters : sequence of int
        Of each point.
    colours, names : sequence of str
        Of each cluster.
    heads : sequence of (float, float) or None
        Where the name of each cluster stands.
    titles : sequence of str
        Of each point.
    on_picked : callable
        Called with the number of a point.
    """

    def __init__(self, *, on_picked: Callable[[int], Any], **properties: Any) -> None:
        super().__init__()
        self.tell(**properties, place=None, near=[])
        self.on("picked", lambda event: on_picked(int(event.args)))


class Neighbours(Part, component="neighbours.js"):
    """Documents one below the other, each a button.

    Parameters
    ----------
    label : str
        What they are.
    on_picked : callable
        Called with the row of one.
    """

    def __init__(self, label: str, on_picked: Callable[[int], Any]) -> None:
        super().__init__()
        self.tell(label=label, items=[])
        self.on("picked", lambda event: on_picked(int(event.args)))


class Thumbnails(Part, component="thumbnails.js"):
    """Small pictures in rows, each with a caption; buttons, where something happens when one is chosen.

    Parameters
    ----------
    label : str
        What they are.
    on_picked : callable, optional
        Called with the number of one.
    each : str, optional
        What one of them is, for those who do not see it; by default its caption.
    """

    def __init__(self, label: str, on_picked: Callable[[int], Any] | None = None, each: str = "") -> None:
        super().__init__()
        self.tell(label=label, each=each, items=[], pickable=on_picked is not None, chosen=-1)
        if on_picked is not None:
            self.on("picked", lambda event: on_picked(int(event.args)))

    def show(self, urls: Sequence[str], captions: Sequence[str] | None = None) -> None:
        """Show pictures."""
        captions = [""] * len(urls) if captions is None else captions
        items = [{"src": url, "caption": text} for url, text in zip(urls, captions, strict=True)]
        if items != self._props["items"]:
            self.tell(items=items)


class Bars(Part, component="bars.js"):
    """Shares as bars, which move to where they come to stand."""

    def __init__(self, label: str) -> None:
        super().__init__()
        self.tell(label=label, items=[])

    def show(self, bars: Sequence[tuple[str, float, str]]) -> None:
        """Show bars: the name, the share and the colour of each."""
        self.tell(items=[{"name": name, "share": share, "colour": colour} for name, share, colour in bars])


class Curve(Part, component="curve.js"):
    """A curve, or steps, over a line from one end to another, and a mark.

    Parameters
    ----------
    label : str
        What it is of.
    stepped : bool, default=False
        Whether each value holds for a part of the line, and not for a point.
    """

    def __init__(self, label: str, stepped: bool = False) -> None:
        super().__init__()
        self.tell(label=label, stepped=stepped, values=[], place=0.0, told="", ends=["", ""])

    def show(self, values: Sequence[float], place: float, told: str, ends: tuple[str, str]) -> None:
        """Show values in even steps, a mark from 0 to 1 with what it tells, and what the ends are."""
        self.tell(values=list(values), place=place, told=told, ends=list(ends))


class Slider(ui.slider):
    """A slider that does not wait for the server: what came back late would move it under the finger."""

    LOOPBACK = False
