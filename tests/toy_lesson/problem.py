"""The controls of the lesson, and the problem that they set."""

import numpy as np

from em_ui import controls, data
from em_ui.controls import Number, Switch
from em_ui.run import Problem, Quantity, Settings, Words, pose, simulated
from toy_lesson.model import PoissonMixture, PoissonParams, guess_from_points

WORDS = Words(
    title="Calls at two shops",
    prefix="po",
    observation="day",
    component="shop",
    group="shop",
    names=("A", "B"),
    by="rates",
    quantities={
        "rates": Quantity("Rate", "λ", ".2f"),
        "weights": Quantity("Mixing weight", "π", ".3f"),
    },
)
SPECS = {
    "data": data.choice(()),
    "own": data.Own(roles=("Calls",)),
    "rate_a": Number("Calls a day at A", 4.0, 0.5, 50.0, 0.5),
    "rate_b": Number("Calls a day at B", 12.0, 0.5, 50.0, 0.5),
    "days": Number("Days at each", 150, 1, 1_000, 1),
    "hard": Switch("Hard assignment", False, "Each day goes wholly to its likelier shop."),
    **controls.usual("day", guess_seed=4, max_iter=60),
}


def problem(settings: Settings) -> Problem:
    """Return the problem that the controls set."""
    mixture, days = PoissonMixture(), settings["days"]
    given = data.given(settings, ())
    if given is None:
        shops = PoissonParams([settings["rate_a"], settings["rate_b"]], [0.5, 0.5])
        sample, lines = simulated(mixture, shops, [days, days], settings)
    else:
        calls = given.column(0, whole=True)
        sample = given.sample(mixture, calls, lambda k, rng: guess_from_points(calls, k, rng=rng))
        lines = given.lines(WORDS, flat=True, dtype="int")

    def guess(rng: np.random.Generator) -> PoissonParams:
        return guess_from_points(sample.data, 2, rng=rng)

    return pose(
        WORDS,
        settings,
        mixture,
        sample,
        guess,
        data_lines=lines,
        data_columns=given.columns if given else ["calls"],
        truth_known=given is None,
    )
