"""What a page runs on where it simulates nothing: a published set, or the reader's own numbers."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

import em_core.data as published_sets
from em_core import Mixture, Params, Sample, fit_labelled
from em_core.numerics import Array
from em_ui.controls.specs import Choice
from em_ui.data import kept
from em_ui.data.kept import MAX_IN_LINK
from em_ui.inert import escaped

SIMULATED, OWN = "Simulated", "Your own"
_WHOLE = 2**53  # larger numbers have no ones
_LARGEST, _NARROWEST = 1e150, 1e-140  # numbers, and ranges of a column, that may be squared
_GROUPS = 2  # that are looked for in numbers of which nothing is known


@dataclass(frozen=True)
class Published:
    """A published set, as a lesson offers it.

    Attributes
    ----------
    title : str
        The option of the control.
    load : str
        The function of :mod:`em_core.data` that returns it.
    columns : sequence of str
        Those that are taken.
    groups : int
        How many components are looked for, if nothing else says so.
    """

    title: str
    load: str
    columns: Sequence[str]
    groups: int = _GROUPS


@dataclass(frozen=True)
class Given:
    """Data that were not simulated: there is no truth that anybody knows.

    Attributes
    ----------
    name : str
        What they are called.
    columns : tuple of str
        Names of the columns.
    values : ndarray, shape (n, d)
        The rows.
    labels : ndarray of int, shape (n,), optional
        The known group of each row.
    groups : tuple of str
        What the labels stand for.
    n_groups : int
        How many components to look for, if nobody says: as many as the labels name, if they are
        known.
    source, description : str
        Of a published set.
    load : str
        The function of :mod:`em_core.data` that returns it; empty for the reader's own.
    """

    name: str
    columns: tuple[str, ...]
    values: Array
    labels: npt.NDArray[np.int64] | None
    groups: tuple[str, ...]
    n_groups: int
    source: str = ""
    description: str = ""
    load: str = ""

    def column(self, which: int, *, whole: bool = False) -> npt.NDArray[Any]:
        """Return a column, shape (n,).

        Parameters
        ----------
        which : int
            Its number, from 0.
        whole : bool
            Whether they are to be whole numbers, and are returned as such.

        Raises
        ------
        ValueError
            If one is not whole, in words for the page.
        """
        values = self.values[:, which]
        if not whole:
            return values
        broken = np.flatnonzero((values != np.floor(values)) | (np.abs(values) > _WHOLE))
        if len(broken):
            raise ValueError(
                f"“{escaped(self.columns[which])}” must be whole numbers, and row "
                f"{broken[0] + 1} of those used is {values[broken[0]]:g}"
            )
        return values.astype(np.int64)

    def lines(self, words: Any, *, flat: bool = False, dtype: str = "float") -> list[str]:
        """Return Python that makes ``data``, of shape (n, d) or, flat, (n,).

        Up to :data:`MAX_IN_LINK` rows stand in it; more are read from the file that the page offers
        beside the script.

        Parameters
        ----------
        words : Words
            The lesson's: they say what the file is called, and whether its rows are numbered.
        flat : bool
            Whether the only column is wanted as a vector.
        dtype : str
            "float", or "int".
        """
        if self.load:
            names = ", ".join(map(repr, self.columns))
            take = f"column({names})" if flat else f"columns_of({names})"
            cast = "" if dtype == "float" else f".astype({dtype})"
            return [
                f"from em_core.data import {self.load}",
                "",
                f"data = {self.load}().{take}{cast}",
            ]
        if len(self.values) <= MAX_IN_LINK:
            rows = (self.values[:, 0] if flat else self.values).astype(dtype).tolist()
            if flat:
                return [f"data = np.array({rows!r})"]
            inner = ",\n".join(f"    {row!r}" for row in rows)
            return [f"data = np.array([\n{inner},\n])"]
        numbered = words.observation not in self.columns
        columns = [i + numbered for i in range(len(self.columns))]
        wanted: Any = columns[0] if flat else columns
        return [
            f'data = np.loadtxt("{words.prefix}-data.csv", delimiter=",", skiprows=1, '
            f"usecols={wanted!r}, dtype={dtype})"
        ]

    def sample(
        self,
        mixture: Mixture[Any, Any],
        data: npt.NDArray[Any],
        guess: Callable[[int, np.random.Generator], Params],
    ) -> Sample[Any]:
        """Return the data as the model wants them, with the labels where they are known.

        Then the place of the truth is taken by the estimate with the labels known; ``truth_known``
        is False of such a problem. Labels from which the model can make no estimate, such as those
        of a group of one, are left away.

        Parameters
        ----------
        mixture : Mixture
            The lesson's model.
        data : ndarray
            The values as it takes them.
        guess : callable
            Maps a number of components and a generator to an initial guess. It gives what an
            estimate with the labels known keeps, such as fixed weights.
        """
        if self.labels is None or len(self.groups) > len(data):
            return Sample(data)
        try:
            init = guess(len(self.groups), np.random.default_rng(0))
            known = fit_labelled(mixture, data, self.labels, init)
            mixture.check(data, known)
        except ValueError:
            return Sample(data)
        return Sample(data, self.labels, known)


def reach(values: Array) -> tuple[float, float]:
    """Return between what a start may be typed in: the range of the data, and as much around it.

    Parameters
    ----------
    values : ndarray, shape (n,)
        A column of the data.
    """
    low, high = float(values.min()), float(values.max())
    size = high - low or abs(low) or 1.0
    return low - size, high + size


def choice(published: Collection[Published], default: str = SIMULATED) -> Choice:
    """Return the control of where the data come from."""
    options = (SIMULATED, *(each.title for each in published), OWN)
    return Choice("Data", options, default)


def given(settings: Mapping[str, Any], published: Collection[Published]) -> Given | None:
    """Return the data that settings name, or None if they are simulated.

    Raises
    ------
    NoData
        If they are to be the reader's own, and there are none in this session.
    ValueError
        If the reader's own are out of the range in which one can compute, in words for the page.
    """
    if settings["data"] == OWN:
        own = kept.recall(settings["own"])
        _check_squares(own)
        n_groups = len(own.groups) or _GROUPS
        return Given(own.name, own.columns, own.rows, own.labels, own.groups, n_groups)
    for each in published:
        if each.title == settings["data"]:
            found = getattr(published_sets, each.load)()
            labels, groups = found.labels, found.groups
            return Given(
                found.name,
                tuple(each.columns),
                found.columns_of(*each.columns),
                labels,
                groups,
                len(groups) or each.groups,
                found.source,
                found.description,
                each.load,
            )
    return None


def _check_squares(own: kept.Numbers) -> None:
    """Raise ValueError if squared distances are out of the range of floating-point numbers."""
    beyond = "that squared distances are out of the range of floating-point numbers. Give them in a"
    if np.abs(own.rows).max() > _LARGEST:
        raise ValueError(f"the numbers are so large {beyond} larger unit")
    reach = np.ptp(own.rows, axis=0)
    if ((reach > 0) & (reach < _NARROWEST)).any():
        raise ValueError(f"the numbers are so near each other {beyond} smaller unit")
