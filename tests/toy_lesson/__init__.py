"""A lesson that the tests add to the app, and the one to copy: calls at two shops."""
