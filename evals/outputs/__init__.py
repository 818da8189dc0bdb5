"""Every form of a verdict, made from one verdict object so that no two can disagree."""
