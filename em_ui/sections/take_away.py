"""What a visitor takes home: the code of the model, a script that repeats the run, and the data."""

import inspect
import textwrap
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from em_core import Params
from em_ui.controls.page import Controls
from em_ui.pictures.frames import SYMMETRIC
from em_ui.run.problem import literal
from em_ui.run.run import Run
from em_ui.sections.tables import csv_download

_SCRIPT = '''"""{title}: the run that the page shows, with em_core alone."""

import numpy as np

from em_core import {engine}
from {module} import {names}

{data}
start = {start}
trace = fit({model}, data, start, tol={tol!r}, max_iter={max_iter})

print({header!r})
previous = float("nan")
for step in trace.steps:
    parameters = {parameters}
    gain, previous = step.objective - previous, step.objective
    row = [step.iteration, *parameters, {sign}step.objective, gain]
    print(*("" if x != x else repr(x) for x in row), sep=",")  # not a number is left empty
'''


def script(run: Run) -> str:
    """Return a Python script that prints the iteration table, with only em_core installed."""
    problem, model = run.problem, run.problem.mixture
    start = problem.start
    names = {type(model).__name__, type(start).__name__, *problem.imports}
    estimated = [name for name in start.arrays() if name not in problem.fixed]
    return _SCRIPT.format(
        title=problem.words.title,
        engine="HardEM, fit" if problem.hard else "fit",
        module=type(model).__module__,
        names=", ".join(sorted(names, key=lambda name: (name.islower(), name))),
        data="\n".join(problem.data_lines),
        start=literal(start),
        model=repr(problem.model),
        tol=problem.tol,
        max_iter=problem.max_iter,
        parameters="step.params.vector().tolist()"
        if not problem.fixed and not SYMMETRIC & set(estimated)
        else " + ".join(_numbers(start, name) for name in estimated),
        # Nothing comes out as minus zero.
        sign="0.0 - " if problem.objective.sign < 0 else "",
        header=",".join(run.frames.table.column_names),
    )


def _numbers(params: Params, name: str) -> str:
    """Return the Python that lists a parameter's numbers as the iteration table does."""
    size = getattr(params, name).shape[-1]
    # Of a symmetric matrix each number once.
    upper = f"[:, *np.triu_indices({size})]" if name in SYMMETRIC else ""
    return f"step.params.{name}{upper}.ravel().tolist()"


def draw(c: Controls, run: Run) -> None:
    """Draw the model's source, the script that repeats the run, and the downloads."""
    problem = run.problem
    model: Any = problem.mixture
    st.markdown(f"**The model**: the functions of `{type(model).__name__}`, as they ran.")
    steps = [(model, "log_joint"), (problem.model, "e_step"), (model, "statistics")]
    if not problem.is_mixture:
        steps = [(model, "expect")]
    source = "\n".join(
        textwrap.dedent(inspect.getsource(getattr(type(owner), name)))
        for owner, name in [*steps, (model, "m_step")]
        if hasattr(owner, name)
    )
    st.code(source.strip(), language="python")
    if not c.sealed:
        st.markdown("**The run**: this script prints the iteration table. It needs `em_core`.")
        text = script(run)
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
    columns, noun = list(problem.data_columns), problem.words.observation
    table = pd.DataFrame(problem.sample.data.reshape(problem.n, -1), columns=columns)
    if noun not in columns:
        table.insert(0, noun, np.arange(1, problem.n + 1))
    csv_download("Download the data (CSV)", table, f"{c.prefix}-data.csv", c.key("data_csv"))
