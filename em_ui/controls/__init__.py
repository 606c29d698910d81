"""What a page can be set to, and how that lives in its address."""
