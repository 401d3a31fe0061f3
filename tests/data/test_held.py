"""Data in memory: read as files of the same content are, named by their digest, trained on and measured."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest
import torch
from own_parts import NoisyBits, ScaledPosterior, ShiftedPrior
from small import finished, numbers, same, small, stopped
from torch import nn
from torch.utils.data import Dataset, TensorDataset

import vaekit
from vaekit import VAE, Builder, InputError, Model, Run, Source, choose, evaluate
from vaekit.data import Space
from vaekit.data.objects import read_object
from vaekit.evaluation.probes import accuracies

RANDOM = np.random.default_rng(0)
BYTES = RANDOM.integers(0, 256, (60, 8, 8)).astype(np.uint8)
LABELS = RANDOM.integers(0, 3, 60)
TABLE = {"a": RANDOM.normal(size=60), "b": 5 + RANDOM.normal(size=60), "kind": np.array(["x", "y", "z"] * 20)}


class Pairs(Dataset):
    """A data set of torch: examples with their labels."""

    def __len__(self) -> int:
        return len(BYTES)

    def __getitem__(self, i: int) -> tuple[torch.Tensor, int]:
        return torch.from_numpy(BYTES[i]), int(LABELS[i])


def saved(value: Any, folder: Path) -> Path:
    """Save what a file of the same content is."""
    if isinstance(value, pandas.DataFrame):
        path = folder / "x.csv"
        rows = zip(*(column.tolist() for column in TABLE.values()), strict=True)
        path.write_text("\n".join([",".join(TABLE), *(",".join(map(str, row)) for row in rows)]) + "\n")
        return path
    if isinstance(value, dict | Pairs):
        path = folder / "x.npz"
        np.savez(path, x=BYTES, labels=LABELS)
        return path
    path = folder / "x.npy"
    np.save(path, BYTES)
    return path


HELD = {
    "array": BYTES,
    "tensor": torch.from_numpy(BYTES),
    "list": list(BYTES),
    "list of tensors": list(torch.from_numpy(BYTES)),
    "mapping": {"x": BYTES, "labels": LABELS},
    "data frame": pandas.DataFrame(TABLE),
    "TensorDataset": TensorDataset(torch.from_numpy(BYTES)),
    "Dataset of pairs": Pairs(),
}


@pytest.mark.parametrize("name", HELD)
def test_data_in_memory_are_those_of_a_file_of_the_same_content(name: str, tmp_path: Path) -> None:
    value = HELD[name]
    held, read = Source(name=value).load(place=value), Source(name=saved(value, tmp_path)).load()
    assert held.space.digest == read.space.digest
    assert (held.space.columns, held.space.classes, held.space.support) == (
        read.space.columns, read.space.classes, read.space.support,
    )  # fmt: skip
    assert torch.equal(held.train.x, read.train.x)
    assert Source(name=value) == Source(name=value)
    assert Source(name=value).name.startswith("memory:")


def test_a_run_of_data_in_memory_trains_resumes_and_is_measured_with_the_same_data_only(tmp_path: Path) -> None:
    experiment = choose(BYTES, latent_dim=2, hidden=[12], epochs=2, batch_size=10)
    whole = finished(experiment, tmp_path / "whole", data=BYTES, device="cpu")
    assert whole.experiment == experiment
    file = finished(experiment, tmp_path / "file", data=saved(BYTES, tmp_path), device="cpu")
    assert numbers(file) == numbers(whole)
    reports = vaekit.train(experiment, tmp_path / "run", data=BYTES, device="cpu")
    next(progress for progress in reports if progress.step >= 3)
    reports.close()
    run = Run(tmp_path / "run")
    with pytest.raises(InputError, match=r"was trained on data in memory, of digest .*: give them again"):
        finished(run.experiment, run.path, resume=True)
    with pytest.raises(
        InputError, match=r"the data in memory have the digest \w+, and .* was trained on data of digest"
    ):
        finished(run.experiment, run.path, resume=True, data=BYTES[::-1])
    assert same(finished(run.experiment, run.path, resume=True, data=list(BYTES), device="cpu"), whole)
    found = evaluate(run, BYTES, samples=5, images=6, device="cpu")
    assert "--data" not in found["command"]
    assert found["log_evidence"] == evaluate(file, samples=5, images=6, device="cpu")["log_evidence"]
    assert vaekit.report(run, data=BYTES).is_file()


def test_train_names_the_data_it_is_given(tmp_path: Path) -> None:
    run = finished(small(epochs=1, batch_size=10), tmp_path / "run", data=BYTES)
    assert run.experiment.data == Source(name=BYTES)
    with pytest.raises(InputError, match=r"memory:\w+ are in memory, and an experiment has their digest only"):
        finished(run.experiment, tmp_path / "another")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (3, "data is 3: give the name of a data set, the path of a file or folder, or what is in memory"),
        ([np.zeros(3), np.zeros(4)], r"examples of unlike shapes, \(3,\) and \(4,\): bring them to one shape"),
        (np.array([object()] * 3), "hold values of type object"),
        (np.full((9, 3), np.nan), "NaN"),
        (pandas.DataFrame({"a": np.array([1.0, np.inf]), "b": np.array([1.0, 2.0])}), "row 2, column 'a' holds inf"),
        (pandas.DataFrame({"a": np.array([]), "b": np.array([])}), "has no rows"),
    ],
)
def test_data_in_memory_are_checked_as_files_are(value: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        finished(small(), tmp_path / "run", data=value)
    assert not (tmp_path / "run").exists()


def test_columns_of_a_frame_are_left_out_and_labels_named(tmp_path: Path) -> None:
    frame = pandas.DataFrame(
        TABLE | {"word": np.array(["p", "q"] * 30), "when": np.array(["2020-01-01"] * 60, "datetime64[s]")}
    )
    source = Source(name=frame, label="kind", ignore=("word", "when"))
    assert source.load(place=frame).space.names == ("a", "b")
    assert source.load(place=frame).space.classes == ("x", "y", "z")
    experiment = small(data__name=frame, data__label="kind", data__ignore=("word", "when"), batch_size=10)
    assert finished(experiment, tmp_path / "run", data=frame).space.names == ("a", "b")


def test_a_frame_of_numbered_columns_has_no_names() -> None:
    raw = read_object(pandas.DataFrame({0: np.arange(4.0), 1: np.array([0.5, 0.1, 0.2, 0.3])}))
    assert raw.names == ("column 1", "column 2")


def by_hand() -> VAE:
    torch.manual_seed(0)
    builder = Builder(Model(latent_dim=2), Space.of((1, 8, 8)))
    return VAE(ShiftedPrior(builder), ScaledPosterior(builder), NoisyBits(builder))


def test_a_model_made_by_hand_is_measured() -> None:
    vae, x = by_hand().train(), (BYTES > 127)
    before = [weight.clone() for weight in vae.state_dict().values()]
    found = evaluate(vae, x, samples=200, images=40, device="cpu")
    assert found["log_evidence"]["value"] > found["elbo"]["value"]
    assert len(found["latents"]["kl_per_unit"]) == 2
    assert found["log_evidence"] == evaluate(vae, x, samples=200, images=40, device="cpu")["log_evidence"]
    assert vae.training
    assert all(weight.requires_grad for weight in vae.parameters())
    assert all(torch.equal(a, b) for a, b in zip(before, vae.state_dict().values(), strict=True))


def test_labels_of_data_in_memory_are_read_from_codes() -> None:
    vae, labels = by_hand(), np.repeat([0, 1], 40)  # in order, as in a file
    bits = np.random.default_rng(0).random((80, 8, 8)) < np.where(labels, 0.9, 0.1)[:, None, None]
    found = evaluate(vae, {"x": bits, "labels": labels}, metrics="latents,samples", device="cpu")
    codes = vae.encode(torch.from_numpy(bits)[:, None].float())
    expected = accuracies(codes[::2], torch.from_numpy(labels[::2]), codes[1::2], torch.from_numpy(labels[1::2]))
    assert found["linear_probe"] == {**expected["linear_probe"]._asdict(), "images": 40}
    assert found["latents"]["chance"] == 0.5
    assert "no training images" in found["left_out"]["samples"]
    assert evaluate(vae, bits, metrics="latents", device="cpu")["left_out"] == {
        "linear_probe": "the data have no labels"
    }


def test_a_trained_model_is_measured_as_its_run_is(tmp_path: Path) -> None:
    run = finished(small(epochs=1, data__name=saved(BYTES, tmp_path), batch_size=10), tmp_path / "run")
    test = run.data().test
    found = evaluate(run.vae(), test.x.numpy(), samples=20, device="cpu")
    expected = evaluate(run, samples=20, device="cpu")
    for name in ("log_evidence", "elbo", "kl", "latents"):
        assert found[name] == expected[name]
    assert evaluate(run.vae(), TensorDataset(test.x), samples=20, device="cpu")["elbo"] == expected["elbo"]


class Parts(nn.Module):
    """A module of the user's with the three parts."""

    def __init__(self) -> None:
        super().__init__()
        vae = by_hand()
        self.prior, self.posterior, self.likelihood = vae.prior, vae.posterior, vae.likelihood


def test_any_module_with_the_three_parts_is_measured() -> None:
    bits = BYTES > 127
    assert evaluate(Parts(), bits, samples=5)["elbo"] == evaluate(by_hand(), bits, samples=5)["elbo"]
    with pytest.raises(InputError, match="Linear has no prior and no posterior and no likelihood: give a run"):
        evaluate(nn.Linear(2, 2), bits)
    with pytest.raises(InputError, match="data is None"):
        evaluate(by_hand())
    with pytest.raises(InputError, match="the model with a part of yours fails on 2 examples"):
        evaluate(by_hand(), BYTES[:, :5])


def test_stopped_runs_of_data_in_memory_are_runs(tmp_path: Path) -> None:
    run = stopped(small(batch_size=10), tmp_path / "run", step=2, data=BYTES)
    assert not (run.path / "places.json").exists()
