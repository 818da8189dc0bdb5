"""Time to breach of safeguards: survival of attempts, its models, and what is said of them."""
