"""How an episode becomes numbers."""
