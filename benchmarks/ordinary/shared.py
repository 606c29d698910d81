"""What the two pages share: presets, the status line, the convergence charts and the table."""

from dataclasses import replace

import altair as alt
import numpy as np
import pandas as pd
import streamlit as st

from em_core import Status

MARK, INK = "#E0218A", "#7A8794"
TOLERANCES = ("0", "1e-10", "1e-8", "1e-6", "1e-5", "1e-4", "1e-3", "1e-2")


def start_values(values):
    """Give widgets their first value, unless the link has one."""
    for key, value in values.items():
        if key not in st.query_params:
            st.session_state.setdefault(key, value)


def situations(key, defaults, presets):
    """Draw the choice of preset; choosing one sets every control of the page."""

    def apply():
        st.session_state.update({**defaults, **presets[st.session_state[key]]})

    st.selectbox(
        "Situation",
        list(presets),
        key=key,
        on_change=apply,
        help="Sets every control of this page at once. Change any of them afterwards.",
    )


def reset(key, defaults):
    """Draw the button that puts every control back."""
    st.button(
        "Reset this page",
        icon=":material/restart_alt:",
        key=key,
        on_click=lambda: st.session_state.update(defaults),
        width="stretch",
    )


def finite(trace):
    """Return the trace without a last step that cannot be drawn."""
    if trace.status is Status.NON_FINITE and trace.n_iter:
        return replace(trace, steps=trace.steps[:-1])
    return trace


def history(trace, names):
    """Return one row per iteration and component: iteration, component and the parameters."""
    return pd.concat(
        [
            pd.DataFrame(
                {
                    "iteration": step.iteration,
                    "component": list(names[: step.params.n_components]),
                    **step.params.arrays(),
                }
            )
            for step in trace.steps
        ],
        ignore_index=True,
    )


def wide_table(trace, names, objective):
    """Return one row per iteration, one column per parameter and component."""
    columns = {"iteration": [step.iteration for step in trace.steps]}
    for field in trace.steps[0].params.arrays():
        values = np.array([getattr(step.params, field) for step in trace.steps])
        columns |= {f"{field} {names[k]}": values[:, k] for k in range(values.shape[1])}
    columns[objective] = trace.objectives
    columns["gain"] = np.concatenate([[np.nan], np.diff(trace.objectives)])
    return pd.DataFrame(columns)


def status_line(trace, objective, gap, quantity):
    """Say why the run stopped, where, and how far from the truth."""
    place = (
        f"{objective} {trace.final.objective:,.4f}. "
        f"Largest distance of a {quantity} from the truth: {gap:.4g}."
    )
    if trace.status in (Status.NON_FINITE, Status.DECREASED):
        st.error(f"**Stopped.** {trace.message}", icon=":material/error:")
    elif trace.converged:
        st.success(f"**Converged** after {trace.n_iter} iterations. {place}")
    else:
        st.info(
            f"**Not converged yet:** stopped at the limit of {trace.n_iter} iterations. {place}"
        )


def parameter_chart(steps, truth, field, title, at):
    """Return one parameter of every component against iteration, the truth dashed."""
    x = alt.X("iteration:Q", title="Iteration", axis=alt.Axis(tickMinStep=1, format="d"))
    y = alt.Y(f"{field}:Q", title=title, scale=alt.Scale(zero=False))
    color = alt.Color("component:N", legend=None)
    tooltip = [
        alt.Tooltip("component:N", title="Component"),
        alt.Tooltip("iteration:Q", title="Iteration"),
        alt.Tooltip(f"{field}:Q", title=title, format=".6~f"),
    ]
    rules = (
        alt.Chart(truth)
        .mark_rule(strokeDash=[6, 4], strokeWidth=1.5, opacity=0.8)
        .encode(
            y=y,
            color=color,
            tooltip=[
                alt.Tooltip("component:N", title="Truth of component"),
                alt.Tooltip(f"{field}:Q", title=title, format=".6~f"),
            ],
        )
    )
    lines = alt.Chart(steps).mark_line(strokeWidth=2).encode(x=x, y=y, color=color, tooltip=tooltip)
    now = (
        alt.Chart(steps[steps["iteration"] == at])
        .mark_point(filled=True, size=90, opacity=1)
        .encode(x=x, y=y, color=color, shape=alt.Shape("component:N", legend=None), tooltip=tooltip)
    )
    names = (
        alt.Chart(steps[steps["iteration"] == steps["iteration"].max()])
        .mark_text(align="left", dx=7, fontWeight="bold")
        .encode(x=x, y=y, color=color, text="component:N")
    )
    return (rules + lines + now + names).properties(height=230)


def objective_chart(table, objective, at):
    """Return the objective against iteration."""
    data = table[["iteration", objective]].rename(columns={objective: "objective"})
    base = alt.Chart(data).encode(
        x=alt.X("iteration:Q", title="Iteration", axis=alt.Axis(tickMinStep=1, format="d")),
        y=alt.Y("objective:Q", title=objective, scale=alt.Scale(zero=False)),
        tooltip=[
            alt.Tooltip("iteration:Q", title="Iteration"),
            alt.Tooltip("objective:Q", title=objective, format=",.6~f"),
        ],
    )
    now = base.transform_filter(alt.datum.iteration == at).mark_point(
        color=MARK, filled=True, size=110, opacity=1
    )
    return (
        base.mark_line(color=INK) + base.mark_point(color=INK, filled=True, size=18) + now
    ).properties(height=230)


def convergence(steps, truth, table, quantities, objective, at):
    """Draw the convergence charts side by side."""
    columns = st.columns(len(quantities) + 1)
    for column, (field, title) in zip(columns, quantities.items(), strict=False):
        with column:
            st.markdown(f"**{title}**")
            st.altair_chart(
                parameter_chart(steps, truth, field, title, at),
                alt=f"{title} of each component at every iteration, with the truth",
            )
    with columns[-1]:
        st.markdown(f"**{objective}**")
        st.altair_chart(
            objective_chart(table, objective, at), alt=f"{objective} at every iteration"
        )


def iteration_table(table, formats, prefix):
    """Show the iteration table with its download."""
    st.header("Iteration table")
    st.dataframe(
        table,
        hide_index=True,
        height=320,
        column_config={
            name: st.column_config.NumberColumn(
                format="%d" if name == "iteration" else formats.get(name.split()[0], "%.4f")
            )
            for name in table.columns
        },
        alt="Parameters and objective at every iteration, the initial guess first",
    )
    st.download_button(
        "Download the table (CSV)",
        table.to_csv(index=False),
        f"{prefix}-iterations.csv",
        "text/csv",
        icon=":material/download:",
        on_click="ignore",
    )
