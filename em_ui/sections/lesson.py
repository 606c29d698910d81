"""The sections of a lesson's page: those that every lesson has, and its own."""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any

import streamlit as st

from em_ui.controls.page import Controls, Situation
from em_ui.controls.specs import VIEW, Control, Section
from em_ui.data.kept import NoData
from em_ui.data.own import Own
from em_ui.pictures import player
from em_ui.run.problem import Problem, Settings, Words
from em_ui.run.run import Run, fitted
from em_ui.sections import (
    by_hand,
    convergence,
    hard_against_soft,
    hill,
    how_many,
    many_starts,
    take_away,
    teacher,
)
from em_ui.sections.by_hand import aligned
from em_ui.sections.explore import Drawing, explore, in_row, played
from em_ui.sections.findings import assumed_weights, cannot_tell_apart
from em_ui.sections.picture import pick
from em_ui.sections.situation import advice, answer, misconceptions, question
from em_ui.sections.tables import iteration_table, references
from em_ui.sections.teacher import quiz

Draw = Callable[[Controls, Run], None]

# In the order of the page. The optional ones are of lessons that name them.
_KNOWN = {
    "by_hand": Section("One step by hand", ":material/calculate:", by_hand.draw, follows=True),
    "hard_against_soft": Section(
        "Hard against soft", ":material/compare:", hard_against_soft.draw, formerly="versus"
    ),
    "hill": Section(
        "The hill that EM climbs",
        ":material/landscape:",
        hill.draw,
        follows=True,
        formerly="surface",
    ),
    "many_starts": Section("Many starts", ":material/shuffle:", many_starts.draw, formerly="many"),
    "how_many": Section("How many components?", ":material/bar_chart:", how_many.draw),
    "convergence": Section(
        "Has it really converged?", ":material/speed:", convergence.draw, formerly="speed"
    ),
    "code": Section("The code, and everything to take away", ":material/code:", take_away.draw),
    "teacher": Section("For the teacher", ":material/school:", teacher.draw, for_teacher=True),
}
_UNTIL_THEN = (
    "The table of all iterations, and what they add up to, appear below once you have played to "
    "the end. (⇥ in the player goes there at once.)"
)
_OPTIONAL = {"hard_against_soft", "hill", "how_many"}


def sections_of(**own: Draw | Section | dict[str, Any]) -> dict[str, Section]:
    """Return the sections of a lesson, in the order of the page.

    Parameters
    ----------
    own : callable, dict or Section
        By name: what draws a known section in this lesson, or changes to it (attributes of
        :class:`~em_ui.controls.specs.Section`), or a new one, which stands before the known ones.
        *Hard against soft*, the hill and *How many components?* are on the page only if they are
        named here.
    """
    new = {name: section for name, section in own.items() if isinstance(section, Section)}
    known = {
        name: section for name, section in _KNOWN.items() if name not in _OPTIONAL or name in own
    }
    for name, change in own.items():
        if not isinstance(change, Section):
            changes = change if isinstance(change, dict) else {"draw": change}
            known[name] = replace(_KNOWN[name], **changes)
    return {**new, **known}


def controls_of(
    words: Words,
    specs: Mapping[str, Control],
    situations: Mapping[str, Situation],
    sections: Mapping[str, Section],
    *,
    truth: Sequence[str],
    asked: Sequence[str] = (),
    **view: Control,
) -> Controls:
    """Return the controls of a lesson's page.

    Parameters
    ----------
    words, specs, situations, sections
        What the lesson declares.
    truth : sequence of str
        The controls that a link for students seals, besides data seed and student number.
    asked : sequence of str
        Those of them for which a student is asked; by default a guess may lie wherever it is near
        the data.
    view
        Further controls that change only what is shown.
    """
    observation = replace(VIEW["observation"], label=words.observation.capitalize())
    tries = how_many.VIEW if "how_many" in sections else {}
    shown = {**VIEW, "observation": observation, **tries, **view, **sections}
    return Controls(words.prefix, specs, situations, truth, shown, asked)


def run_of(c: Controls, words: Words, make: Callable[[Settings], Problem]) -> Run:
    """Return the run that the controls ask for.

    Settings that cannot be run end the page with the reason. The question and the player stay in
    their places, so that one finds them there when the settings are mended.

    Parameters
    ----------
    c : Controls
        The page's controls, all of which were shown.
    words : Words
        What the lesson calls things.
    make : callable
        Maps settings to the lesson's problem.
    """
    try:
        return fitted(make, c.settings())
    except ValueError as error:
        own = c.specs.get("own")
        trouble = own.trouble(c.key("own")) if isinstance(own, Own) else ""
        if isinstance(error, NoData) and trouble:
            st.error(f"Your numbers cannot be used. {trouble}", icon=":material/error:")
        elif isinstance(error, NoData):
            text = f"{str(error)[:1].upper()}{str(error)[1:]}."
            st.info(text, icon=":material/table:")
        else:
            _say_why(words, error)
        with contextlib.suppress(ValueError):  # a question that is computed needs a run
            question(c)
        player.idle(c.prefix, c.key("iter"))
        st.stop()


def _say_why(words: Words, error: ValueError) -> None:
    text = f"{words.algorithm} cannot run with these settings: {error}."
    st.error(text, icon=":material/error:")


def opening(title: str, story: str) -> None:
    """Draw the page's title and, in one piece with it, the question and how the data come about."""
    st.markdown(f"# {title}\n\n{story}")


def play(
    c: Controls,
    run: Run,
    picture: Drawing,
    *,
    caption: str,
    findings: Iterable[str],
    on_pick: Callable[[], None] | None = None,
) -> None:
    """Draw the question, the instrument, and what there is to say at the end of the run.

    Parameters
    ----------
    c, run, picture, caption
        As for :func:`~em_ui.sections.explore.explore`. Before it was played, the caption also says
        what :func:`results` draw then.
    findings : iterable of str
        What went wrong in this run, and what to try. In a situation this would give its answer
        away, and stands with that.
    on_pick : callable, optional
        Called after a click on the picture; by default it chooses the observation.
    """
    findings = chain(findings, _of_any(c, run))
    question(c, run)
    on_pick = on_pick or (lambda: pick(c, run))
    explore(c, run, picture, caption=caption, until_then=_UNTIL_THEN, on_pick=on_pick)
    if c.current is None or c.changed or c.sealed:
        answer(c, run=run)
        if played(c, run):
            advice(findings)
    else:
        answer(c, findings, run)


def _of_any(c: Controls, run: Run) -> Iterator[str]:
    """Yield what there is to say of any lesson's run, once it has been played."""
    if played(c, run):
        yield from cannot_tell_apart(run)
        if not c.sealed:
            yield from assumed_weights(run)


def steps(e_step: Sequence[str], m_step: Sequence[str], then: str) -> None:
    """Show the two steps of the algorithm beside each other, in one piece.

    Parameters
    ----------
    e_step, m_step : sequence of str
        Paragraphs in Markdown; what :func:`displayed` returns is one.
    then : str
        What is to be said of both.
    """
    together("## The two steps", beside(e_step, m_step), then)


def beside(*columns: Sequence[str]) -> str:
    """Return columns of paragraphs, beside each other where there is room, for :func:`together`."""
    inner = "\n\n".join("\n\n".join(["<div>", *column, "</div>"]) for column in columns)
    return f'<div class="beside">\n\n{inner}\n\n</div>'


def together(*paragraphs: str) -> None:
    """Draw paragraphs of Markdown as one piece.

    A piece of its own for each sentence and formula would cost the server and the browser as much
    as a chart.
    """
    st.markdown("\n\n".join(paragraphs), unsafe_allow_html=True)


def displayed(*lines: str) -> str:
    """Return a formula that stands on lines of its own, aligned at its ampersands, in Markdown."""
    return f"$$\n{lines[0] if len(lines) == 1 else aligned(lines)}\n$$"


def results(
    c: Controls,
    run: Run,
    *,
    moments: Callable[[], Sequence[Drawing]] | None = None,
    heading: str = "",
) -> None:
    """Draw the numbers of the run, once it has been played, and ask for the truth if it is hidden.

    Parameters
    ----------
    c, run
        The page's controls, and the run.
    moments : callable, optional
        Returns the picture at some iterations, to stand above the table.
    heading : str
        Of these.
    """
    if played(c, run):
        if moments:
            st.header(heading)
            in_row(moments(), key=c.key("moments"))
        iteration_table(c, run)
        if not c.sealed:
            references(run)
    quiz(c, run)


def more(c: Controls, run: Run, beliefs: Sequence[tuple[str, str]]) -> None:
    """Draw the page's sections, of which only the open ones are computed, and false beliefs."""
    for name, section in c.sections.items():
        box = c.section(name)
        if box is not None:
            with box:
                try:
                    section.draw(c, run)
                except ValueError as error:
                    _say_why(run.problem.words, error)
    misconceptions(beliefs)
