"""The three pipelines: ingest, features, split, fit, evaluate, report."""
