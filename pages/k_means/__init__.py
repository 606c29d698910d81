"""K-Means."""
