"""Where data come from: blocks of rows, and data on a Dask cluster."""
