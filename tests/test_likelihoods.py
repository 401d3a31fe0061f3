"""What the decoder's outputs become: means, and scales per pixel, per image, shared or fixed, never below a bound."""

from typing import Any

import pytest
import torch
from built import Decoded
from torch import Tensor, nn

from vaekit.likelihoods import DiscretizedLogistic, Gaussian
from vaekit.likelihoods.pixels import GRAY_LEVEL
from vaekit.networks import MLP

EVENT = (1, 3, 4)


class Given(nn.Module):
    """A decoder whose outputs, (batch, outputs, *event), are its input."""

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.outputs = outputs

    def forward(self, z: Tensor) -> Tensor:
        return z.unflatten(-1, (self.outputs, *EVENT))


def given(spec: Any, outputs: int, *raw: Tensor) -> Any:
    """The distribution of the elements under given outputs of the decoder, each (batch, *event)."""
    likelihood = spec.build(Decoded(Given, EVENT))
    assert likelihood.network.outputs == outputs
    return likelihood(torch.stack(raw, 1).flatten(1)).base_dist


@pytest.fixture
def raw() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    return torch.randn(5, *EVENT), torch.randn(5, *EVENT)


@pytest.mark.parametrize("mean", ["identity", "sigmoid"])
def test_gaussian_scale_per_pixel_and_per_image(raw: tuple[Tensor, Tensor], mean: Any) -> None:
    loc, log_scale = raw
    pixel = given(Gaussian(scale="pixel", mean=mean, minimum_scale=1e-9), 2, loc, log_scale)
    image = given(Gaussian(scale="image", mean=mean, minimum_scale=1e-9), 2, loc, log_scale)
    expected = loc.sigmoid() if mean == "sigmoid" else loc
    assert torch.allclose(pixel.loc, expected)
    assert torch.allclose(image.loc, expected)
    assert torch.allclose(pixel.scale, log_scale.exp(), rtol=1e-5)
    assert torch.allclose(image.scale, log_scale.mean((1, 2, 3), keepdim=True).exp().expand(5, *EVENT), rtol=1e-5)


@pytest.mark.parametrize("scale", ["pixel", "image"])
def test_a_head_of_log_variance_means_half_of_what_it_outputs(raw: tuple[Tensor, Tensor], scale: Any) -> None:
    loc, output = raw
    variance = given(Gaussian(scale=scale, head="log_variance"), 2, loc, output)
    assert torch.equal(variance.scale, given(Gaussian(scale=scale), 2, loc, output / 2).scale)
    assert not torch.allclose(variance.scale, given(Gaussian(scale=scale), 2, loc, output).scale)


def test_gaussian_scale_shared_is_one_weight_and_fixed_is_none() -> None:
    z = torch.randn(5, 2, generator=torch.Generator().manual_seed(0))
    network = MLP(hidden=(4,))
    shared, fixed = (
        Gaussian(scale=scale, fixed_scale=0.3).build(Decoded(lambda n: network.decoder(2, EVENT, n), EVENT))
        for scale in ("shared", "fixed")
    )
    names = [name for name, _ in fixed.named_parameters()]
    assert [name for name, _ in shared.named_parameters()] == ["log_scale", *names]
    shared.log_scale.data.fill_(0.5)
    assert torch.allclose(shared(z).base_dist.scale, torch.tensor(0.5).exp().expand(5, *EVENT), rtol=0.01)
    assert torch.equal(fixed(z).base_dist.scale, torch.full((5, *EVENT), 0.3))


@pytest.mark.parametrize("spec", [Gaussian(scale="pixel"), Gaussian(scale="image"), DiscretizedLogistic()])
@pytest.mark.parametrize("output", [-1e30, -1000.0, -10.0])
def test_learnt_scales_stop_at_their_bound_and_so_does_the_density(spec: Any, output: float) -> None:
    x = torch.full((5, *EVENT), 0.5)
    p = given(spec, 2, torch.zeros(5, *EVENT) if spec.kind != "gaussian" else x, torch.full((5, *EVENT), output))
    assert torch.allclose(p.scale, torch.tensor(spec.minimum_scale), rtol=0.02)
    highest = -torch.tensor((2 * torch.pi) ** 0.5 * spec.minimum_scale).log() if spec.kind == "gaussian" else 0.0
    assert (p.log_prob(x) <= highest + 1e-5).all()


def test_shared_scale_stops_at_its_bound() -> None:
    likelihood = Gaussian().build(Decoded(Given, EVENT))
    likelihood.log_scale.data.fill_(-100.0)
    assert torch.allclose(likelihood(torch.zeros(5, 12)).base_dist.scale, torch.tensor(GRAY_LEVEL))


def test_a_discretized_logistic_begins_with_a_scale_of_about_an_eighth() -> None:
    p = given(DiscretizedLogistic(), 2, torch.zeros(5, *EVENT), torch.zeros(5, *EVENT))
    assert torch.equal(p.loc, torch.full((5, *EVENT), 0.5))
    assert torch.allclose(p.scale, torch.tensor(-2.0).exp(), rtol=0.01)
