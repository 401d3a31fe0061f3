"""Priors p(z)."""

from vaekit.priors.standard_normal import StandardNormal, StandardNormalPrior

Prior = StandardNormal

__all__ = ["Prior", "StandardNormal", "StandardNormalPrior"]
