r"""Poisson mixture: counts from several sources.

Each count comes from source k with probability :math:`\pi_k`, and is then Poisson with rate
:math:`\lambda_k`. The log-likelihood is

.. math:: \ell = \sum_i \log \sum_k \pi_k \, e^{-\lambda_k} \lambda_k^{x_i} / x_i!
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import gammaln, xlogy

from em_core import Mixture, Params
from em_core.checks import check_data, check_kind, check_positive, check_vector, check_weights
from em_core.numerics import Array, equal_weights


@dataclass(frozen=True, eq=False)
class PoissonParams(Params):
    """Rate and mixing weight of each source, both shape (K,)."""

    rates: Array
    weights: Array

    if TYPE_CHECKING:  # lists are welcome, and become arrays

        def __init__(self, rates: npt.ArrayLike, weights: npt.ArrayLike) -> None: ...


class PoissonStatistics(NamedTuple):
    """Expected number of observations of each source, and the sum of these; both shape (K,)."""

    counts: Array
    totals: Array


@dataclass(frozen=True)
class PoissonMixture(Mixture[PoissonParams, PoissonStatistics]):
    """A mixture of Poisson distributions, for counts (n,)."""

    def check(self, data: npt.NDArray[Any], params: PoissonParams) -> None:
        """Raise ValueError unless data are counts and params are rates and weights."""
        check_data(data, ndim=1)
        if data.min() < 0 or (data != np.floor(data)).any():
            raise ValueError("data must be counts: whole numbers, 0 or larger")
        check_kind(params, PoissonParams)
        check_vector("rates", params.rates)
        check_positive("rates", params.rates)
        check_weights(params.weights)

    def log_joint(self, data: npt.NDArray[Any], params: PoissonParams) -> Array:
        """Return log(pi_k Poisson(x_i; lambda_k)), shape (n, K)."""
        x = np.asarray(data, dtype=float)[:, None]
        log_density = xlogy(x, params.rates) - params.rates - gammaln(x + 1)
        with np.errstate(divide="ignore"):
            return np.asarray(log_density + np.log(params.weights / params.weights.sum()))

    def statistics(
        self, data: npt.NDArray[Any], params: PoissonParams, responsibilities: Array
    ) -> PoissonStatistics:
        """Share out the counts, and add them up."""
        return PoissonStatistics(responsibilities.sum(axis=0), data @ responsibilities)

    def m_step(self, statistics: PoissonStatistics, previous: PoissonParams) -> PoissonParams:
        """Return the mean count of each source; one without observations stays."""
        counts, totals = statistics
        rates = previous.rates.copy()
        np.divide(totals, counts, out=rates, where=counts > 0)  # lambda_k = sum_i r_ik x_i / N_k
        return PoissonParams(rates, counts / counts.sum())  # pi_k = N_k / n

    def expected_objective(
        self, statistics: PoissonStatistics, params: PoissonParams, previous: PoissonParams
    ) -> float:
        """Return Q = sum_k T_k log lambda_k - N_k lambda_k + N_k log pi_k."""
        counts, totals = statistics
        terms = xlogy(totals, params.rates) - counts * params.rates
        return float((terms + xlogy(counts, params.weights / params.weights.sum())).sum())

    def draw(
        self, params: PoissonParams, labels: npt.NDArray[np.int64], *, rng: np.random.Generator
    ) -> npt.NDArray[Any]:
        """Draw a count from each label's source."""
        return rng.poisson(params.rates[labels])


def guess_from_points(
    data: npt.NDArray[Any], n_components: int, *, rng: np.random.Generator
) -> PoissonParams:
    """Start with rates half above observations drawn at random, and equal mixing weights."""
    rates = rng.choice(data, n_components).astype(float) + 0.5
    return PoissonParams(rates, equal_weights(n_components))
