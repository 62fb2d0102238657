"""The three pipelines: ingest, features, split, fit, evaluate, export, report."""
