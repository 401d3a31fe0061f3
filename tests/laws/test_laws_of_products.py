"""The product law: parts that go together do everything, and the others are refused by a sentence.

Every row of priors, posteriors and objectives meets every other one, with a likelihood and data that go around: images,
images with holes, and a table with holes and columns of every kind. What fits is trained for two steps, resumed,
evaluated, drawn, reported and sampled from: a seeded few in the ordinary tests, all of them by ``make storm``.
"""

import json
import math
import random
import re
from collections.abc import Iterator
from itertools import cycle, product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from laws.rows import LIKELIHOODS, OBJECTIVES, POSTERIORS, PRIORS
from small import finished, same, stopped

from vaekit import Experiment, InputError, Model, Run, Source, decode, encode, evaluate, reconstruct, report, sample
from vaekit.compatibility import traits
from vaekit.evaluation.annealing import Annealing
from vaekit.likelihoods import Columns
from vaekit.networks import MLP

QUICK = Annealing(temperatures=3, chains=2, leapfrog=1)
IMAGES, LATENTS, SEVERAL = 12, 4, 1
"""images of the test part, latents, and how many combinations of each data are tried in the ordinary tests"""
KINDS = {"number": "real", "size": "positive", "count": "count", "grade": "ordinal"}
SOURCES = {
    "images": Source(name="data.npz"),
    "holes": Source(name="data.npz", missing=0.2),
    "table": Source(name="table.csv", columns=KINDS),
}


def made(prior: Any, posterior: Any, objective: Any, likelihood: Any, data: str) -> Experiment:
    likelihood = Columns() if data == "table" else likelihood
    model = Model(latent_dim=LATENTS, network=MLP(hidden=(6,)), prior=prior, posterior=posterior, likelihood=likelihood)
    return Experiment(data=SOURCES[data], model=model, objective=objective, training_samples=20, batch_size=10)


def combinations() -> Iterator[tuple[str, tuple[Any, ...]]]:
    likelihoods, data = cycle(spec for spec in LIKELIHOODS if "byte" in spec.supports), cycle(SOURCES)
    for (i, prior), (j, posterior), (k, objective) in product(*map(enumerate, (PRIORS, POSTERIORS, OBJECTIVES))):
        name = f"{prior.kind}-{i}-{posterior.kind}-{j}-{objective.kind}-{k}-{(source := next(data))}"
        yield name, (prior, posterior, objective, next(likelihoods), source)


def refusal(parts: tuple[Any, ...]) -> str | None:
    try:
        made(*parts)
    except InputError as error:
        return str(error)
    return None


COMBINATIONS = dict(combinations())
REFUSED = {name: sentence for name, parts in COMBINATIONS.items() if (sentence := refusal(parts))}
FITTING = [name for name, parts in COMBINATIONS.items() if name not in REFUSED and "begun" not in traits(parts[2])]
"""what may be trained; an objective that begins with the weights of a trained run has tests of its own"""
TRIED = [
    name
    for source in SOURCES
    for name in random.Random(1).sample([name for name in FITTING if name.endswith(source)], SEVERAL)
]


def test_what_does_not_go_together_is_refused_by_a_sentence_that_names_what_would() -> None:
    pattern = (
        r"(prior|posterior|objective) '\w+' and (prior|posterior|objective) '\w+' do not go together, because .+: "
    )
    named = r"choose ((prior|posterior|objective) '\w+'|(model|objective)\.[\w.]+=)"
    assert [sentence for sentence in REFUSED.values() if not re.match(pattern + named, sentence)] == []


def test_every_row_is_of_use() -> None:
    used = {id(part) for name in FITTING for part in COMBINATIONS[name]}
    begun = {id(part) for part in OBJECTIVES if "begun" in traits(part)}
    assert [part for part in (*PRIORS, *POSTERIORS, *OBJECTIVES) if id(part) not in used | begun] == []


@pytest.mark.parametrize("name", [pytest.param(n, marks=() if n in TRIED else pytest.mark.slow) for n in FITTING])
def test_what_goes_together_does_everything(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (60, 4, 4), dtype=np.uint8)
    np.savez(tmp_path / "data.npz", x=x, labels=np.arange(60) % 2)
    (tmp_path / "table.csv").write_text(table(rng))
    monkeypatch.chdir(tmp_path)
    experiment = made(*COMBINATIONS[name]).replace("data.split", f"40/8/{IMAGES}")
    given = "table.csv" if name.endswith("table") else x
    if experiment.model.prior.kind == "vamp" and given is not x:
        with pytest.raises(InputError, match=r"'vamp' learns pseudo-inputs as numbers, and .*: choose prior 'mixture'"):
            finished(experiment, tmp_path / "whole")
        return

    whole = finished(experiment, tmp_path / "whole")
    stopped(experiment, tmp_path / "run", step=1)
    run = finished(experiment, tmp_path / "run", resume=True)
    assert same(run, whole)
    assert all(math.isfinite(value) for row in run.metrics() for value in row["train"].values())

    asked = {"samples": 4, "images": IMAGES, "annealing": QUICK}
    found = evaluate(run, metrics=("evidence", "ais", "latents"), **asked)
    assert_sound(found, run)
    codes = encode(run, given)
    assert codes.shape == (60, LATENTS)
    assert np.isfinite(codes).all()
    assert reconstruct(run, given).shape[0] == 60
    assert sample(run, n=3, noise=True).shape[0] == 3
    assert decode(run, codes[:2]).shape[0] == 2
    page = report(run).read_text(encoding="utf-8")
    for reason in found.get("left_out", {}).values():
        assert reason.replace("'", "&#39;") in page.replace("&#x27;", "&#39;")


def table(random: np.random.Generator) -> str:
    """Rows of columns of every kind, a tenth of whose cells are blank."""
    columns = {
        "number": random.normal(size=60),
        "size": random.lognormal(size=60),
        "count": random.poisson(3, 60),
        "grade": random.integers(0, 4, 60),
        "species": random.choice(["Adelie", "Chinstrap", "Gentoo"], 60),
        "alive": random.choice(["true", "false"], 60),
    }
    rows = [[str(cell) if random.random() > 0.1 else "" for cell in row] for row in zip(*columns.values(), strict=True)]
    return "\n".join([",".join(columns), *map(",".join, rows)]) + "\n"


def assert_sound(found: dict[str, Any], run: Run) -> None:
    """What is measured is a number, the bound is the sum of its terms, and what is missing has a reason."""
    json.dumps(found, allow_nan=False)
    assert all(reason for reason in found.get("left_out", {}).values())
    has = run.experiment.model.posterior.has
    assert ("log_evidence" in found) == ("density" in has)
    assert "reconstruction" in found
    if "elbo" in found:
        assert found["elbo"]["value"] == pytest.approx(
            -found["reconstruction"]["value"] - found["kl"]["value"], abs=1e-3
        )
        assert found["log_evidence"]["value"] is not None
    for name in ("log_evidence", "ais", "latents", "mutual_information", "linear_probe", "amortization_gap"):
        assert (name in found) != (name in found.get("left_out", {})), name
