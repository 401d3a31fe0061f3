"""The lists that the laws go through: a new variant gets a row, and a test fails until it has one."""

from typing import Any

import own_parts  # noqa: F401 (whose classes are named below)
import pytest
import torch

from vaekit import likelihoods, networks, objectives, posteriors, priors, schedules
from vaekit.networks import MLP, Conv, Layer
from vaekit.training import optimizers

RARE = 1e-4
"""share of seeds on which a right sampler would be called wrong; the seed is fixed"""

PRIORS = [
    priors.StandardNormal(),
    priors.Mixture(components=5),
    priors.Vamp(pseudo_inputs=4),
    priors.Flow(hidden=(7, 6)),
    priors.Flow(transform="spline", steps=3, hidden=(8,), bins=4),
    priors.Own(path="own_parts:ShiftedPrior", settings={"scale": 0.8}),
]
POSTERIORS = [
    posteriors.Gaussian(),
    posteriors.FullGaussian(),
    posteriors.Flow(hidden=(7, 6)),
    posteriors.Flow(transform="spline", steps=3, hidden=(8,), bins=4),
    posteriors.Delta(),
    posteriors.StandardNormal(),
    posteriors.Own(path="own_parts:ScaledPosterior"),
]
LIKELIHOODS = [
    likelihoods.Bernoulli(),
    likelihoods.ContinuousBernoulli(),
    likelihoods.Gaussian(),
    likelihoods.Gaussian(scale="pixel", mean="sigmoid"),
    likelihoods.Gaussian(scale="image", minimum_scale=0.1),
    likelihoods.Gaussian(scale="fixed", fixed_scale=0.3),
    likelihoods.DiscretizedLogistic(),
    likelihoods.Categorical(),
    likelihoods.Columns(),
    likelihoods.Own(path="own_parts:NoisyBits", settings={"flipped": 0.02}),
]
NETWORKS = [
    MLP(),
    MLP(hidden=()),
    MLP(hidden=(7, 5), activation="leaky_relu_0.2", initialization="glorot"),
    MLP(hidden=(7, 5), gated=True),
    Conv(),
    Conv(channels=(4, 5, 6), strides=(3, 1, 2), kernel=5, hidden=(9, 8), activation="gelu", initialization=0.1),
    Conv(channels=(4, 5), strides=(2, 3), batch_norm=True, activation="elu", decoder_activation="silu"),
    Conv(channels=(4, 5), strides=(5, 1), kernel=1, linear_code=True),
    Conv(
        channels=(4, 5),
        strides=(2, 2),
        batch_norm=True,
        decoder_layers=(Layer(channels=6, stride=4), Layer(channels=7, padding=0), Layer(transposed=False)),
    ),
    networks.Own(path="own_parts:Shallow", settings={"width": 9}),
]
OBJECTIVES = [
    objectives.ELBO(),
    objectives.ELBO(samples=3, kl="monte_carlo", beta=2.0, beta_schedule=schedules.WarmUp(epochs=2)),
    objectives.ELBO(free_bits=0.01),
    objectives.ELBO(free_bits=0.01, free_bits_per="part"),
    objectives.Importance(),
    objectives.Importance(samples=3, estimator="stl", alpha=0.5),
    objectives.Importance(samples=3, estimator="dreg"),
    objectives.Capacity(gamma=2.0, nats_schedule=schedules.WarmUp(epochs=2)),
    objectives.Reconstruction(),
    objectives.WakeSleep(),
    objectives.MonteCarloEM(transitions=2, leapfrog=3, acceptance=0.8),
    objectives.Own(path="vaekit.studies.printed:PrintedSampling", settings={"beta": 0.5}),
    objectives.Own(path="vaekit.studies.printed:PrintedKL"),
    objectives.Own(path="own_parts:Tempered"),
    objectives.PriorFit(weights="0" * 64),
    objectives.Factor(gamma=2.0, critic=objectives.Critic(hidden=(8, 5), activation="elu")),
    objectives.Adversarial(weight=0.5, critic=objectives.Critic(hidden=(8,), learning_rate=1e-2)),
    objectives.Info(),
    objectives.Info(alpha=0.25, weight=3.0, kernel="gaussian"),
    objectives.BetaTC(),
    objectives.BetaTC(alpha=0.5, beta=2.0, gamma=0.0, sampling="stratified", beta_schedule=schedules.WarmUp(epochs=2)),
    objectives.DIP(),
    objectives.DIP(covariance="means", off_diagonal=1.0, diagonal=0.0),
]
OPTIMIZERS = [
    optimizers.Adam(),
    optimizers.AdamW(),
    optimizers.Adamax(),
    optimizers.Adagrad(),
    optimizers.RMSprop(),
    optimizers.RMSprop(momentum=0.5),
    optimizers.SGD(learning_rate=1e-2),
    optimizers.SGD(learning_rate=1e-2, momentum=0.9, nesterov=True),
]
SCHEDULES = [
    schedules.Constant(),
    schedules.WarmUp(epochs=3),
    schedules.WarmUp(epochs=0),
    schedules.Milestones(at=(6, 2), decay=0.5),
    schedules.Cosine(warm_up=2, final=0.1),
    schedules.Cosine(warm_up=20),
    schedules.Cyclic(period=4, rise=0.25),
]
ROLES = {
    "prior": (priors.Prior, PRIORS),
    "posterior": (posteriors.Posterior, POSTERIORS),
    "likelihood": (likelihoods.Likelihood, LIKELIHOODS),
    "network": (networks.Network, NETWORKS),
    "objective": (objectives.ObjectiveSpec, OBJECTIVES),
    "optimizer": (optimizers.Optimizer, OPTIMIZERS),
    "schedule": (schedules.Schedule, SCHEDULES),
}

DEVICES = ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]


def rows(specs: list[Any]) -> list[Any]:
    """Parameters named by kind and row."""
    return [pytest.param(spec, id=f"{spec.kind}-{i}") for i, spec in enumerate(specs)]
