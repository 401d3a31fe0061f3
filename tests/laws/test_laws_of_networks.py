"""Laws of networks: shapes, reach, and gradients."""

from typing import Any

import pytest
import torch
from laws.conditionals import assert_gradients
from laws.rows import DEVICES, NETWORKS, rows
from safetensors.torch import load, save

from vaekit.model import Model
from vaekit.networks import MLP

IMAGES = [(1, 28, 28), (1, 28, 20), (1, 13, 17), (3, 13, 17), (2, 1, 1)]


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


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


GAPLESS = [s for s in NETWORKS if s.kind != "conv" or max(s.strides) <= s.kernel // 2 + 1]


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
