"""What a visitor takes home: the code of the model, a script that repeats the run, and the data."""

import inspect
import textwrap
from collections.abc import Sequence
from typing import Any

import pandas as pd
import streamlit as st

from em_core.model import Params
from em_core.models.hard import HardEM
from em_ui.controls.page import Controls
from em_ui.run.compute import Run
from em_ui.sections.sections import csv_download

_SCRIPT = '''"""{title}: the run that the page shows, with em_core alone."""

import numpy as np

from em_core import {engine}
from {module} import {names}

{data}
start = {start}
trace = fit({model}, data, start, tol={tol!r}, max_iter={max_iter}){in_order}

print({header!r})
previous = float("nan")
for step in trace.steps:
    parameters = [float(x) for array in step.params.arrays().values() for x in array.ravel()]
    gain, previous = step.objective - previous, step.objective
    row = [step.iteration, *parameters, {sign}step.objective, gain]
    print(*("" if x != x else repr(x) for x in row), sep=",")  # not a number is left empty
'''


def literal(params: Params) -> str:
    """Return parameters as the Python expression that makes them."""
    fields = ", ".join(f"{name}={array.tolist()!r}" for name, array in params.arrays().items())
    return f"{type(params).__name__}({fields})"


def script(run: Run, *, title: str, data: Sequence[str], simulator: str) -> str:
    """Return a Python script that prints the iteration table, with only em_core installed.

    Parameters
    ----------
    run : Run
        The run to repeat.
    title : str
        The page's title.
    data : sequence of str
        Lines that define ``data``.
    simulator : str
        The function of the model's module that these lines call.
    """
    problem = run.problem
    model = problem.model.model if isinstance(problem.model, HardEM) else problem.model
    # From the start as it was, since another order of the components rounds otherwise.
    start, order = problem.start, run.order.tolist()
    names = {type(model).__name__, type(start).__name__, simulator}
    return _SCRIPT.format(
        title=title,
        engine="fit" if model is problem.model else "HardEM, fit",
        module=type(model).__module__,
        names=", ".join(sorted(names, key=lambda name: (name.islower(), name))),
        data="\n".join(data),
        start=literal(start),
        model=repr(problem.model),
        tol=problem.tol,
        max_iter=problem.max_iter,
        in_order=f".relabel({order})" if order != sorted(order) else "",
        sign="0.0 - " if problem.sign < 0 else "",  # of which nothing comes out as minus zero
        header=",".join(run.frames.table.column_names),
    )


def code(c: Controls, run: Run, text: str, table: pd.DataFrame) -> None:
    """Draw the model's source, the script that repeats the run, and the downloads.

    Parameters
    ----------
    c, run
        The page's controls, and the run.
    text : str
        From :func:`script`.
    table : pandas.DataFrame
        The observations, one row each.
    """
    problem = run.problem
    model: Any = problem.model.model if isinstance(problem.model, HardEM) else problem.model
    st.markdown(f"**The model**: the functions of `{type(model).__name__}`, as they ran.")
    steps = [type(problem.model).e_step, type(model).statistics, type(model).m_step]
    if hasattr(model, "log_joint"):
        steps.insert(0, type(model).log_joint)
    source = "\n".join(textwrap.dedent(inspect.getsource(step)) for step in steps)
    st.code(source.strip(), language="python")
    if not c.sealed:
        st.markdown("**The run**: this script prints the iteration table. It needs `em_core`.")
        st.code(text, language="python")
        st.download_button(
            "Download the script",
            text,
            f"{c.prefix}-run.py",
            "text/x-python",
            key=c.key("script"),
            icon=":material/download:",
            on_click="ignore",
        )
    csv_download("Download the data (CSV)", table, f"{c.prefix}-data.csv", c.key("data_csv"))
