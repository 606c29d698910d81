"""One step by hand: the formulas with one observation's numbers, at the player's iteration."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np
import streamlit as st

from em_core import Params
from em_core.numerics import Array
from em_ui.controls.page import Controls
from em_ui.pictures import frames
from em_ui.run.run import Run

_Made = TypeVar("_Made")
_SIGNIFICANT = 4
_READABLE = 6  # decimals
_DECIMALS = 17  # more than a number between 0 and 1 has in floating point


def moment(iteration: int) -> str:
    """Return an iteration in words."""
    return "the initial guess" if iteration == 0 else f"iteration {iteration}"


def standing(c: Controls, run: Run) -> tuple[int, int]:
    """Return the player's iteration, and the index of the observation that was chosen last."""
    at = min(int(c.position), run.frames.last)
    return at, min(int(c.value("observation")), run.problem.n) - 1


def chosen(c: Controls, run: Run) -> tuple[int, int]:
    """Let the visitor choose an observation; return the player's iteration and its index."""
    at, _ = standing(c, run)
    st.markdown(
        f"At **{moment(at)}**, where the player stands. "
        "Choose the observation here, or click it in the picture. Numbers are rounded so that the "
        "arithmetic holds as it is printed."
    )
    c.show("observation")
    if int(c.value("observation")) > run.problem.n:
        st.caption(f"There are only {run.problem.n:,}. This is the last.")
    return standing(c, run)


def draw(c: Controls, run: Run) -> None:
    """Draw Bayes' rule for one observation, and what the M-step makes of all.

    A model without densities for each component has no such rule.
    """
    at, i = chosen(c, run)
    problem, params = run.problem, run.steps[at].params
    if hasattr(problem.mixture, "log_joint"):
        _bayes(run, params, i)
    st.markdown(f"**M-step.** From the sums over all {problem.n:,}:")
    update = problem.model.m_step(run.statistics(at), params)
    formula(
        [
            rf"\text{{{problem.words.symbol(column)}}} &= {column.of(update):.4f}"
            for column in frames.schema(update, problem.words.names)
        ]
    )


def _bayes(run: Run, params: Params, i: int) -> None:
    problem, row = run.problem, run.problem.sample.data[i : i + 1]
    responsibilities = problem.responsibilities(row, params)[0]
    joint = np.exp(problem.mixture.log_joint(row, params)[0])
    given = ", ".join(f"{x:.4g}" for x in np.atleast_1d(row[0]))
    st.markdown(
        f"**E-step.** {problem.words.observation.capitalize()} {i + 1} is {given}. Its probability "
        f"under each {problem.words.component}, times the mixing weight, and its part in their sum:"
    )
    parts, shares = fractions(joint)
    formula([f"{name} &= {part}" for name, part in zip(_named("p", run), parts, strict=True)])
    formula(ratios(run, shares, responsibilities))


def fractions(joint: Array) -> tuple[list[str], list[str]]:
    """Return probabilities and the part of each in their sum, in digits whose arithmetic is true.

    The probabilities have as few significant digits, four at least, as give the parts to three
    decimals.
    """
    parts = [f"{share:.3f}" for share in joint / joint.sum()]
    written: list[str] = []
    for digits in range(_SIGNIFICANT, _DECIMALS + 1):
        written = [f"{p:.{digits}g}" for p in joint]
        printed = np.array(written, dtype=float)
        if [f"{share:.3f}" for share in printed / printed.sum()] == parts:
            break
    return [scientific(text) for text in written], parts


def ratios(run: Run, shares: Sequence[str], responsibilities: Array) -> list[str]:
    """Return each responsibility as the part of one probability in the sum of all."""
    names, total = _named("p", run), "+".join(_named("p", run))
    hard = run.problem.hard
    return [
        rf"{r} &= \frac{{{p}}}{{{total}}} = {share}" + rf" \rightarrow {own:.0f}" * hard
        for r, p, share, own in zip(_named("r", run), names, shares, responsibilities, strict=True)
    ]


def _named(symbol: str, run: Run) -> list[str]:
    return [f"{symbol}_{{{name}}}" for name in run.names]


def formula(lines: Sequence[str]) -> None:
    """Show lines of LaTeX, aligned at their ampersands."""
    st.latex(aligned(lines))


def aligned(lines: Sequence[str]) -> str:
    """Return lines of LaTeX as one, aligned at their ampersands."""
    strut = r"\vphantom{\Bigg|}"  # keeps fractions apart, and the first from being cut off
    return r"\begin{aligned}" + r"\\".join(strut + line for line in lines) + r"\end{aligned}"


def scientific(text: str) -> str:
    """Return a printed number in LaTeX, its exponent as a power of ten."""
    digits, _, exponent = text.partition("e")
    return rf"{digits}\cdot 10^{{{int(exponent)}}}" if exponent else digits


def as_printed(
    operation: Callable[..., _Made],
    *values: float,
    least: int = 3,
    shown: Callable[[_Made], str] = "{:.3f}".format,
) -> tuple[list[str], str]:
    """Return numbers and what an operation makes of them, in digits whose arithmetic is true.

    Parameters
    ----------
    operation : callable
        What is done with the numbers.
    values : float or int
        The numbers. They get as few decimals as make the operation, on what is printed, give the
        result that is printed. Whole numbers stay whole. Where many decimals are zeros, they get
        digits and a power of ten.
    least : int, default 3
        Decimals that they have at least.
    shown : callable
        Prints the result.

    Returns
    -------
    (list of str, str)
        The numbers, and the result.
    """
    result = shown(operation(*values))
    tiny = least > _READABLE
    written: list[str] = []
    for digits in range(_SIGNIFICANT if tiny else least, _DECIMALS + 1):
        places = f".{digits}{'g' if tiny else 'f'}"
        written = [f"{v}" if isinstance(v, int | np.integer) else f"{v:{places}}" for v in values]
        if shown(operation(*map(float, written))) == result:
            break
    return [scientific(text) for text in written], result


def bracketed(text: str) -> str:
    """Return a printed number, in brackets if it is negative or has a power of ten."""
    return f"({text})" if text.startswith("-") or "10^" in text else text
