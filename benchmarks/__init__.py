"""Measurements: what a change on a page costs the server, and how many students it carries."""
