"""What each example page shows: its controls and situations, the problem they set, the numbers."""
