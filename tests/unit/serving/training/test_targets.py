"""The clusters that an estimator can answer."""

import numpy as np
import pytest
from sklearn.cluster import AgglomerativeClustering, Birch, KMeans
from sklearn.mixture import GaussianMixture

from predictions.serving.artifacts.description import Description
from predictions.serving.training.targets import classes_of

X = np.repeat([[0.0, 0.0], [9.0, 9.0], [0.0, 9.0]], 10, axis=0) + np.random.default_rng(0).normal(0, 0.1, (30, 2))
DESCRIPTION = Description.model_validate(
    {
        "name": "groups", "title": "Groups", "summary": "Finds groups.", "task": "clusters",
        "target": {"name": "group"},
        "features": [{"kind": "number", "name": name} for name in "ab"],
    }
)  # fmt: skip


@pytest.mark.parametrize(
    "estimator",
    [
        KMeans(3, n_init=1, random_state=0),
        GaussianMixture(3, random_state=0),
        Birch(n_clusters=3),
        Birch(n_clusters=AgglomerativeClustering(3)),
        Birch(n_clusters=None, threshold=3.0),
    ],
    ids=["k-means", "mixture", "birch", "birch with an estimator", "birch without a number"],
)
def test_classes_are_all_clusters_that_can_be_answered(estimator: object) -> None:
    estimator.fit(X)  # type: ignore[attr-defined]
    assert classes_of(DESCRIPTION, estimator, [0]) == [0, 1, 2]
