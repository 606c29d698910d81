r"""Sums over many outcomes of a mixture of coins, by products of matrices.

The odds of a coin k against the first one are linear in heads h and tails t,

.. math:: \log \frac{p(h, t, k)}{p(h, t, 1)} = \log \frac{\pi_k}{\pi_1}
          + h \log \frac{\theta_k}{\theta_1} + t \log \frac{1 - \theta_k}{1 - \theta_1},

so that those of all coins at all outcomes are one product, and the sums another, with an
exponential less than there are coins between them. What the outcomes have under the first coin
alone needs no more than the totals of trials, heads and tails.

Where coins are so far apart, or outcomes so improbable under the first, that digits are lost, that
is said, and the plain formulas have to be taken instead.
"""

import numpy as np
import numpy.typing as npt

from em_core.kernels.quadratics import TRUSTED, block_length
from em_core.numerics import Array, log_ways

# Times that the terms of a log-likelihood may be as large as itself, if it is to have 12 digits.
_TERMS = 1e3


class Odds:
    """Outcomes as they are summed.

    Parameters
    ----------
    heads, counts : ndarray, shape (n, 1)
        Heads of each outcome, and how many trials had it.
    tosses : ndarray, shape (n, 1), or int
        Tosses of each, or of all.
    """

    def __init__(self, heads: Array, tosses: Array | int, counts: Array) -> None:
        tosses = np.broadcast_to(np.asarray(tosses, dtype=float), heads.shape)
        self._rows = np.stack([np.ones(len(heads)), heads[:, 0], (tosses - heads)[:, 0]])
        self._counts, self._reach = counts[:, 0], self._rows.max(axis=1)
        self._totals = np.add.reduce(self._rows * self._counts, axis=1)
        self._ways = float(np.add.reduce(log_ways(heads, tosses) * counts, axis=None))

    def __call__(
        self, heads_prob: Array, weights: Array
    ) -> tuple[tuple[Array, Array, Array], Array, npt.NDArray[np.bool_]]:
        """Return what falls to each coin, and the log-likelihoods, of R runs side by side.

        Parameters
        ----------
        heads_prob, weights : ndarray, shape (R, K)

        Returns
        -------
        heads, tails, trials : ndarray, shape (R, K)
        log_likelihood : ndarray, shape (R,)
        good : ndarray of bool, shape (R,)
            Whether they have their digits; the others are worth nothing if not.
        """
        n_runs, k = heads_prob.shape
        log_weights = np.log(weights / weights.sum(axis=1, keepdims=True))
        logs = np.stack([log_weights, np.log(heads_prob), np.log1p(-heads_prob)], axis=2)
        first, odds = logs[:, 0], (logs[:, 1:] - logs[:, :1]).reshape(-1, 3)
        log_likelihood = first @ self._totals + self._ways
        sums = np.zeros((n_runs, k, 3))
        length = min(block_length(max(len(odds), 1)), block_length(n_runs))
        for start in range(0, len(self._counts), length):
            cut = slice(start, start + length)
            rows, counts = self._rows[:, cut], self._counts[cut]
            ratios = np.exp(odds @ rows).reshape(n_runs, k - 1, len(counts))  # p(.., k) / p(.., 1)
            evidence = 1 + np.add.reduce(ratios, axis=1)
            log_likelihood += np.einsum("rn,n->r", np.log(evidence), counts)
            shares = np.divide(counts, evidence, out=evidence)  # r_i1, as often as there were
            sums[:, 0] += shares @ rows.T
            ratios *= shares[:, None]
            sums[:, 1:] += (ratios.reshape(-1, len(counts)) @ rows.T).reshape(n_runs, k - 1, 3)
        terms = np.abs(first) @ self._totals + abs(self._ways)
        good = np.isfinite(sums).all(axis=(1, 2)) & (terms <= _TERMS * np.abs(log_likelihood))
        good &= (np.abs(odds) @ self._reach <= TRUSTED).reshape(n_runs, -1).all(axis=1)
        trials, heads, tails = np.moveaxis(sums, 2, 0)
        return (heads, tails, trials), log_likelihood, np.asarray(good)
