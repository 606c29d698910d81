"""The iteration table, truth beside estimates, and downloads."""

import pandas as pd
import pyarrow as pa
import streamlit as st

from em_ui.controls.page import Controls
from em_ui.run.run import Run


def iteration_table(c: Controls, run: Run) -> None:
    """Show the iteration table, with a download of all its digits."""
    table, words = run.frames.table, run.problem.words
    formats = {
        column.name: f"%{words.quantities[column.field].format}" for column in run.frames.columns
    }
    st.header("Iteration table")
    st.dataframe(
        table,
        hide_index=True,
        key=c.key("table"),
        height=320,
        placeholder="–",
        column_config={
            name: st.column_config.NumberColumn(
                format="%d" if name == "iteration" else formats.get(name, "%.4f")
            )
            for name in table.column_names
        },
        alt="Parameters and objective at every iteration, the initial guess first",
    )
    csv_download("Download the table (CSV)", table, f"{c.prefix}-iterations.csv", c.key("csv"))


def references(run: Run) -> None:
    """Show truth, estimate with the labels known, and EM's estimate, and whose fault the gaps are.

    Without as many components as the truth has, there is nothing to put side by side.
    """
    table = run.references
    if table is None:
        return
    st.header("Whose fault is the rest?")
    algorithm = run.problem.words.algorithm
    loses = f"What {algorithm} loses on top of that is the price of the missing labels."
    st.markdown(
        "With the labels known, the estimate still misses the truth: that is the luck of the "
        f"sample, and more data make it smaller. {loses}"
        if run.problem.truth_known
        else "Nobody knows the truth behind these data. The estimate with the labels known misses "
        f"it by the luck of the sample. {loses}"
    )
    st.dataframe(
        table,
        hide_index=True,
        column_config={
            name: st.column_config.NumberColumn(format="%.4f") for name in table.column_names[1:]
        },
        alt="Each parameter: the truth, with labels known, by EM, and the gaps"
        if run.problem.truth_known
        else "Each parameter: with labels known, by EM, and the gap",
    )


def csv_download(label: str, table: pa.Table | pd.DataFrame, file_name: str, key: str) -> None:
    """Offer a table with all its digits. It is written only when it is asked for."""

    def csv() -> bytes:
        frame = table.to_pandas() if isinstance(table, pa.Table) else table
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
