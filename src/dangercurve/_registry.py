"""Inspect reads this entry point on every `get_model()`: keep it light."""
