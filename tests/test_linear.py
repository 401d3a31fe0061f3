"""Linear layers: oneDNN's products are those of torch, to rounding, forwards and backwards."""

import pytest
import torch
from torch import Tensor, nn
from torch.library import opcheck

from vaekit import linear
from vaekit.linear import Linear, onednn_is_quicker


@pytest.fixture
def wide(monkeypatch: pytest.MonkeyPatch) -> Linear:
    if not torch.backends.mkldnn.is_available():
        pytest.skip("torch has no oneDNN here")
    monkeypatch.setattr(linear, "onednn_is_quicker", lambda: True)
    torch.manual_seed(0)
    layer = Linear(300, 400)
    assert layer.wide
    return layer


def plain(layer: Linear, dtype: torch.dtype) -> nn.Linear:
    other = nn.Linear(layer.in_features, layer.out_features, dtype=dtype)
    other.load_state_dict(layer.state_dict())
    return other


def results(layer: nn.Linear, x: Tensor) -> list[Tensor]:
    """Output and all gradients, for a gradient that depends on the output."""
    x = x.detach().to(layer.weight.dtype).requires_grad_()
    y = layer(x)
    y.sin().sum().backward()
    assert x.grad is not None
    assert layer.weight.grad is not None
    assert layer.bias.grad is not None
    return [y.detach(), x.grad, layer.weight.grad, layer.bias.grad]


@pytest.mark.parametrize("shape", [(50,), (4, 3), (2, 3, 5), (1,), ()], ids=str)
def test_both_libraries_agree_as_far_as_fp32_goes(wide: Linear, shape: tuple[int, ...]) -> None:
    x = torch.randn(*shape, 300)
    exact = results(plain(wide, torch.float64), x)
    for found, other, truth in zip(results(wide, x), results(plain(wide, torch.float32), x), exact, strict=True):
        assert found.shape == truth.shape
        error, usual = ((each - truth).square().mean().sqrt() for each in (found, other))
        assert error <= 2 * usual + 1e-9


def test_a_single_row_is_multiplied_by_torch_and_several_by_onednn(wide: Linear) -> None:
    x = torch.randn(5, 300)
    usual = plain(wide, torch.float32)
    for row in (x[0], x[:1], x[None, None, 0]):
        assert torch.equal(wide(row), usual(row))
    assert torch.equal(wide(x), linear.product(x, wide.weight, wide.bias))


def test_images_need_no_gradient(wide: Linear) -> None:
    wide(torch.randn(7, 300)).sum().backward()
    assert wide.weight.grad is not None


def test_frozen_weights_get_no_gradient(wide: Linear) -> None:
    x = torch.randn(7, 300, requires_grad=True)
    wide.requires_grad_(False)(x).sum().backward()
    assert x.grad is not None
    assert torch.allclose(x.grad, wide.weight.sum(0).expand(7, -1), atol=1e-5)
    assert wide.weight.grad is wide.bias.grad is None


def test_the_operators_are_what_torch_expects(wide: Linear) -> None:
    x = torch.randn(20, 300, requires_grad=True)
    assert set(opcheck(torch.ops.vaekit.linear.default, (x, wide.weight, wide.bias)).values()) == {"SUCCESS"}


def test_other_precisions_take_the_usual_way(wide: Linear) -> None:
    x = torch.randn(20, 300)
    double = plain(wide, torch.float64)
    wide.double()
    assert torch.equal(wide(x.double()), double(x.double()))
    wide.float()
    with torch.autocast("cpu", torch.bfloat16):
        assert wide(x).dtype == torch.bfloat16


def test_narrow_layers_measure_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linear, "onednn_is_quicker", lambda: pytest.fail("measured"))
    assert not Linear(10, 10).wide


def test_products_are_measured_on_the_cpu_wherever_a_model_is_built(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    monkeypatch.setattr(linear, "_seconds", lambda work: seen.append(work().device.type) or 1.0)
    with torch.device("meta"):
        assert not onednn_is_quicker.__wrapped__()  # as quick is not quicker
    assert set(seen) <= {"cpu"}


def test_measuring_leaves_the_random_state_alone_and_is_done_once() -> None:
    onednn_is_quicker.cache_clear()
    state = torch.get_rng_state()
    onednn_is_quicker()
    onednn_is_quicker()
    assert torch.equal(torch.get_rng_state(), state)
    assert onednn_is_quicker.cache_info().misses == 1
