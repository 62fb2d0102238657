"""What a run tells the world while it lasts: MLflow metrics, progress bars, the logged model."""
