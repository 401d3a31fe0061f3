"""What is filled in: exact where the model's conditionals are known, and what was observed stays as it was."""

from dataclasses import replace
from math import exp

import pytest
import torch
from scipy import stats
from test_oracles import LATENTS, NOISE, PIXELS, RARE, linear
from torch import Tensor
from torch.distributions import Distribution, MultivariateNormal

from vaekit import distributions
from vaekit.building import ObservedLikelihood
from vaekit.conditional import Conditional
from vaekit.data import Space
from vaekit.data.columns import Column
from vaekit.evaluation.imputation import drawn, guessed, weighted
from vaekit.evaluation.rows import by_rows, shared_noise
from vaekit.model import VAE

SPACE = replace(Space.of((PIXELS,)), missing=True)


class HoledPosterior(Conditional):
    """p(z | x_observed) of the linear model, which may be made too wide."""

    def __init__(self, loadings: Tensor, offset: Tensor, inflation: float) -> None:
        super().__init__()
        self.loadings, self.offset, self.inflation = loadings, offset, inflation

    def forward(self, c: Tensor | None = None) -> Distribution:
        assert c is not None
        seen = (~c.isnan()).to(c.dtype)
        w = self.loadings * seen[..., None]
        covariance = (torch.eye(LATENTS, dtype=c.dtype) + w.mT @ w / NOISE**2).inverse()
        loc = (covariance @ w.mT @ (c.nan_to_num(0) - self.offset * seen)[..., None])[..., 0] / NOISE**2
        return distributions.FullGaussian(loc, torch.linalg.cholesky(covariance) * self.inflation)


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


def observing(inflation: float = 1.0) -> tuple[VAE, MultivariateNormal]:
    """The linear model of rows with holes, and its exact p(x)."""
    vae, marginal = linear("full")
    posterior = HoledPosterior(vae.likelihood.loadings, vae.likelihood.offset, inflation)
    return VAE(vae.prior, posterior, ObservedLikelihood(vae.likelihood), (PIXELS,), LATENTS), marginal


def holed(rows: int = 6, inflation: float = 1.3) -> tuple[VAE, Tensor, Tensor, Tensor]:
    """A linear model, rows with holes, and the exact mean and standard deviation of what is missing given the rest."""
    vae, marginal = observing(inflation)
    x = marginal.sample((rows,))
    mean, scale = torch.full_like(x, torch.nan), torch.full_like(x, torch.nan)
    for k in range(rows):
        hidden = torch.rand(PIXELS) < 0.4
        hidden[k % PIXELS] = True
        seen = ~hidden
        s, b = marginal.covariance_matrix, marginal.loc
        gain = s[hidden][:, seen] @ s[seen][:, seen].inverse()
        mean[k, hidden] = b[hidden] + gain @ (x[k, seen] - b[seen])
        scale[k, hidden] = (s[hidden][:, hidden] - gain @ s[seen][:, hidden]).diagonal().sqrt()
        x[k, hidden] = torch.nan
    return vae, x, mean, scale


def test_means_and_deviations_are_the_exact_conditional_ones() -> None:
    vae, x, mean, scale = holed()
    found = [guessed(weighted(vae, x, shared_noise(4000, LATENTS, k).double(), SPACE), SPACE) for k in range(60)]
    holes = x.isnan()
    for values, expected in (
        (torch.stack([each.value[holes] for each in found]), mean[holes]),
        (torch.stack([each.scale[holes] for each in found]), scale[holes]),
    ):
        error = values.std(0) / len(found) ** 0.5 + 2e-3  # the bias of weights is of the order of 1 / draws
        assert ((values.mean(0) - expected).abs() / error).max() < 4.5
        assert (values.std(0) / scale[holes]).max() < 0.2


def test_a_gaussian_adapts_where_no_encoder_knows_holes() -> None:
    vae, x, mean, scale = holed()
    plain = VAE(vae.prior, vae.posterior, vae.likelihood.likelihood, (PIXELS,), LATENTS)  # type: ignore[arg-type]
    space, holes = replace(SPACE, missing=False), x.isnan()
    found = [guessed(weighted(plain, x, shared_noise(1000, LATENTS, k).double(), space), space) for k in range(30)]
    value, spread = (torch.stack([each[i][holes] for each in found]) for i in (0, 1))
    for values, expected in ((value, mean[holes]), (spread, scale[holes])):
        error = values.std(0) / len(found) ** 0.5 + 3e-3 * scale[holes]
        assert ((values.mean(0) - expected).abs() / error).max() < 4.5
    assert (value.std(0) / scale[holes]).max() < 0.06  # as of 300 independent draws and more


def test_the_density_of_what_is_observed_is_exact() -> None:
    vae, x, _, _ = holed()
    _, marginal = linear("full")
    noise = [shared_noise(4000, LATENTS, k).double() for k in range(60)]
    found = torch.stack([weighted(vae, x, each, SPACE).log_evidence for each in noise])
    for k, row in enumerate(x):
        seen = ~row.isnan()
        exact = torch.distributions.MultivariateNormal(
            marginal.loc[seen], marginal.covariance_matrix[seen][:, seen]
        ).log_prob(row[seen])
        assert abs(found[:, k].mean() - exact) < 4.5 * found[:, k].std() / 60**0.5 + 5e-3


def test_draws_cover_what_was_hidden_as_often_as_they_say() -> None:
    vae, marginal = observing()
    whole = marginal.sample((2000,))
    hidden = torch.rand(2000, PIXELS) < 0.4
    x = torch.where(hidden, torch.nan, whole)
    found = drawn(weighted(vae, x, shared_noise(1000, LATENTS).double(), SPACE), 39)
    below = (found < whole).sum(0)[hidden]  # uniform over 0 … 39
    inside = ((below > 0) & (below < 39)).double()
    assert abs(inside.mean() - 0.95) < 0.01  # 38 of 40 places among the draws
    counts = below.bincount(minlength=40).double()
    expected = len(below) / 40
    chi2 = ((counts - expected).square() / expected).sum()
    assert chi2 < 1.5 * stats.chi2.isf(RARE, 39)  # holes of a row are not independent


def test_rows_with_holes_are_the_same_to_the_bit_in_any_company() -> None:
    vae, x, _, _ = holed(50)
    noise = shared_noise(50, LATENTS).double()

    def found(x: Tensor) -> Tensor:
        values = by_rows([x], torch.device("cpu"), lambda x: guessed(weighted(vae, x, noise, SPACE), SPACE)._asdict())
        return torch.cat([values["value"], values["scale"]], 1)

    order = torch.randperm(50)
    assert torch.equal(found(x[order]), found(x)[order])
    assert torch.equal(found(x[7:8])[0], found(x)[7])


class Fixed(Conditional):
    """p(x | z), the same for all z but for a shift of logits and means."""

    def forward(self, c: Tensor | None = None) -> Distribution:
        assert c is not None
        shape = c.shape[:-1]
        groups = [
            torch.distributions.Normal(c[..., :1].expand(*shape, 2), torch.tensor([0.5, 0.25]).expand(*shape, 2)),
            distributions.Categories(torch.tensor([[0.2, 0.5, 0.3]]).log().expand(*shape, 1, 3)),
        ]
        return distributions.Columns(groups, torch.tensor([0, 1, 2]), torch.tensor([0, 1, 2]))


def test_moments_are_those_of_the_files_units_and_categories_have_modes() -> None:
    columns = (
        Column(name="height", shift=170, scale=10),
        Column(name="income", kind="positive", shift=7, scale=0.5),
        Column(name="color", kind="category", categories=("blue", "green", "red")),
    )
    space = Space(
        source="", event_shape=(3,), support="mixed", binarization="none", split="", sizes={}, digest="",
        columns=columns, missing=True,
    )  # fmt: skip
    vae, _ = linear("full")
    x = torch.full((2, 3), torch.nan, dtype=torch.float64)
    model = VAE(vae.prior, _Standard(), ObservedLikelihood(Fixed()), (3,), LATENTS)
    found = guessed(weighted(model, x, shared_noise(200_000, LATENTS).double(), space), space)
    # x = z + noise with z ~ N(0, 1): of variance 1 + 0.25 and 1 + 0.0625.
    assert found.value[0, 0] == pytest.approx(170, abs=0.2)
    assert found.scale[0, 0] == pytest.approx(10 * 1.25**0.5, rel=0.01)
    variance = 0.25 * 1.0625
    assert found.value[0, 1] == pytest.approx(exp(7 + variance / 2), rel=0.01)
    assert found.scale[0, 1] == pytest.approx(exp(7 + variance / 2) * (exp(variance) - 1) ** 0.5, rel=0.02)
    assert found.value[0, 2] == 1
    assert found.scale[0, 2] == pytest.approx(0.5)


class _Standard(Conditional):
    def forward(self, c: Tensor | None = None) -> Distribution:
        assert c is not None
        zeros = torch.zeros(len(c), LATENTS).double()
        return distributions.independent(torch.distributions.Normal(zeros, torch.ones_like(zeros)), 1)


KINDS = ["continuous_bernoulli", "discretized_logistic", "categorical_levels", "bernoulli", "counts"]


@pytest.mark.parametrize("kind", KINDS)
def test_variances_are_those_of_draws(kind: str) -> None:
    parameter = torch.linspace(-3, 3, 7)
    p: Distribution = {
        "continuous_bernoulli": lambda: distributions.ContinuousBernoulli(parameter),
        "discretized_logistic": lambda: distributions.DiscretizedLogistic(parameter.sigmoid(), torch.full((7,), 0.1)),
        "categorical_levels": lambda: distributions.CategoricalLevels(torch.randn(7, 256)),
        "bernoulli": lambda: distributions.IndependentBernoulli(parameter, 1),
        "counts": lambda: distributions.Counts(parameter, torch.tensor(-0.5)),
    }[kind]()
    draws = p.sample(torch.Size((100_000,))).double()
    fourth = (draws - draws.mean(0)).pow(4).mean(0) - draws.var(0).square()
    assert ((draws.var(0) - p.variance).abs() / (fourth / len(draws)).sqrt().clamp_min(1e-6)).max() < 5
