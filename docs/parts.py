"""Write guides/parts.md: what each part of a model gains on the same network, from parts.json.

Usage: python -m docs.parts [FOLDER]

With a folder, what is missing there is trained and evaluated first, and the numbers are stored in parts.json: about
two hours on a CPU core. Without one, the page is written from what is stored.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

import vaekit
from vaekit.errors import InputError

DOCS = Path(__file__).parent
RESULTS, PAGE = DOCS / "parts.json", DOCS / "guides" / "parts.md"


class Variant(NamedTuple):
    """A change to the plain model: the folder of its run, its flags, and the same as fields."""

    folder: str
    flags: str
    changes: Mapping[str, Any]


COMMON = {"data": "binarized_mnist", "hidden": [300, 300], "latent_dim": 40}
COMMAND = "vaekit train binarized_mnist --hidden 300,300 --latent-dim 40"
PLAIN, IAF, FULL, VAMP, MAF = (
    "plain",
    "flow posterior (IAF)",
    "full-covariance posterior",
    "VampPrior, 500 pseudo-inputs",
    "flow prior (MAF)",
)
VARIANTS = {
    PLAIN: Variant("plain", "", {}),
    IAF: Variant("iaf", "--posterior flow", {"model.posterior": "flow"}),
    FULL: Variant("full", "--posterior full_gaussian", {"model.posterior": "full_gaussian"}),
    "mixture of 100 as prior": Variant("mixture", "--prior mixture", {"model.prior": "mixture"}),
    VAMP: Variant("vamp", "--prior vamp", {"model.prior": "vamp"}),
    MAF: Variant("flowprior", "--prior flow", {"model.prior": "flow"}),
    "importance, 5 draws": Variant(
        "importance5",
        "--objective importance --set objective.samples=5",
        {"objective": "importance", "objective.samples": 5},
    ),
}


def warmed(variant: Variant, epochs: int) -> Variant:
    """Let β rise over the first epochs, if the objective has one."""
    if "objective" in variant.changes:
        return variant
    rise = {"objective.beta_schedule": {"kind": "warm_up", "epochs": epochs}}
    return variant._replace(folder=f"{variant.folder}-warm", changes={**variant.changes, **rise})


class Network(NamedTuple):
    """What all variants of a table share, and for how many epochs they are trained."""

    changes: Mapping[str, Any]
    epochs: int
    variants: Mapping[str, Variant]


RELU, RISING, TANH = "relu", "rising", "tanh"
FLAGS = "--set model.network.activation=relu --set model.network.initialization=glorot"
TANH_FLAG = "--set model.network.activation=tanh"
CHANGES = {"model.network.activation": "relu", "model.network.initialization": "glorot"}
RISE, LONG_RISE = 5, 10
"""epochs over which β rises, of 15 and of 30"""
NETWORKS = {
    RELU: Network(CHANGES, 15, VARIANTS),
    RISING: Network(CHANGES, 15, {name: warmed(variant, RISE) for name, variant in VARIANTS.items()}),
    TANH: Network(
        {"model.network.activation": "tanh"},
        30,
        VARIANTS | {f"{name}, β warmed up": warmed(VARIANTS[name], LONG_RISE) for name in (VAMP, MAF)},
    ),
}
SHOWN = {"plain": PLAIN, "iaf": IAF, "full": FULL}
DRAWS, IMAGES = 200, 10_000
SAMPLES, BATCH, GRADIENTS = 50, 20, 200
"""of the comparison of gradient estimators: K, images in the batch, and how often each estimator is drawn"""
TRAINING, FIRST, SATURATED = 50_000, 50, 0.9
"""training images, steps after which hidden units are looked at, and the value from which a tanh is called saturated"""

HEAD = """# What each part gains

Written by `make docs` from `docs/parts.json`; `python -m docs.parts FOLDER` trains and measures anew.

One set (`binarized_mnist`: Larochelle's fixed draw of bits, 50,000 training images), one network (784-300-300-40 and
back), Adam at 0.001, batches of {batch}, seed 0: only the part named changes.

## ReLU, Glorot's first weights, {epochs} epochs

The log-evidence is the importance bound of {draws:,} draws on the {images:,} test images, in nats per image, ± its
standard error over images. (All of them: this set has its test images in the order of their classes, zeros first.) A
gain is the mean difference to the plain model, image by image, ± its standard error; it says nothing about other seeds.
The ELBO and the KL are those of the same images. What a step of each part costs is in [benchmarks](../benchmarks.md).

{columns}"""
BETWEEN = """
Learned priors fit the codes of all images more closely than N(0, I) does, and the bound of several draws is closer to
the log-evidence than the ELBO. Richer posteriors fall behind here: they begin noisier (before the first step their KL
is {iaf_first:.1f} and {full_first:.1f} nats, the plain model's {plain_first:.1f}) and end with codes that say less (a
KL of {iaf:.1f} and {full:.1f} nats, the plain model's {plain:.1f}). The next table was made because of that: the weight
β of the KL rises from 0 to 1 over the first {rise} epochs of each model. Then the flow posterior gains as well; full
covariance still falls behind. The importance bound has no β, so its run is that of the table above.

{columns}"""
COLUMNS = """| variant | log-evidence | gain | ELBO | KL |
|---|--:|--:|--:|--:|
"""
SECOND = """
## tanh, torch's first weights, {epochs} epochs

The ELBO and the KL of the 10,000 validation images, one draw each. Priors that are learned may fall into a trap here.

| variant | ELBO | KL |
|---|--:|--:|
"""
TRAP = """
The first thing that a decoder learns is the mean image. For that Adam moves all weights alike, and units of tanh
saturate: after {first} steps, {plain:.0%} of the decoder's last hidden units are beyond ±{saturated}, {vamp:.0%} with a
VampPrior, and there what z says is lost. N(0, I) keeps the scale of q(z ∣ x) near 1, so the plain model gets out again.
A VampPrior follows the posterior wherever it goes, so nothing keeps the scale: all codes become alike, and the KL of
such codes is 0. A flow as prior follows in part, and lags behind. A rise of β does not help, because it is not the KL
that drives them there. With ReLU and Glorot's weights, which vaekit chooses for priors that are learned, or a gated
network as in the preset `vampprior`, it does not happen.
"""
GRADIENT = """
## The gradient of the importance-weighted bound

The variance of the encoder's gradient for one batch of {batch} training images at K = {samples}, summed over weights,
for the trained plain model of the first table, ± its standard error over {draws} draws.

| estimator | variance | relative to `plain` |
|---|--:|--:|
"""
COMMANDS = """
## The commands

Each row of the first table is

```bash
{command} --epochs {epochs} \\
    {flags}
vaekit evaluate RUN --images {images} --samples {draws}
```

and of the last one `{command} --epochs {others} {tanh}`. Where β
rises, it is by
`--set objective.beta_schedule=warm_up --set objective.beta_schedule.epochs={rise}`, or
{long_rise} with tanh. The parts:

"""


def path(folder: Path, network: str, variant: str) -> Path:
    """Where a run is."""
    return folder / network / NETWORKS[network].variants[variant].folder


def experiment(network: str, variant: str) -> vaekit.Experiment:
    """Return what is trained."""
    shared = NETWORKS[network]
    return vaekit.choose(**COMMON, epochs=shared.epochs, set={**shared.changes, **shared.variants[variant].changes})


def trained(place: Path, wanted: vaekit.Experiment) -> vaekit.Run:
    """Train what is missing of a run, and return it.

    Raises:
        InputError: if the run that is there is another experiment.
    """
    begun = (place / "experiment.json").is_file()
    if begun and vaekit.load(place).experiment.digest != wanted.digest:
        raise InputError(f"{place} is a run of another experiment: move it away")
    if not begun or vaekit.load(place).metrics()[-1]["epoch"] < (wanted.epochs or 0):
        for _ in vaekit.train(wanted, place, resume=begun):
            pass
    return vaekit.load(place)


def measure(folder: Path) -> dict[str, Any]:
    """Train and evaluate what is missing, and return all numbers."""
    runs = {
        network: {name: trained(path(folder, network, name), experiment(network, name)) for name in shared.variants}
        for network, shared in NETWORKS.items()
    }
    return {
        "images": IMAGES,
        "draws": DRAWS,
        "batch": runs[RELU][PLAIN].experiment.batch_size,
        **{network: evidences(runs[network]) for network in (RELU, RISING)},
        TANH: {name: held_out(run) for name, run in runs[TANH].items()},
        "first_kl": {name: round(runs[RELU][name].metrics()[0]["validation"]["kl"], 2) for name in SHOWN.values()},
        "saturated": {name: saturated(folder / "first" / VARIANTS[name].folder, name) for name in (PLAIN, VAMP)},
        "gradient": variances(runs[RELU][PLAIN]),
    }


def evidences(runs: Mapping[str, vaekit.Run]) -> dict[str, dict[str, Any]]:
    """Evaluate runs, and return the numbers of each and the difference to the first."""
    for run in runs.values():
        vaekit.evaluate(run, metrics=["evidence"], samples=DRAWS, images=IMAGES)
    compared = vaekit.compare([*runs.values()])["rows"]
    kept, numbers = ("log_evidence", "elbo", "kl", "difference"), ("value", "standard_error")
    return {
        name: {key: {number: round(row[key][number], 4) for number in numbers} for key in kept if key in row}
        for name, row in zip(runs, compared, strict=True)
    }


def held_out(run: vaekit.Run) -> dict[str, float]:
    """Return the last bound and KL of the validation images."""
    return {name: round(run.metrics()[-1]["validation"][name], 2) for name in ("elbo", "kl")}


def saturated(place: Path, variant: str) -> float:
    """Return the share of the decoder's last hidden units that are saturated after the first steps of tanh."""
    begun = experiment(TANH, variant)
    run = trained(place, begun.replace("epochs", FIRST * begun.batch_size / TRAINING))
    vae, x = run.vae(torch.device("cpu")), run.data().test.batch(torch.arange(IMAGES)).x
    *_, last = (layer for layer in vae.likelihood.modules() if isinstance(layer, nn.Tanh))
    emitted: list[Tensor] = []
    last.register_forward_hook(lambda layer, given, output: emitted.append(output))
    with torch.no_grad(), torch.random.fork_rng():
        torch.manual_seed(0)
        vae.draw(x)
    return round((emitted[0].abs() > SATURATED).float().mean().item(), 4)


def variances(run: vaekit.Run) -> dict[str, Any]:
    """Return the variance of each estimator of the gradient of a run's encoder."""
    from benchmarks.importance import rounded, variance

    data, vae = run.data(), run.vae(torch.device("cpu"))
    found = variance(vae, data, data.train.batch(torch.arange(BATCH)), SAMPLES, GRADIENTS)
    return {"samples": SAMPLES, "batch": BATCH, "draws": GRADIENTS, "estimators": rounded(found)}


def plus_minus(found: Mapping[str, float], form: str = ".2f") -> str:
    """Write an estimate with its standard error."""
    return f"{found['value']:{form}} ± {found['standard_error']:.2f}".replace("-", "−")


def lines(rows: Mapping[str, Mapping[str, Any]]) -> str:
    """Write the lines of a table of evidences."""
    text = ""
    for name, row in rows.items():
        gain = plus_minus(row["difference"], "+.2f") if "difference" in row else ""
        evidence, *numbers = (plus_minus(row[key]) for key in ("log_evidence", "elbo", "kl"))
        text += f"| {' | '.join([name, evidence, gain, *numbers])} |\n"
    return text


def page(found: Mapping[str, Any]) -> str:
    """Write the page."""
    facts = {name: found[name] for name in ("images", "draws", "batch")}
    text = HEAD.format(**facts, epochs=NETWORKS[RELU].epochs, columns=COLUMNS) + lines(found[RELU])
    ends = {key: found[RELU][name]["kl"]["value"] for key, name in SHOWN.items()}
    first = {f"{key}_first": found["first_kl"][name] for key, name in SHOWN.items()}
    text += BETWEEN.format(**ends, **first, rise=RISE, columns=COLUMNS) + lines(found[RISING])
    text += SECOND.format(epochs=NETWORKS[TANH].epochs)
    for name, row in found[TANH].items():
        text += f"| {name} | −{-row['elbo']:.2f} | {abs(row['kl']):.2f} |\n"
    shares = {"plain": found["saturated"][PLAIN], "vamp": found["saturated"][VAMP]}
    text += TRAP.format(**shares, first=FIRST, saturated=SATURATED)
    gradient = found["gradient"]
    text += GRADIENT.format(**{name: gradient[name] for name in ("batch", "samples", "draws")})
    for name, each in gradient["estimators"].items():
        share = f"{each['of_plain']:.2f} ± {each['of_plain_standard_error']:.2f}" if name != "plain" else "1"
        text += f"| `{name}` | {each['variance']:,.0f} ± {each['standard_error']:,.0f} | {share} |\n"
    epochs = {"epochs": NETWORKS[RELU].epochs, "others": NETWORKS[TANH].epochs}
    text += COMMANDS.format(
        **facts, **epochs, command=COMMAND, flags=FLAGS, tanh=TANH_FLAG, rise=RISE, long_rise=LONG_RISE
    )
    return text + "".join(f"- {name}: `{variant.flags}`\n" for name, variant in VARIANTS.items() if variant.flags)


if __name__ == "__main__":
    if sys.argv[1:]:
        RESULTS.write_text(json.dumps(measure(Path(sys.argv[1])), indent=1) + "\n", encoding="utf-8")
    PAGE.write_text(page(json.loads(RESULTS.read_text(encoding="utf-8"))), encoding="utf-8")
