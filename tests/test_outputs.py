"""What verbs write: tables under their columns, codes with files and labels, sheets of pairs, ways between examples."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
import polars
import pytest
import torch
from PIL import Image
from small import finished, small
from test_verbs import gray

from vaekit import InputError, Run, decode, encode, evaluate, interpolate, reconstruct, sample
from vaekit.outputs import pairs, picture


def cells(path: Path) -> tuple[list[str], list[list[str]]]:
    """Header and rows."""
    with path.open(newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    return header, rows


def numbers(path: Path, first: int = 0, last: int | None = None) -> np.ndarray:
    return np.array([[float(cell) for cell in row[first:last]] for row in cells(path)[1]])


@pytest.fixture
def table(tmp_path: Path) -> Run:
    """A run on two columns, a constant one, and words as labels."""
    rows = np.random.default_rng(0).normal([5, -100], [2, 30], (60, 2))
    lines = [f"{a},7.5,{b},{'low' if a < 5 else 'high'}" for a, b in rows]
    (tmp_path / "t.csv").write_text("a,same,b,kind\n" + "\n".join(lines))
    experiment = small(data__name=str(tmp_path / "t.csv"), epochs=100, evaluate_every=100)
    return finished(experiment.replace("optimizer.learning_rate", 0.03), tmp_path / "table")


class TestCodes:
    def test_of_a_table_begin_with_the_row_and_end_with_the_label(self, table: Run, tmp_path: Path) -> None:
        codes = encode(table, tmp_path / "t.csv", out=tmp_path / "z.csv")
        header, rows = cells(tmp_path / "z.csv")
        assert header == ["row", "z0", "z1", "label"]
        assert [row[0] for row in rows] == [str(k) for k in range(60)]
        assert [row[-1] for row in rows] == [row[-1] for row in cells(tmp_path / "t.csv")[1]]
        assert np.array_equal(numbers(tmp_path / "z.csv", 1, 3).astype(np.float32), codes)

    def test_of_a_folder_begin_with_the_file(self, tmp_path: Path) -> None:
        run = gray(tmp_path)
        for folder in ("cat", "dog"):
            (tmp_path / "new" / folder).mkdir(parents=True)
            for i, pixels in enumerate(np.random.default_rng(1).integers(0, 256, (2, 6, 5), np.uint8)):
                Image.fromarray(pixels).save(tmp_path / "new" / folder / f"ü, {i}.png")
        encode(run, tmp_path / "new", out=tmp_path / "z.csv")
        header, rows = cells(tmp_path / "z.csv")
        assert header == ["file", "z0", "z1", "label"]
        assert [(row[0], row[-1]) for row in rows] == [
            ("cat/ü, 0.png", "cat"), ("cat/ü, 1.png", "cat"), ("dog/ü, 0.png", "dog"), ("dog/ü, 1.png", "dog")
        ]  # fmt: skip

    def test_of_active_units_keep_their_numbers(self, run: Run, tmp_path: Path) -> None:
        found = evaluate(run, samples=2)
        with run.writing("results.json") as path:
            found["latents"]["active"] = [2]
            path.unlink()
        run.add_evaluation(found)
        encode(run, np.zeros((2, 8, 8)), units="active", out=tmp_path / "z.csv")
        assert cells(tmp_path / "z.csv")[0] == ["row", "z2"]

    def test_have_scales_beside_them_on_request(self, run: Run, tmp_path: Path) -> None:
        x = np.random.default_rng(0).random((5, 8, 8), np.float32)
        codes = encode(run, x, scale=True, out=tmp_path / "z.csv")
        with torch.no_grad():
            q = run.vae().posterior(torch.from_numpy(x[:, None]))
        np.testing.assert_allclose(codes, torch.stack([q.mean, q.stddev], 1).numpy(), rtol=1e-5, atol=1e-6)
        assert cells(tmp_path / "z.csv")[0] == ["row", "z0", "z1", "z2", "scale0", "scale1", "scale2"]
        assert np.array_equal(numbers(tmp_path / "z.csv", 1).astype(np.float32), codes.reshape(5, 6))
        flow = finished(small(model__posterior="flow"), tmp_path / "flow")
        with pytest.raises(InputError, match="no standard deviations in closed form: ask for draws"):
            encode(flow, x, scale=True)
        with pytest.raises(InputError, match="scale is set, and draws is 2: ask for one of them"):
            encode(run, x, scale=True, draws=2)

    def test_are_drawn_on_request(self, run: Run, tmp_path: Path) -> None:
        x = np.random.default_rng(0).random((4, 8, 8), np.float32)
        codes = encode(run, x, draws=2000)
        assert codes.shape == (4, 2000, 3)
        mean, scale = encode(run, x, scale=True).transpose(1, 0, 2)
        assert np.abs((codes.mean(1) - mean) / scale).max() < 5 / 2000**0.5
        assert np.abs(codes.std(1) / scale - 1).max() < 5 / 4000**0.5
        found = encode(run, "digits", draws=2, out=tmp_path / "z.csv")
        header, rows = cells(tmp_path / "z.csv")
        assert header == ["row", "draw", "z0", "z1", "z2", "label"]
        assert [row[:2] for row in rows[:3]] == [["0", "1"], ["0", "2"], ["1", "1"]]
        assert np.array_equal(numbers(tmp_path / "z.csv", 2, 5).astype(np.float32), found.reshape(-1, 3))
        assert np.array_equal(encode(run, "digits", draws=2), found)
        assert not np.array_equal(encode(run, "digits", draws=2, seed=1), found)

    def test_are_written_as_parquet(self, run: Run, tmp_path: Path) -> None:
        codes = encode(run, "digits", out=tmp_path / "z.parquet")
        read = polars.read_parquet(tmp_path / "z.parquet")
        assert read.columns == ["row", "z0", "z1", "z2", "label"]
        assert np.array_equal(read.select("z0", "z1", "z2").to_numpy(), codes)

    def test_are_decoded_from_their_table(self, run: Run, tmp_path: Path) -> None:
        x = np.random.default_rng(0).random((5, 8, 8), np.float32)
        encode(run, x, out=tmp_path / "z.csv")
        np.testing.assert_allclose(decode(run, tmp_path / "z.csv"), reconstruct(run, x), atol=1e-6)

    @pytest.mark.parametrize("name", ["z.png", "z.xyz", "z"])
    def test_other_files_are_refused(self, name: str, run: Run, tmp_path: Path) -> None:
        with pytest.raises(InputError, match=r"cannot hold codes: .* ends in \.npy, \.csv or \.parquet"):
            encode(run, np.zeros((2, 8, 8)), out=tmp_path / name)


class TestTables:
    def test_are_written_under_their_columns_in_the_files_units(self, table: Run, tmp_path: Path) -> None:
        found = sample(table, 40, noise=False, out=tmp_path / "s.csv")
        assert cells(tmp_path / "s.csv")[0] == ["a", "same", "b"]
        np.testing.assert_allclose(numbers(tmp_path / "s.csv"), found, rtol=1e-8)
        np.testing.assert_allclose(found.mean(0), [5, 7.5, -100], rtol=0.3)
        found = reconstruct(table, tmp_path / "t.csv", out=tmp_path / "r.csv")
        np.testing.assert_allclose(numbers(tmp_path / "r.csv"), found, rtol=1e-8)
        np.testing.assert_allclose(encode(table, tmp_path / "r.csv"), encode(table, found), atol=1e-5)  # is read again

    def test_are_sampled_with_noise_unless_means_are_asked_for(self, table: Run, tmp_path: Path) -> None:
        found = sample(table, 500, out=tmp_path / "s.parquet")
        assert np.array_equal(found, sample(table, 500, noise=True))
        assert found[:, 0].std() > 1.2 * sample(table, 500, noise=False)[:, 0].std()
        assert np.array_equal(polars.read_parquet(tmp_path / "s.parquet").to_numpy(), found)

    def test_columns_that_never_varied_stay_as_they_were(self, table: Run, tmp_path: Path) -> None:
        assert (sample(table, 9, noise=True)[:, 1] == 7.5).all()
        assert (sample(table, 9, noise=False)[:, 1] == 7.5).all()
        assert (reconstruct(table, tmp_path / "t.csv")[:, 1] == 7.5).all()
        assert (decode(table, "0.5,1.2")[:, 1] == 7.5).all()
        assert (interpolate(table, 0, 1)[:, 1] == 7.5).all()

    def test_are_not_pictures(self, table: Run, tmp_path: Path) -> None:
        with pytest.raises(InputError, match=r"cannot hold rows of a table: .* ends in \.csv, \.parquet or \.npy"):
            sample(table, 2, out=tmp_path / "x.png")


class TestTypedLatents:
    @pytest.mark.parametrize("z", ["0.5,-1.2,3e-1", " 0.5, -1.2, 0.3"])
    def test_are_decoded(self, z: str, run: Run) -> None:
        assert np.array_equal(decode(run, z), decode(run, np.array([[0.5, -1.2, 0.3]])))

    def test_wrong_ones_are_refused(self, run: Run) -> None:
        with pytest.raises(InputError, match=r"z has shape \(1, 2\)"):
            decode(run, "0.5,1.2")
        with pytest.raises(InputError, match=r"z '0.5,,1.2' is not numbers with commas between them"):
            decode(run, "0.5,,1.2")


class TestPairs:
    def test_show_originals_beside_reconstructions_a_hundred_at_most(self, run: Run, tmp_path: Path) -> None:
        x = np.random.default_rng(0).random((120, 1, 8, 8), np.float32)
        found = reconstruct(run, x, out=tmp_path / "r.png")
        assert len(found) == 120
        expected = np.asarray(picture(pairs(x[:100], found[:100])))
        assert np.array_equal(np.asarray(Image.open(tmp_path / "r.png")), expected)
        columns, factor = 7, 600 // (15 * 8)
        assert expected.shape == (factor * 15 * 8, factor * columns * 17)
        first = expected[::factor, ::factor][:8, :17]
        assert np.array_equal(first[:, :8], np.rint(x[0, 0] * 255))
        assert np.array_equal(first[:, 8:16], np.rint(found[0, 0].clip(0, 1) * 255))
        assert (first[:, 16] == 255).all()

    def test_more_or_fewer_on_request(self, run: Run, tmp_path: Path) -> None:
        x = np.random.default_rng(0).random((120, 1, 8, 8), np.float32)
        for n in (3, 110):
            found = reconstruct(run, x, n=n, out=tmp_path / "r.png")
            assert len(found) == n
            assert np.array_equal(np.asarray(Image.open(tmp_path / "r.png")), np.asarray(picture(pairs(x[:n], found))))
        reconstruct(run, x, out=tmp_path / "r.npy")
        assert np.load(tmp_path / "r.npy").shape == (120, 1, 8, 8)
        with pytest.raises(InputError, match="n is 0"):
            reconstruct(run, x, n=0)


class TestInterpolate:
    def test_is_linear_between_the_codes(self, run: Run) -> None:
        test = run.data().test.batch(torch.tensor([3, 17])).x
        a, b = run.vae().encode(test).numpy()
        found = interpolate(run, 3, 17, steps=5)
        assert found.shape == (5, 1, 8, 8)
        line = np.stack([a + (b - a) * t for t in (0, 0.25, 0.5, 0.75, 1)])
        np.testing.assert_allclose(found, decode(run, line), atol=1e-5)
        np.testing.assert_allclose(interpolate(run, "3", "17", steps=5), found)
        np.testing.assert_allclose(interpolate(run, test[0], test[1:], steps=5), found, atol=1e-5)

    def test_pictures_have_the_originals_at_their_ends(self, run: Run, tmp_path: Path) -> None:
        found = interpolate(run, 3, 17, out=tmp_path / "way.png")
        strip = np.asarray(Image.open(tmp_path / "way.png"))
        factor = strip.shape[0] // 8
        strip = strip[::factor, ::factor]
        assert strip.shape == (8, 11 * 8)
        x = run.data().test.batch(torch.tensor([3, 17])).x.numpy()
        assert np.array_equal(strip[:, :8], np.rint(x[0, 0] * 255))
        assert np.array_equal(strip[:, -8:], np.rint(x[1, 0] * 255))
        assert np.array_equal(strip[:, 8:16], np.rint(found[0, 0].clip(0, 1) * 255))

    def test_ends_are_pictures_rows_or_arrays(self, tmp_path: Path) -> None:
        run, x = gray(tmp_path), np.random.default_rng(1).integers(0, 256, (2, 6, 5), np.uint8)
        for i, pixels in enumerate(x):
            Image.fromarray(pixels).save(tmp_path / f"{i}#{i}.png")
        np.save(tmp_path / "new.npy", x)
        expected = decode(run, encode(run, x))
        for a, b in [
            (tmp_path / "0#0.png", str(tmp_path / "1#1.png")),
            (f"{tmp_path / 'new.npy'}#0", f"{tmp_path / 'new.npy'}#1"),
            (x[0], x[1]),
            (x[:1], torch.from_numpy(x[1])),
        ]:
            assert np.array_equal(interpolate(run, a, b, steps=2), expected)

    def test_rows_of_a_table(self, table: Run, tmp_path: Path) -> None:
        way = interpolate(table, f"{tmp_path / 't.csv'}#4", 0, steps=3, out=tmp_path / "way.csv")
        np.testing.assert_allclose(way[:1], reconstruct(table, tmp_path / "t.csv")[4:5], rtol=1e-5)
        assert cells(tmp_path / "way.csv")[0] == ["a", "same", "b"]
        assert len(numbers(tmp_path / "way.csv")) == 3

    @pytest.mark.parametrize(
        ("a", "options", "words"),
        [
            (360, {}, "a is 360, but the test split has 360 examples: give a number from 0 to 359"),
            (-1, {}, "a is -1: give a whole number of at least 0"),
            ("digits", {}, "a is digits, which holds 1,797 examples: name one, as in digits#0"),
            ("digits#1797", {}, "a is digits#1797, but digits has 1,797 examples: give a number from 0 to 1796"),
            ("nope.png", {}, "'nope.png' does not exist"),
            (0, {"steps": 1}, "steps is 1: give a whole number of at least 2"),
            (0, {"out": "way.csv"}, "cannot hold images"),
            (np.zeros((2, 8, 8)), {}, "the input has shape"),
        ],
    )
    def test_wrong_ends_are_refused(self, a: Any, options: dict[str, Any], words: str, run: Run) -> None:
        with pytest.raises(InputError, match=words):
            interpolate(run, a, 1, **options)
