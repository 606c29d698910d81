"""Many starts side by side: which optimum each reaches, and how often it is the best."""

import streamlit as st

from em_ui.controls.page import Controls
from em_ui.pictures import charts
from em_ui.run.many_starts import many_starts
from em_ui.run.problem import count
from em_ui.run.run import Run
from em_ui.sections.tables import csv_download


def draw(c: Controls, run: Run) -> None:
    """Draw the table and the curves of many starts; a click on a row opens it in the player."""
    objective = run.problem.objective
    starts = many_starts(run, c.show("starts"))
    table = starts.table
    solutions = table["solution"].nunique()
    best = int((table["solution"] == 1).sum())
    if solutions == 1:
        st.markdown(f"All {count(len(table), 'start')} lead to the same solution.")
    elif 2 * starts.moving > len(table):
        st.markdown(
            f"These runs climb so slowly that they cannot be told apart: **{starts.moving}** of "
            f"{count(len(table), 'start')} were still moving long after they had been stopped. "
            "Runs with nearly the same objective are probably on their way to the same solution."
        )
    else:
        st.markdown(
            f"{count(len(table), 'start')} lead to {count(solutions, 'solution')}. **{best}** of "
            "them lead to the best, solution 1. Solutions that differ only in the order of the "
            "components are the same. A different answer from another start is not a fault: each "
            "run climbs the hill on which it starts."
        )
        st.caption(
            "Runs are compared where they would end if they went on."
            + (
                f" {starts.moving} of them were still moving when this was given up, so some of "
                "these solutions may be one."
                if starts.moving
                else ""
            )
        )
    if int(c.value("starts")) > len(table):
        st.caption(f"These runs take long, so only {len(table)} starts are run.")

    def open_start() -> None:
        rows = st.session_state[c.key("start_rows")].selection.rows
        if rows:
            if run.problem.drawn is not None:
                c.set("guess", run.problem.drawn)
            c.set("start", int(table["start"].iloc[rows[0]]))

    st.dataframe(
        table.assign(best=table["solution"].eq(1).map({True: "best", False: ""})),
        hide_index=True,
        key=c.key("start_rows"),
        height=300,
        column_order=[table.columns[0], "solution", "best", *table.columns[2:]],
        column_config={
            name: st.column_config.NumberColumn(format="%.4f")
            for name in table.columns
            if table[name].dtype == float
        },
        on_select=open_start,
        selection_mode="single-row",
        alt="Each start: where it began and ended, its objective, iterations and status",
    )
    st.caption(
        "Click the box before a row to open that start in the player. With the keyboard, arrow "
        "keys go to a row, and Shift with Space opens it."
    )
    csv_download("Download the starts (CSV)", table, f"{c.prefix}-starts.csv", c.key("starts_csv"))
    charts.show(
        charts.curves(objective.title),
        {"curves": starts.curves},
        key=c.key("curves"),
        alt=f"{objective.title} of {count(len(table), 'start')} against iteration; {best} end at "
        "the best solution",
    )
