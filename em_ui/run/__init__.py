"""The problem of a page, its run, many starts, and the computing time that they may take."""
