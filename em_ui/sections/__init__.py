"""The parts of a lesson's page."""
