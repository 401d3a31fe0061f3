"""The forward pass in the explorer's page against torch, in a real browser, for every part that the page knows."""

import shutil
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small import small
from torch import Tensor, nn

from vaekit import Conv, Experiment, Run
from vaekit.data import Space
from vaekit.data.columns import Column
from vaekit.evaluation.scores import scores
from vaekit.explorer.atlas import packed
from vaekit.explorer.export import bundle
from vaekit.explorer.portable import portable
from vaekit.explorer.view import View
from vaekit.networks import ACTIVATIONS, Layer

pytest.importorskip("playwright", reason="playwright is not installed")
from playwright.sync_api import Page, sync_playwright

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium")

ROWS = 5
TOLERANCE = 1e-5
GRAY, COLOR = (1, 9, 6), (3, 9, 6)
LAST = Layer(transposed=False)
COLUMNS = (
    Column(name="height", shift=170.0, scale=10.0),
    Column(name="income", kind="positive", shift=8.0, scale=0.5),
    Column(name="visits", kind="count", shift=1.0, scale=0.7),
    Column(name="smoker", kind="binary"),
    Column(name="island", kind="category", categories=("a", "b", "c")),
    Column(name="city", kind="category", categories=tuple("abcdefg")),
    Column(name="grade", kind="ordinal", categories=("low", "middle", "high", "top")),
    Column(name="answer", kind="ordinal", categories=("no", "yes")),
)
IN_PAGE = """async ([atlas, description, verb, octets, n]) => {
  const text = atob(octets), bytes = Uint8Array.from(text, (letter) => letter.charCodeAt(0));
  const model = await localModel(unpacked(atlas), unpacked(description));
  const found = await model[verb](new Float32Array(bytes.buffer), n);
  const plain = (values) => {
    if (values === null || values.length) return values && Array.from(values, (v) => Number.isNaN(v) ? null : v);
    return Object.fromEntries(Object.entries(values).map(([name, each]) => [name, plain(each)]));
  };
  return [plain(found), model.verified];
}"""


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page()
        script = f"{bundle('forward.js')}\n{bundle('unpack.js')}"
        page.add_script_tag(content=f"{script}; Object.assign(globalThis, $forward, $unpack, $model);")
        yield page
        browser.close()


def space(shape: tuple[int, ...], support: str = "unit", **facts: Any) -> Space:
    return Space(
        source="made", event_shape=shape, support=support, binarization="none", split="", sizes={"train": 9}, digest="",
        **facts,
    )  # fmt: skip


def made(folder: Path, experiment: Experiment, of: Space) -> View:
    """A model of random weights, larger ones than at the start of a training, as a view."""
    torch.manual_seed(1)
    run = Run.create(folder / "run", experiment, of)
    vae = experiment.model.build(of).eval()
    with torch.no_grad():
        for module in vae.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.normal_()
                module.running_var.uniform_(0.5, 2)
                module.weight.uniform_(0.5, 2)
                module.bias.normal_()
        for name, weight in vae.named_parameters():
            if name.endswith("bias"):
                weight.normal_()
    return View(run, vae, None)


def described(view: View) -> list[dict[str, Any]]:
    """What the page needs of an atlas, and the model."""
    codes = np.random.default_rng(0).normal(size=(16, view.vae.latent_dim)).astype(np.float32)
    atlas = {
        "d": view.vae.latent_dim,
        "shape": list(view.run.space.event_shape),
        "check": {"codes": packed(codes), "decoded": packed(view.decode(codes))},
    }
    return [atlas, portable(view, codes)]


def asked(page: Page, view: View, verb: str, values: np.ndarray) -> tuple[Any, str]:
    octets = b64encode(np.ascontiguousarray(values, "<f4").tobytes()).decode()
    found, verified = page.evaluate(IN_PAGE, [*described(view), verb, octets, len(values)])
    return found, verified


def scored_alike(page: Page, view: View, x: np.ndarray) -> None:
    """Compare scores with those of torch by the page's own noise."""
    found, _ = asked(page, view, "score", x)
    noise = torch.tensor(page.evaluate("(n) => Array.from(normals(n, 0))", 64 * view.vae.latent_dim))
    with torch.no_grad():
        read, noise = view.read(x), noise.reshape(64, 1, -1)
        elbo, evidence = (scores(view.vae, read, noise, by) for by in ("elbo", "evidence"))
    np.testing.assert_allclose(found["elbo"], elbo["score"], rtol=1e-5)
    np.testing.assert_allclose(found["evidence"], evidence["score"], rtol=1e-5)
    np.testing.assert_allclose(found["error"], evidence["standard_error"], rtol=0.02)


def near(found: list[float | None], right: np.ndarray) -> None:
    """Hold to the tolerance, relative to numbers beyond 1, as the page does."""
    values = np.array([np.nan if value is None else value for value in found])
    right = right.flatten()
    assert (np.isnan(values) == np.isnan(right)).all()
    assert np.nanmax(np.abs(values - right) / np.maximum(1, np.abs(right))) <= TOLERANCE


def both_ways(page: Page, view: View, x: np.ndarray) -> None:
    """Compare decoding, encoding and the page's own check with torch."""
    codes = np.random.default_rng(1).normal(size=(ROWS, view.vae.latent_dim)).astype(np.float32)
    found, verified = asked(page, view, "decode", codes)
    near(found, view.decode(codes))
    assert verified.startswith("verified against torch: largest difference ")
    found, _ = asked(page, view, "encode", x)
    encoded = view.encode(view.read(x))
    near(found["mean"], encoded.mean)
    if encoded.scale is None:
        assert found["scale"] is None
    else:
        near(found["scale"], encoded.scale)


def pictures(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(size=(ROWS, *shape)).astype(np.float32)


NETWORKS: list[dict[str, Any]] = [
    {"kind": "mlp", "hidden": (12, 7), "gated": True},
    *({"kind": "mlp", "hidden": (12, 7), "activation": name} for name in ACTIVATIONS),
    *({"kind": "conv", "channels": (4, 5), "activation": name} for name in ACTIVATIONS),
]


@pytest.mark.parametrize("network", NETWORKS)
def test_every_activation(network: dict[str, Any], page: Page, tmp_path: Path) -> None:
    experiment: Experiment = small().replace_all({"model.network": network, "model.likelihood": "bernoulli"})
    both_ways(page, made(tmp_path, experiment, space(GRAY)), pictures(GRAY))


@pytest.mark.parametrize("shape", [GRAY, COLOR])
@pytest.mark.parametrize(
    "network",
    [
        Conv(channels=(4, 5), strides=(2, 1), kernel=5, hidden=(8,)),
        Conv(channels=(4, 5), strides=(2, 3), batch_norm=True, linear_code=True),
        Conv(
            channels=(3, 4),
            strides=(2, 2),
            decoder_activation="elu",
            decoder_layers=(
                Layer(channels=6, stride=2),
                Layer(channels=5, stride=2, padding=1),
                Layer(transposed=False),
            ),
        ),
    ],
)
def test_every_kind_of_convolution(network: Conv, shape: tuple[int, ...], page: Page, tmp_path: Path) -> None:
    both_ways(page, made(tmp_path, small().replace_all({"model.network": network}), space(shape)), pictures(shape))


LIKELIHOODS: list[tuple[str, dict[str, Any]]] = [
    ("binary", {"kind": "bernoulli"}),
    ("unit", {"kind": "continuous_bernoulli"}),
    ("unit", {"kind": "gaussian", "scale": "shared"}),
    ("unit", {"kind": "gaussian", "scale": "fixed", "mean": "sigmoid"}),
    ("byte", {"kind": "gaussian", "scale": "pixel", "head": "log_variance"}),
    ("byte", {"kind": "gaussian", "scale": "image"}),
    ("byte", {"kind": "discretized_logistic"}),
    ("byte", {"kind": "categorical"}),
]


@pytest.mark.parametrize(("support", "likelihood"), LIKELIHOODS)
@pytest.mark.parametrize("shape", [GRAY, COLOR])
def test_every_likelihood_of_pixels(
    support: str, likelihood: dict[str, Any], shape: tuple[int, ...], page: Page, tmp_path: Path
) -> None:
    experiment = small().replace_all({"model.likelihood": likelihood, "model.latent_dim": 3})
    view = made(tmp_path, experiment, space(shape, support))
    x = np.rint(pictures(shape) * 255).astype(np.float32) / np.float32(255)
    both_ways(page, view, x)
    scored_alike(page, view, x)


@pytest.mark.parametrize(
    "posterior", [{"kind": "gaussian", "head": "log_variance"}, {"kind": "full_gaussian"}, {"kind": "delta"}]
)
def test_every_posterior(posterior: dict[str, Any], page: Page, tmp_path: Path) -> None:
    changes: dict[str, Any] = {"model.posterior": posterior, "model.latent_dim": 4}
    if posterior["kind"] == "delta":
        changes["objective"] = "reconstruction"
    both_ways(page, made(tmp_path, small().replace_all(changes), space(GRAY)), pictures(GRAY))


def test_pictures_with_holes(page: Page, tmp_path: Path) -> None:
    x = pictures(GRAY)
    x[:, :, 2:5] = np.nan
    experiment = small().replace_all({"model.network": {"kind": "conv", "channels": (4, 5)}})
    both_ways(page, made(tmp_path, experiment, space(GRAY, missing=True)), x)


def test_columns_of_every_kind(page: Page, tmp_path: Path) -> None:
    nan = np.nan
    rows = [[160, 2000, 3, 0, 2, 6, 0, 1], [181.5, nan, 0, 1, 0, 3, 3, 0], [nan, 5e4, 7, nan, nan, 0, 2, nan]]
    x = np.array(rows, np.float32)
    experiment = small().replace_all({"model.likelihood": "columns", "model.latent_dim": 3})
    of = space((len(COLUMNS),), "mixed", columns=COLUMNS, missing=True)
    both_ways(page, made(tmp_path, experiment, of), x)


@pytest.mark.parametrize("prior", [{"kind": "mixture", "components": 3}, {"kind": "vamp", "pseudo_inputs": 3}])
def test_samples_and_scores_of_a_learned_prior(prior: dict[str, Any], page: Page, tmp_path: Path) -> None:
    experiment = small().replace_all({"model.prior": prior, "model.latent_dim": 2})
    view = made(tmp_path, experiment, space(GRAY))
    scored_alike(page, view, pictures(GRAY))
    call = "async ([a, m]) => Array.from(await (await localModel(unpacked(a), unpacked(m))).sample(4000, {seed: 3}))"
    drawn = page.evaluate(call, described(view))
    z, p = torch.tensor(drawn).reshape(-1, 2), view.vae.prior()
    with torch.no_grad():
        error = p.variance.sqrt() / len(z) ** 0.5
        assert ((z.mean(0) - p.mean).abs() < 5 * error).all()
        torch.testing.assert_close(z.var(0), p.variance, rtol=0.15, atol=0)


class Shifted(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x + 1


def test_a_layer_that_the_page_does_not_know_leaves_stored_pictures(page: Page, tmp_path: Path) -> None:
    view = made(tmp_path, small(), space(GRAY))
    view.vae.likelihood.network.append(Shifted())
    codes = np.random.default_rng(0).normal(size=(16, 2)).astype(np.float32)
    found, verified = asked(page, view, "decode", codes[[3, 7]])
    assert (
        verified
        == "pictures are the nearest of 16 that torch decoded, because this page does not know the layer Shifted"
    )
    np.testing.assert_allclose(found, view.decode(codes[[3, 7]]).clip(0, 1).flatten(), atol=0.5 / 255)


def test_the_center_of_a_flow_is_left_to_vaekit(page: Page, tmp_path: Path) -> None:
    view = made(tmp_path, small().replace_all({"model.posterior": "flow"}), space(GRAY))
    with pytest.raises(Exception, match="does not know the posterior FlowPosterior"):
        asked(page, view, "encode", pictures(GRAY))
