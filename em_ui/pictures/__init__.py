"""Charts, the tables that they draw, and the player that drives them."""
