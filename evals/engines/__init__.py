"""Who plays the cells of a study, on how many cores and machines, and under which caps."""
