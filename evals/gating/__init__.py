"""What the gate stands on: claims, bounds, facts, verdicts, waivers, and the checks of all of these."""
