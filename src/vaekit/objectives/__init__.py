"""Objectives: functions of (model, batch) that say what is differentiated and what is reported."""

from typing import Annotated

from pydantic import Field

from vaekit.objectives.elbo import ELBO, ELBOObjective
from vaekit.objectives.monte_carlo_em import Chains, MonteCarloEM, MonteCarloEMObjective
from vaekit.objectives.objective import Loss, Objective, Weighted, reported
from vaekit.objectives.printed import PrintedKL, PrintedKLObjective, PrintedSampling, PrintedSamplingObjective
from vaekit.objectives.prior import PriorFit, PriorFitObjective
from vaekit.objectives.reconstruction import Reconstruction, ReconstructionObjective
from vaekit.objectives.wake_sleep import WakeSleep, WakeSleepObjective

ObjectiveSpec = Annotated[
    ELBO | Reconstruction | WakeSleep | MonteCarloEM | PrintedSampling | PrintedKL | PriorFit,
    Field(discriminator="kind"),
]

__all__ = [
    "ELBO",
    "Chains",
    "ELBOObjective",
    "Loss",
    "MonteCarloEM",
    "MonteCarloEMObjective",
    "Objective",
    "ObjectiveSpec",
    "PrintedKL",
    "PrintedKLObjective",
    "PrintedSampling",
    "PrintedSamplingObjective",
    "PriorFit",
    "PriorFitObjective",
    "Reconstruction",
    "ReconstructionObjective",
    "WakeSleep",
    "WakeSleepObjective",
    "Weighted",
    "reported",
]
