"""Data that are given and not simulated: read from text and files, published, and kept apart."""
