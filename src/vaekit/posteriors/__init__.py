"""Approximate posteriors q(z | x)."""

from typing import Annotated

from pydantic import Field

from vaekit.posteriors.delta import Delta, DeltaPosterior
from vaekit.posteriors.gaussian import Gaussian, GaussianPosterior
from vaekit.posteriors.standard_normal import StandardNormal, StandardNormalPosterior

Posterior = Annotated[Gaussian | Delta | StandardNormal, Field(discriminator="kind")]

__all__ = [
    "Delta",
    "DeltaPosterior",
    "Gaussian",
    "GaussianPosterior",
    "Posterior",
    "StandardNormal",
    "StandardNormalPosterior",
]
