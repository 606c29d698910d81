"""Winner-takes-all assignment for any mixture."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from em_core.model import Counted, EStep, Mixture, Note, ParamsT, Prepared, Sample, StatisticsT
from em_core.numerics import Array


@dataclass(frozen=True)
class HardEM(Mixture[ParamsT, StatisticsT]):
    """Classification EM: every observation goes wholly to its most probable component.

    What climbs is the classification log-likelihood, the sum over observations of
    max_k log p(x_i, z_i = k) (Celeux and Govaert, "A classification EM algorithm for clustering
    and two stochastic versions", Computational Statistics and Data Analysis 14, 1992).

    Parameters
    ----------
    model : Mixture
        The mixture whose densities and M-step are used, for example ``BinomialMixture(10)``. It may
        have a method ``prepare_hard(data, counts=None)``, which returns data prepared for this
        assignment (:class:`em_core.model.Prepared`), or None where that is of no use.

    Raises
    ------
    ValueError
        If ``model`` is no mixture, or has no densities: K-Means is hard already.
    """

    model: Mixture[ParamsT, StatisticsT]

    # Of the assignments too, which are not counted among the parameters.
    objective_is_log_likelihood: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if not (isinstance(self.model, Mixture) and hasattr(self.model, "log_joint")):
            raise ValueError(f"model must be a mixture, with a log_joint, got {self.model!r}")

    def check(self, data: npt.NDArray[Any], params: ParamsT) -> None:
        """Raise ValueError where the mixture would."""
        self.model.check(data, params)

    def prepare(
        self, data: npt.NDArray[Any], counts: Array | None = None
    ) -> Counted | Prepared[ParamsT, StatisticsT] | None:
        """Return the rows that the mixture counts, or what it has prepared for this assignment."""
        prepare = getattr(self.model, "prepare", None)
        made = prepare(data, counts) if prepare else None
        if isinstance(made, Counted):
            return made
        prepare_hard: Callable[..., Prepared[ParamsT, StatisticsT] | None] | None
        prepare_hard = getattr(self.model, "prepare_hard", None)
        return prepare_hard(data, counts) if prepare_hard else None

    def e_step(self, data: npt.NDArray[Any], params: ParamsT, counts: Array | None = None) -> EStep:
        """Assign each observation to its most probable component, the first of equals."""
        log_joint = self.model.log_joint(data, params)
        rows, winners = np.arange(len(data)), log_joint.argmax(axis=1)
        responsibilities = np.zeros_like(log_joint)
        responsibilities[rows, winners] = 1.0  # r_ik = 1 for the k that makes p(x_i, k) largest
        best = log_joint[rows, winners]  # max_k log p(x_i, z_i = k)
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

    def term_size(self, statistics: StatisticsT, params: ParamsT) -> float | None:
        """Return what the mixture says of its terms."""
        return self.model.term_size(statistics, params)

    def component_counts(self, statistics: StatisticsT) -> Array | None:
        """Return the number of observations of each component, where the mixture tells it."""
        return self.model.component_counts(statistics)

    def notes(self, statistics: StatisticsT, params: ParamsT, n_different: int) -> list[Note]:
        """Return what the mixture says of the parameters with which a run ended."""
        return self.model.notes(statistics, params, n_different)

    def n_parameters(self, params: ParamsT) -> int:
        """Return the number of the mixture's free parameters."""
        return self.model.n_parameters(params)

    def why_not_finite(self, params: ParamsT) -> str:
        """Return what the mixture says of parameters whose objective is not finite."""
        return self.model.why_not_finite(params)

    def check_params(self, params: ParamsT) -> None:
        """Raise ValueError where the mixture would."""
        self.model.check_params(params)

    def draw(
        self, params: ParamsT, labels: npt.NDArray[np.int64], *, rng: np.random.Generator
    ) -> npt.NDArray[Any]:
        """Return what the mixture draws."""
        return self.model.draw(params, labels, rng=rng)

    def simulate(
        self, truth: ParamsT, size: Any, *, rng: np.random.Generator, **settings: Any
    ) -> Sample[ParamsT]:
        """Return what the mixture simulates, with the settings that it takes."""
        return self.model.simulate(truth, size, rng=rng, **settings)
