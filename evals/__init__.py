"""What is run, and what is decided."""
