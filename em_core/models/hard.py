"""Winner-takes-all assignment for any mixture."""

from dataclasses import dataclass
from typing import Any, Generic

import numpy as np
import numpy.typing as npt

from em_core.engine import EStep, Mixture, ParamsT, StatisticsT
from em_core.numerics import Array


@dataclass(frozen=True)
class HardEM(Generic[ParamsT, StatisticsT]):
    """Classification EM: every observation goes wholly to its most probable component.

    What climbs is the classification log-likelihood, the sum over observations of
    max_k log p(x_i, z_i = k) (Celeux and Govaert, "A classification EM algorithm for clustering
    and two stochastic versions", Computational Statistics and Data Analysis 14, 1992).

    Parameters
    ----------
    model : Mixture
        The mixture whose densities and M-step are used, for example ``BinomialMixture(10)``.

    Raises
    ------
    ValueError
        If ``model`` is no mixture: K-Means is hard already.
    """

    model: Mixture[ParamsT, StatisticsT]

    def __post_init__(self) -> None:
        if not hasattr(self.model, "log_joint"):
            raise ValueError(f"model must be a mixture, with a log_joint, got {self.model!r}")

    def check(self, data: npt.NDArray[Any], params: ParamsT) -> None:
        """Raise ValueError where the mixture would."""
        self.model.check(data, params)

    def tally(self, data: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], Array] | None:
        """Return what the mixture's tally does, or None if it has none."""
        tally = getattr(self.model, "tally", None)
        return tally(data) if tally else None

    def e_step(self, data: npt.NDArray[Any], params: ParamsT, counts: Array | None = None) -> EStep:
        """Assign each observation to its most probable component, the first of equals."""
        log_joint = self.model.log_joint(data, params)
        rows, winners = np.arange(len(data)), log_joint.argmax(axis=1)
        responsibilities = np.zeros_like(log_joint)
        responsibilities[rows, winners] = 1.0
        best = log_joint[rows, winners]
        return EStep(responsibilities, float(best.sum() if counts is None else counts @ best))

    def statistics(
        self, data: npt.NDArray[Any], params: ParamsT, responsibilities: Array
    ) -> StatisticsT:
        """Return the mixture's statistics for this assignment."""
        return self.model.statistics(data, params, responsibilities)

    def m_step(self, statistics: StatisticsT, previous: ParamsT) -> ParamsT:
        """Return the mixture's maximum likelihood parameters."""
        return self.model.m_step(statistics, previous)

    def expected_objective(
        self, statistics: StatisticsT, params: ParamsT, previous: ParamsT
    ) -> float:
        """Return the mixture's complete-data log-likelihood for this assignment."""
        return self.model.expected_objective(statistics, params, previous)
