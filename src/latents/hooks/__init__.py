"""What surrounds a run: configuration, locks, checkpoints, what stores say, status, registry, and what is told."""
