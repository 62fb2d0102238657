"""Where a dataset has its file or folder, and what Kedro's plugins may know of it."""

from pathlib import Path

from latents.places import Place


class Placed:
    """Put before a dataset whose file or folder may lie in a store.

    Kedro-Viz asks for the size of whatever is called ``_filepath``, in a store without the entry's credentials: it
    would ask the wrong one, and wait for it. So that is a file of this machine or nothing.
    """

    _place: Place

    @property
    def _filepath(self) -> Path | None:
        place = getattr(self, "_place", None)  # which not every dataset has
        return place if isinstance(place, Path) else None
