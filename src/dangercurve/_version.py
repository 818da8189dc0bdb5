"""The version of the distribution, read by the build and by every log, verdict and report."""

__version__ = "0.1.0"
