"""Gaussian mixture."""
