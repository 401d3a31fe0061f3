"""What the explorer knows of a run."""

import json
from base64 import b64decode
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from small import finished, small

from vaekit import Run, choose
from vaekit.explorer.atlas import atlas, log_aggregate
from vaekit.explorer.view import View


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return finished(small(model__latent_dim=3), tmp_path_factory.mktemp("explorer") / "run")


def unpacked(array: dict) -> np.ndarray:
    return np.frombuffer(b64decode(array["data"]), array["dtype"]).reshape(array["shape"])


def test_an_atlas_holds_codes_pictures_and_a_check(run: Run) -> None:
    view = View.of(run, run.data())
    found = json.loads(json.dumps(atlas(view, points=50), allow_nan=False))
    x = view.part.batch(torch.from_numpy(unpacked(found["rows"]).copy()).long()).x
    np.testing.assert_allclose(unpacked(found["codes"]), run.vae().encode(x).numpy(), atol=1e-6)
    assert unpacked(found["scales"]).shape == (50, 3)
    assert found["classes"] == [str(k) for k in range(10)]
    check = found["check"]
    decoded = run.vae().decode(torch.from_numpy(unpacked(check["codes"]).copy())).numpy()
    np.testing.assert_allclose(unpacked(check["decoded"]), decoded, atol=1e-6)
    assert found["thumbnails"]["png"].startswith("data:image/png;base64,")
    assert sorted(found["units"]["order"]) == [0, 1, 2]


def test_the_aggregate_density_is_the_mixture_of_posteriors() -> None:
    random = np.random.default_rng(0)
    codes, scales, z = random.normal(size=(7, 2)), random.uniform(0.5, 1, (7, 2)), random.normal(size=(5, 2))
    mixture = torch.distributions.MixtureSameFamily(
        torch.distributions.Categorical(torch.ones(7)),
        torch.distributions.Independent(torch.distributions.Normal(torch.tensor(codes), torch.tensor(scales)), 1),
    )
    np.testing.assert_allclose(log_aggregate(z, codes, scales), mixture.log_prob(torch.tensor(z)).numpy(), atol=1e-9)


def test_a_table_of_words_is_shown_in_its_own_words(tmp_path: Path) -> None:
    rows = ["island,age,size,sex"] + [f"{'ab'[i % 2]},{20 + i % 7},{i * 0.5},{'mf'[i % 3 % 2]}" for i in range(60)]
    (tmp_path / "t.csv").write_text("\n".join(rows) + "\n")
    run = finished(choose(tmp_path / "t.csv").replace_all({"epochs": 1, "data.label": "sex"}), tmp_path / "run")
    view = View.of(run, run.data())
    found = json.loads(json.dumps(atlas(view), allow_nan=False))
    kinds = {column["name"]: column["kind"] for column in found["columns"]}
    assert kinds["island"] == "category"
    assert set(found["table"]["island"]) <= {"a", "b"}
    x = view.part.batch(torch.arange(5)).x
    np.testing.assert_allclose(view.read(view.shown(x)).numpy(), x.numpy(), atol=1e-5)


@pytest.mark.parametrize(
    "changes",
    [
        {"model__prior": "mixture"},
        {"model__prior": "vamp"},
        {"model__prior": "flow"},
        {"model__posterior": "full_gaussian"},
        {"model__posterior": "flow"},
        {"model__posterior": "delta", "objective": "reconstruction"},
        {"model__latent_dim": 1},
    ],
    ids=lambda changes: "-".join(str(value) for value in changes.values()),
)
def test_every_kind_of_model_is_shown(tmp_path: Path, changes: dict) -> None:
    run = finished(small(**{"epochs": 1, "model__latent_dim": 3, **changes}), tmp_path / "run")
    view = View.of(run, run.data())
    found = json.loads(json.dumps(atlas(view, points=40), allow_nan=False))
    d = run.experiment.model.latent_dim
    assert unpacked(found["codes"]).shape == (40, d)
    assert unpacked(found["codes"]).dtype == np.float32
    assert sorted(found["units"]["order"]) == list(range(d))
    assert set(found["units"]["active"]) <= set(range(d))
    for coloring in found["colorings"].values():
        assert np.isfinite(unpacked(coloring)).all()
    z = unpacked(found["check"]["codes"]).copy()
    expected = run.vae().decode(torch.from_numpy(z)).numpy()
    np.testing.assert_allclose(unpacked(found["check"]["decoded"]), view.shown(torch.from_numpy(expected)), atol=1e-6)
    assert view.sample(5).shape == (5, d)


def test_names_of_classes_are_given_as_they_are(tmp_path: Path) -> None:
    """They are data, which the page writes as text; folders of pictures may be called anything."""
    names = ["<img src=x onerror=alert(1)>", "ß&amp;\"'"]
    random = np.random.default_rng(0)
    for name in names:
        (tmp_path / "pictures" / name).mkdir(parents=True)
        for k in range(12):
            Image.fromarray(random.integers(0, 256, (8, 8), np.uint8)).save(tmp_path / "pictures" / name / f"{k}.png")
    run = finished(choose(tmp_path / "pictures").replace_all({"epochs": 1}), tmp_path / "run")
    found = atlas(View.of(run, run.data()))
    assert sorted(found["classes"]) == sorted(names)
    assert len(found["files"]) == len(unpacked(found["rows"])) > 1
    classes = unpacked(found["labels"])
    for k, file in enumerate(found["files"]):
        assert file.startswith(found["classes"][classes[k]] + "/")
        stored = np.asarray(Image.open(tmp_path / "pictures" / file)) / 255
        row = torch.from_numpy(unpacked(found["rows"])[k : k + 1].copy()).long()
        np.testing.assert_allclose(run.data().test.batch(row).x[0, 0], stored, atol=1e-6)
