"""Distributions that torch lacks, or lacks in the tails: over 8-bit levels, on [0, 1], mixtures, the point mass."""

from vaekit.distributions.bits import ContinuousBernoulli, IndependentBernoulli
from vaekit.distributions.categories import Categories
from vaekit.distributions.columns import Columns
from vaekit.distributions.counts import Counts
from vaekit.distributions.delta import Delta
from vaekit.distributions.flow import Flow, Transform
from vaekit.distributions.full_gaussian import FullGaussian, kl_from_factorized
from vaekit.distributions.levels import LEVELS, CategoricalLevels, DiscretizedLogistic
from vaekit.distributions.mixture import Mixture
from vaekit.distributions.observed import Observed
from vaekit.distributions.parts import (
    LEAST_SCALE,
    Head,
    analytic_kl,
    at_least_fp32,
    center,
    drawn,
    element_log_prob,
    frozen_log_prob,
    full_precision,
    has_density,
    independent,
    kl_parts,
    kl_per_unit,
    log_scale,
    rsample_and_log_prob,
    transported,
    transported_and_log_prob,
)

__all__ = [
    "LEAST_SCALE",
    "LEVELS",
    "CategoricalLevels",
    "Categories",
    "Columns",
    "ContinuousBernoulli",
    "Counts",
    "Delta",
    "DiscretizedLogistic",
    "Flow",
    "FullGaussian",
    "Head",
    "IndependentBernoulli",
    "Mixture",
    "Observed",
    "Transform",
    "analytic_kl",
    "at_least_fp32",
    "center",
    "drawn",
    "element_log_prob",
    "frozen_log_prob",
    "full_precision",
    "has_density",
    "independent",
    "kl_from_factorized",
    "kl_parts",
    "kl_per_unit",
    "log_scale",
    "rsample_and_log_prob",
    "transported",
    "transported_and_log_prob",
]
