"""dangercurve: dangerous-capability evaluations, forecasts and a release gate on Inspect AI."""

from dangercurve._version import __version__

__all__ = ["__version__"]
