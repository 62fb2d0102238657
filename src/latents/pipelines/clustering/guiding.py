"""What people know of a corpus beforehand: labels of some documents, and words that tell of a class."""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from latents.features.documents import Documents
from latents.features.words import WordRules, composed
from latents.messages import some_of
from latents.pipelines.clustering.parameters import FitParameters

logger = logging.getLogger(__name__)

GUIDE = "guide"
# What other programs write where a label is missing: R, SQL, JSON and Python.
_MISSING_ELSEWHERE = {"NA", "N/A", "NULL", "null", "NaN", "nan", "None", "<NA>"}


class Known(NamedTuple):
    """What a fit is told beside the counts.

    Attributes
    ----------
    labels : ndarray of shape (n_training_documents,), optional
        Names of classes, "" where unknown; None where labels do not guide.
    seeds : mapping of str to list of int, optional
        The columns of each class's words.
    """

    labels: NDArray[Any] | None = None
    seeds: Mapping[str, list[int]] | None = None

    @property
    def arguments(self) -> dict[str, Any]:
        """Those of ``MultinomialMixture`` that say it."""
        return {"use_labels": "ignore" if self.labels is None else GUIDE, "seeds": self.seeds}

    @property
    def classes(self) -> list[str]:
        """The names of all classes."""
        labelled = [] if self.labels is None else sorted(set(self.labels.tolist()) - {""})
        return [*labelled, *(name for name in self.seeds or () if name not in labelled)]


def check_labels(labels: Sequence[str] | None, use_labels: str, place: Callable[[int], str]) -> None:
    """Refuse labels that do not allow what they are to be used for.

    Parameters
    ----------
    labels : sequence of str, optional
        One for each document, "" where unknown; None where there are none.
    use_labels : {"judge", "guide"}
        The parameter.
    place : callable
        Says where a document is, for the message.

    Raises
    ------
    ValueError
        If labels are to judge and one is missing, or are to guide and all are.
    """
    if use_labels == GUIDE and not any(labels or ()):
        raise ValueError(
            "clustering.fit.use_labels is 'guide', but no document has a label (clustering.ingest.label_column); "
            "allowed are 'judge', or a label for one document or more; clustering.fit.seeds needs none"
        )
    if use_labels != GUIDE and labels is not None and "" in labels:
        raise ValueError(
            f"{place(labels.index(''))}: there is no label; all documents must have one, or none"
        )


def known_of(
    documents: Documents,
    train: NDArray[np.intp],
    vocabulary: Sequence[str],
    rules: WordRules,
    params: FitParameters,
) -> Known:
    """Return what the fit is told: labels of the documents `train`, where they guide, and the columns of seeds.

    Raises
    ------
    ValueError
        If no training document has a label, although they are to guide; if the vocabulary has none of a class's
        words, or a word is of two classes; or if there are more classes than components for them.
    """
    labels = documents["label"].tolist() if "label" in documents else None
    check_labels(labels, params.use_labels, "document {}".format)
    of_training = None
    if params.use_labels == GUIDE:
        of_training = documents["label"].to_numpy(dtype=object)[train]
        if not of_training.any():
            raise ValueError(
                "clustering.fit.use_labels is 'guide', but all documents with a label are held out; hold out "
                "others (clustering.split, or the column held_out), or label one of the training documents"
            )
        _warn_of_missing_elsewhere(of_training)
    known = Known(of_training, _columns_of(params.seeds, vocabulary, rules) or None)
    _check_room(known.classes, params)
    return known


def _warn_of_missing_elsewhere(labels: NDArray[Any]) -> None:
    """Say of a class that is called as what other programs write for a missing label, that it is taken for one."""
    for name in sorted(_MISSING_ELSEWHERE & set(labels.tolist())):
        logger.warning(
            "the label %r of %d training documents is taken for the name of a class; if it stands for an unknown "
            'one, write it empty (in R: na = "")',
            name,
            int((labels == name).sum()),
        )


def _columns_of(
    seeds: Mapping[str, Sequence[str]], vocabulary: Sequence[str], rules: WordRules
) -> dict[str, list[int]]:
    """Return the columns of seed words, spelled as texts are, and say which words the vocabulary lacks."""
    places = {word: column for column, word in enumerate(vocabulary)}
    found: dict[str, list[int]] = {}
    lacking: dict[str, list[str]] = {}
    owners: dict[int, str] = {}
    for name, seed_words in seeds.items():
        columns = [places.get(rules.spelled(composed(word)), -1) for word in seed_words]
        lacking[name] = [word for word, column in zip(seed_words, columns, strict=True) if column < 0]
        found[name] = sorted({column for column in columns if column >= 0})
        if not found[name]:
            raise ValueError(
                f"clustering.fit.seeds: no word of {name!r:.80} is in the vocabulary: {some_of(seed_words)}; "
                f"allowed are those of its {len(vocabulary):,} words, which clustering.features finds"
            )
        for column in found[name]:
            if owners.setdefault(column, name) != name:
                raise ValueError(
                    f"clustering.fit.seeds: {vocabulary[column]!r:.80} is a word of {owners[column]!r:.80} and of "
                    f"{name!r:.80}; allowed is one class for each word"
                )
    if missing := [f"{name}: {some_of(lacked)}" for name, lacked in lacking.items() if lacked]:
        logger.warning("the vocabulary lacks words of clustering.fit.seeds: %s", "; ".join(missing))
    return found


def _check_room(classes: Sequence[str], params: FitParameters) -> None:
    needed = len(classes) * params.components_per_class
    fewest = min(candidate["n_components"] for candidate in params.candidates)
    if needed > fewest:
        raise ValueError(
            f"clustering.fit.n_components is {fewest}, but {len(classes)} classes ({some_of(classes)}) with "
            f"clustering.fit.components_per_class {params.components_per_class} take {needed}; allowed are "
            f"{needed} or more"
        )


def class_names(model: Any) -> list[str]:
    """Return the name of each component's class, "" where it has none.

    Parameters
    ----------
    model : MultinomialMixture
        The fitted mixture.
    """
    return ["" if place < 0 else str(model.classes_[place]) for place in model.component_classes_.tolist()]
