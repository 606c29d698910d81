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
    iteration_limit,
    seed,
    start_number,
    student,
    to_find,
    tolerance,
    view,
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
    "iteration_limit",
    "query",
    "seed",
    "start_number",
    "student",
    "to_find",
    "tolerance",
    "view",
]
