"""What `dangercurve fit` does with each kind of input."""
