"""How fast ``em_core`` fits, against what one would use instead.

Each line times two ways in turn, and takes the shortest of several times, since noise only ever
adds. Beside the ratio of the times stands that of the processors' time: scikit-learn's K-Means
works on all processors, ours on one. The extra memory is the peak of what is allocated during a fit
of ours, beyond the data.

These fit the same data from the same start for the same number of iterations. Ours keeps the full
history of parameters and objective; so does the mixture of scikit-learn here, by a hook in its
E-step, while its K-Means has no such hook and keeps none:

* Gaussian mixture: against scikit-learn's ``GaussianMixture`` (diagonal covariance). Once by all
  values, and once as it goes where there are many: by the nodes that stand for them, which cost as
  much as a few iterations and then make each as short for any number of values.
* Winner takes all: classification EM of the same mixture, against the plain formulas.
* Mixture in the plane, and in more dimensions: the same, with full covariances.
* K-Means: against scikit-learn's ``KMeans`` (Lloyd). Once for a few iterations, and once until
  the assignments repeat, with the number of iterations that this takes.
* Two coins: against a loop over the trials, as the article writes it. The loop's time per trial is
  that of at most 50,000 trials.
* K-Means, quick and plain: one E-step with its statistics as a fit takes it, on what is prepared
  once, against the plain formulas that the lesson shows, on points that fit the cache.

These compare whole jobs. Where the numbers of iterations differ there is no time per iteration:

* 200 restarts: against ``n_init=200``, on the same data, each from random starts of its own. The
  Gaussian mixtures run for the same number of iterations, while each K-Means runs to its end.
* Two near groups: two Gaussians two standard deviations apart, from the same start, to within 1e-9
  per observation of the best log-likelihood: ours by SQUAREM, scikit-learn's by the iterations that
  EM takes to there, without a history and without the asking whether it has arrived.
* Map of starts: 101 x 101 starts of two coins at once, against 200 of them fitted one by one.

Run it from the project's folder, with nothing else running::

    python -m benchmarks.fits
    python -m benchmarks.fits --short --at-least 0.2   # small sizes; fails below a CPU ratio of 0.2
"""

import argparse
import functools
import math
import sys
import time
import tracemalloc
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from sklearn.cluster import KMeans as TheirKMeans
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture as TheirMixture

from em_core import (
    BinomialMixture,
    BinomialParams,
    GaussianMixture,
    GaussianParams,
    HardEM,
    KMeans,
    KMeansParams,
    MultivariateGaussianMixture,
    MultivariateGaussianParams,
    fit,
    fit_restarts,
)
from em_core.data.blocks import BLOCK_ROWS
from em_core.models import binomial_mixture, gaussian_mixture, kmeans

SECONDS, SHORT_SECONDS = 2.0, 0.5  # for which each line is repeated, at the least
LEAST, MOST = 2, 40  # times that each is run
LOOPED = 50_000  # trials that the loop over trials is timed with, at the most
RESTARTS = 200
GRID = 101
PLANE = "Mixture in the plane"
BY_VALUES, BY_NODES = "Gaussian mixture", "Gaussian mixture, by nodes"


class Line(NamedTuple):
    """One line of the table.

    Attributes
    ----------
    what, size : str
        What is fitted, and to how much data.
    ours, theirs : callable
        What is timed.
    work, their_work : float, optional
        Observations times iterations of each. None if these are not known: the two are then
        compared as a whole.
    """

    what: str
    size: str
    ours: Callable[[], object]
    theirs: Callable[[], object]
    work: float | None
    their_work: float | None


class Seconds(NamedTuple):
    """How long something took: on the clock, and in processors' time."""

    clock: float
    cpu: float


class Recorded(TheirMixture):
    """scikit-learn's mixture with the history that ours keeps."""

    def _e_step(self, X, **more):  # noqa: N803 - scikit-learn's name
        found = super()._e_step(X, **more)
        at = (self.weights_.copy(), self.means_.copy(), self.precisions_cholesky_.copy(), found[0])
        self.__dict__.setdefault("history", []).append(at)
        return found


def overlapping(n: int, k: int) -> tuple[np.ndarray, GaussianParams]:
    """Return values of overlapping components, and a start that is a little off."""
    rng = np.random.default_rng(1)
    means, stds = np.linspace(-10, 30, k), np.linspace(3, 6, k)
    truth = GaussianParams(means, stds, np.full(k, 1 / k))
    data = GaussianMixture().simulate(truth, [n // k] * k, rng=rng).data
    return data, GaussianParams(means + 1, stds * 1.5, np.full(k, 1 / k))


def like_ours(kind: type[TheirMixture], start: GaussianParams, iterations: int) -> TheirMixture:
    """Return scikit-learn's mixture that is to go so many iterations from a start of ours."""
    return kind(
        len(start.means),
        covariance_type="diag",
        reg_covar=0,
        tol=0,
        max_iter=iterations,
        weights_init=start.weights,
        means_init=start.means[:, None],
        precisions_init=start.stds[:, None] ** -2,
    )


def gaussian(n: int, k: int, iterations: int, *, nodes: bool = False) -> Line:
    """Return a mixture, by the nodes that stand for many values, or by all of these."""
    data, start = overlapping(n, k)
    column = data[:, None]

    def theirs() -> TheirMixture:
        return like_ours(Recorded, start, iterations).fit(column)

    def ours() -> object:
        as_it_is = gaussian_mixture.MANY
        gaussian_mixture.MANY = as_it_is if nodes else math.inf
        try:
            return fit(GaussianMixture(), data, start, tol=0, max_iter=iterations)
        finally:
            gaussian_mixture.MANY = as_it_is

    same(theirs().means_[:, 0], ours().final.params.means)
    work = len(data) * iterations
    what = BY_NODES if nodes else BY_VALUES
    return Line(what, f"n {n:9,d}  K {k:2d}", ours, theirs, work, work)


def winners(n: int, k: int, iterations: int) -> Line:
    """Return classification EM of the same mixture, and by the formulas that the lesson shows."""
    data, start = overlapping(n, k)

    class Plain(GaussianMixture):
        expect = GaussianMixture.expect

    ours, theirs = (
        functools.partial(fit, HardEM(mixture), data, start, tol=0, max_iter=iterations)
        for mixture in (GaussianMixture(), Plain())
    )
    trace = ours()
    same(theirs().final.params.means, trace.final.params.means)
    work = len(data) * trace.n_iter
    return Line("Winner takes all, and plain", f"n {n:9,d}  K {k:2d}", ours, theirs, work, work)


def plane(n: int, k: int, d: int, iterations: int) -> Line:
    """Return a mixture in d dimensions, with correlations, from a start that is a little off."""
    rng = np.random.default_rng(1)
    means, mixing = rng.uniform(-5, 5, (k, d)), rng.normal(size=(k, d, d))
    covariances = mixing @ mixing.mT + np.eye(d)
    truth = MultivariateGaussianParams(means, covariances, np.full(k, 1 / k))
    data = MultivariateGaussianMixture().simulate(truth, n, rng=rng).data
    start = MultivariateGaussianParams(means + 0.5, 1.5 * covariances, np.full(k, 1 / k))

    def theirs() -> TheirMixture:
        return Recorded(
            k,
            covariance_type="full",
            reg_covar=0,
            tol=0,
            max_iter=iterations,
            weights_init=start.weights,
            means_init=start.means,
            precisions_init=np.linalg.inv(start.covariances),
        ).fit(data)

    def ours() -> object:
        return fit(MultivariateGaussianMixture(), data, start, tol=0, max_iter=iterations)

    same(theirs().means_, ours().final.params.means)
    work = n * iterations
    what = PLANE if d == 2 else f"Mixture in {d} dimensions"
    return Line(what, f"n {n:9,d}  K {k:2d}  d {d}", ours, theirs, work, work)


def points(n: int, k: int, d: int, iterations: int, *, to_its_end: bool = False) -> Line:
    """Return K-Means on clusters that overlap, so that it does not end before its time."""
    rng = np.random.default_rng(1)
    centres = rng.uniform(-10, 10, (k, d))
    data = centres[rng.integers(0, k, n)] + rng.normal(0, 4, (n, d))
    start = KMeansParams(data[:k])

    def theirs() -> TheirKMeans:
        model = TheirKMeans(
            k, init=start.centroids, n_init=1, tol=0, max_iter=iterations, algorithm="lloyd"
        )
        return model.fit(data)

    def ours() -> object:
        return fit(KMeans(), data, start, tol=0, max_iter=iterations)

    trace, model = ours(), theirs()
    same(model.cluster_centers_, trace.final.params.centroids)
    assert trace.converged or not to_its_end
    work, their_work = n * trace.n_iter, n * model.n_iter_
    what = f"K-Means to its end ({trace.n_iter})" if to_its_end else "K-Means"
    return Line(what, f"n {n:9,d}  K {k:2d}  d {d}", ours, theirs, work, their_work)


def coins(n: int, iterations: int) -> Line:
    """Return two coins."""
    truth = BinomialParams([0.6, 0.2], [0.5, 0.5])
    rng = np.random.default_rng(1)
    data = BinomialMixture(10).simulate(truth, n, rng=rng).data
    start, looped = BinomialParams([0.8, 0.7], [0.5, 0.5]), data[:LOOPED].tolist()
    times = iterations if n <= 1_000 else 1

    def theirs(heads=looped, times=times) -> tuple[float, float]:
        a, b = start.heads_prob
        for _ in range(times):
            sums = [0.0, 0.0, 0.0, 0.0]
            for h in heads:
                like_a, like_b = a**h * (1 - a) ** (10 - h), b**h * (1 - b) ** (10 - h)
                w = like_a / (like_a + like_b)
                sums[0] += w * h
                sums[1] += w * (10 - h)
                sums[2] += (1 - w) * h
                sums[3] += (1 - w) * (10 - h)
            a, b = sums[0] / (sums[0] + sums[1]), sums[2] / (sums[2] + sums[3])
        return a, b

    def ours() -> object:
        return fit(BinomialMixture(10), data, start, tol=0, max_iter=iterations)

    same(
        theirs(),
        fit(
            BinomialMixture(10), data[:LOOPED], start, tol=0, max_iter=times
        ).final.params.heads_prob,
    )
    return Line("Two coins", f"n {n:9,d}", ours, theirs, n * iterations, len(looped) * times)


def restarts(model: str, n: int, k: int, iterations: int) -> Line:
    """Return 200 fits from data points drawn at random."""
    rng = np.random.default_rng(1)
    if model == "gaussian":
        truth = GaussianParams(np.linspace(-10, 30, k), np.linspace(3, 6, k), np.full(k, 1 / k))
        data = GaussianMixture().simulate(truth, [n // k] * k, rng=rng).data
        inits = [gaussian_mixture.guess_from_points(data, k, rng=rng) for _ in range(RESTARTS)]
        ours = functools.partial(
            fit_restarts, GaussianMixture(min_std=0.1), data, inits, tol=0, max_iter=iterations
        )
        theirs = functools.partial(
            TheirMixture(
                k,
                covariance_type="diag",
                reg_covar=1e-2,
                tol=0,
                max_iter=iterations,
                n_init=RESTARTS,
                init_params="random_from_data",
                random_state=1,
            ).fit,
            data[:, None],
        )
        title, work = "200 restarts: Gaussian", RESTARTS * len(data) * iterations
    else:
        centres = kmeans.draw_centres(k, rng=rng)
        data = KMeans().simulate(centres, [n // k] * k, rng=rng, spread=3).data
        inits = [kmeans.guess_from_points(data, k, rng=rng) for _ in range(RESTARTS)]
        ours = functools.partial(fit_restarts, KMeans(), data, inits, tol=0, max_iter=iterations)
        theirs = functools.partial(
            TheirKMeans(
                k,
                init="random",
                n_init=RESTARTS,
                tol=0,
                max_iter=iterations,
                algorithm="lloyd",
                random_state=1,
            ).fit,
            data,
        )
        title, work = "200 restarts: K-Means", None
    return Line(title, f"n {n:9,d}  K {k:2d}", ours, theirs, work, work)


def near(n: int) -> Line:
    """Return two Gaussian groups that overlap so that EM creeps, as far as nobody can tell."""
    truth = GaussianParams([0, 2], [1, 1], [0.5, 0.5])
    data = GaussianMixture().simulate(truth, n, rng=np.random.default_rng(1)).data
    start = GaussianParams([-1, 3], [1, 1], [0.5, 0.5])
    slow, leaping = (
        fit(GaussianMixture(), data, start, tol=0, max_iter=20_000, accelerate=how)
        for how in (None, "squarem")
    )
    enough = slow.objectives[-1] - 1e-9 * n
    iterations, cycles = (int(np.argmax(trace.objectives >= enough)) for trace in (slow, leaping))

    def theirs() -> TheirMixture:
        return like_ours(TheirMixture, start, iterations).fit(data[:, None])

    def ours() -> object:
        return fit(GaussianMixture(), data, start, tol=0, max_iter=cycles, accelerate="squarem")

    assert ours().final.objective >= enough
    np.testing.assert_allclose(theirs().score(data[:, None]), enough / n, atol=1e-9)
    e_steps = f"{iterations}:{leaping.steps[cycles].n_e_steps}"
    return Line("Two near groups", f"n {n:9,d}  E-steps {e_steps}", ours, theirs, None, None)


def quick(k: int, d: int) -> Line:
    """Return one E-step of K-Means on prepared points, and by the plain formulas."""
    rng = np.random.default_rng(1)
    data = rng.normal(rng.uniform(-10, 10, (k, d))[rng.integers(0, k, BLOCK_ROWS)], 4)
    params, model = KMeansParams(data[:k]), KMeans()
    e_step = model.prepare(data).begin()

    def plain() -> object:
        responsibilities, _ = model.e_step(data, params)
        return model.statistics(data, params, responsibilities)

    def ours() -> object:
        return e_step(params)

    same(plain()[1] / BLOCK_ROWS + 1, ours()[0][1] / BLOCK_ROWS + 1)
    size = f"n {BLOCK_ROWS:9,d}  K {k:2d}  d {d}"
    return Line("K-Means, quick and plain", size, ours, plain, BLOCK_ROWS, BLOCK_ROWS)


def grid(n: int) -> Line:
    """Return the map of starts, and 200 single fits on the same data."""
    rng = np.random.default_rng(1)
    truth = BinomialParams([0.6, 0.2], [0.5, 0.5])
    data = BinomialMixture(10).simulate(truth, n, rng=rng).data
    side = np.linspace(0.005, 0.995, GRID)
    starts = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)
    chosen = starts[rng.choice(len(starts), RESTARTS, replace=False)]
    singles = [BinomialParams(pair, [0.5, 0.5]) for pair in chosen]
    model = BinomialMixture(10)

    def theirs() -> None:
        for start in singles:
            fit(model, data, start)

    return Line(
        "10,201 starts, and 200 fits",
        f"n {n:9,d}",
        lambda: binomial_mixture.fit_grid(model, data, starts, [0.5, 0.5]),
        theirs,
        None,
        None,
    )


def same(theirs, ours) -> None:
    """Fail unless both fits went the same way."""
    np.testing.assert_allclose(np.asarray(theirs), ours, rtol=1e-9)


def lines(*, short: bool) -> Iterator[Line]:
    """Yield the lines of the table, each made when it is due: some data are large."""
    for n, iterations in [(3_000, 50), (30_000, 20), (300_000, 10), (3_000_000, 3)][
        : 2 if short else 4
    ]:
        for k in (3, 8):
            yield gaussian(n, k, iterations)
    for n, iterations in [(100_000, 50), (300_000, 30), (3_000_000, 10)][: 1 if short else 3]:
        for k in (3, 8):
            yield gaussian(n, k, iterations, nodes=True)
    for k in (3, 8):
        yield winners(100_000, k, 50)
    for k, d in [(3, 2)] if short else [(3, 2), (8, 2), (3, 5)]:
        yield plane(300_000, k, d, 10)
    for n, iterations in [(600, 10), (60_000, 10), (1_200_000, 5)][: 2 if short else 3]:
        for k in (3, 10):
            for d in (2, 8):
                yield points(n, k, d, iterations)
    if not short:
        for k in (3, 10):
            yield points(1_200_000, k, 2, 1_000, to_its_end=True)
    for k in (3, 10):
        for d in (2, 8):
            yield quick(k, d)
    for n in (500, 50_000) if short else (500, 50_000, 50_000_000):
        yield coins(n, 20)
    for n in (600, 3_000):
        yield restarts("gaussian", n, 3, 5 if short else 20)
    for n in (600,) if short else (600, 3_000):
        yield restarts("kmeans", n, 3, 100)
    for n in (1_000,) if short else (1_000, 10_000):
        yield near(n)
    yield grid(500)


def shortest(calls: Sequence[Callable[[], object]], seconds: float) -> list[Seconds]:
    """Return the shortest times of each, run in turn."""
    times: list[list[Seconds]] = [[] for _ in calls]
    end = time.perf_counter() + seconds
    while len(times[0]) < LEAST or (time.perf_counter() < end and len(times[0]) < MOST):
        for call, found in zip(calls, times, strict=True):
            start, cpu = time.perf_counter(), time.process_time()
            call()
            found.append(Seconds(time.perf_counter() - start, time.process_time() - cpu))
    return [Seconds(*map(min, zip(*found, strict=True))) for found in times]


def peak_megabytes(call: Callable[[], object]) -> float:
    """Return what a call allocates at its peak."""
    tracemalloc.start()
    call()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / 1e6


def nanoseconds(seconds: Seconds, work: float | None) -> str:
    """Return the time per observation and iteration, as the table has it."""
    return f"{1e9 * seconds.clock / work:.3g}" if work else "-"


def main() -> None:
    """Measure and print; end with an error if a ratio is too low."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--short", action="store_true", help="small sizes only")
    parser.add_argument(
        "--at-least", type=float, default=0.0, help="ratio of CPU times that must be reached"
    )
    parser.add_argument(
        "--mixture-at-least", type=float, default=0.0, help="the same for the Gaussian mixture"
    )
    parser.add_argument(
        "--plane-at-least", type=float, default=0.0, help="the same for the mixture in the plane"
    )
    options = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    print(f"{'':54}{'ns per observation and iteration':^36}{'ratio':^18}{'extra MB':>10}")
    print(f"{'':54}{'em_core':>18}{'the other':>18}{'time':>9}{'CPU':>9}")
    seconds = SHORT_SECONDS if options.short else SECONDS
    at_least = {
        BY_VALUES: options.mixture_at_least,
        BY_NODES: options.mixture_at_least,
        PLANE: options.plane_at_least,
    }
    too_low = []
    for line in lines(short=options.short):
        ours, theirs = shortest([line.ours, line.theirs], seconds)
        share = line.work / line.their_work if line.work and line.their_work else 1.0
        ratio, cpu_ratio = theirs.clock / ours.clock * share, theirs.cpu / ours.cpu * share
        # Not that of the times, which depends on the number of processors.
        if cpu_ratio < max(options.at_least, at_least.get(line.what, 0.0)):
            too_low.append(f"{line.what} {line.size}: {cpu_ratio:.2f}")
        print(
            f"{line.what:28}{line.size:26}{nanoseconds(ours, line.work):>18}"
            f"{nanoseconds(theirs, line.their_work):>18}{ratio:9.2f}{cpu_ratio:9.2f}"
            f"{peak_megabytes(line.ours):10.1f}",
            flush=True,
        )
    if too_low:
        sys.exit("CPU ratios too low: " + "; ".join(too_low))


if __name__ == "__main__":
    main()
