"""Data that are not simulated: published sets, and the reader's own numbers."""

from em_ui.data.given import OWN, SIMULATED, Given, Published, choice, given, reach
from em_ui.data.kept import NoData
from em_ui.data.own import Own

__all__ = ["OWN", "SIMULATED", "Given", "NoData", "Own", "Published", "choice", "given", "reach"]
