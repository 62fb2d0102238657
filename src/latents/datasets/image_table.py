"""Tables of pictures in Parquet, as the Hugging Face Hub keeps its data sets."""

import json
import logging
import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from kedro.io import DatasetError
from numpy.typing import NDArray

from latents.datasets.decoding import PictureForm
from latents.datasets.folders import files_within, split_of
from latents.datasets.parquet import opened_parquet
from latents.datasets.pictures import Source, read_pictures
from latents.datasets.read_only import ReadOnlyDataset
from latents.datasets.unpacking import Size, bytes_of, check_unpacked
from latents.features.labels import numbers_if_whole
from latents.messages import some_of
from latents.places import Access, Place, now, place

logger = logging.getLogger(__name__)

_SHARD = re.compile(r"(?P<split>.+?)-\d+-of-\d+(-\w+)?")  # train-00000-of-00002
_BATCH_BYTES = 1 << 26  # of pictures that are in memory as files
_WAY_OUT = "mend it, or leave the row out"


class _Columns(NamedTuple):
    """Which columns mean what, and the classes that numbers in the column of labels stand for."""

    image: str
    label: str | None
    classes: list[str] | None


class ImageTableDataset(ReadOnlyDataset[dict[str, NDArray[Any]]]):
    """Parquet files with a picture file in each row, in the layout of Hugging Face's ``datasets``.

    A column has the pictures, as ``struct<bytes, path>`` or as bytes; another one, if there is one, labels.
    Numbers of classes that the schema names become these names, and -1 among them is a missing label. In a folder
    of files those called ``train-…`` and ``test-…`` (or ``validation-…``), or in folders called so, are a split.

    Parameters
    ----------
    filepath : str
        The file, or a folder of them.
    image : str, optional
        The column of pictures; by default the only one that can be.
    label : str, optional
        The column of labels; by default the only one with named classes, or ``label``, where there is one.
    size, grey, fit, bits
        What pictures are brought to, as ``ImageFolderDataset`` has it.
    pattern : str
        Which files of a folder to read.
    max_unpacked : int or str, optional
        How large a file may become when unpacked, in bytes or as ``4 GiB``, if not as ``unpacking`` has it.
    credentials, fs_args : mapping, optional
        What a store is opened with, where the address is one of a store (see ``places``).
    metadata : dict, optional
        For Kedro's plugins.
    """

    def __init__(
        self,
        filepath: str,
        image: str | None = None,
        label: str | None = None,
        size: Sequence[int] | None = None,
        grey: bool = False,
        fit: str = "crop",
        bits: int | None = None,
        pattern: str = "*.parquet",
        max_unpacked: Size = None,
        credentials: Access = None,
        fs_args: Access = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        self._place = place(filepath, credentials, fs_args)
        self._image = image
        self._label = label
        self._form = PictureForm(size, grey, fit, bits)
        self._pattern = pattern
        self._max_unpacked = bytes_of(max_unpacked)
        super().__init__(metadata)

    def load(self) -> dict[str, NDArray[Any]]:
        """Return ``images`` and, where the table has them, ``labels``, ``names`` (paths) and ``held_out``."""
        paths, folder = [self._place], now(self._place)
        if folder.is_dir():
            paths = [folder / name for name in files_within(folder, self._pattern)]
        elif not self._place.is_file():
            raise DatasetError(f"there is no file {self._place}")
        columns = [self._columns(path) for path in paths]
        for path, found in zip(paths, columns, strict=True):
            if found != columns[0]:
                raise DatasetError(f"{path} and {paths[0]} have different columns, or other classes in them")
        lengths = []
        for path in paths:
            with opened_parquet(path) as file:
                check_unpacked(path, _unpacked(file), self._max_unpacked)
                lengths.append(int(file.metadata.num_rows))
        if not sum(lengths):
            raise DatasetError(f"{self._place} has no row")
        image, label, classes = columns[0]
        batches = (batch for path in paths for batch in _pictures(path, image))
        data = {"images": read_pictures(self._form, sum(lengths), batches, _WAY_OUT)}
        if label is not None:
            labels = np.concatenate([_labels(path, label, classes) for path in paths])
            data["labels"] = numbers_if_whole(labels)
        names = [name for path in paths for name in _names(path, image)]
        if all(names):
            data["names"] = np.array(names)
        held_out = self._held_out(paths)
        if held_out is not None:
            data["held_out"] = np.repeat(held_out, lengths)
        return data

    def _columns(self, path: Place) -> _Columns:
        with opened_parquet(path) as file:
            schema = file.schema_arrow
        for parameter, name in (("image", self._image), ("label", self._label)):
            if name is not None and name not in schema.names:
                raise DatasetError(
                    f"{path} has no column {name!r:.80}, which {parameter} names; it has {some_of(schema.names)}"
                )
        pictures = [field.name for field in schema if _holds_pictures(field.type)]
        if self._image is not None and self._image not in pictures:
            raise DatasetError(
                f"{path}: column {self._image!r:.80} is of type {schema.field(self._image).type!s:.80}; allowed "
                "are struct<bytes, path> and binary"
            )
        if self._image is None and len(pictures) != 1:
            found = (
                f"several columns of pictures, {some_of(pictures)}; name one"
                if pictures
                else (
                    f"no column of pictures (struct<bytes, path> or binary), but {some_of(schema.names)}; name it"
                )
            )
            raise DatasetError(f"{path} has {found} by `image`")
        classes = _classes(path, schema)
        label = self._label
        if label is None and len(classes) == 1:
            (label,) = classes
        elif label is None and "label" in schema.names:
            label = "label"
        elif label is None and classes:
            raise DatasetError(
                f"{path} has several columns of classes, {some_of(classes)}; name one by `label`"
            )
        if label is not None:
            _check_kind(path, label, schema.field(label).type, classes.get(label))
        return _Columns(self._image or pictures[0], label, classes.get(label or ""))

    def _held_out(self, paths: Sequence[Place]) -> list[bool] | None:
        """Say of each file whether it is held out, or None where file names are no split."""
        parts = []
        for path in paths:
            shard = _SHARD.fullmatch(path.stem)
            # The Hub's own conversions are called train/0000.parquet.
            parts.append(shard["split"] if shard else path.parent.name if path.stem.isdigit() else path.stem)
        split = split_of(set(parts))
        if split is None:
            return None
        uses = [f"{part} is {'held out' if out else 'trained on'}" for part, out in sorted(split.items())]
        logger.info("the files of %s are a split: %s", self._place, ", ".join(uses))
        return [split[part] for part in parts]

    def _describe(self) -> dict[str, Any]:
        return {
            "filepath": str(self._place),
            "image": self._image,
            "label": self._label,
            **self._form.describe(),
            "pattern": self._pattern,
            "max_unpacked": self._max_unpacked,
        }


def _unpacked(file: Any) -> int:
    """Return the bytes that a file says to have when unpacked."""
    return sum(
        file.metadata.row_group(group).total_byte_size for group in range(file.metadata.num_row_groups)
    )


def _holds_pictures(kind: Any) -> bool:
    if pa.types.is_struct(kind):
        return any(
            kind.field(i).name == "bytes" and _is_binary(kind.field(i).type) for i in range(kind.num_fields)
        )
    return _is_binary(kind)


def _is_binary(kind: Any) -> bool:
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _classes(path: Place, schema: Any) -> dict[str, list[str]]:
    """Return the names of classes that Hugging Face keeps in the schema, by column."""
    content = (schema.metadata or {}).get(b"huggingface")
    if content is None:
        return {}
    try:
        features = json.loads(content)["info"]["features"]
        found = {
            name: feature["names"]
            for name, feature in features.items()
            if feature.get("_type") == "ClassLabel"
        }
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DatasetError(
            f"{path}: what the schema keeps under 'huggingface' is not as Hugging Face writes it ({error!r:.80})"
        ) from error
    for name, names in found.items():
        if not isinstance(names, list) or not all(isinstance(one, str) for one in names):
            raise DatasetError(
                f"{path}: the names of the classes of {name!r:.80} are {names!r:.80}; allowed are texts"
            )
    return {name: names for name, names in found.items() if name in schema.names}


def _check_kind(path: Place, label: str, kind: Any, classes: list[str] | None) -> None:
    is_text = pa.types.is_string(kind) or pa.types.is_large_string(kind)
    if not pa.types.is_integer(kind) and (classes is not None or not is_text):
        raise DatasetError(
            f"{path}: column {label!r:.80} is of type {kind!s:.80}; allowed for labels are whole numbers and "
            "texts, one for each picture (name another column by `label`)"
        )


def _pictures(path: Place, image: str) -> Iterator[list[Source]]:
    """Yield the pictures of a file, some at a time."""
    with opened_parquet(path) as file:
        n_rows = _BATCH_BYTES * file.metadata.num_rows // max(_unpacked(file), 1)
        row = 0
        for batch in file.iter_batches(max(1, min(1024, n_rows)), columns=[image]):
            sources = []
            for cell in batch.column(0).to_pylist():
                sources.append(Source(f"{path}, row {row}", _content(f"{path}, row {row}", image, cell)))
                row += 1
            yield sources


def _content(place: str, image: str, cell: Any) -> bytes:
    content = cell.get("bytes") if isinstance(cell, dict) else cell
    if content is None:
        at = cell.get("path") if isinstance(cell, dict) else None
        found = (
            "is empty"
            if at is None
            else f"has no picture, but says that it is at {at!r:.80}; write it into the table, as "
            "datasets.table.embed_table_storage does"
        )
        raise DatasetError(f"{place}: column {image!r:.80} {found}")
    return bytes(content)


def _labels(path: Place, label: str, classes: list[str] | None) -> NDArray[Any]:
    with opened_parquet(path) as file:
        cells = file.read(columns=[label]).column(0)
    if classes is None:
        if pa.types.is_integer(cells.type):
            numbers: NDArray[Any] = cells.to_numpy()
            return numbers
        return np.array(["" if cell is None else cell for cell in cells.to_pylist()])
    named: dict[int | None, str] = {**dict(enumerate(classes)), -1: "", None: ""}
    coded = cells.to_pylist()
    for row, number in enumerate(coded):
        if number not in named:
            raise DatasetError(
                f"{path}, row {row}: column {label!r:.80} is {number}; the schema names {len(classes)} classes, "
                "numbered from 0"
            )
    return np.array([named[number] for number in coded])


def _names(path: Place, image: str) -> list[str]:
    """Return the paths that pictures had, empty where a row has none."""
    with opened_parquet(path) as file:
        kind = file.schema_arrow.field(image).type
        if not pa.types.is_struct(kind) or kind.get_field_index("path") < 0:
            return [""] * int(file.metadata.num_rows)
        cells = file.read(columns=[f"{image}.path"]).column(0).to_pylist()
    return [(cell or {}).get("path") or "" for cell in cells]
