"""What simple classifiers can read from the codes."""

from math import sqrt

import numpy as np
import torch
from jaxtyping import Float, Int
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from vaekit.errors import InputError
from vaekit.estimates import Estimate

NEIGHBORS = 5


def nearest_classes(
    train: Float[Tensor, "n latent"], train_labels: Int[Tensor, "n"], test: Float[Tensor, "m latent"]
) -> Int[Tensor, "m"]:
    """Return the class of each test code by a vote of its 5 nearest training codes, (m,)."""
    model = KNeighborsClassifier(NEIGHBORS).fit(train.numpy(), train_labels.numpy())
    return torch.from_numpy(model.predict(test.numpy()))


def accuracies(
    train: Float[Tensor, "n latent"], train_labels: Int[Tensor, "n"],
    test: Float[Tensor, "m latent"], test_labels: Int[Tensor, "m"],
) -> dict[str, Estimate]:  # fmt: skip
    """Return the accuracy on test codes of a 5-nearest-neighbor vote and of logistic regression, fitted to train codes.

    The standard errors are those of a share, √(a (1 − a) / m): they reflect the spread of test images, not of models.

    Args:
        train, test: codes, such as posterior means.
        train_labels, test_labels: class numbers.

    Returns:
        ``nearest_neighbors`` and ``linear_probe``.

    Raises:
        InputError: if there are fewer than five training codes, or codes of only one class.
    """
    if len(train) < NEIGHBORS or len(train_labels.unique()) < 2:
        raise InputError(
            f"{len(train)} labeled training codes of {len(train_labels.unique())} classes: "
            f"probes of the codes need at least {NEIGHBORS} of 2 classes"
        )
    models = {
        "nearest_neighbors": KNeighborsClassifier(NEIGHBORS),
        "linear_probe": make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000)),
    }
    found = {}
    for name, model in models.items():
        correct = model.fit(train.numpy(), train_labels.numpy()).predict(test.numpy()) == test_labels.numpy()
        share = float(np.mean(correct))
        found[name] = Estimate(share, sqrt(share * (1 - share) / len(correct)), 1)
    return found
