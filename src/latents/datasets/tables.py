"""Tables of the user's own, of documents or of numbers: rows of parted fields, and Parquet."""

import csv
import sys
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, ClassVar

from kedro.io import DatasetError

from latents.datasets.files import check_encoding, check_truth, lines_of, malformed, text_of
from latents.datasets.read_only import Loaded, ReadOnlyDataset
from latents.datasets.unpacking import Size, bytes_of
from latents.messages import first_repeated, some_of
from latents.places import Access, Place, place


class TableDataset(ReadOnlyDataset[Loaded]):
    """A table of the kind that its file name ends in, one of `KINDS`; its subclasses tell of the parameters.

    Raises
    ------
    DatasetError
        If one is not allowed.
    """

    KINDS: ClassVar[tuple[str, ...]]

    def __init__(
        self,
        filepath: str | Place,
        encoding: str = "utf-8",
        separator: str | None = None,
        quoting: bool | None = None,
        max_unpacked: Size = None,
        credentials: Access = None,
        fs_args: Access = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        self._place = place(filepath, credentials, fs_args)
        self._kind = Path(self._place.name.removesuffix(".gz")).suffix
        if self._kind not in self.KINDS or self._place.name.endswith(".parquet.gz"):
            raise DatasetError(
                f"{filepath} is no table that can be read; allowed are names ending in {', '.join(self.KINDS)}"
            )
        if separator is not None and (
            not isinstance(separator, str) or len(separator) != 1 or separator in '"\r\n'
        ):
            raise DatasetError(
                f"separator is {separator!r:.80}; allowed is one character, other than quotes and ends of lines"
            )
        self._encoding = check_encoding(encoding)
        self._separator = separator or ("\t" if self._kind == ".tsv" else ",")
        self._quoting = self._separator != "\t" if quoting is None else check_truth("quoting", quoting)
        self._max_unpacked = bytes_of(max_unpacked)
        super().__init__(metadata)

    def _text(self) -> str:
        return text_of(self._place, self._encoding, self._max_unpacked)

    def _malformed(self, line: int, reason: str) -> DatasetError:
        return malformed(self._place, line, reason)

    def _rows_of(
        self, text: str, first_line: int = 1, known: Sequence[str] = ()
    ) -> Iterator[tuple[int, list[str]]]:
        r"""Give the rows of parted fields, each with the line that it begins in; empty lines are none.

        The first row has the names of the columns, unless these are known. Where fields are quoted, one between
        quotation marks may have separators and line breaks in it; otherwise these marks are characters, and every
        row is a line. Where lines end in ``\n``, any ``\r`` that is not before it is a character, too.

        Raises
        ------
        DatasetError
            If a quoted field has no end, two columns have one name, or a row has more or fewer fields than names.
        """
        csv.field_size_limit(sys.maxsize)  # else no field could be longer than 131,072 characters
        lines, bare = lines_of(text), ""
        if "\n" in text and "\r" in text:  # to `csv` a bare \r would end a row
            bare = next(chr(code) for code in range(0xE000, 0x110000) if chr(code) not in text)
            lines = [_without_bare_returns(line, bare) for line in lines]
        reader = csv.reader(
            chain((line + "\n" for line in lines[:-1]), filter(None, lines[-1:])),
            delimiter=self._separator,
            strict=True,
            quoting=csv.QUOTE_MINIMAL if self._quoting else csv.QUOTE_NONE,
        )
        names = list(known)
        begin = first_line
        try:
            for row in reader:
                if row:
                    fields = [field.replace(bare, "\r") for field in row] if bare else row
                    if not names:
                        names = fields
                        self._check_names(begin, names)
                    if len(fields) != len(names):
                        reason = f"{len(fields)} fields; the first line names {len(names)}: {some_of(names)}"
                        if not self._quoting and any('"' in field for field in fields):
                            reason += "; where fields are quoted, say quoting: true"
                        raise self._malformed(begin, reason)
                    yield begin, fields
                begin = first_line + reader.line_num
        except csv.Error as error:
            raise self._malformed(
                begin,
                f"{error} in the row that begins here; where quotation marks are characters, say quoting: false",
            ) from error
        if not names:
            raise DatasetError(f"{self._place} is empty: a line with the names of the columns is missing")

    def _check_names(self, line: int, names: Sequence[str]) -> None:
        if (twice := first_repeated(names)) is not None:
            raise self._malformed(
                line, f"there are several columns {twice!r:.80}; the first line must name them"
            )
        if not self._quoting and all(len(name) > 1 and name[0] == name[-1] == '"' for name in names):
            raise self._malformed(
                line,
                "all names of columns are between quotation marks, which are characters here; where they enclose "
                "fields, say quoting: true",
            )
        if any("\0" in name for name in names):
            raise self._malformed(
                line,
                "NUL characters in the names of columns; another encoding has them (encoding: utf-16-le)",
            )


def _without_bare_returns(line: str, instead: str) -> str:
    content = line.rstrip("\r")
    return content.replace("\r", instead) + line[len(content) :]
