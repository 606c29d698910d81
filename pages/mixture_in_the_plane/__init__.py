"""Gaussian mixture in the plane."""
