"""What the columns of a table are: told from their values, set by the user, and what a model knows of them later."""

import logging

import numpy as np
import palmerpenguins
import polars
import pytest
import torch
from small import finished

from vaekit import Experiment, Source, choose, encode, evaluate, report
from vaekit.data.columns import Column
from vaekit.data.inference import inferred
from vaekit.data.kinds import rounded
from vaekit.errors import InputError

RANDOM = np.random.default_rng(0)
N = 200
MIXED = {
    "age": RANDOM.poisson(3, N),
    "income": np.exp(RANDOM.normal(8, 1, N)).round(2),
    "height": RANDOM.normal(170, 10, N).round(1),
    "smokes": RANDOM.integers(0, 2, N),
    "city": RANDOM.choice(["Bern", "Genf", "Zug"], N),
    "color": RANDOM.choice(["red", "blue"], N),
    "open": RANDOM.choice([True, False], N),
    "size": RANDOM.choice([1, 2, 5], N),
    "country": np.full(N, "CH"),
}
KINDS = {
    "age": "count", "income": "positive", "smokes": "binary", "city": "category", "color": "category", "open": "binary",
}  # fmt: skip


@pytest.fixture
def mixed(tmp_path):
    frame = polars.DataFrame(MIXED)
    frame = frame.with_columns(
        polars.when(polars.int_range(N) % 9 == k).then(None).otherwise(polars.col(name)).alias(name)
        for k, name in enumerate(("age", "income", "height", "smokes", "city"))
    )
    frame.write_csv(tmp_path / "t.csv")
    return str(tmp_path / "t.csv")


def test_choosing_tells_the_kinds_and_says_so(mixed, caplog):
    caplog.set_level(logging.INFO, logger="vaekit")
    experiment = choose(mixed, epochs=1)
    assert dict(experiment.data.columns) == KINDS
    assert experiment.model.likelihood.kind == "columns"
    for sentence in (
        "chosen: age is a count (whole numbers from 0 to ",
        "chosen: smokes is binary (0 and 1)",
        "chosen: income is positive (positive numbers from ",
        "chosen: city is a category (words: 'Bern', 'Genf', 'Zug')",
        "chosen: open is binary (true and false)",
        "constant over the training rows are not learned: 'country'",
    ):
        assert sentence in caplog.text
    space = experiment.data.load().space
    assert (space.support, space.missing) == ("mixed", True)
    assert [column.kind for column in space.columns] == [KINDS.get(name, "real") for name in list(MIXED)[:-1]]
    assert Experiment.from_json(experiment.to_json()) == experiment


def test_many_columns_of_a_kind_are_chosen_on_one_line(tmp_path, caplog):
    caplog.set_level(logging.INFO, logger="vaekit")
    columns = {f"c{k}": RANDOM.poisson(2, 50) for k in range(9)}
    polars.DataFrame(columns).write_csv(tmp_path / "t.csv")
    choose(tmp_path / "t.csv")
    assert "chosen: 'c0', 'c1', 'c2', 'c3', 'c4' and 4 more are counts (such as whole numbers from 0 to" in caplog.text


def test_a_kind_that_is_set_stays(mixed):
    words = {"data.columns.age": "real", "data.columns.size": "ordinal", "data.columns.smokes": "category"}
    experiment = choose(mixed, set=words, epochs=1)
    assert dict(experiment.data.columns) == {**KINDS, "age": "real", "size": "ordinal", "smokes": "category"}
    columns = {column.name: column for column in experiment.data.load().space.columns}
    assert columns["size"].categories == ("1", "2", "5")
    assert columns["smokes"].categories == ("0", "1")


def test_numbers_stay_real_where_a_likelihood_is_named_that_takes_nothing_else(tmp_path):
    polars.DataFrame({name: MIXED[name] for name in ("age", "height", "smokes")}).write_csv(tmp_path / "t.csv")
    assert choose(tmp_path / "t.csv", likelihood="gaussian").data.columns == ()
    assert choose(tmp_path / "t.csv").model.likelihood.kind == "columns"


def test_a_table_of_bits_is_binary(tmp_path):
    polars.DataFrame({f"b{k}": RANDOM.integers(0, 2, 60) for k in range(3)}).write_csv(tmp_path / "t.csv")
    for words in ({}, {"likelihood": "bernoulli"}):
        experiment = choose(tmp_path / "t.csv", **words)
        assert experiment.data.load().space.support == "binary"
        assert experiment.model.likelihood.kind == "bernoulli"


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([0, 1, 1, 0], "binary"),
        ([0, 3, 1, 0, 2], "count"),
        (RANDOM.poisson(4, 100) + 0.5, None),
        (-RANDOM.poisson(4, 100), None),
        (RANDOM.integers(2007, 2010, 100), None),  # years
        (RANDOM.integers(0, 10**6, 100), None),  # many and large
        (np.exp(RANDOM.normal(size=100)), "positive"),
        (np.exp(RANDOM.normal(size=100)) - 1, None),
        (RANDOM.normal(100, 1, 100), None),
    ],
)
def test_kinds_of_numbers(values, kind):
    found = inferred(np.array(values, np.float64))
    assert (found and found.kind) == kind


@pytest.mark.parametrize(
    ("columns", "sentence"),
    [
        ({"hieght": "real"}, "t.csv has no column 'hieght': did you mean 'height'"),
        ({"height": "count"}, r"line \d+, column 'height' holds 1\d\d\.\d, which is not a whole number from 0 on.*"),
        ({"city": "real"}, "column 'city' holds '(Bern|Genf|Zug)', which is not a finite number"),
        ({"city": "binary"}, r"column 'city' is set to be binary .*has 3 different values \('Bern', 'Genf', 'Zug'\)"),
        ({"age": "positive"}, "column 'age' holds 0.0, which is not a finite number above 0"),
        ({"age": "cuont"}, "data.columns.age is 'cuont': did you mean 'count'"),
    ],
)
def test_kinds_that_do_not_fit_are_refused(mixed, columns, sentence):
    with pytest.raises(InputError, match=sentence):
        Source(name=mixed, columns=columns).load()


def rows_of(space, data):
    """All examples as the file has them."""
    return space.generated(torch.cat([data.train.x, data.validation.x, data.test.x]))


def test_a_model_finds_its_columns_in_any_table(mixed):
    data = choose(mixed, epochs=1).data.load()
    space, rows = data.space, rows_of(data.space, data)
    assert rows.dtype.names == tuple(MIXED)
    assert set(rows["country"].tolist()) == {"CH"}
    assert rows["open"].dtype == bool
    x = space.encode_input(rows)
    assert torch.allclose(x, torch.cat([data.train.x, data.validation.x, data.test.x]), atol=1e-5, equal_nan=True)
    frame = polars.DataFrame({name: rows[name] for name in rows.dtype.names}).with_columns(
        polars.col("city").replace("", None), extra=polars.lit("x")
    )
    turned = frame.select(list(reversed(frame.columns)))
    for table in (frame, turned, turned.to_pandas(), turned.to_arrow(), turned.drop("country"), frame.to_dict()):
        assert torch.equal(space.encode_input(table).nan_to_num(9), x.nan_to_num(9))


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("city", "Basel", "row 1, column 'city' holds 'Basel', which is not one of 'Bern', 'Genf', 'Zug'"),
        ("age", 2.5, "column 'age' holds 2.5, which is not a whole number from 0 on"),
        ("income", -1.0, "column 'income' holds -1.0, which is not a finite number above 0"),
        ("height", "tall", "column 'height' holds 'tall', which is not a finite number"),
        ("smokes", 2, "column 'smokes' holds 2.0, which is not 0 or 1"),
    ],
)
def test_cells_that_a_model_does_not_know_are_refused(mixed, name, value, sentence):
    data = choose(mixed, epochs=1).data.load()
    row = {name: values[:1].tolist() for name, values in MIXED.items()}
    data.space.encode_input(polars.DataFrame(row))
    with pytest.raises(InputError, match=sentence):
        data.space.encode_input(polars.DataFrame(row | {name: [value]}))
    del row[name]
    with pytest.raises(InputError, match=f"lacks 1 of the 8 columns that the model knows \\('{name}'\\)"):
        data.space.encode_input(polars.DataFrame(row))


def test_a_model_without_missing_values_refuses_them(tmp_path):
    polars.DataFrame({"a": RANDOM.normal(size=50), "b": RANDOM.normal(size=50)}).write_csv(tmp_path / "t.csv")
    space = Source(name=tmp_path / "t.csv").load().space
    with pytest.raises(InputError, match=r"has no value in row 2, column 'b', but .* has no missing values"):
        space.encode_input(np.array([[1.0, 2.0], [1.0, np.nan]]))


def test_constant_columns_of_arrays_come_back_after_a_reload(tmp_path):
    x = RANDOM.normal(size=(60, 3))
    x[:, 1] = 7
    np.save(tmp_path / "x.npy", x)
    run = finished(choose(tmp_path / "x.npy", latent_dim=1, hidden=[4], epochs=1), tmp_path / "run")
    data = run.data()
    assert data.space == run.space
    assert run.space.event_shape == (2,)
    assert np.array_equal(run.space.generated(data.train.x)[:, 1], np.full(48, 7))
    assert torch.allclose(run.space.encode_input(x[:5]), run.space.encode_input(x[:5][:, [0, 2]]))


def test_penguins_train_as_they_are(tmp_path):
    frame = palmerpenguins.load_penguins()
    experiment = choose(frame, latent_dim=2, hidden=[12], epochs=1, label="species")
    assert dict(experiment.data.columns) == {"island": "category", "sex": "category"}
    run = finished(experiment, tmp_path / "run", data=frame)
    assert run.space.classes == ("Adelie", "Chinstrap", "Gentoo")
    assert np.isfinite(run.metrics()[-1]["train"]["elbo"])
    assert run.data(place=frame).space == run.space


def test_examples_without_a_label_are_left_out_where_labels_count(tmp_path):
    frame = palmerpenguins.load_penguins()[["bill_length_mm", "flipper_length_mm", "sex"]]
    experiment = choose(frame, latent_dim=2, hidden=[12], epochs=1, label="sex")
    run = finished(experiment, tmp_path / "run", data=frame)
    assert (run.data(place=frame).train.labels == -1).any()
    found = evaluate(run, frame, metrics=["latents"], images=34)
    assert found["linear_probe"]["images"] == int((run.data(place=frame).test.labels >= 0).sum())
    assert report(run, data=frame).is_file()
    frame.to_csv(tmp_path / "t.csv", index=False)
    encode(run, tmp_path / "t.csv", out=tmp_path / "z.csv")
    labels = polars.read_csv(tmp_path / "z.csv")["label"].to_list()
    assert labels == [None if word != word else word for word in frame["sex"].tolist()]


@pytest.mark.parametrize("likelihood", ["gaussian", "columns"])
def test_arrays_with_missing_values_are_data(tmp_path, likelihood):
    x = RANDOM.normal(size=(60, 3))
    x[RANDOM.random(x.shape) < 0.2] = np.nan
    experiment = choose(x, latent_dim=1, hidden=[4], epochs=1, likelihood=likelihood)
    run = finished(experiment, tmp_path / "run", data=x)
    assert run.space.missing
    assert np.isfinite(run.metrics()[-1]["train"]["elbo"])
    assert np.isfinite(encode(run, x)).all()


@pytest.mark.parametrize(
    ("values", "support"),
    [
        (RANDOM.random((40, 6, 6)), "unit"),
        (RANDOM.integers(0, 256, (40, 6, 6)).astype(float), "byte"),
        (RANDOM.integers(0, 2, (40, 6, 6)).astype(float), "binary"),
    ],
)
def test_images_with_missing_pixels_are_data(tmp_path, values, support):
    values[RANDOM.random(values.shape) < 0.1] = np.nan
    run = finished(choose(values, latent_dim=1, hidden=[4], epochs=1), tmp_path / "run", data=values)
    assert (run.space.support, run.space.missing) == (support, True)
    data = run.data(place=values)
    x = torch.cat([data.train.batch(torch.arange(32)).x, data.test.batch(torch.arange(4)).x])
    assert 0.05 < x.isnan().float().mean() < 0.2
    assert (x.nan_to_num(0.5).min(), x.nan_to_num(0.5).max()) >= (0, 0.5)
    assert x.nan_to_num(0).max() <= 1
    assert torch.equal(run.space.encode_input(values).isnan()[:, 0], torch.from_numpy(np.isnan(values)))
    more = choose(values, latent_dim=1, hidden=[4], epochs=1, set={"data.missing": 0.3}).data.load(place=values)
    assert more.train.x.isnan().float().mean() > data.train.x.isnan().float().mean() + 0.1
    assert 0.9 < more.train.x.nan_to_num(0).max() <= 1


def test_codes_keep_the_labels_that_training_had(tmp_path):
    palmerpenguins.load_penguins().to_csv(tmp_path / "t.csv", index=False)
    experiment = choose(tmp_path / "t.csv", latent_dim=2, hidden=[12], epochs=1, label="species")
    encode(finished(experiment, tmp_path / "run"), tmp_path / "t.csv", out=tmp_path / "z.csv")
    assert polars.read_csv(tmp_path / "z.csv")["label"].unique().sort().to_list() == ["Adelie", "Chinstrap", "Gentoo"]


def test_outputs_have_the_decimals_of_the_file(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("year,length,x\n" + "".join(f"{2000 + i % 9},{i}.25,{i / 7 + 1}\n" for i in range(40)))
    space = Source(name=str(path), split="30/5/5").load().space
    assert [column.decimals for column in space.columns] == [0, 2, None]
    made = space.generated(np.full((2, 3), 0.123, np.float32))
    assert (made[:, 0] % 1 == 0).all()
    assert np.array_equal(made[:, 1], np.round(made[:, 1], 2))
    assert not np.array_equal(made[:, 2], np.round(made[:, 2], 6))


def test_rounding_keeps_positive_numbers_positive():
    column = Column(name="mass", kind="positive", decimals=1)
    assert rounded(column, np.array([0.01, 2.26, np.nan])) == pytest.approx([0.1, 2.3, np.nan], nan_ok=True)
