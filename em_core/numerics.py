"""What every mixture needs: Bayes' rule in log space, and matching components with others."""

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

Array = npt.NDArray[np.float64]

# "Nothing changes", in floating point: a few units in the last place.
ROUNDING = 4 * np.finfo(float).eps

# Between these, densities, their sums and their quotients have all their digits.
_LOW, _HIGH = 1e-290, 1e290


def posterior(log_joint: Array) -> tuple[Array, Array]:
    """Return Bayes' rule for each row, computed in log space.

    Parameters
    ----------
    log_joint : ndarray, shape (n, K)
        log p(x_i, z_i = k). Minus infinity where component k cannot produce x_i.

    Returns
    -------
    responsibilities : ndarray, shape (n, K)
        p(z_i = k | x_i). Not a number in a row that no component can produce.
    log_evidence : ndarray, shape (n,)
        log p(x_i), in nats; minus infinity in such a row.
    """
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        joint = np.exp(log_joint)
        evidence = joint.sum(axis=1)
        if joint.min(initial=1.0) > _LOW and evidence.max(initial=1.0) < _HIGH:
            joint *= (1 / evidence)[:, None]  # a quarter of the time of a division in each place
            return joint, np.log(evidence)
        # Some density is out of reach of a float: take the largest out of each row first.
        peak = log_joint.max(axis=1)
        peak[~np.isfinite(peak)] = 0.0
        joint = np.exp(log_joint - peak[:, None])
        evidence = joint.sum(axis=1)
        joint *= (1 / evidence)[:, None]
        return joint, np.log(evidence) + peak


def match_components(estimates: npt.ArrayLike, truths: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """Return the order of the estimated components that brings them closest to the true ones.

    Components of a mixture have no order of their own. To compare with the truth, each estimate
    is paired with one true component so that the summed squared distance is least
    (Kuhn, "The Hungarian method", 1955, by ``scipy.optimize.linear_sum_assignment``).

    Parameters
    ----------
    estimates : array_like, shape (K,) or (K, d)
        One point for each estimated component.
    truths : array_like, shape (M,) or (M, d)
        One point for each true component.

    Returns
    -------
    ndarray of int, shape (K,)
        A permutation for ``Params.relabel``: matched estimates by the index of their true
        component, then the unmatched ones (if K > M) in their own order.

    Raises
    ------
    ValueError
        If a value is not finite or the shapes differ in more than the number of components.
    """
    points = [np.asarray(values, dtype=float) for values in (estimates, truths)]
    if 0 in (points[0].ndim, points[1].ndim) or points[0].shape[1:] != points[1].shape[1:]:
        raise ValueError(
            "estimates and truths must be (K,) and (M,), or (K, d) and (M, d), "
            f"got {points[0].shape} and {points[1].shape}"
        )
    ours, theirs = (array.reshape(len(array), -1) for array in points)
    if not (np.isfinite(ours).all() and np.isfinite(theirs).all()):
        raise ValueError("estimates and truths must be finite to be matched")
    cost = ((ours[:, None, :] - theirs[None, :, :]) ** 2).sum(axis=2)
    rows, columns = linear_sum_assignment(cost)
    matched = rows[np.argsort(columns)]
    return np.concatenate([matched, np.setdiff1d(np.arange(len(ours)), matched)])


def equal_weights(n_components: int) -> Array:
    """Return the mixing weights that favour no component, shape (n_components,)."""
    return np.full(n_components, 1 / n_components)
