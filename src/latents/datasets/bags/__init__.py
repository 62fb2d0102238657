"""Bags of words: corpora that come as the counts of numbered words."""

from collections.abc import Callable
from typing import Any

from kedro.io import DatasetError

from latents.datasets.bags import h5ad, lines, matrix_market, scipy_npz, uci
from latents.datasets.bags.matrix import MAX_EMPTY, Options
from latents.datasets.files import check_truth
from latents.datasets.read_only import ReadOnlyDataset
from latents.datasets.unpacking import Size, bytes_of
from latents.places import Access, Place, place

_READERS: dict[str, Callable[[Place, Options], dict[str, Any]]] = {
    "uci": uci.read,
    "svmlight": lines.read_svmlight,
    "numbered": lines.read_numbered,
    "lda-c": lines.read_lda_c,
    "mtx": matrix_market.read,
    "npz": scipy_npz.read,
    "h5ad": h5ad.read,
}
# What only some formats have.
_ONLY = {
    "zero_based": ["svmlight"],
    "transpose": ["mtx", "npz"],
    "layer": ["h5ad"],
    "label": ["h5ad"],
    "vocabulary": [name for name in _READERS if name != "h5ad"],
}


class BagOfWordsDataset(ReadOnlyDataset[dict[str, Any]]):
    """Counts of words by document, in one of several formats; files of text may be compressed (``.gz``).

    ``uci``
        The UCI repository's: three lines with the numbers of documents, of words and of entries, then an entry
        a line: ``document word count``, both numbered from 1. The vocabulary is ``vocab.NAME.txt`` beside
        ``docword.NAME.txt``.
    ``svmlight``
        A document a line: ``label number:count number:count ...``; what follows a ``#`` is a comment, and lines
        without anything else are none.
    ``lda-c``
        Blei's: a document a line: ``n number:count number:count ...``, n the number of pairs, words numbered from
        0. The vocabulary is ``FILE.vocab``, ``NAME.vocab`` or ``vocab.txt`` beside it, if it is there.
    ``numbered``
        A document a line: ``id<TAB>number:count number:count ...``. The vocabulary has lines of
        ``number<TAB>word<TAB>frequency``, where the frequency is not used; it is ``NAME.vocab`` beside
        ``NAME.libsvm``.
    ``mtx``
        Matrix Market's coordinates, documents by words or the transpose: integer, real or pattern (an entry is a
        word that is there once), general or symmetric. Entries of one place are added up, as SciPy does it. Beside
        a transposed ``matrix.mtx``, 10x Genomics' ``features.tsv`` (or ``genes.tsv``) and ``barcodes.tsv`` are
        taken for the words and the documents' names; names that several features have get their ids.
    ``npz``
        What ``scipy.sparse.save_npz`` writes: csr, csc or coo, documents by words or the transpose. Entries of one
        place are added up.
    ``h5ad``
        What anndata writes: ``X`` or a layer, dense or sparse; ``obs_names`` are the documents' names and
        ``var_names`` the words. It takes the extra ``h5ad``.

    The vocabulary has a word a line, if it is not said otherwise, or is a dictionary of gensim's, saved as text.
    Without one the words are their numbers. Counts are whole numbers up to 2147483647, though they may be written
    as 3.0.

    Parameters
    ----------
    filepath : str
        The file of counts.
    format : {"uci", "svmlight", "numbered", "lda-c", "mtx", "npz", "h5ad"}
        Its format.
    vocabulary : str, optional
        The file of words, beside the file of counts, if it is not named as above.
    zero_based : bool, optional
        Whether the words of ``svmlight`` are numbered from 0 or from 1. By default a comment of scikit-learn's
        tells, or a number that only one of both allows; where there is none, new documents are read as those
        of the training were, and a training with a vocabulary is refused.
    transpose : bool
        Whether the rows of ``mtx`` or ``npz`` are words, and the columns documents.
    layer : str, optional
        The layer of ``h5ad`` that has the counts, if it is not ``X``.
    label : str, optional
        The column of ``obs`` in ``h5ad`` that has the labels.
    max_unpacked : int or str, optional
        How large a file may become when unpacked, in bytes or as ``4 GiB``, if not as ``unpacking`` has it.
    max_empty_documents : int
        How many documents without words there may be, if nothing but a number in the head of ``uci``, ``mtx`` or
        ``npz``, or a line without pairs, tells of them: each takes memory.
    credentials, fs_args : mapping, optional
        What a store is opened with, where the address is one of a store (see ``places``).
    metadata : dict, optional
        For Kedro's plugins.
    """

    def __init__(
        self,
        filepath: str,
        format: str,  # noqa: A002 - the word that YAML should have
        vocabulary: str | None = None,
        zero_based: bool | None = None,
        transpose: bool = False,
        layer: str | None = None,
        label: str | None = None,
        max_unpacked: Size = None,
        max_empty_documents: int = MAX_EMPTY,
        credentials: Access = None,
        fs_args: Access = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        if format not in _READERS:
            raise DatasetError(f"format is {format!r:.80}; allowed are {', '.join(_READERS)}")
        if type(max_empty_documents) is not int or max_empty_documents < 0:
            raise DatasetError(
                f"max_empty_documents is {max_empty_documents!r:.80}; allowed are the whole numbers from 0"
            )
        check_truth("transpose", transpose)
        if zero_based is not None:
            check_truth("zero_based", zero_based)
        self._place = place(filepath, credentials, fs_args)
        self._format = format
        self._options = Options(
            vocabulary, zero_based, transpose, layer, label, bytes_of(max_unpacked), max_empty_documents
        )
        for name, formats in _ONLY.items():
            is_given = getattr(self._options, name) != getattr(Options(), name)
            if is_given and format not in formats:
                raise DatasetError(f"{name} is of the format {' or '.join(formats)}, not of {format}")
        super().__init__(metadata)

    def load(self) -> dict[str, Any]:
        """Return ``counts``, ``words``, ``documents`` and, where words were numbers, ``numbering``.

        Returns
        -------
        mapping
            ``counts``: a csr_array of shape (n_documents, n_words), int32. ``words``: those of its columns.
            ``documents``: a table with the ``name`` of each document and, where there is one, its ``label``.
            ``numbering``: how numbers became words (``features.numbering``), where a training may settle it.
        """
        bag = _READERS[self._format](self._place, self._options)
        if not bag["counts"].shape[0]:
            raise DatasetError(f"{self._place} has no document")
        return bag

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._place), "format": self._format, **self._options._asdict()}
