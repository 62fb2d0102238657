"""What was done to the project, and what came of it."""

from typing import NamedTuple


class Outcome(NamedTuple):
    """One case of the battery.

    Attributes
    ----------
    group : str
        What is counted together.
    done : str
        What was done.
    seen : str
        What was seen.
    complaint : str
        What was lost or left unexplained; empty if all survived.
    """

    group: str
    done: str
    seen: str
    complaint: str
