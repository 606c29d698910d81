"""The start page: the recorded run is a real one, and the lessons come first."""

import re

import numpy as np
import pytest

from em_core import GaussianMixture, Status, fit
from pages.home.example import GUESS, TOLERANCE, recorded, run


def test_recorded_run_is_that_of_the_engine():
    values, _ = run()
    sent, model = recorded(), GaussianMixture(min_std=0.1)
    trace = fit(model, values, GUESS, tol=TOLERANCE)
    assert trace.status is Status.CONVERGED
    assert sent["end"] == trace.message
    assert sum(sent["counts"]) == len(values)
    for step, (means, stds, weights, objective, shares) in zip(
        trace.steps, sent["steps"], strict=True
    ):
        np.testing.assert_allclose(means, step.params.means, atol=5e-4)
        np.testing.assert_allclose(stds, step.params.stds, atol=5e-4)
        np.testing.assert_allclose(weights, step.params.weights, atol=5e-5)
        assert objective == pytest.approx(step.objective, abs=0.005)
        owned = model.e_step(values, step.params).responsibilities[:, 0]
        for i, (count, share) in enumerate(zip(sent["counts"], shares, strict=True)):
            inside = np.floor(values - sent["low"]) == i
            assert inside.sum() == count
            if count:
                assert share == pytest.approx(100 * owned[inside].mean(), abs=0.5)


def test_lessons_come_before_the_reasons(plain):
    home = plain("home").at
    pieces = [piece.value for piece in home.main if piece.type in {"header", "markdown"}]
    wanted = ["See it at work", "Why it is needed", "The loop"]
    assert re.findall(f"^(?:## )?({'|'.join(wanted)})$", "\n".join(pieces), re.M) == wanted
    assert len(plain("home").components("em_miniature")) == 1
