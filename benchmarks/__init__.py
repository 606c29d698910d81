"""Measurements: how fast it fits and starts, what a change costs, how many students it carries."""
