"""The published networks, layer by layer, and what a network refuses."""

import re
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from vaekit.data import Source
from vaekit.errors import InputError
from vaekit.experiment import Experiment
from vaekit.likelihoods import Gaussian
from vaekit.model import VAE, Model
from vaekit.networks import ACTIVATIONS, MLP, Conv, ConvTranspose2d, Layer, OnImages
from vaekit.presets import PRESETS

MNIST = (1, 28, 28)


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


def experiment(preset: str) -> Experiment:
    return Experiment(data=Source(name="mnist")).replace_all(PRESETS[preset])


def built(preset: str, latent_dim: int = 2, event: tuple[int, ...] = MNIST) -> VAE:
    return experiment(preset).replace("model.latent_dim", latent_dim).model.build(event)


def leaves(module: nn.Module) -> list[nn.Module]:
    return [layer for layer in module.modules() if not list(layer.children())]


def structure(module: nn.Module) -> list[str]:
    """Each layer as a word, with its sizes: inputs>outputs, kernel, stride."""
    words = []
    for layer in leaves(module):
        name = type(layer).__name__
        if isinstance(layer, nn.Linear):
            name += f" {layer.in_features}>{layer.out_features}"
        elif isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            name += f" {layer.in_channels}>{layer.out_channels} k{layer.kernel_size[0]} s{layer.stride[0]}"
        words.append(name)
    return words


def sizes_inside(module: nn.Module, x: Tensor) -> list[tuple[int, ...]]:
    """Shapes that the layers give, one after the other, without the batch axis."""
    shapes: list[tuple[int, ...]] = []
    for layer in leaves(module):
        layer.register_forward_hook(lambda layer, inputs, output: shapes.append(tuple(output.shape[1:])))
    module(x)
    return shapes


def weights(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


# --- the published ones ---


@pytest.mark.parametrize(
    ("preset", "event", "hidden", "outputs"), [("aevb-mnist", MNIST, 500, 1), ("aevb-frey", (1, 28, 20), 200, 2)]
)
def test_aevb(preset: str, event: tuple[int, ...], hidden: int, outputs: int) -> None:
    vae, pixels = built(preset, 20, event), event[1] * event[2]
    assert structure(vae.posterior) == ["Flatten", f"Linear {pixels}>{hidden}", "Tanh", f"Linear {hidden}>40"]
    assert structure(vae.likelihood) == [
        f"Linear 20>{hidden}",
        "Tanh",
        f"Linear {hidden}>{outputs * pixels}",
        "Unflatten",
    ]


def test_aevb_frey_has_a_mean_in_the_unit_interval_and_a_scale_for_each_pixel() -> None:
    vae = built("aevb-frey", 2, (1, 28, 20))
    p = vae.likelihood(100 * torch.randn(50, 2)).base_dist
    assert ((p.loc >= 0) & (p.loc <= 1)).all()
    assert p.scale.flatten(1).std(1).min() > 0


def test_wei() -> None:
    vae = built("wei")
    assert structure(vae.posterior) == ["Flatten", "Linear 784>512", "ReLU", "Linear 512>4"]
    assert structure(vae.likelihood) == ["Linear 2>512", "ReLU", "Linear 512>784", "Unflatten"]


def test_ncsu() -> None:
    vae = built("ncsu")
    assert weights(vae) == 550_629
    assert structure(vae.posterior) == [
        *("Conv2d 1>32 k3 s1", "ReLU", "Conv2d 32>64 k3 s2", "ReLU"),
        *("Conv2d 64>64 k3 s1", "ReLU", "Conv2d 64>64 k3 s1", "ReLU"),
        *("Flatten", "Linear 12544>32", "ReLU", "Linear 32>4"),
    ]
    assert structure(vae.likelihood) == [
        *("Linear 2>12544", "ReLU", "Unflatten"),
        *("ConvTranspose2d 64>32 k3 s2", "ReLU", "Conv2d 32>1 k3 s1"),
        *("Crop", "Unflatten"),
    ]
    shapes = sizes_inside(vae.likelihood, torch.zeros(1, 2))
    assert shapes[2:6] == [(64, 14, 14), (32, 28, 28), (32, 28, 28), (1, 28, 28)]


def test_aragam() -> None:
    vae = built("aragam")
    assert structure(vae.posterior) == [
        *("Conv2d 1>32 k3 s1", "LeakyReLU", "Conv2d 32>64 k3 s2", "LeakyReLU"),
        *("Conv2d 64>64 k3 s2", "LeakyReLU", "Conv2d 64>64 k3 s1"),  # none after the last
        *("Flatten", "Linear 3136>4"),
    ]
    assert structure(vae.likelihood) == [
        *("Linear 2>3136", "Unflatten"),  # none after the first
        *("ConvTranspose2d 64>64 k3 s1", "LeakyReLU", "ConvTranspose2d 64>64 k3 s2", "LeakyReLU"),
        *("ConvTranspose2d 64>32 k3 s2", "LeakyReLU", "ConvTranspose2d 32>1 k3 s1"),
        *("Crop", "Unflatten"),
    ]
    assert {layer.negative_slope for layer in leaves(vae) if isinstance(layer, nn.LeakyReLU)} == {0.01}
    shapes = sizes_inside(vae.likelihood, torch.zeros(1, 2))
    words = structure(vae.likelihood)
    sides = [shape[1] for shape, word in zip(shapes, words, strict=True) if len(shape) == 3 and word != "LeakyReLU"]
    assert sides == [7, 7, 13, 27, 29, 28]
    p = vae.likelihood(100 * torch.randn(5, 2)).base_dist
    assert torch.allclose(p.scale, torch.tensor(0.5**0.5))  # the sum of squared errors
    assert ((p.loc >= 0) & (p.loc <= 1)).all()


def test_frans() -> None:
    vae = built("frans", 20)
    assert structure(vae.posterior) == [
        *("Conv2d 1>16 k5 s2", "LeakyReLU", "Conv2d 16>32 k5 s2", "LeakyReLU"),
        *("Flatten", "Linear 1568>40"),
    ]
    assert structure(vae.likelihood) == [
        *("Linear 20>1568", "ReLU", "Unflatten"),
        *("ConvTranspose2d 32>16 k5 s2", "ReLU", "ConvTranspose2d 16>1 k5 s2"),
        *("Crop", "Unflatten"),
    ]
    assert {layer.negative_slope for layer in leaves(vae) if isinstance(layer, nn.LeakyReLU)} == {0.2}


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("event", [MNIST, (1, 28, 20), (3, 13, 17), (1, 8, 8)], ids=str)
def test_presets_fit_images_of_any_size(preset: str, event: tuple[int, ...]) -> None:
    x = torch.rand(4, *event)
    assert built(preset, 3, event).reconstruct(x).shape == x.shape


def test_presets_train_as_their_sources_say() -> None:
    sizes = {name: experiment(name).batch_size for name in PRESETS}
    reports = {"aevb-mnist": 100, "aevb-frey": 100, "wei": 50, "ncsu": 16, "aragam": 256, "frans": 100}
    papers = {"vampprior": 100, "iwae-1l": 20, "beta-tcvae": 2048, "factorvae": 64, "aae": 100, "wae-mmd": 100}
    assert sizes == reports | papers
    assert experiment("aragam").optimizer.learning_rate == 5e-4
    assert experiment("ncsu").optimizer.kind == "rmsprop"
    assert {experiment(name).objective.beta for name in reports} == {1.0}


def test_the_preset_of_wae_weighs_as_its_code_does() -> None:
    wae = experiment("wae-mmd")
    squared = 0.5 / wae.model.likelihood.fixed_scale**2  # weight of Σ (x − x̂)² in −log p(x | z)
    assert (wae.objective.alpha + wae.objective.weight - 1) / squared == pytest.approx(10 / 0.05)


# --- initialization ---


@pytest.mark.parametrize("network", [MLP(hidden=(300,), gated=True), Conv(channels=(16, 32))], ids=["mlp", "conv"])
def test_initialization(network: MLP | Conv) -> None:
    for initialization in ("glorot", 0.02):
        spec = Model(network=replace(network, initialization=initialization))
        for layer in leaves(spec.build(MNIST)):
            if not isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
                continue
            assert not layer.bias.any()
            fan_out, fan_in = layer.weight.shape[:2]
            field = layer.weight[0, 0].numel()
            expected = 0.02 if initialization == 0.02 else (2 / ((fan_in + fan_out) * field)) ** 0.5
            # the relative error of a standard deviation over n draws is 1/√(2n) for the normal, less for the uniform
            error = layer.weight.detach().std() / expected - 1
            assert error.abs() < 5 / (2 * layer.weight.numel()) ** 0.5
            if initialization == "glorot":
                assert layer.weight.abs().max() <= 3**0.5 * expected


def test_torch_initialization_is_untouched() -> None:
    torch.manual_seed(1)
    found = Model(network=MLP()).build((7,)).posterior.trunk[1].weight
    torch.manual_seed(1)
    assert torch.equal(found, nn.Linear(7, 500).weight)


# --- parts ---


@pytest.mark.parametrize("kernel", [1, 3, 5, 7])
@pytest.mark.parametrize("stride", [1, 2, 3, 4, 6])
@pytest.mark.parametrize("size", [1, 4, 7])
def test_transposed_layer_multiplies_the_size_by_its_stride(kernel: int, stride: int, size: int) -> None:
    layer = Layer(channels=2, stride=stride).build(3, 2, kernel)
    assert layer(torch.zeros(1, 3, size, size)).shape == (1, 2, size * stride, size * stride)


@pytest.mark.parametrize("kernel", [1, 3, 5, 7])
@pytest.mark.parametrize("stride", [1, 2, 3, 4])
@pytest.mark.parametrize("height", [1, 2, 13, 28])
def test_the_mirror_gives_back_the_sizes_of_the_convolutions(kernel: int, stride: int, height: int) -> None:
    spec = Conv(channels=(2, 3), strides=(stride, 2), kernel=kernel)
    event = (1, height, height + 4)
    trunk, _ = spec.encoder(event)
    down = [s[1:] for s in sizes_inside(trunk, torch.zeros(1, *event)) if len(s) == 3]
    assert [event[1:], *down[::2]] == spec.sizes(event)
    decoder = spec.decoder(2, event, 1)
    assert isinstance(decoder, OnImages)
    start, first, _, second, _ = [s[1:] for s in sizes_inside(decoder, torch.zeros(1, 2)) if len(s) == 3]
    assert [second, first, start] == spec.sizes(event)


def test_batch_norm_stands_before_every_nonlinearity_between_convolutions() -> None:
    vae = Model(network=Conv(batch_norm=True)).build(MNIST)
    assert structure(vae.posterior)[:6] == [
        *("Conv2d 1>32 k3 s2", "BatchNorm2d", "ReLU"),
        *("Conv2d 32>64 k3 s2", "BatchNorm2d", "ReLU"),
    ]
    assert structure(vae.likelihood)[3:7] == [
        *("ConvTranspose2d 64>32 k3 s2", "BatchNorm2d", "ReLU", "ConvTranspose2d 32>1 k3 s2"),
    ]


def test_activations_are_what_their_names_say() -> None:
    x = torch.tensor([-2.0, 0.5])
    expected = {
        "tanh": x.tanh(),
        "relu": torch.tensor([0.0, 0.5]),
        "leaky_relu": torch.tensor([-0.02, 0.5]),
        "leaky_relu_0.2": torch.tensor([-0.4, 0.5]),
        "elu": torch.tensor([torch.tensor(-2.0).exp() - 1, 0.5]),
        "silu": x * x.sigmoid(),
        "gelu": x * torch.special.ndtr(x),
    }
    assert expected.keys() == ACTIVATIONS.keys()
    for name, value in expected.items():
        assert torch.allclose(ACTIVATIONS[name]()(x.clone()), value, atol=1e-6), name


def test_the_outputs_of_a_decoder_are_apart() -> None:
    """Mean and scale of a pixel come from different weights: the outputs axis is never mixed with the channels."""
    event = (3, 4, 4)
    for network in (MLP(hidden=(8,)), Conv(channels=(4,), strides=(2,))):
        spec = Model(latent_dim=2, network=network, likelihood=Gaussian(scale="pixel"))
        decoder = spec.build(event).likelihood.network
        z = torch.randn(5, 2, requires_grad=True)
        raw = decoder(z)
        assert raw.shape == (5, 2, *event)
        head = [m for m in decoder.modules() if isinstance(m, nn.Linear | nn.ConvTranspose2d)][-1]
        raw[:, 0].sum().backward()
        reached = head.bias.grad.reshape(2, -1)
        assert reached[0].all()
        assert not reached[1].any()


# --- refusals ---


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"channels": (8, 8), "strides": (2,)}, "give each layer one of each"),
        ({"channels": (), "strides": ()}, "give each layer one of each"),
        ({"kernel": 4}, "choose an odd one, such as 5"),
        ({"decoder_layers": ({"channels": 8}, {"channels": 1})}, "every layer except the last"),
        ({"decoder_layers": ({}, {})}, "every layer except the last"),
    ],
)
def test_conv_refuses_what_is_no_network(fields: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        Conv(**fields)


def test_conv_refuses_tables_and_images_that_its_decoder_does_not_cover() -> None:
    with pytest.raises(InputError, match=r"the data have shape \(7,\): choose network mlp"):
        Conv().encoder((7,))
    decoder = Conv(decoder_layers=(Layer(channels=4, stride=2), Layer())).decoder(2, MNIST, 1)
    with pytest.raises(InputError, match="make images of 14×14, but the data are 28×28"):
        decoder(torch.zeros(1, 2))


@pytest.mark.parametrize("stride", [1, 2])
def test_transposed_convolutions_are_torchs_and_follow_autocast(stride: int) -> None:
    torch.manual_seed(0)
    layer, x = ConvTranspose2d(2, 3, 3, stride, 1, stride - 1), torch.randn(4, 2, 5, 5)
    theirs = torch.nn.ConvTranspose2d(2, 3, 3, stride, 1, stride - 1)
    theirs.load_state_dict(layer.state_dict())
    for each in (layer, theirs):
        each(x).square().sum().backward()
    assert torch.allclose(layer(x), theirs(x), atol=1e-6)
    assert layer.bias is not None
    assert theirs.bias is not None
    for ours, other in ((layer.weight.grad, theirs.weight.grad), (layer.bias.grad, theirs.bias.grad)):
        assert ours is not None
        assert torch.allclose(ours, other, rtol=1e-5)  # type: ignore[arg-type]
    with torch.autocast("cpu", torch.bfloat16):
        found = layer(x)
    assert found.dtype == torch.bfloat16
    assert torch.allclose(found.float(), layer(x), atol=0.05)
