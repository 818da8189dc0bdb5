"""One module a verb; each exposes `command`, a click command whose help shows an example."""
