"""What the pages share: controls, charts, tables and the iteration player."""
