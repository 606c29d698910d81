r"""SQUAREM: steps of EM extrapolated, for runs that would creep to their limit.

Near a limit EM's error shrinks by a constant factor in each direction, and where information is
missing that factor is close to 1. Two steps from :math:`\theta_0`, to :math:`\theta_1` and
:math:`\theta_2`, tell where they lead. With :math:`r = \theta_1 - \theta_0` and
:math:`v = (\theta_2 - \theta_1) - r`, a cycle goes to

.. math:: \theta' = \theta_0 + 2 s r + s^2 v, \qquad s = \lVert r \rVert / \lVert v \rVert

(Varadhan and Roland, "Simple and globally convergent methods for accelerating the convergence of
any EM algorithm", Scandinavian Journal of Statistics 35, 2008: their step length S3, where
:math:`\alpha = -s`), and takes two more steps of EM from there. An error that shrinks by the factor
:math:`\lambda` a step is multiplied by :math:`(1 - s (1 - \lambda))^2` by the extrapolation; with
s = 1 that is two steps of EM.

Three things keep it from going astray. A cycle that loses objective is taken back, and so are
parameters that are not admissible: then it was two steps of EM. The longest s that is allowed grows
only as it proves itself (their ``stepmax``). And s times r is never longer than :data:`REACH`,
where a model says in what units that is little: else a run might be carried over to the foot of
another hill.
"""

import math
from collections.abc import Callable
from typing import Any, Generic

import numpy as np
import numpy.typing as npt

from em_core.checks import all_finite
from em_core.model import Arrays, Mixture, ParamsT
from em_core.numerics import Array

# The longest s allowed at first, and by what factor it grows and shrinks.
_SHORTEST, _FACTOR = 1.0, 4.0

# The longest that s times r may be, in the units of a model's free vector. Of 140 Gaussian mixtures
# from random starts 14 ended elsewhere than EM without a limit, and none up to 0.3, which costs no
# time; from 0.1 downwards it does.
REACH = 0.3


class Extrapolation(Generic[ParamsT]):
    """The extrapolations of one run, to be made while what divides by zero is ignored.

    Parameters
    ----------
    model : Model
        Says by ``to_free`` and ``from_free`` how its parameters become a free vector. Else they are
        taken as they are.
    check : callable
        Raises ValueError unless parameters are admissible. Asked only where they are taken as they
        are.
    """

    def __init__(self, model: Any, check: Callable[[ParamsT], None]) -> None:
        self._to_free = getattr(model, "to_free", None)
        self._from_free = getattr(model, "from_free", None)
        self._check = check
        # Winners take all: steps are constant between jumps, and have no rate to go by.
        self._is_smooth = not isinstance(model, Mixture) or hasattr(model, "log_joint")
        self._s, self._longest = _SHORTEST, _SHORTEST

    def beyond(self, first: ParamsT, second: ParamsT, third: ParamsT) -> ParamsT | None:
        """Return where two steps of EM lead, or None if that is no farther than they went."""
        self._s = _SHORTEST
        if not self._is_smooth:
            return None
        here, middle, there = (self._vector(params, first) for params in (first, second, third))
        r = middle - here
        v = there - middle - r
        length, bend = math.sqrt(r.dot(r)), math.sqrt(v.dot(v))
        if not (math.isfinite(length) and math.isfinite(bend) and length > 0):
            return None
        s = length / bend if bend else math.inf
        self._s = max(_SHORTEST, min(s, self._longest))
        s = min(self._s, REACH / length) if self._to_free else self._s
        while s > _SHORTEST:
            found = self._params(here + 2 * s * r + s * s * v, first)
            if found is not None:
                return found
            s /= 2
        return None

    def judge(self, good: bool) -> None:
        """Allow longer steps if the last was as long as allowed and good, or shorter ones."""
        if not good:
            self._longest = max(_SHORTEST, self._s / _FACTOR)
        elif self._s >= self._longest:
            self._longest *= _FACTOR

    def _vector(self, params: ParamsT, like: ParamsT) -> Array:
        if not self._to_free:
            return params.vector()
        found: Array = self._to_free(params, like)
        return found

    def _params(self, vector: Array, like: ParamsT) -> ParamsT | None:
        """Return the parameters of a vector, or None if they are not admissible."""
        try:
            if self._from_free:
                made: ParamsT = self._from_free(vector, like)
                return made if all(map(all_finite, made.arrays().values())) else None
            # What is between 0 and 1 may be a probability, though nobody says so.
            before = like.vector()
            if ((vector < 0) > (before < 0)).any() or ((vector > 1) > (before > 1)).any():
                return None
            made = like.with_vector(vector)
            self._check(made)
        except ValueError:
            return None
        return made


class Extrapolations:
    """The same of R runs that go side by side, of a model with free vectors for many.

    Parameters
    ----------
    model : Model
        With ``to_free_many`` and ``from_free_many``, which are what :class:`Extrapolation` asks
        for, of arrays with the runs as their first axis.
    n_runs : int
        R.
    """

    def __init__(self, model: Any, n_runs: int) -> None:
        self._model = model
        self._s, self._longest = np.full((2, n_runs), _SHORTEST)

    def keep(self, runs: npt.NDArray[Any]) -> None:
        """Forget all runs but some."""
        self._s, self._longest = self._s[runs], self._longest[runs]

    def beyond(
        self, first: Arrays, second: Arrays, third: Arrays
    ) -> tuple[Arrays, npt.NDArray[np.intp]]:
        """Return where two steps of EM lead, and which runs they lead farther than they went.

        The parameters are of these runs alone.
        """
        to_free, from_free = self._model.to_free_many, self._model.from_free_many
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            here, middle, there = (to_free(arrays, first) for arrays in (first, second, third))
            r = middle - here
            v = there - middle - r
            length, bend = np.linalg.norm(r, axis=1), np.linalg.norm(v, axis=1)
            moves = np.isfinite(length) & np.isfinite(bend) & (length > 0)
            longest = np.where(moves, self._longest, _SHORTEST)
            self._s = np.clip(np.where(bend > 0, length / bend, np.inf), _SHORTEST, longest)
            s = np.where(moves, np.minimum(self._s, REACH / length), 0.0)
            found = {name: np.empty_like(array) for name, array in first.items()}
            leaps = np.zeros(len(s), dtype=bool)
            while len(left := np.flatnonzero((s > _SHORTEST) & ~leaps)):
                step = s[left, None]
                vectors = here[left] + 2 * step * r[left] + step * step * v[left]
                made = from_free(vectors, {name: array[left] for name, array in first.items()})
                fine = np.ones(len(left), dtype=bool)
                for array in made.values():
                    fine &= np.isfinite(array).reshape(len(left), -1).all(axis=1)
                for name, array in made.items():
                    found[name][left[fine]] = array[fine]
                leaps[left[fine]] = True
                s[left[~fine]] /= 2
        runs = np.flatnonzero(leaps)
        return {name: array[runs] for name, array in found.items()}, runs

    def judge(self, good: npt.NDArray[np.bool_]) -> None:
        """Allow each run longer steps if its last was as long as allowed and good, or shorter."""
        longer = np.where(self._s >= self._longest, self._longest * _FACTOR, self._longest)
        self._longest = np.where(good, longer, np.maximum(_SHORTEST, self._s / _FACTOR))
