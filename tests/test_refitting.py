"""A prior fitted to the codes of a trained run: what stays, what is learned, what it is worth."""

from math import log, pi
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from small import finished, same, small

from vaekit import InputError, Run, evaluate, load, refit_prior, train

QUICK: dict[str, Any] = {"samples": 20, "images": 200, "epochs": 20}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return finished(small(epochs=10), tmp_path_factory.mktemp("runs") / "trained")


def rows(found: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {row["name"]: row for row in found["rows"]}


def test_encoder_and_decoder_stay_and_evidence_gains_what_codes_become_likelier(trained: Run, tmp_path: Path) -> None:
    before = (trained.path / "weights.safetensors").read_bytes()
    found = refit_prior(trained, tmp_path / "new", set={"model.prior.components": 10}, **QUICK)
    assert (trained.path / "weights.safetensors").read_bytes() == before
    old, new = (load_file(run / "weights.safetensors") for run in (trained.path, tmp_path / "new"))
    assert all(torch.equal(new[name], weight) for name, weight in old.items())
    assert set(new.keys() - old.keys()) == {"prior.loc", "prior.log_scale", "prior.logits"}
    gains = {name: row["difference"] for name, row in rows(found).items() if row["paired"]}
    assert {"log p(z) of codes", "log-evidence, importance bound", "ELBO"} <= gains.keys()
    for gain in gains.values():
        assert gain["value"] > 3 * gain["standard_error"]
    # The decoder is the same, so that in expectation the ELBO gains as much as log p(z) does.
    one, other = gains["log p(z) of codes"], gains["ELBO"]
    assert abs(one["value"] - other["value"]) < 4 * (one["standard_error"] + other["standard_error"])


def test_flow_becomes_likelier_than_the_gaussian_with_the_moments_of_the_codes(trained: Run, tmp_path: Path) -> None:
    found = refit_prior(trained, tmp_path / "new", "flow", **QUICK)
    history = load(tmp_path / "new").history()["validation.log_prior"]
    assert history.max() > history[0]
    gain = rows(found)["ELBO"]["difference"]
    assert gain["value"] > 3 * gain["standard_error"]


def test_one_gaussian_becomes_the_moments_of_the_codes(trained: Run, tmp_path: Path) -> None:
    """The best N(μ, diag σ²) has the mean and variance of the aggregate posterior, which q(z | x) gives."""
    refit_prior(trained, tmp_path / "new", set={"model.prior.components": 1}, **QUICK)
    data, vae = trained.data(), trained.vae()
    with torch.no_grad():
        q = vae.posterior(data.train.batch(torch.arange(len(data.train))).x)
        p = load(tmp_path / "new").vae().prior()
    mean, variance = q.mean.mean(0), q.variance.mean(0) + q.mean.var(0)
    best = -0.5 * (log(2 * pi) + 1 + variance.log()).sum()
    reached = -0.5 * (log(2 * pi) + p.variance.log() + (variance + (mean - p.mean) ** 2) / p.variance).sum()
    assert 0 <= best - reached < 0.02


def test_auto_encoder_gets_samples_and_no_evidence(tmp_path: Path) -> None:
    experiment = small(epochs=5, objective="reconstruction", model__posterior="delta")
    source = finished(experiment, tmp_path / "source")
    found = refit_prior(source, tmp_path / "new", set={"model.prior.components": 10}, **QUICK)
    assert {"log_evidence", "samples"} == found["left_out"].keys()
    assert found["left_out"]["log_evidence"].keys() == {"before", "after"}
    assert "'delta'" in found["left_out"]["log_evidence"]["after"]
    assert found["left_out"]["samples"].keys() == {"before"}
    quality = rows(found)["inception score of samples"]
    assert quality["before"] is None
    assert quality["difference"] is None
    assert quality["after"]["value"] > 1
    assert rows(found)["log p(z) of codes"]["difference"]["value"] > 0
    assert "reconstruction" in evaluate(tmp_path / "new", metrics="evidence", images=50)


def test_interrupted_fit_ends_with_the_same_bytes(trained: Run, tmp_path: Path) -> None:
    whole = refit_prior(trained, tmp_path / "whole", seed=3, **QUICK)

    class Stop(Exception):  # noqa: N818
        pass

    def stopping(reports: Any) -> Any:
        for report in reports:
            yield report
            if report.step > 20:
                reports.close()
                raise Stop

    with pytest.raises(Stop):
        refit_prior(trained, tmp_path / "parts", seed=3, follow=stopping, **QUICK)
    with pytest.raises(InputError, match="holds a run already"):
        refit_prior(trained, tmp_path / "parts", seed=3, **QUICK)
    again = refit_prior(trained, tmp_path / "parts", seed=3, resume=True, **QUICK)
    assert same(Run(tmp_path / "whole"), Run(tmp_path / "parts"))
    assert again["rows"] == whole["rows"]


def test_batch_normalization_of_the_encoder_stays(tmp_path: Path) -> None:
    network = {"kind": "conv", "channels": [4], "strides": [2], "batch_norm": True, "hidden": [8]}
    experiment = small().replace_all({"model.network": network, "epochs": 1})
    source = finished(experiment, tmp_path / "source")
    refit_prior(source, tmp_path / "new", **QUICK | {"epochs": 2})
    old, new = (load_file(tmp_path / name / "weights.safetensors") for name in ("source", "new"))
    assert any("running_mean" in name for name in old)
    assert all(torch.equal(new[name], weight) for name, weight in old.items())


def test_codes_become_likelier_from_the_first_row_to_the_last(trained: Run, tmp_path: Path) -> None:
    refit_prior(trained, tmp_path / "new", **QUICK)
    history = load(tmp_path / "new").history()
    assert np.isfinite(history["train.log_prior"]).all()
    assert history["validation.log_prior"].max() > history["validation.log_prior"][0]


def test_fit_is_not_begun_without_a_trained_run(tmp_path: Path) -> None:
    experiment = small().replace_all({"objective": {"kind": "prior", "weights": "0" * 64}, "model.prior": "mixture"})
    with pytest.raises(InputError, match="begins with the weights of a trained run: 'vaekit refit-prior'"):
        next(train(experiment, tmp_path / "new"))
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"prior": "vamp"}, "prior 'vamp' cannot be fitted to codes"),
        ({"prior": "standard_normal"}, "prior 'standard_normal' cannot be fitted to codes"),
        ({"prior": "mxture"}, "did you mean 'mixture'"),
        ({"set": {"epochs": 3}}, "'epochs' is not a field of the prior"),
        ({"set": {"model.prior.component": 3}}, "component"),
        ({"epochs": -1.0}, "epochs is -1"),
    ],
)
def test_what_cannot_be_fitted_is_refused(trained: Run, tmp_path: Path, options: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        refit_prior(trained, tmp_path / "new", **options)
    assert not (tmp_path / "new").exists()
