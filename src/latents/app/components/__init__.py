"""Elements that NiceGUI lacks, each a class here and its part in the browser in a file of its name."""

from collections.abc import Callable, Sequence
from typing import Any

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
    on_typed, on_refused : callable
        Called with the text, and with a sentence.
    """

    def __init__(
        self,
        label: str,
        placeholder: str,
        longest: int,
        files: str,
        on_typed: Callable[[str], Any],
        on_refused: Callable[[str], Any],
    ) -> None:
        super().__init__()
        self.tell(label=label, placeholder=placeholder, longest=longest, files=files, pieces=[], given="")
        self.on("typed", lambda event: on_typed(sound(str(event.args))))
        self.on("refused", lambda event: on_refused(str(event.args)))

    def show(self, text: str) -> None:
        """Put a text into the box."""
        self.run_method("show", text)

    def show_marks(self, pieces: Sequence[tuple[str, float]]) -> None:
        """Mark the text in the box, which the pieces make up: each from -1 to 1."""
        self.tell(pieces=list(pieces))

    def ask_for_files(self) -> None:
        """Let the user choose files."""
        self.run_method("choose")


class Pad(Part, component="pad.js"):
    """A canvas to draw on with a mouse, a pen or a finger, or to drop a picture on.

    Parameters
    ----------
    shape : tuple of int
        Of the images that a model reads: (height, width), or with 3 colours last.
    on_drawn : callable
        Called with the picture as a data URL, and whether it was drawn by hand.
    on_refused : callable
        Called with a sentence.
    """

    def __init__(
        self, shape: tuple[int, ...], on_drawn: Callable[[str, bool], Any], on_refused: Callable[[str], Any]
    ) -> None:
        super().__init__()
        self.tell(ratio=shape[1] / shape[0], colours=len(shape) == 3)
        self.on("drawn", lambda event: on_drawn(str(event.args["png"]), bool(event.args["byHand"])))
        self.on("refused", lambda event: on_refused(str(event.args)))

    def show(self, url: str) -> None:
        """Put a picture on it, without telling of it."""
        self.run_method("show", url)

    def wipe(self) -> None:
        """Make it black."""
        self.run_method("clear")

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
    """

    def __init__(self, label: str, on_picked: Callable[[int], Any] | None = None) -> None:
        super().__init__()
        self.tell(label=label, items=[], pickable=on_picked is not None, chosen=-1)
        if on_picked is not None:
            self.on("picked", lambda event: on_picked(int(event.args)))

    def show(self, urls: Sequence[str], captions: Sequence[str]) -> None:
        """Show pictures."""
        self.tell(items=[{"src": url, "caption": text} for url, text in zip(urls, captions, strict=True)])


class Bars(Part, component="bars.js"):
    """Shares as bars, which move to where they come to stand."""

    def __init__(self, label: str) -> None:
        super().__init__()
        self.tell(label=label, items=[])

    def show(self, bars: Sequence[tuple[str, float, str]]) -> None:
        """Show bars: the name, the share and the colour of each."""
        self.tell(items=[{"name": name, "share": share, "colour": colour} for name, share, colour in bars])


class Curve(Part, component="curve.js"):
    """A falling curve with a point on it.

    Parameters
    ----------
    label : str
        What it is of.
    """

    def __init__(self, label: str) -> None:
        super().__init__()
        self.tell(label=label, values=[], at=0)

    def show(self, values: Sequence[float], at: int) -> None:
        """Show the values from 0 on, and mark one."""
        self.tell(values=list(values), at=at)
