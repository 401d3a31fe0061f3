"""Approximate posteriors q(z | x)."""

from typing import Annotated

from pydantic import Field

from vaekit.posteriors.delta import Delta, DeltaPosterior
from vaekit.posteriors.flow import Flow, FlowPosterior
from vaekit.posteriors.full_gaussian import FullGaussian, FullGaussianPosterior
from vaekit.posteriors.gaussian import Gaussian, GaussianPosterior
from vaekit.posteriors.own import Own
from vaekit.posteriors.standard_normal import StandardNormal, StandardNormalPosterior

Posterior = Annotated[Gaussian | FullGaussian | Flow | Delta | StandardNormal | Own, Field(discriminator="kind")]

__all__ = [
    "Delta",
    "DeltaPosterior",
    "Flow",
    "FlowPosterior",
    "FullGaussian",
    "FullGaussianPosterior",
    "Gaussian",
    "GaussianPosterior",
    "Own",
    "Posterior",
    "StandardNormal",
    "StandardNormalPosterior",
]
