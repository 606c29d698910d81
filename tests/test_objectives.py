"""Objectives of many parameters at once, for hills."""

import numpy as np
import pytest
from conftest import RUNNING, run_at

from em_core.engine import objective_of
from em_core.many import objectives_of
from em_ui.run import budget, progress
from em_ui.sections import hill


@pytest.mark.parametrize("hard", [False, True])
@pytest.mark.parametrize("name", RUNNING)
def test_are_those_of_each_alone(name, hard):
    run = run_at(name, **({"hard": True} if hard and name not in ("k_means", "toy_lesson") else {}))
    problem, steps = run.problem, run.steps
    arrays = {
        field: np.array([step.params.arrays()[field] for step in steps])
        for field in run.params.arrays()
    }
    found = objectives_of(problem.model, problem.data, type(run.params))(arrays)
    each = [objective_of(problem.model, problem.data, step.params) for step in steps]
    np.testing.assert_allclose(found, each, rtol=1e-12)


def test_of_many_values_are_too():
    run = run_at("gaussian_mixture", max_iter=3, size1=12_500, size2=12_500, size3=12_500)
    problem = run.problem
    arrays = hill.repeated(run.params, 4)
    arrays["means"] = arrays["means"] + np.array([[0.0], [1.0], [-5.0], [40.0]])
    found = objectives_of(problem.model, problem.data, type(run.params))(arrays)
    each = [
        objective_of(problem.model, problem.data, type(run.params)(means, *rest))
        for means, *rest in zip(*arrays.values(), strict=True)
    ]
    np.testing.assert_allclose(found, each, rtol=1e-11)


def test_a_hill_has_all_its_cells_however_many_the_observations(monkeypatch):
    run, told = run_at("gaussian_mixture", max_iter=2, size1=12_500), []

    def tell(text, part):
        with budget.turn(1e12):  # nobody has it
            told.append((text, part))

    monkeypatch.setattr(progress, "tell", tell)
    x, y = (column for column in run.frames.columns[:2])
    across, up = (hill._reach(run, column, None) for column in (x, y))
    cells = hill._heights.__wrapped__(run, 0, x, y, across, up)
    assert len(cells) == hill.GRID**2
    some = int(budget.PIECE / run.problem.work)
    assert len(told) == -(-(hill.GRID**2) // some)
    assert told[1] == (f"Height {some + 1:,} of 3,721", some / 3721)


def test_the_mirror_image_of_a_covariance_moves_with_it():
    run = run_at("mixture_in_the_plane")
    (column,) = [
        column
        for column in run.frames.columns
        if column.field == "covariances" and column.place == (1, 0, 1)
    ]
    arrays = hill.placed(hill.repeated(run.params, 2), column, [0.25, -0.5])
    assert arrays["covariances"][:, 1, 0, 1].tolist() == [0.25, -0.5]
    assert arrays["covariances"][:, 1, 1, 0].tolist() == [0.25, -0.5]
    np.testing.assert_array_equal(arrays["means"][1], run.params.means)
