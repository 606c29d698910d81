"""The instrument: what is drawn for a run, with and without something to compare it with."""

import json

import pytest
from streamlit.testing.v1 import AppTest


def page(known: tuple[str, ...]) -> None:
    """Draw the instrument for a run of two coins, of which only some is known."""
    from dataclasses import replace

    from em_ui.run import fitted
    from em_ui.sections import controls_of, outcomes
    from em_ui.sections.explore import explore
    from pages.two_coins.problem import SPECS, WORDS, problem

    c = controls_of(WORDS, SPECS, {}, {}, truth=("true_a",))
    run = fitted(problem, c.settings())
    unknown = {name: None for name in ("truth", "labelled") if name not in known}
    run = replace(run, frames=replace(run.frames, **unknown))
    picture = outcomes(c, run, 11, title="Trials", outcome="Heads")
    explore(c, run, picture, caption="Bars: trials.", on_pick=lambda: None)


def draw(*known: str) -> AppTest:
    at = AppTest.from_function(page, args=(known,), default_timeout=60).run()
    assert not at.exception, at.exception[0].message
    return at


def components(at: AppTest, name: str) -> list[dict]:
    protos = [element.proto for element in at.get("bidi_component")]
    return [json.loads(p.json) for p in protos if p.component_name == name]


@pytest.mark.parametrize(
    ("known", "words"),
    [
        (("truth", "labelled"), "Dashed: the truth. Dotted: the estimate with the labels known."),
        (("truth",), "Dashed: the truth."),
        (
            ("labelled",),
            "Dotted: the estimate with the labels known. Nobody knows the truth behind these data.",
        ),
        ((), ""),
    ],
    ids=str,
)
def test_draws_what_is_known(known, words):
    at = draw(*known)
    specs = [element.proto for element in at.get("vega_lite_chart")]
    assert len(specs) == 3
    theta = specs[2]
    assert {data.name for data in theta.datasets} == {"steps", *known}
    # One caption says what the lines are in the picture and in the charts.
    (status,) = components(at, "iteration_status")
    assert status["caption"] == f"Bars: trials. {words}".rstrip()
    assert ("distance" in status["end"]) == bool(known)


def test_titles_are_in_the_charts_and_alts_do_not_tell_the_end():
    at = draw("truth", "labelled")
    protos = [element.proto for element in at.get("vega_lite_chart")]
    titles = [json.loads(proto.spec)["title"]["text"] for proto in protos]
    assert titles == ["Trials", "Log-likelihood", "Heads probability θ"]
    (player,) = components(at, "iteration_player")
    for proto in protos[1:]:
        assert "played so far" in proto.alt
        assert not any(number in proto.alt for row in player["rows"] for number in row)


def test_player_is_told_the_names_of_the_inputs():
    (player,) = components(draw(), "iteration_player")
    assert player["inputs"] == {
        "bindings": "vega-bindings",
        "name": "place",
        "places": 1000,
        "before": -1,
    }


def test_between_the_steps_neither_raises_the_inertia():
    from em_ui.run import fitted
    from em_ui.sections.explore import between
    from pages.k_means.problem import SPECS, problem

    run = fitted(problem, {name: spec.default for name, spec in SPECS.items()})
    texts = between(run)
    assert len(texts) == len(run.steps)
    assert texts[1].startswith("1,442.0")
    after_e = [-step.objective for step in run.steps]
    after_m = [float(text.replace(",", "")) for text in texts]
    assert after_e[1] == pytest.approx(1254.15, abs=5e-3)
    for t in range(1, len(after_e)):
        assert after_e[t - 1] >= after_m[t] - 1e-4 >= after_e[t] - 2e-4


def test_between_is_for_hard_assignment_only():
    from em_ui.run import fitted
    from em_ui.sections.explore import between
    from pages.two_coins.problem import SPECS, problem

    settings = {name: spec.default for name, spec in SPECS.items()}
    assert between(fitted(problem, settings)) is None
    hard = fitted(problem, settings | {"hard": True})
    assert len(between(hard)) == len(hard.steps)


def test_charts_in_rows_stand_in_one_box():
    def rows(n):
        import pyarrow as pa

        from em_ui.pictures import charts
        from em_ui.sections.explore import Drawing, in_row

        steps = {"steps": pa.table({"iteration": [0], "objective": [1.0]})}
        drawing = Drawing("Objective", charts.objective("Objective"), steps, "Objective")
        in_row([drawing] * n, key="row")

    for n in (1, 2, 4, 5):
        at = AppTest.from_function(rows, args=(n,), default_timeout=60).run()
        (box,) = at.main.children.values()
        assert box.proto.flex_container.wrap
        assert len(box.children) == len(at.get("vega_lite_chart")) == n
    assert not AppTest.from_function(rows, args=(0,)).run().main.children
