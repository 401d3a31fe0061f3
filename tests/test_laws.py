"""Laws that every prior, posterior, likelihood, network, objective, optimiser and schedule keeps: one row each."""

from collections.abc import Callable
from functools import partial
from typing import Any, get_args

import numpy as np
import pytest
import torch
from pydantic import TypeAdapter, ValidationError
from safetensors.torch import load, save
from scipy import stats
from torch import Tensor, nn
from torch.distributions import Distribution

from vaekit import distributions, likelihoods, networks, objectives, optimizers, posteriors, priors, schedules
from vaekit.conditional import Conditional
from vaekit.distributions import LEVELS
from vaekit.model import Model
from vaekit.networks import MLP, Conv, Layer

RARE = 1e-4
"""share of seeds on which a right sampler would be called wrong; the seed is fixed"""

PRIORS = [priors.StandardNormal()]
POSTERIORS = [posteriors.Gaussian(), posteriors.Delta(), posteriors.StandardNormal()]
LIKELIHOODS = [
    likelihoods.Bernoulli(),
    likelihoods.ContinuousBernoulli(),
    likelihoods.Gaussian(),
    likelihoods.Gaussian(scale="pixel", mean="sigmoid"),
    likelihoods.Gaussian(scale="image", minimum_scale=0.1),
    likelihoods.Gaussian(scale="fixed", fixed_scale=0.3),
    likelihoods.DiscretizedLogistic(),
    likelihoods.Categorical(),
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
]
OBJECTIVES = [
    objectives.ELBO(),
    objectives.ELBO(samples=3, kl="monte_carlo", beta=2.0, beta_schedule=schedules.WarmUp(epochs=2)),
    objectives.ELBO(free_bits=0.01),
    objectives.Reconstruction(),
    objectives.WakeSleep(),
    objectives.MonteCarloEM(transitions=2, leapfrog=3, acceptance=0.8),
    objectives.PrintedSampling(beta=0.5),
    objectives.PrintedKL(),
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

IMAGES = [(1, 28, 28), (1, 28, 20), (1, 13, 17), (3, 13, 17), (2, 1, 1)]
DEVICES = ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


def rows(specs: list[Any]) -> list[Any]:
    """Parameters named by kind and row."""
    return [pytest.param(spec, id=f"{spec.kind}-{i}") for i, spec in enumerate(specs)]


# --- specs ---


@pytest.mark.parametrize("role", ROLES)
def test_every_member_of_the_union_has_a_row(role: str) -> None:
    union, cases = ROLES[role]
    members = get_args(get_args(union)[0]) if get_args(union) else (union,)
    assert {type(case) for case in cases} == set(members)
    assert len({member.kind for member in members}) == len(members)


@pytest.mark.parametrize(
    ("union", "spec"),
    [pytest.param(union, s, id=f"{role}-{i}") for role, (union, specs) in ROLES.items() for i, s in enumerate(specs)],
)
def test_spec_round_trips(union: Any, spec: Any) -> None:
    adapter: TypeAdapter[Any] = TypeAdapter(union)
    assert adapter.validate_json(adapter.dump_json(spec)) == spec
    names = {t.__name__: t for t in (type(spec), Layer, *(type(s) for s in SCHEDULES))}
    assert eval(repr(spec), names) == spec
    assert hash(spec) == hash(adapter.validate_json(adapter.dump_json(spec)))
    with pytest.raises(AttributeError):
        spec.kind = "another"


@pytest.mark.parametrize(("union", "kind"), [(union, spec.kind) for union, specs in ROLES.values() for spec in specs])
def test_spec_refuses_fields_that_it_does_not_have(union: Any, kind: str) -> None:
    with pytest.raises(ValidationError, match="unexpected"):
        TypeAdapter(union).validate_python({"kind": kind, "no_such_field": 1})


# --- conditionals: priors, posteriors, likelihoods ---


def prior(spec: Any, dim: int) -> tuple[Conditional, None]:
    return spec.build(dim), None


def posterior(spec: Any, dim: int) -> tuple[Conditional, Tensor]:
    trunk, width = MLP(hidden=(8,)).encoder((1, 2, 2))
    return spec.build(trunk, width, dim), torch.rand(6, 1, 2, 2)


def likelihood(spec: Any, *event: int, batch: tuple[int, ...] = (6,)) -> tuple[Conditional, Tensor]:
    network = MLP(hidden=(8,))
    module = spec.build(lambda outputs: network.decoder(2, event, outputs), event)
    return module, 5 * torch.randn(*batch, 2)


def some(spec: Any, shape: tuple[int, ...]) -> Tensor:
    """Data that the likelihood accepts."""
    if spec.supports[0] == "binary":
        return torch.randint(2, shape).float()
    return torch.randint(LEVELS, shape) / (LEVELS - 1)


CONDITIONALS = [
    *(pytest.param(prior, s, id=f"prior-{s.kind}-{i}") for i, s in enumerate(PRIORS)),
    *(pytest.param(posterior, s, id=f"posterior-{s.kind}-{i}") for i, s in enumerate(POSTERIORS)),
    *(pytest.param(likelihood, s, id=f"likelihood-{s.kind}-{i}") for i, s in enumerate(LIKELIHOODS)),
]
Make = Callable[..., tuple[Conditional, Tensor | None]]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("event", [(5,), (1, 13, 17), (3, 2, 4)], ids=str)
@pytest.mark.parametrize("spec", rows(LIKELIHOODS))
def test_axes_of_a_likelihood(spec: Any, event: tuple[int, ...], dtype: torch.dtype, device: str) -> None:
    module, z = likelihood(spec, *event, batch=(4, 6))
    p = module.to(device, dtype)(z.to(device, dtype))
    x = some(spec, (6, *event)).to(device, dtype)
    assert p.batch_shape + p.event_shape == (4, 6, *event)
    assert p.log_prob(x).shape == (4, 6)
    assert p.mean.shape == p.sample().shape == (4, 6, *event)
    assert p.sample(torch.Size((7,))).shape == (7, 4, 6, *event)
    for value in (p.log_prob(x), p.mean, p.sample()):
        assert (value.dtype, value.device.type) == (dtype, device)
        assert value.isfinite().all()
    alone = module(z[2, 3].to(device, dtype))
    assert torch.allclose(alone.log_prob(x[3]), p.log_prob(x)[2, 3], rtol=1e-5)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("make_spec", [*[(prior, s) for s in PRIORS], *[(posterior, s) for s in POSTERIORS]])
def test_axes_of_latents(make_spec: tuple[Make, Any], dtype: torch.dtype, device: str) -> None:
    make, spec = make_spec
    module, c = make(spec, 3)
    q = module.to(device, dtype)(None if c is None else c.to(device, dtype))
    batch = () if c is None else (6,)
    z = q.rsample(torch.Size((4,)))
    assert (q.batch_shape, q.event_shape) == (batch, (3,))
    assert z.shape == (4, *batch, 3)
    assert q.log_prob(z).shape == (4, *batch)
    assert q.mean.shape == (*batch, 3)
    for value in (z, q.log_prob(z), q.mean):
        assert (value.dtype, value.device.type) == (dtype, device)


@pytest.mark.parametrize("half", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize(("make", "spec"), CONDITIONALS[len(PRIORS) :])
def test_densities_of_half_precision_networks_are_fp32(make: Make, spec: Any, half: torch.dtype) -> None:
    module, c = make(spec, 3)
    assert c is not None
    network = getattr(module, "network", module)
    network.to(half)
    p = module(c.to(half))
    assert p.mean.dtype == torch.float32
    assert p.log_prob(p.sample()).dtype == torch.float32


@pytest.mark.parametrize(("make", "spec"), CONDITIONALS)
def test_conditional_round_trips_through_safetensors(make: Make, spec: Any) -> None:
    (module, c), (other, _) = make(spec, 3), make(spec, 3)
    weights = load(save(module.state_dict()))
    other.load_state_dict(weights)
    assert torch.equal(module(c).mean, other(c).mean)
    assert type(module).__name__ in repr(module)


@pytest.mark.parametrize(
    ("make", "spec"), [case for case in CONDITIONALS[len(PRIORS) :] if case.values[1] != posteriors.StandardNormal()]
)
def test_gradient_reaches_every_weight_of_a_conditional(make: Make, spec: Any) -> None:
    module, c = make(spec, 3)
    p = module(c)
    if make is posterior:
        z = p.rsample()
        loss = (z.square().sum(-1) - p.log_prob(z)).mean()
    else:
        loss = -p.log_prob(some(spec, (6, 3))).mean()
    loss.backward()
    assert_gradients(module)


def assert_gradients(module: nn.Module) -> None:
    for name, weight in module.named_parameters():
        assert weight.grad is not None, name
        assert weight.grad.isfinite().all(), name
        assert weight.grad.any(), name


# --- probability: the sum or the integral is 1, and the samples follow the density ---

LINE = torch.linspace(-30, 30, 600_001, dtype=torch.float64)
INTERVAL = torch.linspace(0, 1, 20_001, dtype=torch.float64)
BITS = torch.tensor([0.0, 1.0], dtype=torch.float64)
GREYS = torch.arange(LEVELS, dtype=torch.float64) / (LEVELS - 1)


VALUES = {
    distributions.IndependentBernoulli: BITS,
    distributions.DiscretizedLogistic: GREYS,
    distributions.CategoricalLevels: GREYS,
    distributions.ContinuousBernoulli: INTERVAL,
    torch.distributions.Normal: LINE,
}


def values(p: Distribution) -> Tensor:
    """All values of a discrete distribution, or a fine grid over those of a continuous one."""
    return VALUES[type(getattr(p, "base_dist", p))]


def densities(p: Distribution, x: Tensor) -> Tensor:
    """Probabilities or densities at x of events of one element, (values, batch)."""
    return p.log_prob(x[:, None, None]).exp().reshape(len(x), -1)


def total(weighted: Tensor, x: Tensor) -> Tensor:
    """The sum over values, or the integral over a grid, (batch,)."""
    return weighted.sum(0) if len(x) <= LEVELS else torch.trapezoid(weighted, x, dim=0)


def one_dimensional(make: Make, spec: Any) -> Distribution:
    module, c = make(spec, 1)
    return module.double().requires_grad_(False)(None if c is None else c.double())


DENSITIES = [case for case in CONDITIONALS if not isinstance(case.values[1], posteriors.Delta)]


@pytest.mark.parametrize(("make", "spec"), DENSITIES)
def test_total_probability_is_one_and_the_mean_is_that_of_the_density(make: Make, spec: Any) -> None:
    p = one_dimensional(make, spec)
    x = values(p)
    density = densities(p, x)
    assert torch.allclose(total(density, x), torch.ones(density.shape[1]).double(), atol=1e-8)
    assert torch.allclose(total(density * x[:, None], x), p.mean.flatten(), atol=1e-8)


@pytest.mark.parametrize(("make", "spec"), DENSITIES)
def test_samples_follow_the_density(make: Make, spec: Any) -> None:
    p = one_dimensional(make, spec)
    n, x = 4000, values(p)
    samples = p.sample(torch.Size((n,))).reshape(n, -1)
    density = densities(p, x)
    if len(x) <= LEVELS:
        counts = (samples[None] - x[:, None, None]).abs().lt(1e-9).sum(1)
        assert (counts.sum(0) == n).all()  # no value between the levels
        pvalues = [chi_square(o, e) for o, e in zip(counts.T.numpy(), n * density.T.numpy(), strict=True)]
    else:
        below = torch.cumulative_trapezoid(density, x, dim=0).T.numpy()
        cdfs = [partial(np.interp, xp=x[1:].numpy(), fp=cdf) for cdf in below]
        pvalues = [stats.kstest(column, cdf).pvalue for column, cdf in zip(samples.T.numpy(), cdfs, strict=True)]
    assert min(pvalues) > RARE / len(pvalues)


def chi_square(observed: np.ndarray, expected: np.ndarray) -> float:
    """p-value of the counts; levels are joined in order until each bin expects at least ten."""
    bins = np.minimum((np.cumsum(expected) / 10).astype(int), int(expected.sum() / 10) - 1)
    o, e = (np.bincount(bins, counts) for counts in (observed, expected))
    o, e = o[e > 0], e[e > 0]
    return float(stats.chi2.sf(((o - e) ** 2 / e).sum(), len(e) - 1))


@pytest.mark.parametrize("spec", rows(LIKELIHOODS))
def test_normalised_supports_are_those_where_the_total_is_one(spec: Any) -> None:
    p = one_dimensional(likelihood, spec)
    for support in spec.supports:
        grey = INTERVAL if spec.kind == "bernoulli" else values(p)  # where its cross-entropy is no density
        x = BITS if support == "binary" else grey
        sums = total(densities(p, x), x)
        assert torch.allclose(sums, torch.ones_like(sums), atol=1e-8) == (support in spec.normalized_on)
    assert set(spec.normalized_on) <= set(spec.supports)
    assert likelihoods.SUPPORTS[spec.kind] == spec.supports


def test_point_mass_is_where_it_is() -> None:
    q = one_dimensional(posterior, posteriors.Delta())
    z = q.sample(torch.Size((3,)))
    assert torch.equal(z, q.mean.expand(3, -1, -1))
    assert torch.equal(q.log_prob(z), torch.zeros(3, 6))
    assert (q.log_prob(z + 1e-9) == -torch.inf).all()


# --- networks ---


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("event", IMAGES, ids=str)
@pytest.mark.parametrize("spec", rows(NETWORKS))
def test_network_shapes(spec: Any, event: tuple[int, ...], device: str) -> None:
    trunk, width = spec.encoder(event)
    decoder = spec.decoder(2, event, 3).eval().to(device)
    assert trunk.eval().to(device)(torch.rand(5, *event, device=device)).shape == (5, width)
    z = torch.randn(4, 5, 2, device=device)
    images = decoder(z)
    assert images.shape == (4, 5, 3, *event)
    assert torch.allclose(decoder(z[1]), images[1], atol=1e-5)
    assert torch.allclose(decoder(z[1, 2]), images[1, 2], atol=1e-5)


@pytest.mark.parametrize("spec", [case for case in NETWORKS if case.kind == "mlp"], ids=lambda spec: str(spec.hidden))
def test_mlp_takes_rows_of_tables(spec: MLP) -> None:
    trunk, width = spec.encoder((7,))
    assert trunk(torch.rand(5, 7)).shape == (5, width)
    assert spec.decoder(2, (7,), 3)(torch.randn(4, 5, 2)).shape == (4, 5, 3, 7)


GAPLESS = [s for s in NETWORKS if s.kind == "mlp" or max(s.strides) <= s.kernel // 2 + 1]


@pytest.mark.parametrize("spec", rows(GAPLESS))
def test_network_reads_and_writes_every_pixel(spec: Any) -> None:
    event = (3, 13, 17)
    x, z = torch.rand(20, *event, requires_grad=True), torch.randn(20, 2)
    trunk, decoder = spec.encoder(event)[0].eval(), spec.decoder(2, event, 2).eval()
    trunk(x).square().sum().backward()
    assert x.grad is not None
    assert x.grad.any(0).all()
    for j in range(2):
        assert (decoder(z + torch.eye(2)[j]) != decoder(z)).any(0).all()


@pytest.mark.parametrize("spec", rows(NETWORKS))
def test_gradient_reaches_every_weight_of_a_network(spec: Any) -> None:
    event = (2, 9, 9)
    # Batch statistics take away the biases before them; in evaluation mode they count.
    encoder, decoder = spec.encoder(event)[0].eval(), spec.decoder(2, event, 2).eval()
    encoder(torch.rand(20, *event, requires_grad=True)).square().sum().backward()
    decoder(torch.randn(20, 2)).square().sum().backward()
    assert_gradients(encoder)
    assert_gradients(decoder)


@pytest.mark.parametrize("spec", rows(NETWORKS))
def test_network_round_trips_through_safetensors(spec: Any) -> None:
    model = Model(latent_dim=2, network=spec)
    vae, other = (model.build((1, 13, 17)) for _ in range(2))
    x = torch.rand(5, 1, 13, 17)
    vae.draw(x)  # moves the running statistics of batch normalisation
    assert not torch.equal(vae.reconstruct(x), other.reconstruct(x))
    other.load_state_dict(load(save({name: tensor.contiguous() for name, tensor in vae.state_dict().items()})))
    assert torch.equal(vae.eval().reconstruct(x), other.eval().reconstruct(x))


# --- objectives ---


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("spec", rows(OBJECTIVES))
def test_objective_gives_scalars_and_a_gradient_for_every_weight(spec: Any, device: str) -> None:
    alone = {"reconstruction": posteriors.Delta(), "monte_carlo_em": posteriors.StandardNormal()}
    q = alone.get(spec.kind, posteriors.Gaussian())
    vae = Model(latent_dim=2, posterior=q).build((1, 4, 4)).to(device)
    weight = torch.tensor(spec.kl_weight(epoch=0.7, epochs=5), device=device)
    loss = spec(vae, torch.rand(6, 1, 4, 4, device=device), weight)
    for value in (loss.value, loss.bound, *loss.terms.values()):
        assert value.shape == ()
        assert value.device.type == device
        assert value.isfinite()
    assert "reconstruction" in loss.terms
    loss.value.backward()
    assert_gradients(vae)


# --- optimisers ---


@pytest.mark.parametrize("spec", rows(OPTIMIZERS))
def test_optimizer_descends(spec: Any) -> None:
    weight = nn.Parameter(torch.tensor([1.0, -2.0]))
    optimizer = spec.build([weight])
    assert [group["lr"] for group in optimizer.param_groups] == [spec.learning_rate]
    losses = [take_step(optimizer, weight) for _ in range(50)]
    assert losses[-1] < 0.99 * losses[0]


@pytest.mark.parametrize("spec", rows(OPTIMIZERS))
def test_optimizer_state_is_tensors_that_continue_it_bit_for_bit(spec: Any) -> None:
    one, two = (nn.Parameter(torch.tensor([1.0, -2.0])) for _ in range(2))
    first, second = spec.build([one]), spec.build([two])
    for _ in range(5):
        take_step(first, one)
    state = first.state_dict()["state"]
    assert all(isinstance(v, Tensor) for part in state.values() for v in part.values() if v is not None)
    with torch.no_grad():
        two.copy_(one)
    groups = second.state_dict()["param_groups"]
    second.load_state_dict({"state": {i: load(save(part)) for i, part in state.items()}, "param_groups": groups})
    for _ in range(5):
        assert take_step(first, one) == take_step(second, two)
    assert torch.equal(one, two)


@pytest.mark.parametrize("kind", list(dict.fromkeys(map(type, OPTIMIZERS))), ids=lambda kind: kind.kind)
def test_weight_decay_shrinks_weights_that_nothing_else_moves(kind: Any) -> None:
    for decay, moved in ((0.0, False), (0.1, True)):
        weight = nn.Parameter(torch.tensor([1.0, -2.0]))
        weight.grad = torch.zeros(2)
        kind(weight_decay=decay).build([weight]).step()
        assert bool((weight.abs() < torch.tensor([1.0, 2.0])).all()) == moved


def take_step(optimizer: torch.optim.Optimizer, weight: Tensor) -> float:
    optimizer.zero_grad()
    loss = weight.square().sum()
    loss.backward()
    optimizer.step()
    return loss.item()


# --- schedules ---


@pytest.mark.parametrize("spec", rows(SCHEDULES))
def test_schedule_is_a_factor_in_the_unit_interval(spec: Any) -> None:
    factors = [spec.factor(step / 7, 10.0) for step in range(8 * 10)]
    assert all(0 <= factor <= 1 for factor in factors)
    assert spec.factor(3.0, 10.0) == spec.factor(3.0, 10.0)
    assert spec.kind == "constant" or spec == schedules.WarmUp(epochs=0) or len(set(factors)) > 2
