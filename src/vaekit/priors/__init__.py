"""Priors p(z)."""

from typing import Annotated

from pydantic import Field

from vaekit.priors.flow import Flow, FlowPrior
from vaekit.priors.mixture import Mixture, MixturePrior
from vaekit.priors.own import Own
from vaekit.priors.standard_normal import StandardNormal, StandardNormalPrior
from vaekit.priors.vamp import Vamp, VampPrior

Prior = Annotated[StandardNormal | Mixture | Vamp | Flow | Own, Field(discriminator="kind")]

__all__ = [
    "Flow",
    "FlowPrior",
    "Mixture",
    "MixturePrior",
    "Own",
    "Prior",
    "StandardNormal",
    "StandardNormalPrior",
    "Vamp",
    "VampPrior",
]
