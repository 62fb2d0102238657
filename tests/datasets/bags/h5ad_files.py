"""Files as anndata writes them, by its specification on disk: anndata itself is no dependency."""

import numpy as np
from scipy import sparse


def write_h5ad(path, counts, words, labels=None, names=None, *, kind="csr", layer=None, **more):
    """Write counts as ``X``, or as a layer beside an ``X`` of logarithms.

    `more` are further columns of ``obs`` or, where their names begin with ``var_``, of ``var``.
    """
    import h5py

    text = h5py.string_dtype()
    names = [f"cell{i}" for i in range(len(counts))] if names is None else names
    with h5py.File(path, "w") as file:
        file.attrs.update({"encoding-type": "anndata", "encoding-version": "0.1.0"})
        for table, index in (("obs", names), ("var", words)):
            group = file.create_group(table)
            group.attrs.update(
                {"encoding-type": "dataframe", "encoding-version": "0.2.0", "_index": "_index"}
            )
            write_array(group, "_index", np.array(index, dtype=object), text)
        if labels is not None:
            categories = sorted({label for label in labels if label is not None})
            group = file["obs"].create_group("cell_type")
            group.attrs.update(
                {"encoding-type": "categorical", "encoding-version": "0.2.0", "ordered": False}
            )
            write_array(group, "categories", np.array(categories, dtype=object), text)
            codes = [-1 if label is None else categories.index(label) for label in labels]
            write_array(group, "codes", np.array(codes, dtype=np.int8))
        for name, values in more.items():
            table = "var" if name.startswith("var_") else "obs"
            values = np.asarray(values)
            own = text if values.dtype.kind in "UO" else None
            write_array(file[table], name.removeprefix("var_"), values, own)
        file.create_group("layers").attrs["encoding-type"] = "dict"
        if layer is not None:
            write_matrix(file, "X", np.log1p(counts), kind)
            write_matrix(file["layers"], layer, counts, kind)
        else:
            write_matrix(file, "X", counts, kind)


def write_array(group, name, values, dtype=None):
    values = values.astype(object) if values.dtype.kind == "U" else values
    group.create_dataset(name, data=values, dtype=dtype, **({"compression": "gzip"} if values.size else {}))
    group[name].attrs["encoding-type"] = "array" if dtype is None else "string-array"


def write_matrix(group, name, counts, kind):
    values = np.asarray(counts).astype(np.float32)
    if kind == "dense":
        return write_array(group, name, values)
    matrix = sparse.csr_array(values).asformat(kind)
    parts = group.create_group(name)
    parts.attrs.update(
        {"encoding-type": f"{kind}_matrix", "encoding-version": "0.1.0", "shape": matrix.shape}
    )
    for part in ("data", "indices", "indptr"):
        write_array(parts, part, getattr(matrix, part))
    return None
