"""Hostile files and values: broken, lying, or too much; each with what its refusal must say.

All are refused by the project, or by an error of the library that reads them.
"""

import gzip
import io
import json
import os
import pickle
import random
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import yaml
from PIL import Image
from scipy import sparse

from _common import ROOT
from latents import datasets, estimators, predictors
from latents.features.words import WordRules
from latents.pipelines.clustering.corpus import ingest
from latents.pipelines.clustering.parameters import FitParameters
from latents.pipelines.documents import IngestParameters
from latents.pipelines.images import check_images

TRAP = "sprung"
"""What a pickle leaves behind if it is ever loaded."""
MODELS = "models"
"""Where the models lie, beside the folders of the cases."""

Content = str | bytes | Callable[[Path, Path], object]
Read = Callable[[Path], object]
Table = Mapping[str, tuple[Content, str | None]]


class Case(NamedTuple):
    """Something hostile.

    Attributes
    ----------
    group, title : str
        What is hostile, and how.
    make : callable
        Writes it into an empty folder, the first argument; the second has models that it may damage.
    read : callable
        Reads what is in the folder, as a run does.
    named : str
        The file or parameter that the refusal must name.
    said : str, optional
        What it must say beside; None if it may as well be read.
    """

    group: str
    title: str
    make: Callable[[Path, Path], None]
    read: Read
    named: str
    said: str | None


def write(path: Path, content: Content, models: Path) -> None:
    """Write a file: a text, bytes, or what a function of the path makes there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, str):
        path.write_text(content, encoding="utf-8", newline="")
    elif isinstance(content, bytes):
        path.write_bytes(content)
    else:
        content(path, models)


def cases(
    group: str,
    read: Read,
    file: str,
    table: Table,
    beside: Mapping[str, Content] | None = None,
    named: str | None = None,
) -> Iterator[Case]:
    """Yield a case for each title of a table: what is in the file, and what must be said of it.

    Parameters
    ----------
    group : str
    read : callable
    file : str
        The one that is hostile, within the folder.
    table : mapping
        From titles to content and words of the refusal.
    beside : mapping, optional
        Other files by name, which are as they should be.
    named : str, optional
        What the refusal must name, if not the file.
    """

    def make(folder: Path, models: Path, content: Content) -> None:
        for name, other in (beside or {}).items():
            write(folder / name, other, models)
        write(folder / file, content, models)

    for title, (content, said) in table.items():
        yield Case(group, title, partial(make, content=content), read, file if named is None else named, said)


# --- how things are made ----------------------------------------------------------------------------------


def bomb(path: Path, _: Path) -> None:
    """Write a few MiB that unpack to 2 GiB of zeros: a .gz file may be many, one after the other."""
    path.write_bytes(128 * gzip.compress(bytes(2**24)))


def bombed(beginning: str) -> Content:
    """Return content that unpacks to a beginning, and then to 2 GiB of blanks."""
    return lambda path, _: path.write_bytes(
        gzip.compress(beginning.encode()) + 128 * gzip.compress(b" " * 2**24)
    )


def cut(content: bytes, keep: float = 0.5) -> bytes:
    """Return the first part of a file."""
    return content[: int(len(content) * keep)]


def npy(shape: str, kind: str = "'|u1'", data: bytes = bytes(72), header: str | None = None) -> bytes:
    """Return a .npy file by its own description, whose header may lie."""
    said = header or f"{{'descr': {kind}, 'fortran_order': False, 'shape': {shape}, }}"
    padded = said.ljust(117) + "\n"
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(padded)) + padded.encode() + data


def idx(sizes: tuple[int, ...], data: bytes, code: int = 0x08, n: int | None = None) -> bytes:
    """Return an IDX file by its own description, whose header may lie."""
    return struct.pack(f">4B{len(sizes)}I", 0, 0, code, len(sizes) if n is None else n, *sizes) + data


def archive(members: Mapping[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    """Return a .zip file."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as zipped:
        for name, content in members.items():
            zipped.writestr(name, content)
    return file.getvalue()


def marked(content: bytes, offset: int, value: int) -> bytes:
    """Set a field of 2 bytes in both headers of the first file of an archive; `offset` is that of the first."""
    changed = bytearray(content)
    for signature, shift in ((b"PK\3\4", 0), (b"PK\1\2", 2)):
        struct.pack_into("<H", changed, content.index(signature) + offset + shift, value)
    return bytes(changed)


def picture(kind: str = "PNG", size: tuple[int, int] = (40, 30), mode: str = "RGB") -> bytes:
    """Return a picture of noise."""
    file = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (*size[::-1], 3), dtype=np.uint8)
    Image.fromarray(noise).convert(mode).save(file, kind)
    return file.getvalue()


def vast_picture() -> bytes:
    """Return a PNG whose header speaks of 60,000 x 60,000 pixels."""
    content = bytearray(picture())
    content[16:24] = struct.pack(">2I", 60000, 60000)
    content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
    return bytes(content)


class Trap:
    """What leaves a file behind if it is ever unpickled."""

    def __init__(self, folder: Path) -> None:
        self.place = folder / TRAP

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.place,))


def trap(path: Path, _: Path) -> None:
    """Write a pickle."""
    path.write_bytes(pickle.dumps(Trap(path.parent)))


def trap_npy(path: Path, _: Path) -> None:
    """Write a .npy file of Python objects."""
    np.save(path, np.array([Trap(path.parent)] * 6), allow_pickle=True)


def trap_npz(**others: Any) -> Content:
    """Return an .npz file of Python objects, beside other arrays; a name may be given to the objects."""
    name = others.pop("name", "images")
    return lambda path, _: np.savez(
        path, allow_pickle=True, **{**others, name: np.array([Trap(path.parent)] * 6)}
    )


def npz(**arrays: Any) -> bytes:
    """Return an .npz file."""
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def npz_bomb(path: Path, _: Path) -> None:
    """Write an .npz file of some MiB that holds 2 GiB of zeros."""
    shape = (2**31 // 4096, 64, 64)
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as zipped,
        zipped.open("images.npy", "w", force_zip64=True) as member,
    ):
        member.write(npy(str(shape), data=b""))
        for _ in range(2**31 // 2**24):
            member.write(bytes(2**24))


def parquet(**columns: Any) -> bytes:
    """Return a Parquet file."""
    file = io.BytesIO()
    pd.DataFrame(columns).to_parquet(file)
    return file.getvalue()


def link_to(target: str) -> Content:
    """Return a symbolic link, which may lead anywhere."""
    return lambda path, _: path.symlink_to(target)


def nothing(path: Path, _: Path) -> None:
    """Write no file."""


def a_folder(path: Path, _: Path) -> None:
    """Make a folder where a file should be."""
    path.mkdir()


def badly_named(path: Path, _: Path) -> None:
    """Write a file whose name is no UTF-8."""
    Path(os.fsdecode(os.fsencode(path.parent) + b"/\xff.png")).write_bytes(picture())


def deep(depth: int) -> str:
    """Return JSON that is deeply nested."""
    return "[" * depth + "]" * depth


# --- texts and bags of words --------------------------------------------------------------------------------


def documents(entry: str, file: str, **options: Any) -> Read:
    """Return a way to read documents, as the pipeline does."""
    return partial(_ingested, entry, file, options)


def _ingested(entry: str, file: str, options: dict[str, Any], folder: Path) -> object:
    raw = getattr(datasets, entry)(str(folder / file), **options).load()
    judging = FitParameters.model_construct(use_labels="judge")
    return ingest(raw, IngestParameters(text_column="text", label_column="label"), judging)


def bags() -> Iterator[Case]:
    """Yield counts of numbered words that are none."""
    words, head = {"vocab.x.txt": "a\nb\n"}, "2\n2\n1\n"
    uci = documents("BagOfWordsDataset", "docword.x.txt", format="uci")
    table: dict[str, tuple[Content, str | None]] = {
        "two billion documents": ("2000000000\n2\n1\n1 1 1\n", "2000000000"),
        "2**31 documents": ("2147483648\n2\n1\n1 1 1\n", "line 1: the number of documents is 2147483648"),
        "10**400 documents": (f"1{'0' * 400}\n2\n1\n1 1 1\n", "line 1"),
        "-1 documents": ("-1\n2\n1\n1 1 1\n", "line 1"),
        "two billion entries": ("1\n2\n2000000000\n1 1 1\n", "line 3"),
        "two billion words": ("1\n2000000000\n1\n1 1 1\n", "line 2"),
        "a text for a number": ("many\n2\n1\n1 1 1\n", "line 1"),
        "nothing": ("", "line 1"),
        "a header alone": (head, "line 3"),
        "two fields": (f"{head}1 1\n", "line 4: 2 fields"),
        "word 0": (f"{head}1 0 1\n", "line 4: the word is 0"),
        "word 3 of 2": (f"{head}1 3 1\n", "line 4: the word is 3"),
        "document 3 of 2": (f"{head}3 1 1\n", "line 4: the document is 3"),
        "a count of 0": (f"{head}1 1 0\n", "line 4: the count of word 1 is '0'"),
        "a count of 2**40": (f"{head}1 1 {2**40}\n", "line 4: the count"),
        "a count of NaN": (f"{head}1 1 nan\n", "line 4: the count of word 1 is 'nan'"),
        "half a count": (f"{head}1 1 0.5\n", "line 4: the count of word 1 is '0.5'"),
        "a count of 5,000 digits": (f"{head}1 1 {'9' * 5000}\n", "line 4"),
        "bytes that are no text": (head.encode() + b"1 1 \xff\n", "line 4: byte"),
        "zero bytes": (head.encode() + bytes(1000), "line 4"),
        "one line of 16 MiB": (head + "1" * 2**24, "line 4"),
        "a word twice": ("2\n2\n2\n1 1 1\n1 1 2\n", "line 5: a word is there twice"),
        "a folder": (a_folder, "there is no file"),
    }
    yield from cases("uci", uci, "docword.x.txt", table, words)
    named = {
        "no vocabulary": (nothing, "there is no vocabulary"),
        "a word twice in the vocabulary": ("a\na\n", "line 2: the word 'a'"),
        "an empty word": ("a\n\nb\n", "line 2: there is no word"),
        "too few words": ("a\n", "docword.x.txt, line 2: says 2 words"),
        "a vocabulary that is no text": (b"a\n\xff\n", "line 2: byte"),
    }
    yield from cases("uci", uci, "vocab.x.txt", named, {"docword.x.txt": "1\n2\n1\n1 1 1\n"})
    packed = {
        "no .gz": ("2\n2\n1\n", "is no whole .gz file"),
        "half a .gz": (cut(gzip.compress(random.Random(0).randbytes(999))), "is no whole .gz file"),
        "cut before the end": (gzip.compress(f"{head}1 1 1\n".encode())[:-6], "is no whole .gz file"),
        "2 GiB of zeros": (bomb, ""),
        "2 GiB of blanks": (bombed(f"{head}1 1 1\n"), ""),
    }
    zipped = documents("BagOfWordsDataset", "docword.x.txt.gz", format="uci")
    yield from cases("uci", zipped, "docword.x.txt.gz", packed, words)

    svmlight = documents("BagOfWordsDataset", "x.svm", format="svmlight")
    table = {
        "nothing": ("", "has no document"),
        "comments alone": ("# a\n# b\n", "has no document"),
        "no label": ("1:1 2:1\n", "line 1"),
        "no colon": ("0 1:1\n0 12\n", "line 2: '12' is no number:count"),
        "word -1": ("0 -1:1\n", "line 1: the word is -1"),
        "word 2**40": (f"0 {2**40}:1\n", "line 1: the word is"),
        "a negative count": ("0 1:-1\n", "line 1: the count of word 1 is '-1'"),
        "half a count": ("0 1:0.5\n", "line 1: the count of word 1 is '0.5'"),
        "an infinite count": ("0 1:inf\n", "line 1: the count of word 1 is 'inf'"),
        "a hexadecimal count": ("0 1:0x10\n", "line 1: the count of word 1 is '0x10'"),
        "a count with an underscore": ("0 1:1_0\n", "line 1: the count of word 1 is '1_0'"),
        "a word twice": ("0 1:1 1:2\n", "line 1: a word is there twice"),
        "bytes that are no text": (b"0 1:1\n0 1:\xff\n", "line 2: byte"),
        "a label that is no text": (b"\xff 1:1\n", "line 1: byte"),
        "zero bytes": (bytes(1000), "line 1"),
        "a picture": (picture(), "line 1"),
        "one line of 16 MiB": ("9" * 2**24 + ":1", "line 1"),
    }
    yield from cases("svmlight", svmlight, "x.svm", table)
    zipped = documents("BagOfWordsDataset", "x.svm.gz", format="svmlight")
    yield from cases("svmlight", zipped, "x.svm.gz", {"2 GiB of zeros": (bomb, "")})

    numbered = documents("BagOfWordsDataset", "x.libsvm", format="numbered")
    table = {
        "nothing": ("", "has no document"),
        "no tab": ("d1 1:1\n", "line 1"),
        "no id": ("\t1:1\n", "line 1"),
        "an id twice": ("d\t1:1\nd\t2:1\n", "line 2: document 'd' is on line 1 already"),
        "a word without a name": ("d\t7:1\n", "line 1: the word is 7"),
        "no count": ("d\t1:\n", "line 1: the count of word 1 is ''"),
        "a count of 2**31": (f"d\t1:{2**31}\n", "line 1: the count"),
    }
    good = {"x.vocab": "1\ta\t5\n2\tb\t5\n"}
    yield from cases("numbered", numbered, "x.libsvm", table, good)
    named = {
        "two fields": ("1\ta\n", "line 1: 2 fields"),
        "a number twice": ("1\ta\t1\n1\tb\t1\n", "line 2: the number 1"),
        "number 2**40": (f"{2**40}\ta\t1\n", "line 1: the number is"),
        "nothing": ("", "line 1"),
    }
    yield from cases("numbered", numbered, "x.vocab", named, {"x.libsvm": "d\t1:1\n"})


def matrices() -> Iterator[Case]:
    """Yield counts in formats of matrices that are none."""
    lda = documents("BagOfWordsDataset", "x.ldac", format="lda-c")
    table: dict[str, tuple[Content, str | None]] = {
        "nothing": ("", "has no document"),
        "two billion pairs": ("2000000000 0:1\n", "line 1: says 2000000000"),
        "a pair too many": ("1 0:1\n1 0:1 1:1\n", "line 2: says 1"),
        "no colon": ("1 01\n", "line 1"),
        "word -1": ("1 -1:1\n", "line 1: the word is -1"),
        "a count of 0": ("1 0:0\n", "line 1: the count of word 0 is '0'"),
        "a word twice": ("2 0:1 0:1\n", "line 1"),
        "no number": ("x 0:1\n", "line 1"),
        "no text": (b"1 0:\xff\n", "line 1"),
    }
    yield from cases("lda-c", lda, "x.ldac", table)
    as_svmlight = documents("BagOfWordsDataset", "x.svm", format="svmlight")
    rows = "".join(f"{n} " + " ".join(f"{word}:1" for word in range(1, n + 1)) + "\n" for n in range(1, 9))
    yield from cases("lda-c", as_svmlight, "x.svm", {"taken for svmlight": (rows, "lda-c")})

    head = "%%MatrixMarket matrix coordinate integer general\n"
    table = {
        "nothing": ("", "line 1"),
        "a picture": (picture(), "line 1"),
        "no kind": ("%%MatrixMarket\n1 1 1\n1 1 1\n", "line 1"),
        "an array": (head.replace("coordinate", "array") + "1 1\n1\n", "line 1: the format is 'array'"),
        "complex numbers": (head.replace("integer", "complex") + "1 1 1\n1 1 1 1\n", "line 1: the field is"),
        "Hermitian": (head.replace("general", "hermitian") + "1 1 1\n1 1 1\n", "line 1: the symmetry is"),
        "no sizes": (head, "line 2"),
        "two sizes": (f"{head}1 1\n", "line 2: 2 sizes"),
        "two billion rows": (f"{head}2000000000 1 1\n1 1 1\n", "line 2"),
        "two billion columns and rows": (f"{head}2000000000 2000000000 1\n1 1 1\n", "line 2"),
        "10**30 rows": (f"{head}{10**30} 1 1\n1 1 1\n", "line 2"),
        "two billion entries": (f"{head}1 1 2000000000\n1 1 1\n", "line 2: says 2000000000 entries"),
        "an entry too many": (f"{head}1 1 1\n1 1 1\n1 1 1\n", "line 2: says 1 entries"),
        "row 0": (f"{head}1 1 1\n0 1 1\n", "line 3: the row is 0"),
        "column 2 of 1": (f"{head}1 1 1\n1 2 1\n", "line 3: the column is 2"),
        "a count of -1": (f"{head}1 1 1\n1 1 -1\n", "line 3: the count is '-1'"),
        "half a count": (f"{head.replace('integer', 'real')}1 1 1\n1 1 0.5\n", "line 3: the count is '0.5'"),
        "NaN": (f"{head.replace('integer', 'real')}1 1 1\n1 1 nan\n", "line 3: the count is 'nan'"),
        "no square": (f"{head.replace('general', 'symmetric')}1 2 1\n1 1 1\n", "line 2"),
        "no text": (head.encode() + b"1 1 1\n1 1 \xff\n", "line 3: byte"),
        "a million lines of comments": (head + "%\n" * 10**6, ""),
    }
    yield from cases("Matrix Market", documents("BagOfWordsDataset", "x.mtx", format="mtx"), "x.mtx", table)
    packed = {"2 GiB of zeros": (bomb, ""), "2 GiB of blanks": (bombed(f"{head}1 1 1\n1 1 1\n"), "")}
    zipped = documents("BagOfWordsDataset", "x.mtx.gz", format="mtx")
    yield from cases("Matrix Market", zipped, "x.mtx.gz", packed)

    parts = {"data": np.ones(2, int), "indices": np.array([0, 1]), "indptr": np.array([0, 1, 2])}
    whole = {**parts, "format": np.array(b"csr"), "shape": np.array([2, 2])}

    def changed(**others: Any) -> bytes:
        return npz(**{**whole, **others})

    table = {
        "nothing": (b"", ""),
        "a pickle": (trap, ""),
        "Python objects": (trap_npz(**{**whole, "name": "data"}), "data"),
        "no matrix": (npz(images=np.zeros(3)), "images"),
        "no such format": (changed(format=np.array(b"dia")), "dia"),
        "two billion rows": (changed(shape=np.array([2 * 10**9, 2])), ""),
        "-2 rows": (changed(shape=np.array([-2, 2])), "shape"),
        "2**62 rows": (changed(shape=np.array([2**62, 2**62])), "shape"),
        "word 10**9": (changed(indices=np.array([0, 10**9])), ""),
        "word -1": (changed(indices=np.array([0, -1])), ""),
        "rows that fall": (changed(indptr=np.array([0, 2, 1])), ""),
        "half a count": (changed(data=np.array([1, 0.5])), "0.5"),
        "NaN": (changed(data=np.array([1, np.nan])), "nan"),
        "a count of -1": (changed(data=np.array([1, -1])), "-1"),
        "two billion empty rows by coordinates": (
            npz(
                format=np.array(b"coo"),
                shape=np.array([2 * 10**9, 2]),
                data=np.ones(1),
                row=np.zeros(1, int),
                col=np.zeros(1, int),
            ),
            "",
        ),
    }
    yield from cases("counts, npz", documents("BagOfWordsDataset", "x.npz", format="npz"), "x.npz", table)
    if find_spec("h5py") is not None:  # an extra
        table = {
            "nothing": (b"", "is no whole .h5ad file"),
            "a pickle": (trap, "is no whole .h5ad file"),
            "a text": ("hello", "is no whole .h5ad file"),
            "half a file": (partial(h5ad, keep=0.5), "is no whole .h5ad file"),
            "nothing in it": (partial(h5ad, without=("obs", "var", "X")), "obs"),
            "no counts": (partial(h5ad, without=("X",)), "X"),
            "too few names": (partial(h5ad, obs=["a"]), "shape"),
            "half a count": (partial(h5ad, X=[[0.5, 1], [1, 1]]), "0.5"),
            "NaN": (partial(h5ad, X=[[np.nan, 1], [1, 1]]), "nan"),
            "8 GiB that nobody wrote": (partial(h5ad, lying=(2**30, 2)), ""),
            "a link to another file": (partial(h5ad, linked="/etc/hostname"), "link"),
        }
        read = documents("BagOfWordsDataset", "x.h5ad", format="h5ad")
        yield from cases("h5ad", read, "x.h5ad", table)


def h5ad(
    path: Path,
    _: Path,
    *,
    obs: Sequence[str] = ("a", "b"),
    X: Any = ((1, 2), (0, 3)),
    without: Sequence[str] = (),
    lying: tuple[int, int] | None = None,
    linked: str | None = None,
    keep: float = 1.0,
) -> None:
    """Write a file of anndata's, by its own description."""
    import h5py

    with h5py.File(path, "w") as file:
        for name, names in (("obs", obs), ("var", ("one", "two"))):
            file.create_group(name).attrs["_index"] = "_index"
            file[name]["_index"] = np.array(list(names), dtype=h5py.string_dtype())
        if linked is not None:
            file["X"] = h5py.ExternalLink(linked, "X")
        elif lying is not None:  # of chunks that were never written a file has nothing
            file.create_dataset("X", lying, dtype="f4", chunks=(2**10, 2))
        else:
            file["X"] = np.array(X, dtype=np.float64)
        for name in without:
            del file[name]
    path.write_bytes(cut(path.read_bytes(), keep))


def texts() -> Iterator[Case]:
    """Yield tables and folders of texts that are none."""
    table: dict[str, tuple[Content, str | None]] = {
        "nothing": ("", "is empty"),
        "names alone": ("text,label\n", "has no document"),
        "a field too many": ("text,label\na,b\na,b,c\n", "line 3: 3 fields"),
        "a quotation without an end": ('text,label\n"a,b\nc,d\n', "line 2"),
        "two columns of one name": ("text,text\na,b\n", "line 1"),
        "no text": ("body,label\na,b\n", "no column 'text'"),
        "no UTF-8": (b"text\na\n\xe4\n", "line 3: byte b'\\xe4'"),
        "UTF-16": ("text\na\n".encode("utf-16"), None),
        "a missing label": ("text,label\na,b\nc,\n", "line 3"),
        "a mark that is none": ("text,held_out\na,perhaps\n", "line 2: held_out is 'perhaps'"),
        "a mark of 10 MB": (f"text,held_out\na,{'x' * 10**7}\n", "line 2: held_out is"),
        "a picture": (picture(), "line 1"),
        "a folder": (a_folder, ""),
    }
    csv = documents("DocumentTableDataset", "x.csv")
    yield from cases("documents, CSV", csv, "x.csv", table)
    packed = {
        "2 GiB of zeros": (bomb, ""),
        "2 GiB of blanks": (bombed("text\na\n"), ""),
        "no .gz": ("text\na\n", "is no whole .gz file"),
    }
    zipped = documents("DocumentTableDataset", "x.csv.gz")
    yield from cases("documents, CSV", zipped, "x.csv.gz", packed)
    table = {
        "a row too short": ("text\tlabel\na\n", "line 2: 1 fields"),
        "a row too long": ("text\tlabel\na\tb\tc\n", "line 2: 3 fields"),
        "a comma for a tab": ("text,label\na,b\n", "no column 'text'"),
    }
    yield from cases("documents, TSV", documents("DocumentTableDataset", "x.tsv"), "x.tsv", table)
    row = '{"text": "a"}\n'
    table = {
        "nothing": ("", "has no document"),
        "no JSON": (f"{row}{{text}}\n", "line 2: no JSON"),
        "half an object": (f'{row}{{"text": "b\n', "line 2: no JSON"),
        "a list": (f"{row}[1]\n", "line 2"),
        "a list 100,000 deep": (f"{row}{deep(10**5)}\n", "line 2"),
        "a text 100,000 deep": (f'{row}{{"text": {deep(10**5)}}}\n', "line 2"),
        "a text 500 deep": (f'{row}{{"text": {deep(500)}}}\n', "line 2: text is"),
        "a key twice": ('{"text": "a", "text": "b"}\n', "line 1: there are several keys 'text'"),
        "half a character": ('{"text": "\\ud800"}\n', "line 1"),
        "a number of 10,000 digits": (f'{{"text": {"9" * 10000}}}\n', "line 1"),
        "a text that is an object": ('{"text": {"a": 1}}\n', "line 1: text is"),
        "a text that is a list of 5 MB": (f'{{"text": [{"1," * 10**6}1]}}\n', "line 1: text is"),
        "a text that is missing": (f'{row}{{"label": "b"}}\n', "line 2"),
    }
    yield from cases("documents, JSONL", documents("DocumentTableDataset", "x.jsonl"), "x.jsonl", table)
    whole = parquet(text=["a", "b"], label=["x", "y"])
    table = {
        "nothing": (b"", "is no whole Parquet file"),
        "a text": ("text\na\n", "is no whole Parquet file"),
        "half a file": (cut(whole), "is no whole Parquet file"),
        "without its end": (whole[:-4], "is no whole Parquet file"),
        "a lying length of its end": (whole[:-8] + b"\xff\xff\xff\x7fPAR1", "is no whole Parquet file"),
        "no row": (parquet(text=[], label=[]), "has no document"),
        "no text": (parquet(body=["a"]), "no column 'text'"),
        "bytes for text": (parquet(text=["a", "b"], label=[b"x" * 10**6, b"y"]), "row 0: label is"),
        "lists for text": (parquet(text=[["a"], ["b"]]), "row 0: text is"),
        "structures for text": (parquet(text=[{"bytes": b"x" * 10**6}] * 2), "row 0: text is"),
        "a missing label": (parquet(text=["a", "b"], label=["x", None]), "row 1"),
        "a folder without a file": (a_folder, ""),
    }
    yield from cases("documents, Parquet", documents("DocumentTableDataset", "x.parquet"), "x.parquet", table)
    folder = documents("TextFolderDataset", "texts")
    table = {
        "no UTF-8": (b"a\n\xff\n", "line 2: byte"),
        "UTF-16": ("some text".encode("utf-16"), None),
        "a link to itself": (link_to("b.txt"), None),
        "a link to the folder": (link_to("."), None),
        "a link to the folder above": (link_to(".."), None),
        "a link to nowhere": (link_to("nowhere.txt"), None),
        "a pipe that nobody fills": (lambda path, _: os.mkfifo(path), None),
    }
    yield from cases(
        "texts in a folder",
        folder,
        "texts/one/b.txt",
        table,
        {"texts/one/a.txt": "a", "texts/two/c.txt": "c"},
    )
    table = {
        "beside the labels": ("b", "lies beside the subfolders"),
        "a folder of links": (link_to("one"), None),
    }
    yield from cases("texts in a folder", folder, "texts/b", table, {"texts/one/a.txt": "a"})


# --- pictures, arrays, tables of numbers ----------------------------------------------------------------------


def images(entry: str, file: str, **options: Any) -> Read:
    """Return a way to read images, as the pipelines do."""
    return partial(_checked, entry, file, options)


def _checked(entry: str, file: str, options: dict[str, Any], folder: Path) -> object:
    return check_images(getattr(datasets, entry)(str(folder / file), **options).load())


def loaded(entry: str, file: str, folder: Path) -> object:
    """Load what Kedro's catalog names."""
    return getattr(datasets, entry)(str(folder / file)).load()


def pictures() -> Iterator[Case]:
    """Yield folders of pictures that are none."""
    read = images("ImageFolderDataset", "pictures", size=[8, 8], grey=True)
    good = {"pictures/one/a.png": picture(), "pictures/two/c.png": picture(size=(31, 40), mode="L")}
    table: dict[str, tuple[Content, str | None]] = {
        "nothing": (b"", "is refused"),
        "a text": ("hello", "is of none of the formats"),
        "half a PNG": (cut(picture()), "is refused"),
        "half a JPEG": (cut(picture("JPEG")), "is refused"),
        "half a GIF": (cut(picture("GIF")), "is refused"),
        "half a TIFF": (cut(picture("TIFF")), "is refused"),
        "half a BMP": (cut(picture("BMP")), "is refused"),
        "half a WebP": (cut(picture("WEBP")), "is refused"),
        "a header of 3.6 billion pixels": (vast_picture(), "is refused"),
        "a signature alone": (picture()[:8], "is refused"),
        "a PNG of wrong check sums": (picture().replace(b"IDAT", b"IDAT\0"), "is refused"),
        "an archive": (archive({"a.png": picture()}), "is of none of the formats"),
        "a program in PostScript": (
            "%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n",
            "is of none",
        ),
        "a drawing in SVG": ("<svg xmlns='http://www.w3.org/2000/svg'/>", "is of none of the formats"),
        "a pickle": (trap, "is of none of the formats"),
        "a PGM of 10**12 pixels": (b"P5 1000000 1000000 255\n" + bytes(99), "is refused"),
        "32-bit numbers": (picture("TIFF", mode="F"), "32-bit"),
        "a link to nowhere": (link_to("nowhere.png"), None),
        "a link to itself": (link_to("b.png"), None),
        "a link to the folder above": (link_to(".."), None),
        "a pipe that nobody fills": (lambda path, _: os.mkfifo(path), None),
    }
    yield from cases("pictures", read, "pictures/one/b.png", table, good, "b.png")
    table = {
        "a name that is no UTF-8": (badly_named, "is no utf-8"),
        "a label without a picture": (nothing, None),
    }
    yield from cases("pictures", read, "pictures/three/b.png", table, good, "")
    row = {"bytes": picture(), "path": "a.png"}
    whole = parquet(image=[row, {"bytes": picture(size=(31, 40)), "path": "b.png"}])
    table = {
        "nothing": (b"", "x.parquet"),
        "half a file": (cut(whole), "x.parquet"),
        "no picture": (parquet(text=["a", "b"]), "x.parquet"),
        "half a picture": (parquet(image=[row, {"bytes": cut(picture()), "path": "b.png"}]), "row 1"),
        "a picture that is missing": (parquet(image=[row, None]), "row 1"),
        "bytes that are missing": (parquet(image=[row, {"bytes": None, "path": "/etc/hostname"}]), "row 1"),
        "a program in PostScript": (parquet(image=[row, {"bytes": b"%!PS-Adobe-3.0 EPSF-3.0\n"}]), "row 1"),
        "a header of 3.6 billion pixels": (parquet(image=[row, {"bytes": vast_picture()}]), "row 1"),
    }
    in_rows = images("ImageTableDataset", "x.parquet", size=[8, 8], grey=True)
    yield from cases("pictures in Parquet", in_rows, "x.parquet", table)
    unequal = {"of another size": (picture(size=(41, 30)), "30 x 41")}
    as_they_are = images("ImageFolderDataset", "pictures")
    yield from cases("pictures", as_they_are, "pictures/two/b.png", unequal, good, "b.png")
    for size in ([100000, 100000], [10**9, 1], [0, 8], [-1, 8], [8.5, 8], [True, 8], "8x8", [8], [[8], 8]):
        ask = images("ImageFolderDataset", "pictures", size=size)
        yield from cases("pictures", ask, "pictures/d.png", {f"size {size}": (picture(), "")}, named="size")


def arrays() -> Iterator[Case]:
    """Yield arrays that are none."""
    pixels = bytes(range(72))
    table: dict[str, tuple[Content, str | None]] = {
        "nothing": (b"", "is no IDX file"),
        "a picture": (picture(), "is no IDX file"),
        "a pickle": (trap, "is no IDX file"),
        "no such type": (idx((6, 4, 3), pixels, code=0x0A), "the type of its numbers is 0x0a"),
        "no dimension": (b"\0\0\x08\0", "has 0 dimensions"),
        "255 dimensions": (idx((), pixels, n=255), "has 255 dimensions"),
        "half a header": (idx((6,), b"", n=3), "ends within its header"),
        "10**28 pixels": (idx((2**32 - 1,) * 3, pixels), "its header says"),
        "4 GiB": (idx((2**20, 64, 64), pixels), "its header says 4294967296"),
        "a byte too few": (idx((6, 4, 3), pixels[:-1]), "71 bytes"),
        "a byte too many": (idx((6, 4, 3), pixels + b"\0"), "73 bytes"),
        "no image": (idx((0, 4, 3), b""), ""),
        "images without pixels": (idx((6, 0, 3), b""), ""),
        "one dimension": (idx((72,), pixels), "has shape (72,)"),
        "NaN": (idx((3, 2, 3), np.full(18, np.nan, ">f4").tobytes(), code=0x0D), "NaN"),
    }
    by_file = {"NaN", "no image", "images without pixels"}  # found in the array, where no file is known
    for title, case in table.items():
        where = "image" if title in by_file else "x-ubyte"
        yield from cases("IDX", images("IdxDataset", "x-ubyte"), "x-ubyte", {title: case}, named=where)
    packed = {
        "2 GiB of zeros": (bomb, "x.gz"),
        "2 GiB behind 72 bytes": (
            lambda path, _: path.write_bytes(
                gzip.compress(idx((6, 4, 3), pixels)) + 128 * gzip.compress(bytes(2**24))
            ),
            "x.gz",
        ),
        "2 GiB, and a header that says so": (
            lambda path, _: path.write_bytes(
                gzip.compress(idx((2**19, 64, 64), b"")) + 128 * gzip.compress(bytes(2**24))
            ),
            "x.gz",
        ),
        "no .gz": (idx((6, 4, 3), pixels), "is no whole .gz file"),
    }
    yield from cases("IDX", images("IdxDataset", "x.gz"), "x.gz", packed)
    table = {
        "one too few": (idx((5,), bytes(5)), "labels of shape (5,)"),
        "two dimensions": (idx((6, 1), bytes(6)), "labels of shape"),
        "nothing there": (nothing, "there is no file"),
    }
    read = images("IdxDataset", "x-ubyte", labels="y-ubyte")
    yield from cases("IDX", read, "y-ubyte", table, {"x-ubyte": idx((6, 4, 3), pixels)})

    table = {
        "nothing": (b"", "is no whole .npy file"),
        "a pickle": (trap, "is no whole .npy file"),
        "Python objects": (trap_npy, "Python objects"),
        "half a header": (npy("(6, 4, 3)")[:40], "is no whole .npy file"),
        "a lying length of the header": (b"\x93NUMPY\1\0\xff\xff{", "is no whole .npy file"),
        "version 9": (b"\x93NUMPY\x09\0" + npy("(6, 4, 3)")[8:], "is no whole .npy file"),
        "a byte too few": (npy("(6, 4, 3)")[:-1], "x.npy"),
        "a byte too many": (npy("(6, 4, 3)") + b"\0", "bytes; its header says"),
        "10**18 pixels": (npy("(1000000000, 1000000, 1000)"), "x.npy"),
        "2**200 pixels": (npy("(1099511627776,) * 5", header=None), "x.npy"),
        "10**60 pixels": (npy(f"({10**30}, {10**30})"), "x.npy"),
        "-6 images": (npy("(-6, 4, -3)"), "x.npy"),
        "2.5 images": (npy("(2.5, 4, 3)"), "x.npy"),
        "no shape": (npy("", header="{'descr': '|u1', 'fortran_order': False}"), "x.npy"),
        "a call for a type": (npy("(6, 4, 3)", "__import__('os').getcwd()"), "x.npy"),
        "no such type": (npy("(6, 4, 3)", "'|q9'"), "x.npy"),
        "structures": (npy("(6, 4, 1)", "[('a', '|u1'), ('b', '<u2')]"), "type"),
        "dates": (npy("(3, 1, 3)", "'<M8[s]'"), "type"),
        "complex numbers": (npy("(3, 1, 3)", "'<c8'"), "type"),
        "texts": (npy("(3, 2, 3)", "'<U1'"), "type"),
        "five dimensions": (npy("(3, 2, 2, 3, 2)"), "has shape"),
        "a header 3,000 brackets deep": (npy("", header="(" * 3000 + ")" * 3000), "x.npy"),
        "an archive": (npz(images=np.zeros((6, 4, 3))), "x.npy"),
        "a folder": (a_folder, "there is no file"),
    }
    for title, case in table.items():
        where = "of type" if case[1] == "type" else "x.npy"
        yield from cases("npy", images("NpyDataset", "x.npy"), "x.npy", {title: case}, named=where)
    read = images("NpyDataset", "x.npy", labels="y.npy")
    table = {
        "labels that are Python objects": (trap_npy, "Python objects"),
        "labels 2**40 times": (npy(f"({2**40},)"), "y.npy"),
    }
    yield from cases("npy", read, "y.npy", table, {"x.npy": npy("(6, 4, 3)", data=pixels)})

    whole = npz(images=np.frombuffer(pixels, np.uint8).reshape(6, 4, 3))
    good = np.arange(72, dtype=np.uint8).reshape(6, 4, 3)
    table = {
        "nothing": (b"", "is no whole .npz file"),
        "a pickle": (trap, "x.npz"),
        "Python objects": (trap_npz(), "Python objects"),
        "labels that are Python objects": (trap_npz(images=good, name="labels"), "labels"),
        "names that are Python objects": (trap_npz(images=good, name="names"), "names"),
        "half a file": (cut(whole), "is no whole .npz file"),
        "without its end": (whole[:-5], "is no whole .npz file"),
        "a wrong check sum": (whole.replace(pixels, bytes(72)), "is no whole .npz file"),
        "an unknown way of packing": (marked(whole, 8, 77), "x.npz"),
        "encrypted": (marked(whole, 6, 1), "x.npz"),
        "2 GiB of zeros": (npz_bomb, "x.npz"),
        "8 GiB in a header": (archive({"images.npy": npy("(2097152, 64, 64)")}), "x.npz"),
        "10**18 pixels in a header": (archive({"images.npy": npy("(1000000, 1000000, 1000000)")}), "x.npz"),
        "no array in it": (archive({"images.npy": b"hello"}), "images"),
        "no images in it": (archive({"notes.txt": b"hello"}), "notes.txt"),
        "nothing in it": (archive({}), "nothing"),
        "images that are a picture": (archive({"images": picture()}), "images"),
        "a name that leads elsewhere": (archive({"../images.npy": npy("(6, 4, 3)")}), "images"),
        "one dimension": (npz(images=np.arange(6)), "images"),
        "labels of another number": (npz(images=good, labels=np.arange(5)), "labels"),
        "labels that are structures": (npz(images=good, labels=np.zeros(6, "i4,i4")), "labels"),
        "marks that are none": (npz(images=good, held_out=np.array(list("abcdef"))), None),
        "NaN": (npz(images=np.full((6, 4, 3), np.nan)), "image 0"),
        "complex numbers": (npz(images=good.astype(complex)), "complex"),
        "pictures and rows": (npz(images=good, features=good[:, 0]), "both"),
    }
    by_array = (
        {title for title, (_, said) in table.items() if said in ("images", "both", "image 0", "complex")}
        | {"no images in it", "nothing in it"}
        | {title for title in table if title.startswith("labels of") or title.startswith("labels that are s")}
    )
    for title, case in table.items():
        where = "" if title in by_array else "x.npz"
        yield from cases("npz", images("NpzDataset", "x.npz"), "x.npz", {title: case}, named=where)


def medical_images() -> Iterator[Case]:
    """Yield files of MedMNIST's that are none."""
    rng = np.random.default_rng(0)
    whole = {
        f"{part}_{kind}": rng.integers(0, 3, (6, 4, 3) if kind == "images" else (6, 1), dtype=np.uint8)
        for part in ("train", "val", "test")
        for kind in ("images", "labels")
    }
    table: dict[str, tuple[Content, str | None]] = {
        "nothing": (b"", ""),
        "a pickle": (trap, ""),
        "Python objects": (trap_npz(**{**whole, "name": "test_labels"}), "test_labels"),
        "no training": (npz(images=whole["val_images"]), "images"),
        "labels that are missing": (npz(**{**whole, "train_labels": whole["train_labels"][:5]}), "labels"),
        "images of two sizes": (npz(**{**whole, "test_images": np.zeros((6, 5, 5), np.uint8)}), "one size"),
        "fourteen labels": (npz(**{**whole, "train_labels": np.ones((6, 14), np.uint8)}), "(6, 14)"),
        "2 GiB in a header": (archive({"train_images.npy": npy("(524288, 64, 64)")}), ""),
    }
    yield from cases("MedMNIST", images("MedMNISTDataset", "x.npz"), "x.npz", table)


def tables() -> Iterator[Case]:
    """Yield tables of numbers that are none."""
    read = images("FeatureTableDataset", "x.csv")
    table: dict[str, tuple[Content, str | None]] = {
        "nothing": ("", "is empty"),
        "names alone": ("a,b\n", ""),
        "no names": ("1,2\n3,4\n5,7\n", None),
        "a text": ("a,b\n1,x\n", "line 2: column 'b' is 'x'"),
        "a text of 10 MB": (f"a,b\n1,{'x' * 10**7}\n", "line 2: column 'b' is"),
        "nothing for a number": ("a,b\n1,\n", "line 2: column 'b' is empty"),
        "NaN": ("a,b\n1,nan\n", "line 2: column 'b' is 'nan'"),
        "infinity": ("a,b\n1,inf\n", "line 2: column 'b' is 'inf'"),
        "10**999": ("a,b\n1,1e999\n", "line 2: column 'b' is '1e999'"),
        "a number of 100,000 digits": (f"a,b\n1,{'9' * 10**5}\n", "line 2: column 'b' is"),
        "an underscore": ("a,b\n1,1_0\n", "line 2: column 'b' is '1_0'"),
        "a hexadecimal number": ("a,b\n1,0x10\n", "line 2: column 'b' is '0x10'"),
        "digits of another script": ("a,b\n1,\u0661\n", "line 2: column 'b' is"),
        "a field too few": ("a,b\n1\n", "line 2: 1 fields"),
        "a column without a name": (",a\n0,1\n", "column 1 has no name"),
        "a name with blanks": ("a,label \n0,1\n", "begins or ends with blanks"),
        "two columns of one name": ("a,a\n0,1\n", "several columns 'a'"),
        "labels alone": ("label,name\nx,y\n", "no column of features"),
        "a mark that is none": ("a,held_out\n1,2\n", "line 2: held_out is '2'"),
        "zero bytes": (bytes(1000), "x.csv"),
        "no UTF-8": (b"a,b\n1,\xff\n", "line 2: byte"),
        "100,000 names and no row": (",".join(f"c{i}" for i in range(10**5)) + "\n", ""),
    }
    for title, case in table.items():
        where = "row" if case[1] == "" else "x.csv"
        yield from cases("table, CSV", read, "x.csv", {title: case}, named=where)
    packed = {"2 GiB of zeros": (bomb, ""), "2 GiB of blanks": (bombed("a,b\n1,2\n"), "")}
    yield from cases("table, CSV", images("FeatureTableDataset", "x.csv.gz"), "x.csv.gz", packed)
    for name, value in {
        "image_shape": [100000, 100000],
        "label": "species",
        "drop": ["id"],
        "separator": "ab",
    }.items():
        ask = images("FeatureTableDataset", "x.csv", **{name: value})
        yield from cases("table, CSV", ask, "x.csv", {f"{name} {value}": ("a,b\n1,2\n3,4\n", "")}, named=name)
    whole = parquet(a=[1.0, 2.0], b=[3, 4])
    table = {
        "nothing": (b"", "is no whole Parquet file"),
        "half a file": (cut(whole), "is no whole Parquet file"),
        "a text": ("a,b\n1,2\n", "is no whole Parquet file"),
        "a missing number": (parquet(a=[1.0, None]), "row 1: column 'a' is empty"),
        "infinity": (parquet(a=[1.0, np.inf]), "row 1: column 'a' is inf"),
        "texts": (parquet(a=[1, 2], b=["x" * 10**6, "y"]), "row 0: column 'b' is"),
        "lists": (parquet(a=[[1], [2]]), "row 0: column 'a' is"),
        "pictures": (parquet(a=[{"bytes": picture(size=(999, 999))}] * 2), "row 0: column 'a' is"),
        "bytes": (parquet(a=[b"x" * 10**6, b"y"]), "row 0: column 'a' is"),
        "dates": (parquet(a=pd.to_datetime(["2026-01-01", "2026-01-02"])), "column 'a'"),
    }
    yield from cases("table, Parquet", images("FeatureTableDataset", "x.parquet"), "x.parquet", table)
    matrix = "x.npz"
    table = {
        "nothing": (b"", ""),
        "a pickle": (trap, ""),
        "no matrix": (npz(images=np.zeros(3)), ""),
        "Python objects": (trap_npz(name="data"), ""),
        "half a matrix": (
            lambda path, _: (
                sparse.save_npz(path, sparse.eye_array(9, format="csr"))
                or path.write_bytes(cut(path.read_bytes()))
            ),
            "",
        ),
    }
    yield from cases("sparse matrix", partial(loaded, "SparseMatrixDataset", matrix), matrix, table)


# --- models and predictors ----------------------------------------------------------------------------------


def save_models(folder: Path) -> None:
    """Write a model and a predictor of each of the three classes."""
    rng = np.random.default_rng(0)
    counts = sparse.csr_array(rng.poisson(1.0, (40, 6)))
    rows = rng.random((60, 16)).astype(np.float32)
    labels = np.arange(60) % 3
    mixture = estimators.MultinomialMixture(2, random_state=0).fit(counts)
    pca = estimators.MinimumErrorPCA(3).fit(rows)
    vae = estimators.ConditionalVAE(n_latents=2, hidden=(8, 8), epochs=1, compiled=False, random_state=0)
    rules = WordRules(token_pattern="[a-z]+", lowercase=True, stop_words=frozenset(), ngram_range=(1, 1))
    predictors.ClusteringPredictor(mixture, list("abcdef"), rules, ["x", "y"]).save(folder / "clustering")
    predictors.PCAPredictor(pca, (4, 4)).save(folder / "pca")
    predictors.CVAEPredictor(vae.fit(rows, labels), (4, 4), 1.0).save(folder / "cvae")


MODEL, SETTINGS = "model.safetensors", "predictor.json"


def predictor(pipeline: str, file: str, change: Callable[[bytes], bytes]) -> Content:
    """Return a predictor's file with a change, beside the other one as it was."""

    def make(path: Path, models: Path) -> None:
        for name in (MODEL, SETTINGS):
            content = (models / pipeline / name).read_bytes()
            path.with_name(name).write_bytes(change(content) if name == file else content)

    return make


def flipped(content: bytes, rng: random.Random) -> bytes:
    """Return a file with one bit the other way round."""
    changed = bytearray(content)
    changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def header_of(content: bytes) -> tuple[dict[str, Any], bytes]:
    """Return the JSON header of a safetensors file, and what follows it."""
    length = int.from_bytes(content[:8], "little")
    return json.loads(content[8 : 8 + length]), content[8 + length :]


def rewritten(change: Callable[[dict[str, Any]], None]) -> Callable[[bytes], bytes]:
    """Return a change of a safetensors file by a change of what the estimator has put into its header."""

    def rewrite(content: bytes) -> bytes:
        header, rest = header_of(content)
        ours = json.loads(header["__metadata__"]["latents"])
        change(ours)
        header["__metadata__"]["latents"] = json.dumps(ours)
        text = json.dumps(header).encode()
        return len(text).to_bytes(8, "little") + text + rest

    return rewrite


def resettled(change: Callable[[dict[str, Any]], None]) -> Callable[[bytes], bytes]:
    """Return a change of a predictor's JSON."""

    def resettle(content: bytes) -> bytes:
        settings = json.loads(content)
        change(settings)
        return json.dumps(settings).encode()

    return resettle


def load_predictor(folder: Path) -> object:
    """Load the predictor that lies in the folder."""
    return predictors.load(folder / "predictor")


def models(flips: int) -> Iterator[Case]:
    """Yield models and predictors that are not what was written: some damaged by design, some by one bit.

    Parameters
    ----------
    flips : int
        How many bits are flipped in each of the six files.
    """
    deep_json = (b'{"a":' * 10**5) + b"1" + b"}" * 10**5
    of_model: dict[str, Callable[[bytes], bytes]] = {
        "nothing": lambda _: b"",
        "half a file": cut,
        "a header of 2**63 bytes": lambda content: b"\xff" * 7 + b"\x7f" + content[8:],
        "a header of 100,000 brackets": lambda _: len(deep_json).to_bytes(8, "little") + deep_json,
        "a byte too many": lambda content: content + b"\0",
        "another estimator": rewritten(lambda header: header.update(estimator="Pipeline")),
        "version 99": rewritten(lambda header: header.update(format_version=99)),
        "a parameter that none has": rewritten(lambda header: header["params"].update(warm=1)),
        "parameters that are a list": rewritten(lambda header: header.update(params=[1])),
        "a parameter that is an object": rewritten(
            lambda header: header["params"].update(random_state={"a": 1})
        ),
        "a value that is missing": rewritten(lambda header: header["values"].clear()),
        "a value too many": rewritten(lambda header: header["values"].update(__class__=1)),
        "a value 500 deep": rewritten(
            lambda header: header["values"].update(n_features_in_=json.loads(deep(500)))
        ),
    }
    of_settings: dict[str, Callable[[bytes], bytes]] = {
        "nothing": lambda _: b"",
        "half a file": cut,
        "no object": lambda _: b"[1, 2]",
        "brackets 100,000 deep": lambda _: deep_json,
        "settings 500 deep": resettled(lambda content: content.update(settings=json.loads(deep(500)))),
        "no UTF-8": lambda content: content.replace(b"settings", b"sett\xffngs"),
        "version 99": resettled(lambda content: content.update(format_version=99)),
        "version true": resettled(lambda content: content.update(format_version=True)),
        "a predictor that is none": resettled(lambda content: content.update(predictor="Candidate")),
        "a predictor that is a list": resettled(lambda content: content.update(predictor=[1])),
        "a setting that is missing": resettled(lambda content: content["settings"].popitem()),
        "a setting too many": resettled(lambda content: content["settings"].update(warm=1)),
        "settings that are numbers": resettled(
            lambda content: content.update(settings=dict.fromkeys(content["settings"], 1))
        ),
        "settings that are null": resettled(
            lambda content: content.update(settings=dict.fromkeys(content["settings"]))
        ),
    }

    for file, changes in ((MODEL, of_model), (SETTINGS, of_settings)):
        for number, (title, change) in enumerate(changes.items()):
            pipeline = ("clustering", "pca", "cvae")[number % 3]
            content = predictor(pipeline, file, change)
            group = "models" if file == MODEL else "predictors"
            table: Table = {f"{title} ({pipeline})": (content, "")}
            yield from cases(group, load_predictor, f"predictor/{file}", table, named="predictor")
    for pipeline in ("clustering", "pca", "cvae"):
        for file in (MODEL, SETTINGS):
            for seed in range(flips):
                change = partial(flipped, rng=random.Random(f"{pipeline} {file} {seed}"))
                table = {
                    f"a bit of {pipeline}'s {file}, seed {seed}": (predictor(pipeline, file, change), "")
                }
                yield from cases(
                    "flipped bits", load_predictor, f"predictor/{file}", table, named="predictor"
                )


# --- values ---------------------------------------------------------------------------------------------------


def fitted(estimator: str, params: dict[str, Any], _: Path) -> object:
    """Fit an estimator to a few rows that suit all three."""
    rng = np.random.default_rng(0)
    rows, labels, counts = rng.random((30, 16)), np.arange(30) % 3, rng.poisson(1.0, (30, 6))
    data = {"ConditionalVAE": (rows, labels), "MinimumErrorPCA": (rows,), "MultinomialMixture": (counts,)}
    return getattr(estimators, estimator)(**params).fit(*data[estimator])


def validated(pipeline: str, group: str, given: dict[str, Any], _: Path) -> object:
    """Validate a group of parameters as Kedro does before a run."""
    module = import_module(f"latents.pipelines.{pipeline}.parameters")
    path = ROOT / "conf" / "base" / f"parameters_{pipeline}.yml"
    base = yaml.safe_load(path.read_text())[pipeline][group]
    return getattr(module, f"{group.title()}Parameters").model_validate({**base, **given})


def predicted(pipeline: str, data: Callable[[], Any], options: dict[str, Any], folder: Path) -> object:
    """Give data to a trained predictor."""
    return predictors.load(folder.parent / MODELS / pipeline).predict(data(), **options)


def nested(depth: int) -> list[Any]:
    """Return lists within lists, as a list of one text."""
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return [value]


def values() -> Iterator[Case]:
    """Yield parameters, and data for trained models, that cannot be."""

    def fit_vae(**params: Any) -> Read:
        usual = {"hidden": (8, 8), "n_latents": 2, "epochs": 1, "compiled": False}
        return partial(fitted, "ConditionalVAE", {**usual, **params})

    def fit_pca(**params: Any) -> Read:
        return partial(fitted, "MinimumErrorPCA", params)

    def fit_mixture(**params: Any) -> Read:
        return partial(fitted, "MultinomialMixture", params)

    def yml(pipeline: str, group: str, **given: Any) -> Read:
        return partial(validated, pipeline, group, given)

    asked: list[tuple[str, Read, str]] = [
        ("n_latents=10**9", fit_vae(n_latents=10**9), "n_latents"),
        ("n_latents=10**9, the source's network", fit_vae(n_latents=10**9, network="reference"), "n_latents"),
        ("n_latents=10**30", fit_vae(n_latents=10**30), "n_latents"),
        ("hidden=(10**9, 10**9)", fit_vae(hidden=(10**9, 10**9)), "hidden"),
        ("hidden=(8,) * 10**6", fit_vae(hidden=(8,) * 10**6), "hidden"),
        ("spatial=(8,)", fit_vae(spatial=(8,)), "spatial"),
        ("spatial=(8, 6)", fit_vae(spatial=(8, 6), image_shape=(8, 8)), "spatial"),
        ("batch_size=0", fit_vae(batch_size=0), "batch_size"),
        ("epochs=-1", fit_vae(epochs=-1), "epochs"),
        ("learning_rate=nan", fit_vae(learning_rate=float("nan")), "learning_rate"),
        ("random_state=-1", fit_vae(random_state=-1), "random_state"),
        ("device='rocket'", fit_vae(device="rocket"), "device"),
        ("n_components=10**9, PCA", fit_pca(n_components=10**9), "n_components"),
        ("n_components='all', PCA", fit_pca(n_components="all"), "n_components"),
        ("n_components=nan, PCA", fit_pca(n_components=float("nan")), "n_components"),
        ("max_distortion=-1", fit_pca(max_distortion=-1), "max_distortion"),
        ("n_components=10**9, mixture", fit_mixture(n_components=10**9), "n_components"),
        ("n_init=0", fit_mixture(n_init=0), "n_init"),
        ("smoothing=inf", fit_mixture(smoothing=float("inf")), "smoothing"),
        ("n_latents: 10**9 in YAML", yml("cvae", "fit", n_latents="10**9"), "n_latents"),
        ("n_latents: true in YAML", yml("cvae", "fit", n_latents=True), "n_latents"),
        ("hidden: [512, 256] in YAML", yml("cvae", "fit", hidden=[512, 256]), "hidden"),
        ("epochs: 3.5 in YAML", yml("cvae", "fit", epochs=3.5), "epochs"),
        ("white: .nan in YAML", yml("cvae", "features", white=float("nan")), "white"),
        ("n_componnents in YAML", yml("pca", "fit", n_componnents=3), "n_componnents"),
        ("reconstruct_from: [] in YAML", yml("pca", "evaluate", reconstruct_from=[]), "reconstruct_from"),
        ("n_components: [] in YAML", yml("clustering", "fit", n_components=[]), "n_components"),
        ("token_pattern: '(' in YAML", yml("clustering", "features", token_pattern="("), "token_pattern"),
        (
            "stop_words: [no, on] in YAML",
            yml("clustering", "features", stop_words=[False, True]),
            "stop_words",
        ),
        ("ngram_range: [3, 1] in YAML", yml("clustering", "features", ngram_range=[3, 1]), "ngram_range"),
        ("min_df: -1 in YAML", yml("clustering", "features", min_df=-1), "min_df"),
    ]
    for title, read, named in asked:
        yield Case("parameters", title, lambda *_: None, read, named, "")

    grid = (2, 4, 4)
    given: list[tuple[str, str, Callable[[], Any], dict[str, Any], str]] = [
        ("a text in place of texts", "clustering", partial(str, "abc"), {}, "texts"),
        ("no text", "clustering", list, {}, "no text"),
        ("numbers for texts", "clustering", partial(list, ("a", 3)), {}, "text 1"),
        ("a text 10,000 lists deep", "clustering", partial(nested, 10**4), {}, "text 0"),
        ("a table without texts", "clustering", partial(pd.DataFrame, {"body": ["a"]}), {}, "'text'"),
        ("images of another shape", "pca", partial(np.zeros, (2, 5, 5)), {}, "(4, 4)"),
        ("an image that is NaN", "pca", partial(np.full, grid, np.nan), {}, "image 0"),
        ("numbers of 1e308", "pca", partial(np.full, grid, 1e308), {}, "image 0"),
        ("images that are texts", "pca", partial(np.full, grid, "a"), {}, "pixels"),
        ("images that are objects", "pca", partial(np.full, grid, None), {}, "pixels"),
        ("no image", "cvae", partial(np.zeros, (0, 4, 4)), {}, "no image"),
        ("pixels above white", "cvae", partial(np.full, grid, 2.0), {}, "pixel"),
        ("labels that no class has", "cvae", partial(np.zeros, grid), {"labels": [0, 99]}, "label 1"),
        ("a label too few", "cvae", partial(np.zeros, grid), {"labels": [0]}, "labels"),
    ]
    for title, pipeline, data, options, named in given:
        read = partial(predicted, pipeline, data, options)
        yield Case("data for predictors", title, lambda *_: None, read, named, "")


def all_cases(flips: int = 6) -> list[Case]:
    """Return all that is hostile, in the same order every time; see `models` for `flips`."""
    return [
        *bags(),
        *matrices(),
        *texts(),
        *pictures(),
        *arrays(),
        *medical_images(),
        *tables(),
        *models(flips),
        *values(),
    ]
