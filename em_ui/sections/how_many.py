"""How many components: fits with several numbers of them, and what each criterion chooses."""

import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import streamlit as st

from em_ui.controls.page import Controls
from em_ui.controls.specs import Number
from em_ui.pictures import charts, frames
from em_ui.run import how_many
from em_ui.run.how_many import MOST, SILHOUETTE_ROWS, Drawn, HowMany
from em_ui.run.problem import count
from em_ui.run.run import Run
from em_ui.sections.convergence import plain
from em_ui.sections.tables import csv_download, numbers


class _Criterion(NamedTuple):
    """What a criterion is called, in titles and in sentences, and which of its values is best.

    Its values have the format, or that of the page's objective if it is empty.
    """

    title: str
    name: str
    format: str = ",.2f"
    best: str = ""


_CRITERIA = {
    "log_likelihood": _Criterion("Log-likelihood", "the log-likelihood"),
    "n_parameters": _Criterion("Free parameters", "the number of free parameters", "d"),
    "aic": _Criterion("AIC", "AIC", best="lowest"),
    "bic": _Criterion("BIC", "BIC", best="lowest"),
    "icl": _Criterion("ICL", "ICL", best="lowest"),
    "inertia": _Criterion("Inertia", "the inertia", ""),
    "silhouette": _Criterion("Silhouette", "the silhouette", ".3f", "highest"),
    "calinski_harabasz": _Criterion(
        "Calinski–Harabasz index", "the Calinski–Harabasz index", best="highest"
    ),
}
# The controls that a page with this section has for it.
VIEW = {"tries": Number("Starts for each", 5, 1, 50, 1)}
_BETTER = {"lowest": "smaller is better", "highest": "larger is better"}


def draw(c: Controls, run: Run, *, find: str | None = "find", drawn: Drawn | None = None) -> None:
    """Draw each criterion over the number of components, the table, and why they may differ.

    Parameters
    ----------
    c, run
        The page's controls, and the run.
    find : str or None
        The control that sets how many components are looked for. A click on a chart sets it.
    drawn : callable, optional
        Draws an initial guess where there is no such control: ``drawn(data, k, rng=...)``.
    """
    wanted = int(c.show("tries"))
    spec = None if find is None else c.specs[find]
    most = min(MOST, int(spec.high)) if isinstance(spec, Number) else MOST
    found = how_many.how_many(run, wanted, most=most, find=find, drawn=drawn)
    st.markdown(f"{_what(run, found)} {_chosen(run, found)}")
    for text in _differences(run, found):
        st.markdown(text)
    for text in _remarks(run, found):
        st.caption(text)

    def look_for(k: int) -> None:
        start = dict(zip(_numbers(found), found.best_starts, strict=True)).get(k)
        if find is not None and start is not None:
            guess = {} if run.problem.drawn is None else {"guess": run.problem.drawn}
            c.set(**guess, **{find: k, "start": start})

    _draw_charts(c, run, found, look_for if find is not None else None)
    if find is not None:
        st.caption(
            f"Click on a number in a chart, or press its button, and the page looks for so many "
            f"{_things(run)}, from the best of these starts."
        )
        with st.container(horizontal=True):
            for k, start in zip(_numbers(found), found.best_starts, strict=True):
                if start is not None:
                    key = c.key(f"look_for_{k}")
                    st.button(f"Look for {k}", key=key, on_click=look_for, args=(k,))
    _draw_table(c, run, found)
    st.markdown("\n".join(_why(run, found)))


def _objective(run: Run) -> str:
    return run.problem.objective.title.lower()


def _things(run: Run) -> str:
    return f"{run.problem.words.component}s"


def _numbers(found: HowMany) -> list[int]:
    return [each.n_components for each in found.selection.candidates]


def _listed(words: Iterable[Any]) -> str:
    *others, last = map(str, words)
    return f"{', '.join(others)} and {last}" if others else last


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


def _with(numbers: Iterable[int]) -> str:
    """Return numbers of components as a sentence begins with them: With K = 4 and 7."""
    return f"With K = {_listed(numbers)}"


def _what(run: Run, found: HowMany) -> str:
    """Return what was compared."""
    ks, things, words = _numbers(found), _things(run), run.problem.words
    fewer = (
        ""
        if found.more or ks[-1] == MOST
        else f", since there are no more different {words.observation}s"
    )
    if len(ks) == 1:
        return f"Only 1 {words.component} is tried{fewer}."
    each = f"each from {count(found.n_starts, 'start')}, of which the best counts"
    return f"K = {ks[0]} to {ks[-1]} {things}{fewer}, {each}."


def _chosen(run: Run, found: HowMany) -> str:
    """Return which number each criterion chooses."""
    selection = found.selection
    if all(each.trace is None for each in selection.candidates):
        return f"**No start came to a finite {_objective(run)}**, so no criterion can choose."
    by_number: dict[int, list[str]] = {}
    for name, k in selection.chosen.items():
        by_number.setdefault(k, []).append(_CRITERIA[name].name)
    sentences = []
    if len(by_number) == 1 and len(selection.chosen) > 1:
        ((k, names),) = by_number.items()
        every = "Both" if len(names) == 2 else "All three"
        sentences.append(f"{every} choose **K = {k}**: {_listed(names)}.")
    elif by_number:
        parts = [
            f"{_listed(names)} choose{'s' * (len(names) == 1)} **K = {k}**"
            for k, names in by_number.items()
        ]
        sentences.append(_sentence(_listed(parts)))
    nowhere = [_CRITERIA[n].name for n in selection.criteria if n not in selection.chosen]
    if nowhere:
        are = "is" if len(nowhere) == 1 else "are"
        sentences.append(_sentence(f"{_listed(nowhere)} {are} not defined for any of these"))
    return " ".join(sentences)


def _differences(run: Run, found: HowMany) -> Iterator[str]:
    """Yield why the criteria that were compared differ here, if they do."""
    chosen = found.selection.chosen
    if not {"aic", "bic", "icl"} <= chosen.keys():
        return
    aic, bic, icl = (chosen[name] for name in ("aic", "bic", "icl"))
    if aic != bic:
        price = math.log(run.problem.n)
        more = "more" if aic > bic else "fewer"
        yield (
            f"AIC chooses {more} than BIC: a free parameter costs 2 with AIC, and "
            f"$\\log n = {price:.1f}$ with BIC."
        )
    if icl < bic:
        yield (
            f"ICL chooses fewer than BIC: of BIC’s {bic} {_things(run)} some overlap, and ICL "
            f"counts the doubt of which {run.problem.words.observation} belongs to which."
        )
    elif icl > bic:
        yield (
            f"ICL chooses more than BIC: with {icl} {_things(run)} there is less doubt of which "
            f"{run.problem.words.observation} belongs to which than with {bic}."
        )


def _remarks(run: Run, found: HowMany) -> Iterator[str]:
    """Yield what one should know before one believes these numbers."""
    problem, selection = run.problem, found.selection
    if found.beyond:
        yield (
            "Here runs go on from where this page’s tolerance and iteration limit stop them: the "
            f"criteria ask how {'high' if problem.objective.sign > 0 else 'low'} a run comes in "
            "the end."
        )
    some = [
        f"{each.n_collapsed} of {count(each.n_starts, 'start')} with K = {each.n_components}"
        for each in selection.candidates
        if each.trace is not None and each.n_collapsed
    ]
    if some:
        yield (
            f"Without a finite {_objective(run)} at the end, and so no candidates: {_listed(some)}."
        )
    gone = [each.n_components for each in selection.candidates if each.trace is None]
    if 0 < len(gone) < len(selection.candidates):
        yield (
            f"{_with(gone)} no start came to a finite {_objective(run)}, so there is nothing to "
            "compare."
        )
    if found.on_the_way:
        yield (
            f"{_with(found.on_the_way)} the best run was still {problem.objective.climbing} when "
            "this was given up."
        )
    if found.beaten:
        worse = "lower" if problem.objective.sign > 0 else "higher"
        yield (
            f"{_with(found.beaten)} the {_objective(run)} is {worse} than with "
            "fewer. More can always do as well, so a better solution exists than was found; more "
            "starts may find it."
        )
    if found.held:
        criteria = [_CRITERIA[name].name for name, k in selection.chosen.items() if k in found.held]
        yield (
            f"{_with(found.held)} a {problem.words.component} is as narrow as this page lets it "
            f"be: its standard deviation is held at {plain(problem.mixture.min_std)}. How well "
            "such a fit does is up to this bound, and says little of the number."
        )
        if criteria:
            yield _sentence(f"{_listed(criteria)} choose{'s' * (len(criteria) == 1)} such a fit")
    edge = [
        _CRITERIA[name].name for name, k in selection.chosen.items() if k == _numbers(found)[-1]
    ]
    if edge and found.more:
        yield _sentence(
            f"{_listed(edge)} choose{'s' * (len(edge) == 1)} the largest number that was tried; "
            "larger ones may be better still"
        )
    if "silhouette" in selection.criteria and problem.n > SILHOUETTE_ROWS:
        yield (
            f"The silhouette is that of {SILHOUETTE_ROWS:,} {problem.words.observation}s, drawn "
            f"from all {problem.n:,}."
        )


def _draw_charts(
    c: Controls, run: Run, found: HowMany, look_for: Callable[[int], None] | None
) -> None:
    """Draw a small chart for each criterion."""
    selection = found.selection
    names = [n for n in selection.measured if n != "n_parameters"]
    if "aic" in names:
        names.remove("log_likelihood")
    for column, name in zip(st.columns(len(names)), names, strict=True):
        criterion = _CRITERIA[name]
        better = _BETTER.get(criterion.best)
        key = c.key(f"criterion_{name}")

        def pick(key: str = key) -> None:
            k = charts.picked(key, "k")
            if k is not None and look_for is not None:
                look_for(int(k))

        with column:
            charts.show(
                charts.criterion(
                    criterion.title,
                    _things(run).capitalize(),
                    _places(run, name),
                    criterion.best,
                ),
                {"criterion": _values(found, name)},
                key=key,
                title=f"{criterion.title}{f' ({better})' if better else ''}",
                alt=_alt(run, found, name),
                on_pick=None if look_for is None else pick,
            )


def _values(found: HowMany, name: str) -> Any:
    ks = np.array(_numbers(found))
    chosen = found.selection.chosen.get(name)
    return frames.arrow(
        {
            "k": ks,
            "low": ks - 0.5,
            "high": ks + 0.5,
            "value": np.array([getattr(each, name) for each in found.selection.candidates]),
            "chosen": [f"K = {k}" if k == chosen else "" for k in ks.tolist()],
        }
    )


def _alt(run: Run, found: HowMany, name: str) -> str:
    """Return in words what the chart of a criterion shows."""
    criterion, ks, chosen = _CRITERIA[name], _numbers(found), found.selection.chosen.get(name)
    values = {each.n_components: getattr(each, name) for each in found.selection.candidates}
    told = {k: f"{value:{_places(run, name)}}" for k, value in values.items() if np.isfinite(value)}
    text = f"{criterion.title} with {ks[0]} to {ks[-1]} {_things(run)}"
    if not told:
        return f"{text}: defined for none"
    if chosen is not None:
        text += f": {criterion.best}, {told[chosen]}, with {chosen}, which is marked"
    else:
        text += ": " + _listed(f"{told[k]} with {k}" for k in sorted({min(told), max(told)}))
    missing = [k for k in ks if k not in told]
    return text + (f"; missing for {_listed(missing)}" if missing else "")


def _draw_table(c: Controls, run: Run, found: HowMany) -> None:
    """Draw the table, which names the criteria that choose a row."""
    selection = found.selection
    columns = pd.DataFrame(selection.columns())
    columns.loc[[each.trace is None for each in selection.candidates], "n_parameters"] = None
    by = [
        _listed(names) if names else ""
        for names in (
            [_CRITERIA[name].title for name, chosen in selection.chosen.items() if chosen == k]
            for k in _numbers(found)
        )
    ]
    table = columns[["n_components", *selection.measured]].assign(
        chosen_by=by,
        best_start=pd.array(found.best_starts, dtype="Int64"),
        collapsed=columns["n_collapsed"],
    )
    if not columns["n_collapsed"].any():
        table = table.drop(columns="collapsed")
    first = ["n_components", "chosen_by"]
    st.dataframe(
        table,
        hide_index=True,
        placeholder="–",
        column_order=[*first, *(name for name in table.columns if name not in first)],
        column_config={
            "n_components": _things(run).capitalize(),
            "chosen_by": st.column_config.TextColumn("Chosen by", width="medium"),
            "best_start": "Best start",
            "collapsed": "Starts without a finite end",
            **{
                name: numbers(_CRITERIA[name].title, _places(run, name))
                for name in selection.measured
            },
        },
        alt=f"Each number of {_things(run)}: the criteria that choose it, and their values",
    )
    name = f"{c.prefix}-how-many.csv"
    csv_download("Download the comparison (CSV)", table, name, c.key("how_many_csv"))


def _places(run: Run, name: str) -> str:
    """Return the format of a criterion's values."""
    return _CRITERIA[name].format or run.problem.objective.format


def _why(run: Run, found: HowMany) -> Iterator[str]:
    """Yield what the criteria ask for, and what none of them knows."""
    problem, criteria = run.problem, found.selection.criteria
    words, things = problem.words, _things(run)
    yield "**Why they may differ, and what none of them knows**"
    yield ""
    if "silhouette" in criteria:
        yield (
            f"- *Inertia* cannot choose: each {words.component} more can lower it, down to 0 where "
            f"every {words.observation} has its own. One looks for an *elbow*, after which it "
            "falls more slowly. An elbow is no proof: data without any clusters may show one too."
        )
        yield (
            f"- The *silhouette* compares how far a {words.observation} is from the others of its "
            "own cluster with how far it is from the nearest other cluster, from −1 to 1. It wants "
            "clusters compact and well apart, and takes two near ones for one."
        )
        yield (
            "- The *Calinski–Harabasz index* divides the scatter between clusters by the scatter "
            "within them, with a price for their number. It likes round clusters of one size."
        )
        yield "- Neither is defined for one cluster, so neither can say that there are no clusters."
    else:
        if "aic" in criteria:
            yield (
                f"- *AIC* asks which fit would predict new {words.observation}s best. A free "
                "parameter costs 2, however many data there are, so that it rather takes too many."
            )
            yield (
                f"- *BIC* asks which number of {things} the data make most probable. A free "
                f"parameter costs $\\log n$, here {math.log(problem.n):.1f}."
            )
        else:
            yield (
                "- With hard assignment there is no *AIC* and no *BIC*: both are about the largest "
                "likelihood, and hard assignment climbs another hill."
            )
        yield (
            f"- *ICL* is BIC with a charge for doubt: it also wants the {things} well apart, so "
            f"that it is clear which {words.observation} belongs to which."
            if "aic" in criteria
            else f"- *ICL* wants the {things} well apart, so that it is clear which "
            f"{words.observation} belongs to which, and a free parameter costs $\\log n$, here "
            f"{math.log(problem.n):.1f}."
        )
    yield ""
    yield (
        "**None of them knows the truth.** They compare these fits to these data, and take the "
        f"model for granted: a group that is not as the model has it is cut into several {things}. "
        "That criteria agree is no proof either, and other data from the same source may make "
        "them choose otherwise."
    )
