"""Shapes in annotations are checked in every test: the hook is set before any of these modules is imported."""

import jaxtyping
import torch

MATHEMATICS = (
    "vaekit.conditional",
    "vaekit.data.order",
    "vaekit.diagnosis",
    "vaekit.distributions",
    "vaekit.estimates",
    "vaekit.evaluation",
    "vaekit.likelihoods",
    "vaekit.model",
    "vaekit.networks",
    "vaekit.objectives",
    "vaekit.posteriors",
    "vaekit.priors",
)

jaxtyping.install_import_hook(MATHEMATICS, "typechecking.checked")
torch.set_num_threads(1)  # the tensors of tests are small: threads that wait for each other cost more than they save
