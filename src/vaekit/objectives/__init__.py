"""Objectives: functions of (model, batch) that say what is differentiated and what is reported."""

from typing import Annotated

from pydantic import BeforeValidator, Field

from vaekit.objectives.elbo import ELBO, ELBOObjective
from vaekit.objectives.monte_carlo_em import Chains, MonteCarloEM, MonteCarloEMObjective
from vaekit.objectives.objective import Loss, Objective, Weighted, reported
from vaekit.objectives.own import Own
from vaekit.objectives.prior import PriorFit, PriorFitObjective
from vaekit.objectives.reconstruction import Reconstruction, ReconstructionObjective
from vaekit.objectives.wake_sleep import WakeSleep, WakeSleepObjective
from vaekit.settings import modern

ObjectiveSpec = Annotated[
    ELBO | Reconstruction | WakeSleep | MonteCarloEM | PriorFit | Own,
    Field(discriminator="kind"),
    BeforeValidator(modern),
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
    "Own",
    "PriorFit",
    "PriorFitObjective",
    "Reconstruction",
    "ReconstructionObjective",
    "WakeSleep",
    "WakeSleepObjective",
    "Weighted",
    "reported",
]
