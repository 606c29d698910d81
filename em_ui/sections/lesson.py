"""The sections of a lesson's page: those that every lesson has, and its own."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from em_ui.controls.page import Controls
from em_ui.controls.specs import Section
from em_ui.run.run import Run
from em_ui.sections import (
    by_hand,
    convergence,
    hard_against_soft,
    hill,
    many_starts,
    take_away,
    teacher,
)

Draw = Callable[[Controls, Run], None]

# In the order of the page. The optional ones are of lessons that name them.
_KNOWN = {
    "by_hand": Section("One step by hand", ":material/calculate:", by_hand.draw, follows=True),
    "hard_against_soft": Section(
        "Hard against soft", ":material/compare:", hard_against_soft.draw, formerly="versus"
    ),
    "hill": Section(
        "The hill that EM climbs",
        ":material/landscape:",
        hill.draw,
        follows=True,
        formerly="surface",
    ),
    "many_starts": Section("Many starts", ":material/shuffle:", many_starts.draw, formerly="many"),
    "convergence": Section(
        "Convergence, honestly", ":material/speed:", convergence.draw, formerly="speed"
    ),
    "code": Section("The code, and everything to take away", ":material/code:", take_away.draw),
    "teacher": Section("For the teacher", ":material/school:", teacher.draw, for_teacher=True),
}
_OPTIONAL = {"hard_against_soft", "hill"}


def sections_of(**own: Draw | Section | dict[str, Any]) -> dict[str, Section]:
    """Return the sections of a lesson, in the order of the page.

    Parameters
    ----------
    own : callable, dict or Section
        By name: what draws a known section in this lesson, or changes to it (attributes of
        :class:`~em_ui.controls.specs.Section`), or a new one, which stands before the known ones.
        *Hard against soft* and the hill are on the page only if they are named here.
    """
    new = {name: section for name, section in own.items() if isinstance(section, Section)}
    known = {
        name: section for name, section in _KNOWN.items() if name not in _OPTIONAL or name in own
    }
    for name, change in own.items():
        if not isinstance(change, Section):
            changes = change if isinstance(change, dict) else {"draw": change}
            known[name] = replace(_KNOWN[name], **changes)
    return {**new, **known}


def draw_sections(c: Controls, run: Run) -> None:
    """Draw the headings of the page's sections, and those sections that are open."""
    for name, section in c.sections.items():
        box = c.section(name)
        if box is not None:
            with box:
                section.draw(c, run)
