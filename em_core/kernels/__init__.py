"""Quick E-steps on data that a model has prepared: what they are worth is in benchmarks.fits."""
