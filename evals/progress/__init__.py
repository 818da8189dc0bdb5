"""How far a run is, and what changed while it went on."""
