"""Laws of priors with weights of their own, in a model: gradients, precision, copies, memory, steps and resuming."""

import subprocess
import sys
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from laws.conditionals import assert_gradients
from laws.rows import PRIORS, rows
from pydantic import TypeAdapter
from small import finished, same, small, stopped

from vaekit import priors
from vaekit.compatibility import traits
from vaekit.data import Space
from vaekit.model import VAE, Model
from vaekit.networks import MLP
from vaekit.run import weight_shapes

SPACE = Space.of((1, 2, 2), train=50)
LEARNED = [prior for prior in PRIORS if prior.kind != "standard_normal"]


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


def built(prior: Any) -> VAE:
    return Model(latent_dim=3, network=MLP(hidden=(8,)), prior=prior).build(SPACE)


@pytest.mark.parametrize("prior", rows(LEARNED))
def test_gradient_reaches_every_weight_once(prior: Any) -> None:
    vae = built(prior)
    (-vae.draw(torch.rand(6, 1, 2, 2)).log_weight.mean()).backward()
    assert_gradients(vae)
    saved = vae.state_dict()
    assert len(saved) == len({tensor.data_ptr() for tensor in saved.values()})
    assert {name for name, _ in vae.named_parameters()} <= saved.keys()


@pytest.mark.parametrize("prior", rows(LEARNED))
def test_density_under_autocast_is_that_without(prior: Any) -> None:
    vae, z = built(prior), 3 * torch.randn(50, 3)
    p = vae.prior()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = p.log_prob(z)
    assert half.dtype == torch.float32
    assert torch.allclose(half, p.log_prob(z), atol=1e-3)


@pytest.mark.parametrize("prior", rows(LEARNED))
def test_copy_owns_all_its_weights(prior: Any) -> None:
    vae, z = built(prior), torch.randn(5, 3)
    copy = deepcopy(vae)
    before = copy.prior().log_prob(z)
    for weight in vae.parameters():
        weight.data.add_(1)
    assert torch.equal(copy.prior().log_prob(z), before)
    for weight in copy.posterior.parameters():
        weight.data.add_(1)
    assert torch.equal(copy.prior().log_prob(z), before) == (prior.kind != "vamp")


@pytest.mark.parametrize("prior", rows(LEARNED))
def test_shapes_of_weights_are_known_without_memory(prior: Any) -> None:
    vae = built(prior)
    shapes = weight_shapes(Model(latent_dim=3, network=MLP(hidden=(8,)), prior=prior), SPACE)
    assert shapes == {name: weight.shape for name, weight in vae.state_dict().items()}


# In a process of its own: in this one every function checks its arguments, which cannot be compiled.
SCRIPT = """
import sys, torch
from pydantic import TypeAdapter
from vaekit import objectives, priors
from vaekit.data import Batch, Space
from vaekit.model import Model
from vaekit.networks import MLP
from vaekit.training.steps import Step

space = Space.of((1, 2, 2), train=50)
for prior in TypeAdapter(list[priors.Prior]).validate_json(sys.argv[1]):
    torch._dynamo.reset()
    vae = Model(latent_dim=3, network=MLP(hidden=(8,)), prior=prior).build(space)
    step, batch = Step(vae, objectives.ELBO().build(vae, space)), Batch(torch.rand(6, 1, 2, 2))
    step(batch)
    values = []
    for each in (step, torch.compile(step, fullgraph=True, backend="aot_eager")):
        torch.manual_seed(1)
        values.append(each(batch).value)
    assert torch.allclose(*values, rtol=1e-5), (prior, values)
"""


@pytest.mark.slow
def test_compiled_steps_are_one_graph() -> None:
    own = [prior for prior in LEARNED if prior.kind != "own"]  # a class of the tests, which that process does not know
    written = TypeAdapter(list[priors.Prior]).dump_json(own)
    found = subprocess.run([sys.executable, "-c", SCRIPT, written], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr


@pytest.mark.parametrize("prior", rows(LEARNED))
def test_resumed_training_ends_with_the_same_bytes(prior: Any, tmp_path: Path) -> None:
    experiment = small(epochs=1, ema=0.9)
    experiment = replace(experiment, model=replace(experiment.model, prior=prior))
    whole = finished(experiment, tmp_path / "whole")
    parted = stopped(experiment, tmp_path / "parted", 7)
    assert same(finished(experiment, parted.path, resume=True), whole)


@pytest.mark.parametrize("prior", rows([prior for prior in LEARNED if "fitted" in traits(prior)]))
def test_prior_that_can_be_fitted_begins_about_as_wide_as_codes_anywhere(prior: Any) -> None:
    codes = torch.tensor([300.0, 0.0, -2.0]) + torch.tensor([50.0, 1.0, 1e-3]) * torch.randn(2000, 3)
    vae = built(prior)
    before = vae.prior().log_prob(codes).mean()
    vae.prior.begin_at(codes)
    after = vae.prior().log_prob(codes).mean()
    best = torch.distributions.Normal(codes.mean(0), codes.std(0)).log_prob(codes).sum(-1).mean()
    assert before < best - 100
    assert abs(after - best) < 3
    restored = built(prior)
    restored.load_state_dict(vae.state_dict())
    assert torch.equal(restored.prior().log_prob(codes), vae.prior().log_prob(codes))
