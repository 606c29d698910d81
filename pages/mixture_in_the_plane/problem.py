"""The controls of the Gaussian mixture in the plane, and the problem that they set."""

import math
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np

from em_core import MultivariateGaussianMixture, MultivariateGaussianParams
from em_core.models.multivariate_gaussian_mixture import (
    Covariance,
    guess_from_points,
    guess_plus_plus,
    in_form,
    raised_to,
)
from em_core.numerics import Array, equal_weights
from em_ui import controls, data
from em_ui.controls import Choice, Control, Number, Switch
from em_ui.run import (
    Problem,
    Quantity,
    Settings,
    Words,
    check_enough,
    count,
    data_entropy,
    in_digits,
    pose,
    simulated,
)
from em_ui.sections import starts

MAX_COMPONENTS, LARGEST = 8, 12_500
EFFORT = 2.0  # times as long as a value on the line that a point takes
TYPED, POINTS, PLUS_PLUS = "Typed in", "Random data points", "k-means++"
GUESSES = {POINTS: guess_from_points, PLUS_PLUS: guess_plus_plus}
FULL, TIED = "Each its own (full)", "One for all (tied)"
AXES, ROUND = "Along the axes (diagonal)", "Round (spherical)"
KINDS: dict[str, Covariance] = {FULL: "full", TIED: "tied", AXES: "diag", ROUND: "spherical"}
PUBLISHED = (
    data.Published("Old Faithful", "old_faithful", ("eruptions", "waiting")),
    data.Published("Iris: petals", "iris", ("petal length", "petal width"), 3),
    data.Published("Iris: sepals", "iris", ("sepal length", "sepal width"), 3),
)
RINGS, RING = "Two rings", 3.0  # the radius of each, which goes through the other's centre
# Data whose axes have the same unit and nearly the same range: they are drawn to one scale. (Both
# of Old Faithful's are in minutes, but waiting takes twenty times as long as an eruption.)
TO_SCALE = (data.SIMULATED, RINGS, *(each.title for each in PUBLISHED[1:]))
WORDS = Words(
    title="Gaussian mixture in the plane",
    prefix="gp",
    observation="point",
    component="component",
    group="group",
    names=tuple("12345678"),
    by="means",
    quantities={
        "means": Quantity("Mean", "μ", ".3f"),
        "covariances": Quantity("Covariance", "Σ", ".4f"),
        "weights": Quantity("Mixing weight", "π", ".3f"),
    },
)
TRUTH = ("k", "x", "y", "sd_x", "sd_y", "corr", "size")  # the controls, without numbers
# Of a group: mean x, mean y, standard deviation x and y, correlation.
GROUPS = (
    (-4.0, 0.0, 1.0, 2.0, 0.6),
    (4.0, 1.0, 2.0, 1.0, -0.5),
    (0.0, 7.0, 2.5, 0.8, 0.0),
    (0.0, -6.0, 3.0, 0.8, 0.3),
    (9.0, 7.0, 1.0, 1.0, 0.0),
    (-9.0, 7.0, 1.0, 2.0, -0.7),
    (-9.0, -6.0, 2.0, 1.0, 0.7),
    (9.0, -6.0, 1.5, 1.5, 0.0),
)
# The start that is usual for Old Faithful, and further ones for who looks for more.
STARTS = (
    (2.0, 55.0),
    (4.5, 80.0),
    (3.0, 65.0),
    (2.0, 75.0),
    (4.5, 60.0),
    (3.5, 90.0),
    (1.7, 45.0),
    (5.0, 95.0),
)
START_SDS = (float(np.sqrt(0.5)), float(np.sqrt(50.0)))
FARTHEST, NARROWEST = 1e152, 1e-145  # what any data may ask for
WIDEST = 10  # standard deviations that can be typed in, of what the means may take


def _numbers(i: int) -> dict[str, Control]:
    """Return the controls of one component: its truth, and a start that is typed in."""
    x, y, across, up, correlation = GROUPS[i - 1]

    def mean(label: str, default: float, bound: float = 1_000.0, **more: Any) -> Number:
        return Number(f"{label} {i}", default, -bound, bound, 0.5, format="%g", **more)

    def spread(label: str, default: float, low: float = 0.05, high: float = 200.0) -> Number:
        fits = low == NARROWEST
        shown = "%.5g" if fits else "%g"
        return Number(f"{label} {i}", default, low, high, 0.1, format=shown, fits_data=fits)

    def slant(label: str, default: float) -> Number:
        return Number(f"{label} {i}", default, -0.99, 0.99, 0.05, format="%g")

    start_x, start_y = STARTS[i - 1]
    return {
        f"x{i}": mean("Mean x", x),
        f"y{i}": mean("Mean y", y),
        f"sd_x{i}": spread("SD x", across),
        f"sd_y{i}": spread("SD y", up),
        f"corr{i}": slant("Correlation", correlation),
        f"size{i}": Number(f"Size {i}", 200, 1, LARGEST, 1),
        f"start_x{i}": mean("Start x", start_x, FARTHEST, fits_data=True),
        f"start_y{i}": mean("Start y", start_y, FARTHEST, fits_data=True),
        f"start_sd_x{i}": spread("Start SD x", START_SDS[0], NARROWEST, FARTHEST),
        f"start_sd_y{i}": spread("Start SD y", START_SDS[1], NARROWEST, FARTHEST),
        f"start_corr{i}": slant("Start correlation", 0.0),
    }


_DATA = data.choice(PUBLISHED, default=PUBLISHED[0].title)
SPECS: dict[str, Control] = {
    "data": replace(_DATA, options=(*_DATA.options[:-1], RINGS, _DATA.options[-1])),
    "own": data.Own(roles=("Across", "Upwards")),
    "k": Number("Components", 3, 1, MAX_COMPONENTS, 1),
    **{name: spec for i in range(1, MAX_COMPONENTS + 1) for name, spec in _numbers(i).items()},
    "ring_size": Number("Points on each ring", 250, 5, LARGEST, 1),
    "ring_noise": Number("Width of the rings", 0.25, 0.0, 2.0, 0.05, format="%g"),
    "find": controls.to_find("Components", MAX_COMPONENTS),
    "guess": Choice("Initial guess", (TYPED, *GUESSES, starts.CHOSEN), TYPED),
    **starts.specs("mean"),
    "kind": Choice(
        "Covariance",
        tuple(KINDS),
        FULL,
        "What ellipses the components may have: each one of its own, all of them the same, none "
        "that is slanted, or circles only.",
    ),
    "weights": Switch("Estimate mixing weights", True, "Off: they stay equal."),
    "hard": Switch("Hard assignment", False, "Each point goes wholly to its likeliest component."),
    "floor": Number(
        "Smallest width of a component",
        0.01,
        0.0,
        1.0,
        0.01,
        "No ellipse gets narrower in any direction. As a part of the data’s standard deviation, in "
        "the direction, across or upwards, in which that is smaller. With 0, a component may "
        "collapse onto a point or a line.",
        format="%g",
    ),
    **controls.usual("point", tol="1e-8", max_iter=200),
}


def problem(settings: Settings) -> Problem:
    """Return the problem that the controls set."""
    s = SimpleNamespace(**settings)
    given = rings(settings) if s.data == RINGS else data.given(settings, PUBLISHED)
    more: dict[str, Any] = {"data_columns": ["x", "y"]}
    if given is not None:
        if too_many_labels(given):
            given = replace(given, labels=None)
        values = given.values
        if (values == values[0]).all():
            raise ValueError(
                f"all {count(len(values), 'point')} are at the same place, and a mixture needs "
                "points that differ. Bring others"
            )
        lines = ring_lines(settings) if s.data == RINGS else given.lines(WORDS)
        more = {"data_lines": lines, "data_columns": given.columns, "truth_known": False}
        if s.data == RINGS:
            more["unknown"] = "Behind these points are two rings, and no Gaussians."
    else:
        sizes = [settings[f"size{i}"] for i in range(1, s.k + 1)]
        truth = replace(typed_in(settings, s.k), weights=np.array(sizes) / sum(sizes))
        sample, lines = simulated(MultivariateGaussianMixture(), truth, sizes, settings)
        values, more["data_lines"] = sample.data, lines
        if not s.weights:
            truth = replace(truth, weights=equal_weights(s.k))
    # Three digits, so that page and script can say it exactly.
    floor = float(f"{s.floor * values.std(axis=0).min():.3g}")
    mixture = MultivariateGaussianMixture(KINDS[s.kind], floor, s.weights)
    find, method = to_be_found(settings, given), GUESSES.get(s.guess, guess_from_points)

    def guess_of(k: int, rng: np.random.Generator) -> MultivariateGaussianParams:
        check_enough(k, len(values))
        return allowed(mixture, method(values, k, rng=rng, covariance=mixture.covariance))

    if given is not None:
        sample = given.sample(mixture, values, guess_of)
    else:
        more["truth"] = allowed(mixture, truth)
    typed = None
    if s.guess == TYPED:
        typed = allowed(mixture, typed_in(settings, find, "start_"))
    elif s.guess == starts.CHOSEN:
        whole = guess_of(find, np.random.default_rng(0))
        typed = replace(whole, means=starts.points(settings, values, find))
    words = in_digits(WORDS, values, "means")
    # In products of the data's units.
    words = in_digits(words, values * values.std(axis=0), "covariances")
    return pose(
        words,
        settings,
        mixture,
        sample,
        lambda rng: guess_of(find, rng),
        typed=typed,
        fixed=() if s.weights else ("weights",),
        drawn=POINTS if typed else None,
        effort=EFFORT,
        **more,
    )


def typed_in(settings: Settings, k: int, prefix: str = "") -> MultivariateGaussianParams:
    """Return the truth, or with the prefix the start, that is typed in; with equal weights."""
    x, y, across, up, correlation = (
        np.array([settings[f"{prefix}{name}{i}"] for i in range(1, k + 1)])
        for name in ("x", "y", "sd_x", "sd_y", "corr")
    )
    kind = settings["kind"] if prefix else FULL
    if kind == ROUND:  # one width for all directions, and the other is not asked for
        up = across
    elif kind == TIED:
        across, up, correlation = (np.full(k, each[0]) for each in (across, up, correlation))
    both = correlation * across * up
    covariances = np.stack([across**2, both, both, up**2], axis=-1).reshape(k, 2, 2)
    return MultivariateGaussianParams(np.stack([x, y], axis=1), covariances, equal_weights(k))


def rings(settings: Settings) -> data.Given:
    """Return two rings of which each goes through the centre of the other, labelled by ring."""
    n = settings["ring_size"]
    rng = np.random.default_rng(data_entropy(settings))
    angle = rng.uniform(0, 2 * np.pi, 2 * n)
    radius = RING + rng.normal(0, settings["ring_noise"], 2 * n)
    centre = np.repeat([-RING / 2, RING / 2], n)
    values = np.stack([centre + radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    labels = np.repeat([0, 1], n)
    return data.Given(RINGS, ("x", "y"), values, labels, ("left ring", "right ring"), 2)


def ring_lines(settings: Settings) -> list[str]:
    """Return the Python that draws the points of :func:`rings`."""
    n = settings["ring_size"]
    return [
        f"rng = np.random.default_rng({data_entropy(settings)})",
        f"angle = rng.uniform(0, 2 * np.pi, {2 * n})",
        f"radius = {RING} + rng.normal(0, {settings['ring_noise']}, {2 * n})",
        f"centre = np.repeat([{-RING / 2}, {RING / 2}], {n})",
        "data = np.stack([centre + radius * np.cos(angle), radius * np.sin(angle)], axis=1)",
    ]


def to_be_found(settings: Settings, given: data.Given | None) -> int:
    """Return how many components are looked for."""
    if given:
        known = min(given.n_groups, MAX_COMPONENTS)
    else:
        known = 2 if settings["data"] == RINGS else settings["k"]
    return int(settings["find"] or known)


def too_many_labels(given: data.Given) -> bool:
    """Return whether the labels name more groups than there can be components."""
    return given.labels is not None and len(given.groups) > MAX_COMPONENTS


def typed_columns(kind: str) -> list[str]:
    """Return the controls of each component's start that is typed in, without numbers.

    Only what a component has of its own with covariances of that kind.
    """
    widths = {FULL: ["x", "y"], AXES: ["x", "y"], ROUND: ["x"], TIED: []}[kind]
    of_ellipse = [f"start_sd_{axis}" for axis in widths] + ["start_corr"] * (kind == FULL)
    return ["start_x", "start_y", *of_ellipse]


def start_specs(settings: Settings, given: data.Given | None, k: int) -> dict[str, Control]:
    """Return the controls of a start that is typed in, as they fit the data and the covariances.

    By default means are points along the direction in which the data differ most, and widths a
    quarter of the data's range. Those of Old Faithful are as declared.
    """
    specs: dict[str, Any] = {}
    if settings["data"] != PUBLISHED[0].title:
        values = np.array(GROUPS)[:, :2]  # not the truth, which may be hidden
        if given:
            values = given.values
        elif settings["data"] == RINGS:
            values = rings(settings).values
        places, wide = spread_out(values, k), np.ptp(values, axis=0)
        for axis, name in enumerate("xy"):
            decimals = 1 - math.floor(math.log10(wide[axis] or 1.0))
            for i, place in enumerate(places[:, axis].tolist(), 1):
                for control, default in (
                    (f"start_{name}{i}", place),
                    (f"start_sd_{name}{i}", float(wide[axis]) / 4 or 1.0),
                ):
                    declared: Any = SPECS[control]
                    near = declared.nearest(round(default, decimals + 1))
                    specs[control] = replace(declared, default=near, step=10.0**-decimals)
    if given:
        for axis, name in enumerate("xy"):
            low, high = data.reach(given.values[:, axis])
            for i in range(1, k + 1):
                for control, bounds in (
                    (f"start_{name}{i}", {"low": low, "high": high}),
                    (f"start_sd_{name}{i}", {"high": WIDEST * (high - low)}),
                ):
                    spec: Any = specs.get(control, SPECS[control])
                    specs[control] = replace(spec, **bounds)
    labels = {
        TIED: {
            "start_sd_x1": "Start SD x of all",
            "start_sd_y1": "Start SD y of all",
            "start_corr1": "Start correlation of all",
        },
        ROUND: {f"start_sd_x{i}": f"Start SD {i}" for i in range(1, k + 1)},
    }
    for name, label in labels.get(settings["kind"], {}).items():
        specs[name] = replace(specs.get(name, SPECS[name]), label=label)
    return specs


def spread_out(values: Array, k: int) -> Array:
    """Return ``k`` of the points, evenly spread along the direction in which they differ most."""
    scale = values.std(axis=0)
    centred = (values - values.mean(axis=0)) / np.where(scale > 0, scale, 1.0)
    along = centred @ np.linalg.svd(centred, full_matrices=False)[2][0]
    order = np.argsort(along, kind="stable")
    picked = ((np.arange(k) + 0.5) / k * len(values)).astype(int)
    return np.asarray(values[order[picked]])


def allowed(
    mixture: MultivariateGaussianMixture, params: MultivariateGaussianParams
) -> MultivariateGaussianParams:
    """Return parameters whose covariances have the form that the mixture wants, and its floor."""
    found = in_form(mixture.covariance, params.covariances, params.weights)
    return replace(params, covariances=raised_to(mixture.min_std, found))
