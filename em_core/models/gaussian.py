r"""One Gaussian: maximum likelihood in closed form, where EM is not needed.

For observations :math:`x_1 \dots x_n` the log-likelihood

.. math::

   \ell(\mu, \sigma) = -n \log\left(\sigma \sqrt{2\pi}\right)
                       - \frac{1}{2\sigma^2} \sum_i (x_i - \mu)^2

is largest at the mean of the data and the root of their mean squared deviation
(Wang, "Understanding the EM Algorithm by Examples", 2022).
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from em_core.checks import as_data, as_floats, as_integer, check_finite, check_positive, check_rng
from em_core.numerics import Array


class Estimate(NamedTuple):
    """Mean and standard deviation, in the units of the data."""

    mean: float
    std: float


def simulate(mean: float, std: float, size: int, *, rng: np.random.Generator) -> Array:
    """Draw ``size`` observations from one normal distribution, shape (size,).

    Raises
    ------
    ValueError
        If ``size`` is not a positive whole number, ``mean`` is not finite, ``std`` is not positive,
        or ``rng`` is no generator.
    """
    check_rng(rng)
    mu, sigma = _checked(mean, std)
    return rng.normal(mu, sigma, size=as_integer("size", size, minimum=1))


def maximum_likelihood(data: npt.ArrayLike) -> Estimate:
    """Return the maximum likelihood estimate: mean, and deviation with n in the denominator.

    Raises
    ------
    ValueError
        If ``data`` is not a non-empty vector of finite numbers.
    """
    values = as_data(data, ndim=1)
    return Estimate(float(np.mean(values)), float(np.std(values)))


def log_density(x: npt.ArrayLike, mean: npt.ArrayLike, std: npt.ArrayLike) -> Array:
    """Return the logarithm of the normal density at ``x``, in nats.

    The arguments broadcast against each other, and the result has the shape that they have then.

    Raises
    ------
    ValueError
        If a value is masked, a mean is not finite or a standard deviation is not positive.
    """
    mu, sigma = _checked(mean, std)
    z = (as_floats("x", x) - mu) / sigma
    return np.asarray(-np.log(sigma * np.sqrt(2 * np.pi)) - 0.5 * z**2)


def log_likelihood(data: npt.ArrayLike, mean: npt.ArrayLike, std: npt.ArrayLike) -> Array:
    """Return the log-likelihood of each pair of mean and standard deviation, in nats.

    Parameters
    ----------
    data : array_like, shape (n,)
        The observations.
    mean, std : array_like
        Values to try, in the units of the data. They broadcast against each other, so a column of
        one and a row of the other give the whole surface.

    Raises
    ------
    ValueError
        If ``data`` is not a non-empty vector of finite numbers, a mean is not finite, or a
        standard deviation is not positive.
    """
    estimate = maximum_likelihood(data)
    mu, sigma = _checked(mean, std)
    # sum (x - mu)^2 = n (s^2 + (xbar - mu)^2): the data enter through two numbers only.
    mean_square = estimate.std**2 + (estimate.mean - mu) ** 2
    n = np.size(data)
    return np.asarray(-n * (np.log(sigma * np.sqrt(2 * np.pi)) + mean_square / (2 * sigma**2)))


def _checked(mean: npt.ArrayLike, std: npt.ArrayLike) -> tuple[Array, Array]:
    mu, sigma = as_floats("mean", mean), as_floats("std", std)
    check_finite("mean", np.atleast_1d(mu))
    check_positive("std", np.atleast_1d(sigma))
    return mu, sigma
