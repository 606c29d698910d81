"""Where data come from: blocks of rows, data on a Dask cluster, and published data sets."""

from em_core.data.published import (
    Dataset,
    coin_trials,
    darwin,
    galaxies,
    iris,
    old_faithful,
)

__all__ = ["Dataset", "coin_trials", "darwin", "galaxies", "iris", "old_faithful"]
