"""Two coins."""
