"""How numbers become a forecast. Knows nothing of Inspect: frames in, frames and small frozen results out."""
