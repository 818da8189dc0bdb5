"""A lineage of models over time, and a run while it goes on: data, pages, dashboard."""
