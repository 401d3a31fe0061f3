"""Objectives: functions of (model, batch) that say what is differentiated and what is reported."""

from typing import Annotated

from pydantic import BeforeValidator, Field

from vaekit.objectives.adversarial import Adversarial, AdversarialObjective
from vaekit.objectives.beta_tc import BetaTC, BetaTCObjective
from vaekit.objectives.capacity import Capacity, CapacityObjective
from vaekit.objectives.critic import Critic, CriticNetwork
from vaekit.objectives.dip import DIP, DIPObjective
from vaekit.objectives.elbo import ELBO, ELBOObjective
from vaekit.objectives.factor import Factor, FactorObjective
from vaekit.objectives.importance import Importance, ImportanceObjective
from vaekit.objectives.info import Info, InfoObjective
from vaekit.objectives.monte_carlo_em import Chains, MonteCarloEM, MonteCarloEMObjective
from vaekit.objectives.objective import Loss, Objective, Weighted, reported
from vaekit.objectives.own import Own
from vaekit.objectives.prior import PriorFit, PriorFitObjective
from vaekit.objectives.reconstruction import Reconstruction, ReconstructionObjective
from vaekit.objectives.wake_sleep import WakeSleep, WakeSleepObjective
from vaekit.settings import modern

ObjectiveSpec = Annotated[
    ELBO
    | Importance
    | Capacity
    | Reconstruction
    | WakeSleep
    | MonteCarloEM
    | PriorFit
    | Factor
    | Adversarial
    | Info
    | BetaTC
    | DIP
    | Own,
    Field(discriminator="kind"),
    BeforeValidator(modern),
]

__all__ = [
    "DIP",
    "ELBO",
    "Adversarial",
    "AdversarialObjective",
    "BetaTC",
    "BetaTCObjective",
    "Capacity",
    "CapacityObjective",
    "Chains",
    "Critic",
    "CriticNetwork",
    "DIPObjective",
    "ELBOObjective",
    "Factor",
    "FactorObjective",
    "Importance",
    "ImportanceObjective",
    "Info",
    "InfoObjective",
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
