"""What people know beforehand: labels of some documents, and words of some clusters.

A class has components of its own, the first ones, in the order of the classes. A labelled document is of its
class's components alone; all others may be of any. Seed words are extra pseudo-counts of a class's components.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

UNKNOWN = -1


class Guidance(NamedTuple):
    """Which class each component is of, and what is known of documents and words.

    Attributes
    ----------
    classes : ndarray of shape (C,)
        Names of the classes, numbers or strings: the labels, sorted, then further names of seeds.
    component_classes : ndarray of int, of shape (K,)
        The place of each component's class in `classes`; -1 where it has none.
    document_classes : ndarray of int, of shape (D,)
        The same for each document.
    seeds : list of tuple (int, ndarray of int)
        Classes and the columns of their seed words.
    """

    classes: NDArray[Any]
    component_classes: NDArray[np.intp]
    document_classes: NDArray[np.intp]
    seeds: list[tuple[int, NDArray[np.intp]]]

    def barred(self, rows: slice) -> NDArray[np.bool_] | None:
        """Return the components that each of the documents must not be of, (D, K); None if none has a label."""
        classes = self.document_classes[rows, np.newaxis]
        if (classes == UNKNOWN).all():
            return None
        barred: NDArray[np.bool_] = (classes != UNKNOWN) & (classes != self.component_classes)
        return barred

    def with_room(self, n_components: int) -> "Guidance":
        """Return the same beside further components, which are of no class."""
        further = np.full(n_components, UNKNOWN, dtype=np.intp)
        return self._replace(component_classes=np.append(self.component_classes, further))

    def seed_counts(self, n_words: int, words_per_class: float) -> NDArray[np.float64] | None:
        """Return extra pseudo-counts (W, K): `words_per_class`, dealt out evenly to a class's seed words.

        Each of the components of a class gets them all. None if there are no seeds.
        """
        if not self.seeds:
            return None
        extra = np.zeros((n_words, len(self.component_classes)))
        for number, columns in self.seeds:
            extra[np.ix_(columns, self.component_classes == number)] += words_per_class / len(columns)
        return extra


def guidance(
    y: ArrayLike | None,
    seeds: Mapping[str, Sequence[str | int]] | None,
    *,
    n_documents: int,
    n_components: int,
    components_per_class: int,
    words: NDArray[np.str_] | int,
    fitted: tuple[NDArray[Any], NDArray[np.intp]] | None = None,
) -> Guidance:
    """Read labels and seeds.

    Parameters
    ----------
    y : array-like of shape (D,), optional
        Numbers, -1 for unknown, or strings, None or "" for unknown.
    seeds : mapping, optional
        Of a class's name to its words, or their columns.
    n_documents, n_components, components_per_class : int
    words : ndarray of str, or int
        The vocabulary, or, where it is not known, how many words there are.
    fitted : tuple of ndarray, optional
        Classes that there are already, and those of the components: labels must be among them.

    Raises
    ------
    ValueError
        If labels are not of so many documents, or of a wrong kind; if there are more classes than components for
        them; if seeds have no word, one that there is not, or the same word for two classes.
    """
    names, of_documents = _labels(y, n_documents)
    if fitted is not None:
        there = fitted[0].tolist()
        if strange := [name for name in names if name not in there]:
            allowed = _some(there) + ", and -1 for unknown" if there else "unknown ones: no class was fitted"
            raise ValueError(f"y has the label {strange[0]!r}; allowed are {allowed}")
        of_names = np.array([there.index(name) for name in names] + [UNKNOWN], dtype=np.intp)
        names, of_documents = there, of_names[of_documents]
    found: list[tuple[int, NDArray[np.intp]]] = []
    for name, seed_words in (seeds or {}).items():
        if names and isinstance(name, str) != isinstance(names[0], str):
            raise ValueError(
                f"classes are called {names[0]!r} and {name!r}; allowed are numbers or strings alone"
            )
        columns = _columns(name, seed_words, words)
        if name not in names:
            names.append(name)
        found.append((names.index(name), columns))
    _check_contradictions(names, found, words)
    if fitted is not None:
        return Guidance(*fitted, of_documents, found)
    n_needed = len(names) * components_per_class
    if n_needed > n_components:
        raise ValueError(
            f"there are {len(names)} classes ({_some(names)}) with components_per_class={components_per_class}, "
            f"and n_components={n_components}; allowed are {n_needed} components or more"
        )
    component_classes = np.full(n_components, UNKNOWN, dtype=np.intp)
    component_classes[:n_needed] = np.repeat(np.arange(len(names)), components_per_class)
    return Guidance(np.array(names), component_classes, of_documents, found)


def is_guiding(y: ArrayLike | None) -> bool:
    """Return whether some labels are known and some are not."""
    if y is None:
        return False
    unknown = _unknown(np.asarray(y))
    return bool(unknown.any() and not unknown.all())


def _labels(y: ArrayLike | None, n_documents: int) -> tuple[list[Any], NDArray[np.intp]]:
    if y is None:
        return [], np.broadcast_to(np.intp(UNKNOWN), n_documents)  # of many documents no memory
    labels = np.asarray(y)
    if labels.shape != (n_documents,):
        raise ValueError(
            f"y has shape {labels.shape}, and X has {n_documents} documents; allowed is a label for each, or -1 "
            f"where it is unknown"
        )
    unknown = _unknown(labels)
    known = labels[~unknown]
    if labels.dtype.kind not in "biuf" and not all(isinstance(label, str) for label in known):
        raise ValueError(
            "y has labels that are neither numbers nor strings; allowed are those, or -1 for unknown"
        )
    classes, places = np.unique(known.astype(str) if labels.dtype.kind == "O" else known, return_inverse=True)
    of_documents = np.full(n_documents, UNKNOWN, dtype=np.intp)
    of_documents[~unknown] = places
    return classes.tolist(), of_documents


def _unknown(labels: NDArray[Any]) -> NDArray[np.bool_]:
    if labels.dtype.kind in "biuf":
        unknown: NDArray[np.bool_] = (labels == UNKNOWN) | np.isnan(labels.astype(float))
        return unknown
    return np.array(
        [label is None or label in ("", UNKNOWN) or label != label for label in labels], dtype=bool
    )


def _columns(name: str, seed_words: Sequence[str | int], words: NDArray[np.str_] | int) -> NDArray[np.intp]:
    if isinstance(seed_words, str | bytes) or not len(seed_words):
        raise ValueError(f"seeds[{name!r}] is {seed_words!r:.80}; allowed is a list of one word or more")
    n_words = words if isinstance(words, int) else len(words)
    places = {} if isinstance(words, int) else {word: column for column, word in enumerate(words)}
    columns = []
    for word in seed_words:
        column = places.get(word) if isinstance(word, str) else word
        if column is None or not 0 <= column < n_words:
            allowed = (
                "the names of its columns" if places else f"0 to {n_words - 1}, as columns have no names"
            )
            raise ValueError(f"seeds[{name!r}] has {word!r}, which is no word of X; allowed are {allowed}")
        columns.append(column)
    return np.unique(np.array(columns, dtype=np.intp))


def _check_contradictions(
    names: Sequence[Any], seeds: Sequence[tuple[int, NDArray[np.intp]]], words: NDArray[np.str_] | int
) -> None:
    owners: dict[int, int] = {}
    for number, columns in seeds:
        for column in columns.tolist():
            if owners.setdefault(column, number) != number:
                word = column if isinstance(words, int) else words[column]
                raise ValueError(
                    f"seeds contradict: {word!r} is of {names[owners[column]]!r} and of {names[number]!r}"
                )


def _some(names: Sequence[Any]) -> str:
    return ", ".join(map(str, names[:3])) + (", ..." if len(names) > 3 else "")
