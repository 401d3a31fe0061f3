"""The estimator: scikit-learn's own checks, results that do not depend on other rows, densities that integrate to 1."""

import io
import re
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas
import polars
import pytest
import torch
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from vaekit import Gaussian, InputError, RunError, encode, evaluate, impute, load, score
from vaekit.evaluation.evidence import evidence
from vaekit.folders import WEIGHTS
from vaekit.sklearn import VariationalAutoencoder

Small = partial(VariationalAutoencoder, latent_dim=2, hidden=(16,), epochs=3, samples=8, random_state=0)


def rows(n: int = 60) -> np.ndarray:
    """Three columns, the third a sum of the others, of unlike scales."""
    x = np.random.default_rng(0).normal(size=(n, 2))
    return np.column_stack([x[:, 0], 100 * x[:, 1] - 7, x.sum(1) + 0.1])


@pytest.fixture(scope="module")
def fitted() -> VariationalAutoencoder:
    """A fitted estimator, to be read only."""
    return Small().fit(rows())


@pytest.fixture(scope="module")
def trained_well() -> VariationalAutoencoder:
    """An estimator that knows how the columns depend on each other, to be read only."""
    return VariationalAutoencoder(2, hidden=(50,), epochs=400, random_state=0).fit(rows(300))


def dumped(estimator: Any) -> bytes:
    stream = io.BytesIO()
    joblib.dump(estimator, stream)
    return stream.getvalue()


@parametrize_with_checks([VariationalAutoencoder(hidden=(16,), epochs=2, samples=8)])
def test_scikit_learns_checks_pass(estimator, check):
    assert check(estimator) is None  # it raises where the contract is broken


@pytest.mark.slow
@parametrize_with_checks([VariationalAutoencoder()])
def test_scikit_learns_checks_pass_at_the_defaults(estimator, check):
    assert check(estimator) is None


class TestRows:
    @pytest.mark.parametrize("posterior", ["gaussian", "full_gaussian", "flow"])
    @pytest.mark.parametrize("method", ["transform", "score_samples", "decision_function", "predict"])
    def test_results_do_not_depend_on_other_rows(self, method, posterior):
        x = rows(300)
        of = getattr(Small(posterior=posterior, epochs=1).fit(x), method)
        whole, order = of(x), np.random.default_rng(1).permutation(len(x))
        assert np.array_equal(of(x[order]), whole[order])
        assert np.array_equal(of(x[7:150]), whole[7:150])
        assert np.array_equal(of(x[5:6]), whole[5:6])

    def test_score_is_a_density_of_the_columns_as_they_are_given(self):
        x = np.random.default_rng(0).normal(-50, 200, size=(300, 1))
        vae = VariationalAutoencoder(1, hidden=(16,), epochs=100, samples=300, random_state=0).fit(x)
        grid = np.linspace(-1500, 1500, 1500)[:, None]
        assert np.exp(vae.score_samples(grid)).sum() * (grid[1] - grid[0]) == pytest.approx(1, abs=0.02)
        normal = -0.5 * np.log(2 * np.pi * x.var()) - 0.5
        assert vae.score(x) == pytest.approx(normal, abs=0.15)

    def test_score_is_the_estimate_of_an_evaluation(self, fitted):
        space, x = fitted.run_.space, fitted.run_.space.encode_input(rows())
        with torch.random.fork_rng():
            expected = evidence(fitted.run_.vae(), x, 2000)["log_evidence"] + space.log_jacobian(x)
        found = clone(fitted).set_params(samples=2000).fit(rows()).score_samples(rows())
        assert np.median(abs(found - expected.numpy())) < 0.1  # a few rows are far away, where few draws count

    def test_codes_are_those_of_the_run_and_decode_to_the_units_of_the_columns(self, fitted):
        codes = fitted.transform(rows())
        assert codes == pytest.approx(
            fitted.run_.vae().encode(fitted.run_.space.encode_input(rows())).numpy(), abs=1e-5
        )
        back = fitted.inverse_transform(codes)
        assert back.shape == (60, 3)
        assert abs(back[:, 1].mean() - rows()[:, 1].mean()) < 60
        assert fitted.transform(rows().astype(np.float32)).dtype == np.float32

    def test_constant_columns_come_back(self):
        x = np.column_stack([rows(), np.full(60, 3.5)])
        vae = Small().fit(x)
        assert np.array_equal(vae.inverse_transform(vae.transform(x))[:, 3], x[:, 3])
        assert np.array_equal(vae.sample(5)[:, 3], np.full(5, 3.5))


class TestOutliers:
    def test_what_lies_far_away_is_an_outlier(self):
        x = rows(200)
        vae = Small(epochs=60, contamination=0.05).fit(x)
        assert vae.predict(np.array([[30.0, -3000, 60]])) == [-1]
        assert (vae.predict(x) == -1).mean() == pytest.approx(0.05, abs=1e-9)

    @pytest.mark.parametrize("share", [0, 0.6, -1])
    def test_a_share_beyond_half_is_refused(self, share):
        with pytest.raises(InputError, match=r"contamination is .*: give a share in \(0, 0.5\]"):
            Small(contamination=share).fit(rows())


class TestSample:
    def test_rows_are_those_of_the_random_state(self, fitted):
        assert np.array_equal(fitted.sample(5, random_state=1), fitted.sample(5, random_state=1))
        assert not np.array_equal(fitted.sample(5), fitted.sample(5))

    def test_they_have_the_units_of_the_columns(self):
        x = rows(300)
        found = VariationalAutoencoder(2, epochs=60, random_state=0).fit(x).sample(2000, random_state=0)
        assert found.mean(0) == pytest.approx(x.mean(0), abs=0.5 * x.std(0).max())
        assert found.std(0) == pytest.approx(x.std(0), rel=0.3)


class TestState:
    def test_parameters_are_stored_unchanged(self):
        given = {"hidden": [8], "likelihood": Gaussian(scale="pixel"), "set": {"shuffle": False}}
        vae = Small().set_params(**given)
        assert all(getattr(vae, name) is value for name, value in given.items())
        vae.fit(rows())
        assert all(getattr(vae, name) is value for name, value in given.items())
        assert clone(vae).get_params()["likelihood"] == given["likelihood"]
        assert (vae.run_.experiment.model.likelihood.scale, vae.run_.experiment.shuffle) == ("pixel", False)

    def test_a_pickle_has_the_weights_and_little_else(self, fitted):
        pickled = dumped(fitted)
        again = joblib.load(io.BytesIO(pickled))
        assert len(pickled) < len(fitted.run_.files[WEIGHTS]) + 50_000
        assert fitted.run_.files.keys() == {WEIGHTS}
        for method in ("transform", "score_samples", "predict"):
            assert np.array_equal(getattr(again, method)(rows()), getattr(fitted, method)(rows()))
        assert again.history_["epoch"].tolist() == fitted.history_["epoch"].tolist()

    def test_fitting_touches_nothing_else(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("TMPDIR", str(tmp_path))
        torch.manual_seed(3), np.random.seed(3)  # noqa: NPY002 (the generator that scikit-learn takes)
        before = torch.get_rng_state(), np.random.get_state()[1].tolist()  # noqa: NPY002
        threads, kind = torch.get_num_threads(), torch.get_default_dtype()
        vae = Small().fit(rows())
        vae.partial_fit(rows()).score_samples(rows())
        assert torch.equal(torch.get_rng_state(), before[0])
        assert np.random.get_state()[1].tolist() == before[1]  # noqa: NPY002
        assert (torch.get_num_threads(), torch.get_default_dtype()) == (threads, kind)
        assert torch.is_grad_enabled()
        assert list(tmp_path.iterdir()) == []

    def test_threads_may_use_it_at_the_same_time(self, fitted):
        expected, threads = fitted.score_samples(rows()), torch.get_num_threads()
        torch.set_num_threads(2)
        try:
            with ThreadPoolExecutor(4) as pool:
                found = [*pool.map(fitted.score_samples, [rows()] * 20)]
            with ThreadPoolExecutor(1) as another:
                assert another.submit(torch.get_num_threads).result() == torch.get_num_threads() == 2
        finally:
            torch.set_num_threads(threads)
        assert all(np.array_equal(each, expected) for each in found)

    def test_the_run_becomes_a_folder_that_vaekit_takes(self, fitted, tmp_path):
        frame = pandas.DataFrame(rows(), columns=["a", "b", "c"])
        vae = Small().fit(frame)
        run = vae.run_.to_folder(tmp_path / "run")
        assert run.experiment == vae.run_.experiment
        assert encode(run, frame) == pytest.approx(vae.transform(frame), abs=1e-6)
        assert load(run).history()["epoch"].tolist() == vae.history_["epoch"].tolist()
        found = evaluate(run, data=frame, samples=5)
        assert found["images"] == run.space.sizes["test"]
        with pytest.raises(InputError, match="holds a run already"):
            vae.run_.to_folder(tmp_path / "run")

    def test_history_is_a_table_of_the_terms(self, fitted):
        table = pandas.DataFrame(fitted.history_)
        assert {"epoch", "train.elbo", "validation.elbo"} <= {*table}
        assert table["epoch"].iloc[-1] >= 3


class TestPartialFit:
    def test_passes_add_up_and_learn(self):
        vae, x = Small(batch_size=20, learning_rate=0.01), rows(200)
        for _ in range(8):
            vae.partial_fit(x)
        assert vae.history_["epoch"].tolist() == pytest.approx(list(range(9)))
        assert vae.history_["step"].tolist() == list(range(0, 90, 10))
        assert vae.history_["train.elbo"][-1] > vae.history_["train.elbo"][0] + 0.3

    def test_a_pickle_goes_on_to_the_same_bits(self):
        x, vae = rows(), Small(optimizer="adamw")
        other = joblib.load(io.BytesIO(dumped(vae.partial_fit(x[:30]))))
        assert np.array_equal(vae.partial_fit(x[30:]).transform(x), other.partial_fit(x[30:]).transform(x))

    def test_it_goes_on_from_a_fit(self, fitted):
        vae = Small(learning_rate=1e-12).fit(rows())
        assert vae.partial_fit(rows()).transform(rows()) == pytest.approx(fitted_codes(vae), abs=1e-4)


def fitted_codes(vae: VariationalAutoencoder) -> np.ndarray:
    return clone(vae).fit(rows()).transform(rows())


class TestComposition:
    def test_in_a_pipeline(self):
        x, y = rows(), rows()[:, 0] > 0
        pipeline = make_pipeline(StandardScaler(), Small(), LogisticRegression())
        assert cross_val_score(pipeline, x, y, cv=2).shape == (2,)
        assert cross_val_score(Small(), x, cv=2).shape == (2,)

    def test_in_a_column_transformer_with_frames(self):
        frame = pandas.DataFrame(rows(), columns=["a", "b", "c"])
        both = ColumnTransformer([("vae", Small(), ["a", "b"]), ("rest", "passthrough", ["c"])])
        both.set_output(transform="pandas")
        assert [*both.fit_transform(frame).columns] == ["vae__z0", "vae__z1", "rest__c"]

    @pytest.mark.parametrize(("kind", "frame"), [("pandas", pandas.DataFrame), ("polars", polars.DataFrame)])
    def test_frames_come_out(self, kind, frame):
        given = frame(dict(zip("abc", rows().T, strict=True)))
        vae = Small().set_output(transform=kind).fit(given)
        found = vae.transform(given)
        assert isinstance(found, frame)
        assert ([*found.columns], [*vae.get_feature_names_out()]) == (["z0", "z1"], ["z0", "z1"])
        assert (vae.n_features_in_, vae.feature_names_in_.tolist()) == (3, ["a", "b", "c"])
        with pytest.raises(ValueError, match="feature names"):
            vae.transform(given[["b", "a", "c"]])

    @pytest.mark.slow
    def test_in_a_grid_search_with_two_jobs(self):
        grid = GridSearchCV(
            make_pipeline(StandardScaler(), Small()),
            {"variationalautoencoder__latent_dim": [1, 2]},
            cv=2,
            n_jobs=2,
        )
        assert len(grid.fit(rows()).cv_results_["mean_test_score"]) == 2


class TestValues:
    def test_bits_have_a_bernoulli_likelihood(self):
        x = np.random.default_rng(0).random((60, 9)) < 0.3
        vae = Small(likelihood="bernoulli").fit(x)
        assert vae.run_.space.support == "binary"
        assert (vae.score_samples(x) < 0).all()
        assert {*np.unique(vae.sample(10, random_state=0))} <= {0.0, 1.0}

    def test_rows_are_images_where_their_size_is_given(self):
        x = np.random.default_rng(0).integers(0, 256, (40, 64), np.uint8)
        vae = Small(image_size=8, likelihood="gaussian").fit(x)
        assert vae.run_.space.event_shape == (1, 8, 8)
        assert vae.inverse_transform(vae.transform(x)).shape == x.shape

    def test_gray_levels_become_bits_where_asked(self):
        x = np.random.default_rng(0).random((60, 9), np.float32)
        vae = Small(likelihood="bernoulli", binarize="dynamic").fit(x)
        assert vae.run_.space.binarization == "dynamic"
        with pytest.raises(InputError, match="partial_fit draws no bits"):
            vae.partial_fit(x)

    def test_few_rows_are_all_trained_on(self):
        vae = Small().fit(rows(4))
        assert vae.run_.space.sizes == {"train": 4, "test": 4}

    def test_a_model_without_density_has_codes_and_no_score(self):
        vae = Small(posterior="delta", objective="reconstruction").fit(rows())
        assert vae.transform(rows()).shape == (60, 2)
        assert np.isnan(vae.offset_)
        with pytest.raises(InputError, match=r"log p\(x\) needs a posterior that has a density"):
            vae.predict(rows())

    @pytest.mark.parametrize(
        ("parameters", "words"),
        [
            ({"latent_dim": 0}, "latent_dim"),
            ({"likelihood": "gausian"}, "did you mean 'gaussian'"),
            ({"set": {"model.latents": 3}}, "has no field 'latents'"),
            ({"set": 3}, "set is 3: give a dictionary"),
            ({"device": "tpu"}, "device 'tpu'"),
            ({"samples": 0}, "samples is 0"),
            ({"likelihood": "bernoulli"}, "bernoulli needs"),
        ],
    )
    def test_what_does_not_fit_is_named(self, parameters, words):
        with pytest.raises(InputError, match=words):
            Small(**parameters).fit(rows())

    def test_an_unfitted_one_says_so(self):
        for method in ("transform", "score_samples", "predict", "inverse_transform"):
            with pytest.raises(NotFittedError):
                getattr(Small(), method)(rows())
        with pytest.raises(NotFittedError):
            Small().sample()

    def test_a_loss_that_is_not_finite_is_explained(self):
        with pytest.raises(RunError, match="NaN or infinite"):
            Small(learning_rate=1e30, epochs=30).fit(rows())


class TestFrames:
    @pytest.fixture(params=[pandas.DataFrame, polars.DataFrame])
    def frame(self, request):
        x, random = rows(), np.random.default_rng(2)
        words = random.choice(["red", "green", "blue"], 60)
        return request.param({"size": x[:, 0], "color": words, "id": np.arange(60), "sold": x[:, 2] > 0})

    def test_words_and_truths_are_columns_of_their_kinds(self, frame):
        vae = Small().fit(frame)
        assert [column.kind for column in vae.run_.space.columns] == ["real", "category", "real", "binary"]
        assert vae.run_.experiment.model.likelihood.kind == "columns"
        assert vae.transform(frame).shape == (60, 2)
        assert np.array_equal(vae.score_samples(frame)[3:4], vae.score_samples(frame[3:4]))
        back = vae.sample(10)
        assert type(back) is type(frame)
        assert [*back.columns] == [*frame.columns]
        assert {*back["color"]} <= {"red", "green", "blue"}
        assert type(vae.inverse_transform(vae.transform(frame))) is type(frame)

    def test_kinds_can_be_set(self, frame):
        vae = Small(columns={"id": "count"}).fit(frame)
        assert vae.run_.space.columns[2].kind == "count"
        again = joblib.load(io.BytesIO(dumped(vae)))
        assert np.array_equal(again.score_samples(frame), vae.score_samples(frame))

    def test_its_folder_scores_and_fills_in_alike(self, frame, tmp_path):
        vae = Small().fit(frame)
        run = vae.run_.to_folder(tmp_path / "run")
        found = score(run, frame, units="file", draws=vae.samples, data=frame)
        assert np.array_equal(found.score, vae.score_samples(frame))
        given = type(frame)({name: [None] if name == "size" else frame[name][:1] for name in frame.columns})
        assert impute(run, given).values["size"][0] == vae.impute(given)["size"][0]

    def test_an_unknown_word_is_named(self, frame):
        vae = Small().fit(frame)
        with pytest.raises(InputError, match=r"column 'color' holds 'pink'.* one of 'blue', 'green', 'red'"):
            vae.transform(
                type(frame)({name: ["pink"] if name == "color" else frame[name][:1] for name in frame.columns})
            )


class TestHoles:
    def test_rows_with_missing_cells_are_learned_and_scored(self):
        x = rows()
        x[np.random.default_rng(3).random(x.shape) < 0.2] = np.nan
        vae = Small().fit(x)
        assert vae.run_.space.missing
        assert np.isfinite(vae.score_samples(x)).all()
        assert np.isfinite(vae.transform(x)).all()
        assert np.isfinite(vae.sample(10)).all()
        assert vae.score_samples(np.full((1, 3), np.nan)) == pytest.approx([0], abs=0.5)


class TestImpute:
    def test_missing_cells_are_what_the_others_say_and_those_stay(self, trained_well):
        x = rows(300)[:40]
        holes = np.arange(40) % 3
        given = x.copy()
        given[np.arange(40), holes] = np.nan
        found = trained_well.impute(given)
        there = ~np.isnan(given)
        assert np.array_equal(found[there], given[there])
        error = abs(found - x)[~there] / x.std(0)[holes]
        assert np.median(error) < 0.2  # the mean of each column is 0.67 away
        assert np.array_equal(trained_well.impute(given[7:8]), found[7:8])

    def test_draws_vary_about_it(self, trained_well):
        given = rows(300)[:5]
        given[:, 2] = np.nan
        copies = np.stack(trained_well.impute(given, draws=200, random_state=0))
        assert np.array_equal(copies, np.stack(trained_well.impute(given, draws=200, random_state=0)))
        assert copies.mean(0)[:, 2] == pytest.approx(trained_well.impute(given)[:, 2], abs=0.2)
        assert (copies.std(0)[:, 2] > 0).all()

    @pytest.mark.parametrize("kind", [pandas.DataFrame, polars.DataFrame])
    def test_frames_stay_frames_with_their_words(self, kind):
        x = rows()
        frame = {"size": x[:, 0], "color": np.where(x[:, 0] > 0, "red", "green"), "fixed": np.full(60, "a")}
        vae = Small(epochs=200).fit(kind(frame))
        given = kind({"size": [-2.0, None], "color": [None, "red"], "fixed": ["a", None]})
        found = vae.impute(given)
        assert type(found) is kind
        assert ([*found["color"]], [*found["fixed"]]) == (["green", "red"], ["a", "a"])
        assert found["size"][0] == -2
        assert found["size"][1] > 0

    def test_a_model_without_density_says_so(self):
        with pytest.raises(InputError, match="impute needs a posterior that has a density"):
            Small(posterior="delta", objective="reconstruction").fit(rows()).impute(rows())


class TestShowing:
    def test_a_notebook_shows_fitted_numbers(self, fitted):
        html = fitted._repr_mimebundle_()["text/html"]
        assert f"log p(x) below {fitted.offset_:.3f}" in html
        assert "3 epochs" in html
        assert "<svg" in html
        assert "log p(x) below" not in Small()._repr_mimebundle_()["text/html"]
        assert fitted._repr_html_().endswith("</div>")

    def test_verbose_shows_the_training(self, capfd):
        Small(verbose=True).fit(rows())
        assert "epoch" in capfd.readouterr().err


class TestCallbacks:
    @pytest.fixture(autouse=True)
    def known(self):
        pytest.importorskip("sklearn.callback", reason="scikit-learn has callbacks from 1.9 on")

    def test_they_see_the_epochs_and_stop_after_one(self):
        seen = []

        class Watch:
            def setup(self, estimator, context): ...
            def teardown(self, estimator, context): ...
            def on_fit_task_begin(self, estimator, context): ...
            def on_fit_task_end(self, estimator, context, *, X, fitted_estimator):  # noqa: N803
                seen.append((context.task_name, context.task_id, fitted_estimator.transform(X).shape))
                return context.task_id == 1

        vae = Small(epochs=10, batch_size=16).set_callbacks(Watch()).fit(rows())
        assert seen == [("epoch", 0, (60, 2)), ("epoch", 1, (60, 2)), ("fit", 0, (60, 2))]
        assert vae.transform(rows()).shape == (60, 2)
        assert Small(epochs=2, batch_size=16).fit(rows()).run_.files[WEIGHTS] == vae.run_.files[WEIGHTS]

    def test_a_progress_bar_counts_all_epochs(self, capsys):
        from sklearn.callback import ProgressBar

        Small(epochs=4).set_callbacks(ProgressBar()).fit(rows())
        assert "100%" in capsys.readouterr().out


@pytest.mark.slow
def test_the_guide_of_the_estimator_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    guide = (Path(__file__).parent.parent / "docs" / "guides" / "estimator.md").read_text(encoding="utf-8")
    names: dict[str, Any] = {}
    for block in re.findall(r"^```python\n(.*?)^```", guide, re.DOTALL | re.MULTILINE):
        exec(block, names)
    assert names["outliers"].mean() == pytest.approx(0.1, abs=0.01)
    assert [*names["new"].columns] == [*names["X"].columns]
    assert not names["filled"].isna().any(axis=None)
    assert names["vae"].history_["epoch"][-1] >= 99
