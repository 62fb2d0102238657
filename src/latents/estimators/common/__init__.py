"""What all three estimators share: blocks, devices, threads, warnings, persistence."""
