"""Where names stand on a map, and which colours its groups get."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from latents.reporting import style

Points = npt.NDArray[np.float64]

_ROUNDS = 300  # at most, in which all boxes that overlap give way


def heads(xy: Points, groups: npt.NDArray[np.intp], n_groups: int) -> Points:
    """Return for each group its point nearest to the middle of its upper edge, for a name to stand above.

    It is one of the group's own points, as a group may lie in two parts with others between, and of those
    within twice the usual distance from their median, as a few may have gone astray. Empty groups get NaN.
    """
    places = np.full((n_groups, 2), np.nan)
    for group in range(n_groups):
        members = xy[groups == group]
        if len(members):
            distances = np.linalg.norm(members - np.median(members, axis=0), axis=1)
            members = members[distances <= 2 * np.median(distances)]
            edge = [np.median(members[:, 0]), np.quantile(members[:, 1], 0.95)]
            places[group] = members[np.linalg.norm(members - edge, axis=1).argmin()]
    return places


def apart(centres: Points, sizes: Points) -> Points:
    """Move boxes off one another, no further than needed, mostly up and down.

    Parameters
    ----------
    centres, sizes : ndarray of shape (n, 2)
        Where the boxes would best be, and their widths and heights, in pixels.

    Returns
    -------
    ndarray of shape (n, 2)
        The new centres.
    """
    moved = centres.astype(np.float64)
    reach = (sizes[:, np.newaxis] + sizes[np.newaxis]) / 2
    upper = np.triu(np.ones((len(moved), len(moved)), dtype=bool), k=1)
    for _ in range(_ROUNDS):
        away = moved[np.newaxis] - moved[:, np.newaxis]
        overlap = reach - np.abs(away)
        first, second = np.nonzero(upper & (overlap > 0.5).all(axis=2))
        if not first.size:
            break
        # Names are wide and low: up or down is the short way out, unless two only touch at their ends.
        axis = (overlap[first, second, 0] < overlap[first, second, 1]).astype(int) ^ 1
        amount = overlap[first, second, axis] / 4 + 0.5
        direction = np.where(away[first, second, axis] < 0, -1.0, 1.0)
        np.add.at(moved, (first, axis), -direction * amount)
        np.add.at(moved, (second, axis), direction * amount)
    return moved


def categories(places: Points) -> list[tuple[str, str]]:
    """Give each group a colour and a symbol: no pair twice, and equal colours as far apart as can be.

    Each group in turn takes the colour whose nearest bearer is farthest away; while there are colours that
    nobody bears, the first of those.
    """
    colours = len(style.CATEGORY_COLOURS)
    taken: list[int] = []
    pairs = []
    for place in places:
        distances = np.full(colours, np.inf)
        for other, colour in zip(places, taken, strict=False):
            gap = np.linalg.norm(place - other)
            distances[colour] = min(distances[colour], 0.0 if np.isnan(gap) else gap)
        # Bearers of a colour are told apart by symbols, of which there are only so many.
        worn = np.bincount(taken, minlength=colours)
        most = max(min(worn.min() + 2, len(style.CATEGORY_SYMBOLS)), worn.min() + 1)
        choice = int(np.where(worn < most, distances, -np.inf).argmax())
        pairs.append((style.colour_of(choice), style.symbol_of(choice + colours * int(worn[choice]))))
        taken.append(choice)
    return pairs
