"""What only this page has: what may have gone wrong. All sections are the shared ones."""

from collections.abc import Iterator

from em_ui.run import Run
from em_ui.sections import not_the_best, sections_of


def findings(run: Run) -> Iterator[str]:
    """Yield what may have gone wrong in this run."""
    yield from not_the_best(run)


SECTIONS = sections_of(hill={}, hard_against_soft={})
