"""The EM algorithm, written to be read: an engine, and one module per model.

>>> import numpy as np
>>> from em_core import BinomialMixture, BinomialParams, fit
>>> trace = fit(
...     BinomialMixture(n_tosses=10),
...     np.array([5, 9, 8, 4, 7]),
...     BinomialParams(heads_prob=[0.6, 0.5], weights=[0.5, 0.5]),
...     tol=0,
...     max_iter=10,
... )
>>> trace.final.params.heads_prob.round(4)
array([0.7967, 0.5197])
"""

from em_core.engine import (
    Status,
    Step,
    Trace,
    best,
    fit,
    fit_labelled,
    iterate,
)
from em_core.many import fit_restarts
from em_core.model import EStep, Mixture, Model, Note, Params, Sample, component_axes
from em_core.models.binomial_mixture import BinomialMixture, BinomialParams
from em_core.models.gaussian_mixture import GaussianMixture, GaussianParams
from em_core.models.hard import HardEM
from em_core.models.kmeans import KMeans, KMeansParams
from em_core.models.multivariate_gaussian_mixture import (
    MultivariateGaussianMixture,
    MultivariateGaussianParams,
)
from em_core.numerics import match_components
from em_core.selection import Candidate, Selection, select

__version__ = "0.2.0"

__all__ = [
    "BinomialMixture",
    "BinomialParams",
    "Candidate",
    "EStep",
    "GaussianMixture",
    "GaussianParams",
    "HardEM",
    "KMeans",
    "KMeansParams",
    "Mixture",
    "Model",
    "MultivariateGaussianMixture",
    "MultivariateGaussianParams",
    "Note",
    "Params",
    "Sample",
    "Selection",
    "Status",
    "Step",
    "Trace",
    "best",
    "component_axes",
    "fit",
    "fit_labelled",
    "fit_restarts",
    "iterate",
    "match_components",
    "select",
]
