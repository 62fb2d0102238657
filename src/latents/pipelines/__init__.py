"""The three pipelines that train, ``<model>``, and the three that use what was trained, ``<model>_inference``.

Training: ingest, features, split, fit, evaluate, export, report. Inference: ingest, predict, report.
"""
