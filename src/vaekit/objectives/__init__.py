"""Objectives: functions of (model, batch, step) that say what is differentiated and what is reported."""

from typing import Annotated

from pydantic import Field

from vaekit.objectives.elbo import ELBO
from vaekit.objectives.monte_carlo_em import Chains, MonteCarloEM
from vaekit.objectives.objective import Loss, Objective, reported
from vaekit.objectives.printed import PrintedKL, PrintedSampling
from vaekit.objectives.reconstruction import Reconstruction
from vaekit.objectives.wake_sleep import WakeSleep

ObjectiveSpec = Annotated[
    ELBO | Reconstruction | WakeSleep | MonteCarloEM | PrintedSampling | PrintedKL, Field(discriminator="kind")
]

__all__ = [
    "ELBO",
    "Chains",
    "Loss",
    "MonteCarloEM",
    "Objective",
    "ObjectiveSpec",
    "PrintedKL",
    "PrintedSampling",
    "Reconstruction",
    "WakeSleep",
    "reported",
]
