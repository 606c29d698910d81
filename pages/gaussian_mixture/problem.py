"""The controls of the Gaussian mixture, and the problem that they set."""

import math
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np

from em_core import GaussianMixture, GaussianParams
from em_core import data as published
from em_core.models.gaussian_mixture import Stds, guess_from_points, guess_integers
from em_core.numerics import Array, equal_weights
from em_ui import controls, data
from em_ui.controls import Choice, Control, Number, Switch
from em_ui.controls.specs import iteration_limit, tolerance
from em_ui.pictures import bins
from em_ui.run import Problem, Quantity, Settings, Words, check_enough, in_digits, pose, simulated

MAX_COMPONENTS, LARGEST = 8, 12_500
TYPED, POINTS, WHOLE = "Typed in", "Random data points", "Whole numbers, as in the article"
GUESSES = {WHOLE: guess_integers, POINTS: guess_from_points}
EACH, COMMON, KNOWN = "Each its own", "One for all", "Known"
KINDS: dict[str, Stds] = {EACH: "free", COMMON: "common", KNOWN: "known"}
WORDS = Words(
    title="Gaussian mixture",
    prefix="gm",
    observation="value",
    component="component",
    group="group",
    names=tuple("12345678"),
    by="means",
    quantities={
        "means": Quantity("Mean", "μ", ".2f"),
        "stds": Quantity("Standard deviation", "σ", ".2f"),
        "weights": Quantity("Mixing weight", "π", ".3f"),
    },
)
PUBLISHED = (
    data.Published("Old Faithful: waiting times", "old_faithful", ("waiting",)),
    data.Published("Old Faithful: eruptions", "old_faithful", ("eruptions",)),
    data.Published("Darwin’s maize", "darwin", ("difference",)),
    data.Published("82 galaxies", "galaxies", ("velocity",), groups=3),
)
MEANS = (-10.0, 30.0, 3.0, 60.0, -40.0, 90.0, -70.0, 120.0)
STDS = (3.0, 7.0, 5.0, 4.0, 6.0, 5.0, 4.0, 6.0)
SMALLEST, FARTHEST = 1e-145, 1e152  # that can be typed, in whatever unit
_FIND = controls.to_find("Components", MAX_COMPONENTS)
_GUESS = Choice("Initial guess", (*GUESSES, TYPED), WHOLE, fits_data=True)
# From random data points EM may first pause where all components are nearly equal: on given data it
# is more patient than the article.
_TOL = replace(tolerance("value"), fits_data=True)
_LIMIT = replace(iteration_limit(20), fits_data=True)
_PATIENT: dict[str, Control] = {
    "tol": replace(_TOL, default="1e-8"),
    "max_iter": replace(_LIMIT, default=200),
}
SPECS = {
    "data": data.choice(PUBLISHED),
    "own": data.Own(),
    "k": Number("Components", 3, 1, MAX_COMPONENTS, 1),
    **{
        f"{field}{i}": spec
        for i, (mean, std) in enumerate(zip(MEANS, STDS, strict=True), 1)
        for field, spec in {
            "mean": Number(f"Mean {i}", mean, -1_000.0, 1_000.0, 1.0, format="%g"),
            "sd": Number(f"SD {i}", std, 0.1, 200.0, 0.5, format="%g"),
            "size": Number(f"Size {i}", 1_000, 1, LARGEST, 1),
            "start_mean": Number(
                f"Start mean {i}", mean, -FARTHEST, FARTHEST, 1.0, format="%g", fits_data=True
            ),
            "start_sd": Number(
                f"Start SD {i}", 5.0, SMALLEST, FARTHEST, 0.5, format="%g", fits_data=True
            ),
        }.items()
    },
    "find": _FIND,
    "stds": Choice(
        "Standard deviations",
        tuple(KINDS),
        EACH,
        "Each component may have one of its own, or all have the same; both are estimated. Or they "
        "are known, and stay as they are typed in.",
    ),
    "guess": _GUESS,
    "weights": Switch("Estimate mixing weights", True, "Off: they stay equal, as in the article."),
    "hard": Switch("Hard assignment", False, "Each value goes wholly to its likeliest component."),
    "floor": Number(
        "Smallest standard deviation",
        0.05,
        0.0,
        FARTHEST,
        0.05,
        "With 0, a component may collapse onto a single value.",
        format="%g",
        fits_data=True,
    ),
    **controls.usual("value", guess_seed=46),
    "tol": _TOL,
    "max_iter": _LIMIT,
}

# Of the data's standard deviation. A floor is to be far below that of any component.
_FLOOR, _MOST = 1 / 250, 1 / 20
# What was rounded to a distance has lost this part of it: the deviation of a uniform distribution.
_ROUNDED = 1 / math.sqrt(12)
# Standard deviations of data to which whole numbers from 1 to 9 are near.
_NEAR = (1.0, 30.0)
_WIDEST = 10  # standard deviations that can be typed in, of what the means may take


def components(settings: Settings, given: data.Given | None) -> int:
    """Return how many components EM looks for."""
    known = min(given.n_groups, MAX_COMPONENTS) if given else settings["k"]
    return int(settings["find"] or known)


def for_any_number(given: data.Given) -> dict[str, Control]:
    """Return the controls of given data that come before the number of components is known."""
    known = f"With 0: {min(given.n_groups, MAX_COMPONENTS)}"
    named = given.labels is not None and not too_many_labels(given)
    return {
        "find": replace(_FIND, help=known + ", as many as the labels name" * named + "."),
        "guess": replace(_GUESS, default=POINTS),
        **_PATIENT,
    }


def fitting(values: Array | None, find: int, kind: Stds) -> dict[str, Control]:
    """Return the controls of the start and of the floor, as they fit given data.

    Parameters
    ----------
    values : ndarray, shape (n,), optional
        The data, if they are given.
    find : int
        How many components EM looks for.
    kind : str
        As for :class:`~em_core.GaussianMixture`: what standard deviations are called.

    Returns
    -------
    dict of str to Control
        By default means are at quantiles of the data, in the middle of as many parts, and standard
        deviations are that of the data, all rounded to what can be read. The floor is small against
        that, and no smaller than what rounding has taken from the data.
    """
    found: dict[str, Any] = {name: SPECS[name] for name in _names("start_sd", find)}
    if values is not None:
        spread = bins.spread(values) or bins.unit(abs(float(values[0])))
        step = bins.unit(spread) / 10
        first, last = bins.most_of(values)
        narrow = min(spread, last - first) or spread  # outliers make the data no wider
        floor = _FLOOR * narrow
        if len(np.unique(values)) < len(values):  # as there are where values were rounded
            floor = min(max(floor, _ROUNDED * bins.grid(values, spread)), _MOST * narrow)
        least = bins.unit(floor)
        found["floor"] = _with("floor", _rounded(floor, least), least)
        means = _start_means(values, find, spread, step)
        low, high = data.reach(np.append(values, means))
        for i, mean in enumerate(means, 1):
            found[f"start_mean{i}"] = _with(f"start_mean{i}", mean, step, low=low, high=high)
            found[f"start_sd{i}"] = _with(
                f"start_sd{i}", _rounded(spread, step), step, high=_WIDEST * (high - low)
            )
    if kind == "common":
        found["start_sd1"] = replace(found["start_sd1"], label="Start SD of all")
    elif kind == "known":
        for i, name in enumerate(_names("start_sd", find), 1):
            found[name] = replace(found[name], label=f"Known SD {i}")
    return found


def _start_means(values: Array, find: int, spread: float, step: float) -> list[float]:
    parts = (np.arange(find) + 0.5) / find
    means = [_rounded(x, step) for x in np.quantile(values, parts)]
    if len(set(means)) < find:  # many values are equal: EM would not move equal components apart
        means = [_rounded(x, step) for x in np.min(values) + parts * np.ptp(values)]
    if len(set(means)) < find:
        means = [float(values[0] + spread * (i - (find - 1) / 2)) for i in range(find)]
    return means


def _rounded(value: float, step: float) -> float:
    return round(float(value), -math.floor(math.log10(step) + 0.5))


def _with(name: str, default: float, step: float, **bounds: float) -> Number:
    declared: Any = SPECS[name]
    spec = replace(declared, **bounds)
    number: Number = replace(spec, default=spec.nearest(default), step=max(step, SMALLEST))
    return number


def why_not_whole(values: Array) -> str:
    """Return why whole numbers, as in the article, are no guess for given data; or ""."""
    spread = bins.spread(values)
    if _NEAR[0] <= spread <= _NEAR[1]:
        return ""
    return (
        f"The standard deviation of these data is {spread:.2g}, and whole numbers, with standard "
        "deviations from 1 to 9, are made for data on another scale. Random data points fit any."
    )


def problem(settings: Settings) -> Problem:
    """Return the problem that the controls set."""
    s = SimpleNamespace(**settings)
    kind, given = KINDS[s.stds], data.given(settings, PUBLISHED)
    floor = 0.0 if kind == "known" else s.floor
    mixture = GaussianMixture(min_std=floor, estimate_weights=s.weights, stds=kind)
    method = GUESSES.get(s.guess, guess_from_points)

    def of_model(params: GaussianParams) -> GaussianParams:
        """Return parameters with standard deviations that the model can start from."""
        stds, k = params.stds, params.n_components
        if kind == "known":
            stds = np.array(_numbers(settings, "start_sd", k))
        elif kind == "common":
            stds = np.full(k, stds[0])
        return replace(params, stds=np.maximum(stds, floor))

    def drawn(values: Array, k: int, rng: np.random.Generator) -> GaussianParams:
        if method is guess_from_points:
            check_enough(k, len(values))
            _check_spread(values)
        return of_model(method(values, k, rng=rng))

    words, columns, truth = WORDS, ["value"], None
    if given is None:
        stds, sizes = (_numbers(settings, field, s.k) for field in ("sd", "size"))
        shares = np.array(sizes) / sum(sizes)
        groups = GaussianParams(_numbers(settings, "mean", s.k), stds, shares)
        sample, lines = simulated(mixture, groups, sizes, settings)
        within = math.sqrt(shares @ groups.stds**2)  # what one for all comes to
        truth = of_model(replace(groups, stds=np.full(s.k, within)) if kind == "common" else groups)
        if not s.weights:
            truth = replace(truth, weights=equal_weights(s.k))
    else:
        if too_many_labels(given):
            given = replace(given, labels=None)
        values = given.values[:, 0]
        sample = given.sample(mixture, values, lambda k, rng: drawn(values, k, rng))
        words, columns = in_digits(WORDS, values, "means", "stds"), list(given.columns)
        lines, truth = given.lines(words, flat=True), sample.truth
    find, values = components(settings, given), sample.data
    typed = None
    if s.guess == TYPED:
        means, widths = (_numbers(settings, f"start_{field}", find) for field in ("mean", "sd"))
        typed = of_model(GaussianParams(means, widths, equal_weights(find)))
    fixed = {"stds": kind == "known", "weights": not s.weights}
    return pose(
        words,
        settings,
        mixture,
        sample,
        lambda rng: drawn(values, find, rng),
        typed=typed,
        truth=truth,
        data_lines=lines,
        data_columns=columns,
        fixed=tuple(name for name, is_fixed in fixed.items() if is_fixed),
        drawn=POINTS if typed else None,
        truth_known=given is None,
    )


def axis_title(given: data.Given | None) -> str:
    """Return what values are called on an axis: of a published set by name and unit."""
    if given is None or not given.load:
        return "Value"  # a reader's own names would make a chart for each
    dataset = getattr(published, given.load)()
    unit = dataset.units[dataset.columns.index(given.columns[0])]
    return f"{given.columns[0].capitalize()} ({unit})"


def too_many_labels(given: data.Given) -> str:
    """Return that the labels of given data cannot be used, if so, and why; or ""."""
    if given.labels is None or len(given.groups) <= MAX_COMPONENTS:
        return ""
    return (
        f"The labels name {len(given.groups)} groups, and this page has {MAX_COMPONENTS} "
        "components at the most. So nothing is compared with the labels."
    )


def _names(field: str, k: int) -> list[str]:
    return [f"{field}{i}" for i in range(1, k + 1)]


def _numbers(settings: Settings, field: str, k: int) -> list[Any]:
    return [settings[name] for name in _names(field, k)]


def _check_spread(values: Array) -> None:
    if np.ptp(values) == 0:
        all_equal = f"all {len(values):,} values are" if len(values) > 1 else "the only value is"
        raise ValueError(
            f"{all_equal} {values[0]:.6g}, so there is no spread to start from. Take numbers that "
            "differ, or type the initial guess in"
        )
