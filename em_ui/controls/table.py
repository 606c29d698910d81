"""The numbers of several components, in one table: a row for each component.

To the browser a page costs what its messages cost, and this is one, however many numbers it holds.
A table knows nothing of the address: :mod:`.page` keeps its numbers in the session, and the button
that copies links writes them there (see :mod:`.address`).
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from em_ui.controls.specs import Number, Value
from em_ui.pictures.player import component

NAME = "table_of_numbers"
_BESIDE = 4  # columns; of more there are two tables, one below the other
_LONGEST = 40  # text that may be a number
_mount = component(NAME, "table", Path(__file__).parent)


class Heard(NamedTuple):
    """What the server has heard of a table.

    Attributes
    ----------
    n : int
        The number of the last change.
    refused : dict
        By query parameter, what was typed there and is not allowed, and why not.
    """

    n: int = 0
    refused: Mapping[str, tuple[str, str]] = {}


def take(
    changes: Any, specs: Mapping[str, Number], values: Mapping[str, Value], before: Heard
) -> tuple[dict[str, Value], Heard]:
    """Return the numbers that were typed and are allowed, and what was heard.

    Parameters
    ----------
    changes : dict
        As the browser sends it: ``n``, and ``values``, the text of each number that was changed.
    specs, values : mapping
        The controls of the table and their values, by their query parameters.
    before : Heard
        What was heard before.
    """
    taken: dict[str, Value] = {}
    refused = dict(before.refused)
    for name, text in changes["values"].items():
        if name not in specs:
            continue
        spec = specs[name]
        number = spec.read(str(text)[:_LONGEST])
        if number is None:
            still = f"It is still {spec.shown(values[name])}."
            refused[name] = str(text), f"“{spec.label}” has to be {spec.allowed}. {still}"
        else:
            taken[name] = number
            refused.pop(name, None)
    return taken, Heard(int(changes["n"]), refused)


def draw(
    quantities: Sequence[str],
    specs: Mapping[str, Number],
    values: Mapping[str, Value],
    heard: Heard,
    *,
    rows: int,
    key: str,
    on_change: Callable[[], None],
) -> None:
    """Draw a table.

    Parameters
    ----------
    quantities : sequence of str
        The columns: query parameters, without the number of the row with which they end.
    specs, values : mapping
        The controls that are drawn and their values, by their query parameters. The controls of a
        column have the same bounds and the same step, and labels that end with the number of the
        row; those of a table of one row may do without.
    heard : Heard
        What was heard of this table.
    rows : int
        How many there are.
    key : str
        Of the component.
    on_change : callable
        Called when a number was typed, which :func:`take` finds in ``st.session_state[key]``.
    """
    numbers = [i for i in range(1, rows + 1) if any(f"{q}{i}" in specs for q in quantities)]
    columns = [
        {
            "name": quantity,
            "head": specs[f"{quantity}{i}"].label.removesuffix(f" {i}"),
            **{part: getattr(specs[f"{quantity}{i}"], part) for part in ("low", "high", "step")},
        }
        for quantity in quantities
        for i in [i for i in numbers if f"{quantity}{i}" in specs][:1]
    ]
    numbered = all(spec.label.endswith(f" {name[-1]}") for name, spec in specs.items())
    first = len(columns) // 2 if len(columns) > _BESIDE else 0
    data = {
        # A tuple: of a list or a mapping Streamlit asks every kind of table whether it is one.
        "tables": tuple(
            {
                "columns": part,
                "rows": [
                    {
                        "number": i,
                        "head": str(i) if numbered else "",
                        "texts": [_shown(f"{column['name']}{i}", specs, values) for column in part],
                    }
                    for i in numbers
                ],
            }
            for part in (columns[:first], columns[first:])
            if part
        ),
        "help": next((spec.help for spec in specs.values()), None),
        "heard": heard.n,
        "refused": heard.refused or None,
    }
    _mount(key=key, data=data, on_changes_change=on_change)


def _shown(name: str, specs: Mapping[str, Number], values: Mapping[str, Value]) -> str:
    return specs[name].shown(values[name]) if name in specs else ""
