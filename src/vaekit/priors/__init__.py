"""Priors p(z)."""

from typing import Annotated

from pydantic import Field

from vaekit.priors.flow import Flow, FlowPrior
from vaekit.priors.mixture import Mixture, MixturePrior
from vaekit.priors.standard_normal import StandardNormal, StandardNormalPrior
from vaekit.priors.vamp import Vamp, VampPrior

Prior = Annotated[StandardNormal | Mixture | Vamp | Flow, Field(discriminator="kind")]

__all__ = [
    "Flow",
    "FlowPrior",
    "Mixture",
    "MixturePrior",
    "Prior",
    "StandardNormal",
    "StandardNormalPrior",
    "Vamp",
    "VampPrior",
]
