"""Situations of K-Means, and what is often believed."""

import numpy as np

from em_ui.controls import Situation, Value, query
from em_ui.run import Run
from pages.k_means.problem import MAX_CLUSTERS, SPECS, WORDS


def article(run: Run) -> str:
    """Say which centroid goes furthest, and how much of its way it goes at once."""
    path = np.array([step.params.centroids for step in run.steps])
    moves = np.linalg.norm(np.diff(path, axis=0), axis=2)
    k = int(moves.sum(axis=0).argmax())
    return (
        f"Centroid {run.names[k]} goes furthest, {moves[:, k].sum():.1f} in all, and "
        f"{moves[0, k] / moves[:, k].sum():.0%} of that in the first step: each point joins the "
        "nearest centroid, however far, and the M-step follows. Then only points near a border "
        "change sides, and the largest move of a step shrinks until none moves."
    )


SITUATIONS = {
    "Wang’s article": Situation(
        {},
        "Three clusters of 200 points, two of them close together. Where will the centroids go "
        "first? Which one has the longest way?",
        article,
    ),
    "A poor local optimum": Situation(
        {"start": 5},
        "The same points from another start. Will K-Means end at the same place?",
        "No. Two centroids share one cluster, and one has to cover two. No single step can mend "
        "this, since no step may raise the inertia. Try other starts, or k-means++.",
        moves=("guess", "guess_seed", "start"),
    ),
    "An empty cluster": Situation(
        {"guess": "Random places", "start": 2},
        "The start may lie far from all points. What does a centroid do to which no point comes?",
        "It has no mean to move to, so it stays, and the others share the points. Only another "
        "start can help it.",
        moves=("start",),
    ),
    "Clusters that overlap": Situation(
        {"spread": 3.5, "size": 400},
        "Now the clusters overlap. Will the centroids still find the true centres?",
        "Not quite. A border cuts through the overlap, and each side keeps only its "
        "own half of it, so the centroids are pushed apart. More points would not help.",
        moves=("size",),
    ),
    "Too few centroids": Situation(
        {"find": 2},
        "Three clusters, but only two centroids. What will they do?",
        "One of them covers two clusters and sits between them. K-Means always finds as many "
        "clusters as it is asked for, whether they are there or not.",
        moves=("find",),
    ),
    "Too many centroids": Situation(
        {"find": 5},
        "Three clusters and five centroids. Will the inertia be lower or higher than with three?",
        "Lower: at their best, more centroids fit closer, so a lower inertia does not mean that "
        "five is right. Some clusters are simply cut in two.",
        moves=("find",),
    ),
    "Unequal sizes and spreads": Situation(
        {"size": 500, "spread": 2.5, "rest_size": 0.1, "rest_spread": 0.2},
        "One large, wide cluster beside two small, tight ones. Will each get its own centroid?",
        "No. K-Means only looks at distances, so it prefers clusters of equal width, and cuts the "
        "wide one up. A Gaussian mixture gives each group a width and a share of its own: see "
        "*One wide group, one narrow* on its page.",
    ),
}

MISCONCEPTIONS = (
    (
        "K-Means makes equal clusters.",
        "It makes clusters with straight borders halfway between centroids. Their sizes follow "
        "from the data; what it does prefer is equal width.",
    ),
    (
        "Clusters have an order.",
        "Their numbers come from the start: from another one, the same clusters may get others.",
    ),
    (
        "More centroids are better, since the inertia is lower.",
        "At its best the inertia falls with every centroid, down to zero with one at each point. "
        "It cannot say how many clusters there are.",
    ),
)


def link_to_the_largest() -> dict[str, str]:
    """Return the query of the dearest run: wide clusters as large and as many as allowed."""
    values: dict[str, Value] = {"k": MAX_CLUSTERS, "size": 12_500, "spread": 5.0}
    values |= {"tol": "0", "max_iter": 500}
    return query(WORDS.prefix, SPECS, values)
