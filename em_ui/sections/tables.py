"""The iteration table, truth beside estimates, and downloads."""

from collections.abc import Iterator
from typing import Any

import pandas as pd
import pyarrow as pa
import streamlit as st

from em_ui.controls.page import Controls
from em_ui.run.problem import NOBODY_KNOWS, count
from em_ui.run.references import (
    DECIMALS,
    HARD_LABELS,
    MODEL,
    REST,
    SAMPLE,
    START,
    STOP,
    Split,
    assumed,
    split,
    unable,
)
from em_ui.run.run import Run
from em_ui.sections.findings import stands_for

_FORMULAS = ("=", "+", "-", "@")  # what a formula of a spreadsheet begins with


def iteration_table(c: Controls, run: Run) -> None:
    """Show the iteration table, with a download of all its digits."""
    problem, words = run.problem, run.problem.words
    change = "Gain" if problem.objective.sign > 0 else "Fall"
    labels = {"iteration": ("Iteration", "d"), "gain": (change, ".4f")} | {
        column.name: (words.symbol(column), words.quantities[column.field].format)
        for column in run.frames.columns
    }
    objective = (problem.objective.title, ".4f")
    st.header("Iteration table")
    st.dataframe(
        run.frames.table,
        hide_index=True,
        key=c.key("table"),
        height=320,
        placeholder="–",
        column_config={
            name: numbers(*labels.get(name, objective)) for name in run.frames.table.column_names
        },
        alt="Parameters and objective at every iteration, the initial guess first",
    )
    table = run.frames.table
    csv_download("Download the table (CSV)", table, f"{c.prefix}-iterations.csv", c.key("csv"))


def numbers(label: str, places: str) -> Any:
    """Return how a column of numbers is shown: what it is called, and the format, as in .3f."""
    return st.column_config.NumberColumn(label, format=f"%{places.lstrip(',')}")


def references(run: Run) -> None:
    """Show the way from the truth to the estimate: what each cause adds.

    Without as many components as the truth has, there is nothing to put side by side.
    """
    parts = split(run)
    if parts is None:
        return
    truth = "truth" if run.problem.truth_known else "labels known"
    algorithm = run.problem.words.algorithm
    st.header(f"From the {truth if truth == 'truth' else 'labels'} to the estimate")
    st.markdown(" ".join(filter(None, [stands_for(run), *_causes(run, parts)])))
    places = f".{DECIMALS}f"
    st.dataframe(
        parts.table,
        hide_index=True,
        column_config={
            "parameter": st.column_config.TextColumn("Parameter"),
            **{
                name: numbers(name if name == algorithm else name.capitalize(), places)
                for name in parts.table.column_names[1:]
            },
        },
        alt=f"Each parameter: {truth}, what is added by {', '.join(parts.parts)}, and by "
        f"{algorithm}",
    )


def _causes(run: Run, parts: Split) -> Iterator[str]:
    """Yield what the parts of the way are, in sentences that hold for this run."""
    problem, algorithm = run.problem, run.problem.words.algorithm
    if MODEL in parts.parts:
        yield (
            f"*The model* cannot have the true {unable(run)}. More data do not take away what that "
            "adds."
        )
    if SAMPLE in parts.parts:
        yield (
            "With the labels known, the estimate still misses "
            f"{'what the model can be' if MODEL in parts.parts else 'the truth'}: that is *the "
            "sample*, and more data make it smaller."
        )
    else:
        luck = " The estimate with the labels known misses it by the luck of the sample."
        yield problem.unknown + luck * (problem.unknown == NOBODY_KNOWS)
    if REST in parts.parts:
        yield "This run has no limit, so *the rest* cannot be divided."
        return
    best = "at the best optimum that is known" if START in parts.parts else "where it ends"
    if HARD_LABELS in parts.parts:
        who = algorithm if not problem.hard else "Hard assignment"
        yield (
            f"{who} gives each {problem.words.observation} to one {problem.words.component} alone. "
            f"What that and *the missing labels* add, {best}, is a bias: more data do not make it "
            "vanish."
        )
    else:
        yield f"*The missing labels* add what {algorithm} loses on top of that {best}."
    if name := assumed(run):
        yield (
            f"*The {name}* are not those of the data, and that is what they add."
            if name in parts.parts
            else f"The {name} are not those of the data, which is part of that."
        )
    if parts.level:
        yield (
            "*The start* decides which of several equally good answers is found: the data cannot "
            "tell them apart."
        )
    elif START in parts.parts:
        yield "*The start* led this run to an end that is not as good."
    if STOP in parts.parts:
        yield "*Stopped early* is the way that the run had still to go when it stopped."
    if not parts.reached:
        yield (
            "Limits were not reached: runs were followed with the work of "
            f"{count(run.glance, 'more iteration')} at the most, and these parts are as far as "
            "that."
        )


def _no_formula(name: str) -> str:
    """Return the name of a column, which may come from a link, so that no spreadsheet runs it."""
    return f"'{name}" if name.startswith(_FORMULAS) else name


def csv_download(label: str, table: pa.Table | pd.DataFrame, file_name: str, key: str) -> None:
    """Offer a table with all its digits. It is written only when it is asked for."""

    def csv() -> bytes:
        frame = table.to_pandas() if isinstance(table, pa.Table) else table
        frame = frame.rename(columns=_no_formula)
        return bytes(frame.to_csv(index=False).encode())

    st.download_button(
        label,
        csv,
        file_name,
        "text/csv",
        key=key,
        icon=":material/download:",
        on_click="ignore",
    )
