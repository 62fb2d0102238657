"""Reading and writing: the Kedro datasets that the catalog names.

Each class is imported on first use, so that an entry costs only the libraries that it needs.
"""

from importlib import import_module

_HOMES = {
    "BagOfWordsDataset": "bags",
    "CSVDataset": "whole",
    "CorpusDataset": "corpora",
    "CountBlocksDataset": "count_blocks",
    "DigitsDataset": "images",
    "DocstringsDataset": "documents",
    "DocumentBlocksDataset": "document_blocks",
    "DocumentTableDataset": "texts",
    "EstimatorDataset": "arrays",
    "FeatureTableDataset": "feature_table",
    "FitMonitorDataset": "tracking",
    "IdxDataset": "idx",
    "ImageFolderDataset": "image_folder",
    "ImageTableDataset": "image_table",
    "JSONDataset": "whole",
    "MatplotlibDataset": "whole",
    "MedMNISTDataset": "medmnist",
    "MetricsDataset": "tracking",
    "NewsgroupsDataset": "documents",
    "NpyDataset": "npy",
    "NpyFolderDataset": "npy",
    "NpzDataset": "arrays",
    "ParquetDataset": "whole",
    "PlotlyDataset": "whole",
    "PredictorDataset": "predictors",
    "SnapshotsDataset": "snapshots",
    "SparseMatrixDataset": "arrays",
    "TextDataset": "whole",
    "TextFolderDataset": "texts",
    "TorchvisionImagesDataset": "images",
}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
