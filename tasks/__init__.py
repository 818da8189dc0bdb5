"""What the model faces: Inspect tasks on simulated worlds."""
