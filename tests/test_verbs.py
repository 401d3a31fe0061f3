"""Verbs as functions: deterministic codes, right shapes and units, numbers that equal a direct computation."""

import csv
import json
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from small import CPU, finished, small
from torch.distributions import kl_divergence

from vaekit import InputError, Run, decode, doctor, encode, evaluate, load, reconstruct, sample, show
from vaekit.devices import seeded
from vaekit.outputs import picture


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.random.default_rng(0).random((30, 1, 8, 8), np.float32)


def gray(tmp_path: Path, shape: tuple[int, ...] = (40, 6, 5)) -> Run:
    """A run on 8-bit images of a user's own."""
    np.save(tmp_path / "x.npy", np.random.default_rng(0).integers(0, 256, shape, np.uint8))
    return finished(small(data__name=str(tmp_path / "x.npy")), tmp_path / "gray")


def table(tmp_path: Path) -> Run:
    rows = np.random.default_rng(0).normal([5, -100], [2, 30], (60, 2))
    (tmp_path / "t.csv").write_text("a,b\n" + "\n".join(f"{a},{b}" for a, b in rows))
    experiment = small(data__name=str(tmp_path / "t.csv"), epochs=100, evaluate_every=100)
    return finished(experiment.replace("optimizer.learning_rate", 0.03), tmp_path / "table")


class TestEncode:
    def test_codes_are_deterministic_also_after_loading_and_in_other_batches(
        self, run: Run, images: np.ndarray, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        codes = encode(run, images)
        assert codes.shape == (30, 3)
        assert np.array_equal(encode(run, images), codes)
        torch.manual_seed(5)
        assert np.array_equal(encode(load(run.path), torch.from_numpy(images)), codes)
        monkeypatch.setattr("vaekit.verbs.reading.BATCH", 7)
        np.testing.assert_allclose(encode(run, images), codes, atol=1e-6)
        singly = np.concatenate([encode(run, image[None]) for image in images])
        np.testing.assert_allclose(singly, codes, atol=1e-6)

    def test_codes_are_posterior_means(self, run: Run, images: np.ndarray) -> None:
        with torch.no_grad():
            mean = run.vae().posterior(torch.from_numpy(images)).mean
        np.testing.assert_allclose(encode(run, images), mean.numpy(), atol=1e-6)

    def test_rows_of_codes_are_named_by_their_files(self, tmp_path: Path) -> None:
        run, folder = gray(tmp_path), tmp_path / "new"
        folder.mkdir()
        for i, pixels in enumerate(np.random.default_rng(1).integers(0, 256, (4, 6, 5), np.uint8)):
            Image.fromarray(pixels).save(folder / f"a, {i}.png")
        (folder / "a, 1.png").write_text("broken")
        codes = encode(run, folder, out=tmp_path / "z.npy")
        with (tmp_path / "z.names.csv").open(newline="") as file:
            header, *rows = csv.reader(file)
        assert header == ["row", "file"]
        assert [name for _, name in rows] == ["a, 0.png", "a, 2.png", "a, 3.png"]
        for row, name in rows:
            np.testing.assert_allclose(encode(run, folder / name)[0], codes[int(row)], atol=1e-6)
        encode(run, tmp_path / "x.npy", out=tmp_path / "z.npy")
        assert not (tmp_path / "z.names.csv").exists()  # nothing is left that names other rows
        (tmp_path / "z.names.csv").write_text("mine")
        encode(run, tmp_path / "x.npy", out=tmp_path / "z.npy")
        assert (tmp_path / "z.names.csv").read_text() == "mine"

    @pytest.mark.parametrize(("trained", "later", "factor"), [(4095, 2000, 4095), (200, 4095, 4095)])
    def test_levels_of_sixteen_bit_images_are_scaled_as_in_training(
        self, tmp_path: Path, trained: int, later: int, factor: int
    ) -> None:
        for i, pixels in enumerate(np.random.default_rng(1).integers(0, 200, (20, 6, 5)).astype(np.uint16)):
            pixels[0, 0] = trained
            (tmp_path / "p").mkdir(exist_ok=True)
            Image.fromarray(pixels).save(tmp_path / "p" / f"{i}.png")
        run = finished(small(data__name=str(tmp_path / "p")), tmp_path / "deep")
        levels = np.linspace(0, later, 30).astype(np.uint16).reshape(6, 5)
        Image.fromarray(levels).save(tmp_path / "q.png")
        exact = np.rint(levels * (255 / factor)).astype(np.uint8)
        np.testing.assert_allclose(encode(run, tmp_path / "q.png"), encode(run, exact[None]), atol=1e-6)

    def test_sets_files_and_arrays_are_inputs(self, run: Run, images: np.ndarray, tmp_path: Path) -> None:
        assert encode(run, "digits").shape == (1797, 3)
        np.save(tmp_path / "x.npy", images)
        assert np.array_equal(encode(run, tmp_path / "x.npy"), encode(run, images))
        Image.fromarray(np.rint(images[0, 0] * 255).astype(np.uint8)).save(tmp_path / "x.png")
        np.testing.assert_allclose(encode(run, str(tmp_path / "x.png")), encode(run, images[:1]), atol=0.05)

    def test_codes_are_written(self, run: Run, images: np.ndarray, tmp_path: Path) -> None:
        codes = encode(run, images, out=tmp_path / "new" / "z.npy")
        assert np.array_equal(np.load(tmp_path / "new" / "z.npy"), codes)

    def test_active_units(self, run: Run, images: np.ndarray) -> None:
        with pytest.raises(InputError, match="not measured since it was trained: run vaekit evaluate"):
            encode(run, images, units="active")
        active = evaluate(run, samples=2)["latents"]["active"]
        assert np.array_equal(encode(run, images, units="active"), encode(run, images)[:, active])
        with pytest.raises(InputError, match="units 'some' is unknown: choose all or active"):
            encode(run, images, units="some")

    @pytest.mark.parametrize(
        ("wrong", "words"),
        [
            (np.zeros((3, 9, 9)), "3×9×9"),
            (np.full((3, 8, 8), 7.0), "7"),
            (np.full((3, 8, 8), np.nan), "NaN"),
            (np.zeros((0, 8, 8)), "no example"),
            (np.zeros((1797, 63)), "the input has shape 1797×63, but digits needs N examples of 1×8×8"),
            ("nope.npy", "nope.npy"),
        ],
    )
    def test_wrong_inputs_are_refused(self, wrong: Any, words: str, run: Run) -> None:
        with pytest.raises(InputError, match=words):
            encode(run, wrong)

    def test_one_example_takes_milliseconds_once_the_model_is_loaded(self, trained: Path) -> None:
        vae, x = load(trained).vae(), torch.rand(1, 1, 8, 8)
        seconds = []
        for _ in range(50):
            began = time.perf_counter()
            vae.decode(vae.encode(x))
            seconds.append(time.perf_counter() - began)
        assert statistics.median(seconds) < 0.005


class TestDecode:
    def test_shapes_and_units(self, run: Run, tmp_path: Path) -> None:
        x = decode(run, np.zeros((5, 3)))
        assert x.shape == (5, 1, 8, 8)
        assert x.dtype == np.float32
        levels = decode(gray(tmp_path), np.zeros((5, 2)))
        assert levels.shape == (5, 1, 6, 5)
        assert levels.dtype == np.uint8
        rows = decode(table(tmp_path), np.zeros((5, 2)))
        assert rows.shape == (5, 2)
        np.testing.assert_allclose(rows[0], [5, -100], rtol=0.3)

    def test_decoding_codes_is_reconstructing(self, run: Run, images: np.ndarray, tmp_path: Path) -> None:
        np.save(tmp_path / "z.npy", encode(run, images))
        expected = reconstruct(run, images)
        assert expected.shape == images.shape
        np.testing.assert_allclose(decode(run, tmp_path / "z.npy"), expected, atol=1e-6)

    def test_tables_come_back_in_their_own_units(self, tmp_path: Path) -> None:
        run = table(tmp_path)
        rows = np.loadtxt(tmp_path / "t.csv", delimiter=",", skiprows=1)
        found = reconstruct(run, tmp_path / "t.csv")
        assert found.shape == rows.shape
        for column in range(2):
            assert np.corrcoef(found[:, column], rows[:, column])[0, 1] > 0.9

    @pytest.mark.parametrize(
        ("z", "words"),
        [
            (np.zeros((4, 7)), r"z has shape \(4, 7\); .* decodes finite latents of shape \(N, 3\)"),
            (np.zeros(3), r"z has shape \(3,\)"),
            (np.full((2, 3), np.inf), "holds NaN or infinity"),
            (np.full((2, 3), 1e300), r"z has values beyond 3.4e38, the end of single precision"),
            (Path("nope.npy"), r"nope\.npy"),
        ],
    )
    def test_wrong_latents_are_refused(self, z: Any, words: str, run: Run) -> None:
        with pytest.raises(InputError, match=words):
            decode(run, z)

    def test_pickled_latents_are_not_loaded(self, run: Run, tmp_path: Path) -> None:
        np.save(tmp_path / "z.npy", np.array([{}], object))
        with pytest.raises(InputError, match="pickled objects, which are never loaded"):
            decode(run, tmp_path / "z.npy")


class TestSample:
    def test_seeds(self, run: Run) -> None:
        assert sample(run).shape == (64, 1, 8, 8)
        assert np.array_equal(sample(run, 5), sample(run, 5))
        assert not np.array_equal(sample(run, 5), sample(run, 5, seed=1))
        torch.manual_seed(3)
        expected = torch.rand(2)
        torch.manual_seed(3)
        sample(run, 5)
        assert torch.equal(torch.rand(2), expected)

    def test_noise_is_drawn_from_the_likelihood(self, run: Run) -> None:
        vae = run.vae()
        with seeded(0, CPU):
            z = vae.prior().sample(torch.Size((200,)))
        with torch.no_grad():
            scale = vae.likelihood(z).base_dist.scale
        noise = sample(run, 200, noise=True) - sample(run, 200)
        assert float(np.std(noise / scale.numpy())) == pytest.approx(1, abs=0.05)

    def test_pictures(self, run: Run, tmp_path: Path) -> None:
        x = sample(run, 5, out=tmp_path / "x.png")
        with Image.open(tmp_path / "x.png") as image:
            enlarged = np.asarray(image)
        assert enlarged.shape == (25 * 2 * 8, 25 * 3 * 8)
        sheet = enlarged[::25, ::25]
        assert np.array_equal(enlarged, sheet.repeat(25, 0).repeat(25, 1))  # each pixel is a square
        expected = np.rint(x.clip(0, 1) * 255).astype(np.uint8)
        assert np.array_equal(sheet[:8, 8:16], expected[1, 0])
        assert np.array_equal(sheet[8:, 8:16], expected[4, 0])
        assert not sheet[8:, 16:].any()

    def test_pictures_in_colour(self) -> None:
        x = np.random.default_rng(0).integers(0, 256, (2, 3, 4, 5), np.uint8)
        sheet = picture(x)
        assert (sheet.mode, sheet.size) == ("RGB", (600, 240))
        assert np.array_equal(np.asarray(sheet)[::60, 300::60], x[1].transpose(1, 2, 0))

    @pytest.mark.parametrize("name", ["x.xyz", "x", "x.psd", "x.csv"])
    def test_other_files_are_refused_before_anything_is_computed(
        self, name: str, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(Run, "vae", None)
        with pytest.raises(InputError, match=r"cannot hold images: .* ends in \.npy or a picture such as \.png"):
            sample(run, 2, out=tmp_path / name)
        assert not (tmp_path / name).exists()

    @pytest.mark.parametrize("n", [0, -3])
    def test_counts(self, n: int, run: Run) -> None:
        with pytest.raises(InputError, match=f"n is {n}: give a whole number of at least 1"):
            sample(run, n)


class TestEvaluate:
    def test_elbo_and_kl_equal_a_direct_computation(self, run: Run) -> None:
        found = evaluate(run, samples=50)
        x = run.data().test.batch(torch.arange(360)).x
        vae = run.vae()
        with torch.no_grad():
            kl = kl_divergence(vae.posterior(x), vae.prior())
            z = vae.posterior(x).sample(torch.Size((200,)))
            reconstruction = -vae.likelihood(z).log_prob(x).mean(0)
        assert found["kl"]["value"] == pytest.approx(float(kl.mean()), rel=1e-5)
        assert found["kl"]["standard_error"] == pytest.approx(float(kl.std()) / 360**0.5, rel=1e-4)
        assert found["reconstruction"]["value"] == pytest.approx(float(reconstruction.mean()), abs=0.2)
        assert found["elbo"]["value"] == pytest.approx(-found["kl"]["value"] - found["reconstruction"]["value"])
        assert found["log_evidence"]["value"] >= found["elbo"]["value"]

    def test_results_are_kept_as_they_were_returned(self, run: Run) -> None:
        found = evaluate(run, samples=3)
        results = json.loads((run.path / "results.json").read_text())
        assert results == {"evaluations": [json.loads(json.dumps(found))]}
        for name in ("elbo", "kl", "reconstruction", "log_evidence"):
            assert found[name].keys() >= {"value", "standard_error", "samples"}
            assert found[name]["standard_error"] > 0
        assert found["log_evidence"]["samples"] == 3
        assert (found["split"], found["binarization"], found["images"]) == ("test", "none", 360)
        assert found["command"].startswith(f"vaekit evaluate {run.path} --split test")

    def test_the_same_call_gives_the_same_numbers_and_one_entry(self, run: Run) -> None:
        first = evaluate(run, samples=3)
        torch.manual_seed(8)
        assert evaluate(load(run.path), samples=3)["log_evidence"] == first["log_evidence"]
        assert evaluate(run, split="validation", samples=3)["images"] == 180
        assert len(run.results()["evaluations"]) == 2

    def test_fewer_images(self, run: Run) -> None:
        assert evaluate(run, samples=3, images=50)["images"] == 50

    @pytest.mark.parametrize(
        ("words", "message"),
        [
            ({"split": "tset"}, "there is no split 'tset': did you mean 'test'"),
            ({"samples": 0}, "samples is 0: give"),
            ({"images": -1}, "images is -1: give"),
        ],
    )
    def test_wrong_words_are_refused(self, words: dict[str, Any], message: str, run: Run) -> None:
        with pytest.raises(InputError, match=message):
            evaluate(run, **words)
        assert not (run.path / "results.json").exists()

    def test_splits_that_the_data_lack_are_refused(self, tmp_path: Path) -> None:
        run = finished(small(data__split="0.8/0.2", epochs=0.1), tmp_path / "run")
        with pytest.raises(InputError, match=r"split as 0\.8/0\.2 has no validation part"):
            evaluate(run, split="validation")

    def test_a_deterministic_auto_encoder_has_a_reconstruction_only(self, tmp_path: Path) -> None:
        changes = {"model.posterior": "delta", "objective": "reconstruction"}
        run = finished(small().replace_all(changes), tmp_path / "run")
        found = evaluate(run, metrics=["evidence"], samples=5)
        assert "reconstruction" in found
        assert not {"elbo", "kl", "log_evidence"} & found.keys()


def test_a_table_in_another_order_is_the_same_table(tmp_path: Path) -> None:
    run = table(tmp_path)
    before, number = encode(run, tmp_path / "t.csv"), evaluate(run, samples=5)["elbo"]
    restored = reconstruct(run, tmp_path / "t.csv")
    rows = [line.split(",") for line in (tmp_path / "t.csv").read_text().splitlines()]
    lines = [",".join(["id" if i == 0 else str(i), *row[::-1]]) for i, row in enumerate(rows)]
    (tmp_path / "t.csv").write_text("\n".join(lines))
    assert np.array_equal(encode(run, tmp_path / "t.csv"), before)
    assert np.array_equal(reconstruct(run, tmp_path / "t.csv"), restored)
    assert evaluate(run, samples=5)["elbo"] == number
    (tmp_path / "t.csv").write_text("a,c\n1,2\n3,4")
    with pytest.raises(InputError, match=r"lacks 1 of the 2 columns that the model knows .'b'."):
        encode(run, tmp_path / "t.csv")


def test_a_table_of_bits_is_told_what_fits(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).integers(0, 2, (60, 3))
    (tmp_path / "t.csv").write_text("a,b,c\n" + "\n".join(",".join(map(str, row)) for row in rows))
    experiment = small(data__name=str(tmp_path / "t.csv")).replace("model.likelihood", "bernoulli")
    with pytest.raises(InputError, match=r"choose likelihood gaussian or columns; .*save them as a \.npy file"):
        finished(experiment, tmp_path / "run")


def test_show_says_what_a_run_is(run: Run) -> None:
    facts = show(run)
    assert (facts["data"], facts["latent_dim"], facts["likelihood"]) == ("digits", 3, "gaussian")
    assert facts["last"] == run.metrics()[-1]
    assert facts["digest"] == run.experiment.digest
    assert facts["evaluations"] == []


def test_doctor_says_what_a_bug_report_needs_and_not_where_home_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "frey_face").mkdir()
    (tmp_path / "frey_face" / "frey_rawface.mat").write_bytes(b"")
    monkeypatch.setattr(Path, "home", lambda: tmp_path.parent)
    monkeypatch.setenv("VAEKIT_DATA", str(tmp_path))
    facts = doctor(Path("/data"))
    assert {"vaekit", "python", "torch", "numpy", "device", "threads", "data"} <= facts.keys()
    assert facts["data"]["digits"] == "found"
    assert facts["data"]["frey_face"] == "found"
    assert facts["data"]["kmnist"] == "not here"
    assert facts["data roots"][:2] == [str(Path("/data").absolute()), str(Path("~", tmp_path.name))]
    assert str(tmp_path.parent) not in json.dumps(facts)


def test_samples_come_in_batches_of_the_same_numbers(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    with seeded(3, CPU):
        expected = run.vae().sample(25).numpy()
    assert np.array_equal(sample(run, 25, seed=3), expected)
    noisy = sample(run, 8, seed=3, noise=True)
    monkeypatch.setattr("vaekit.verbs.sampling.BATCH", 8)
    np.testing.assert_allclose(sample(run, 25, seed=3), expected, atol=1e-6)
    assert np.array_equal(sample(run, 25, seed=3, noise=True), sample(run, 25, seed=3, noise=True))
    assert np.array_equal(sample(run, 8, seed=3, noise=True), noisy)


@pytest.mark.parametrize("n", [10**12, 10**18])
def test_more_samples_than_the_memory_holds_are_refused(n: int, run: Run) -> None:
    with pytest.raises(InputError, match=f"n is {n}: so many samples take .* GiB of memory, .* ask for fewer"):
        sample(run, n)
