"""What a page can be set to, and how that lives in its address."""

from em_ui.controls.address import query
from em_ui.controls.page import Controls, Situation
from em_ui.controls.specs import (
    Choice,
    Control,
    Number,
    Section,
    Switch,
    Value,
    seed,
    to_find,
    usual,
)

__all__ = [
    "Choice",
    "Control",
    "Controls",
    "Number",
    "Section",
    "Situation",
    "Switch",
    "Value",
    "query",
    "seed",
    "to_find",
    "usual",
]
