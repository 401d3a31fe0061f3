"""Experiments: values, JSON to and fro, changes by path, and what is chosen for whom."""

import itertools
import json
import logging
from collections.abc import Iterator
from dataclasses import FrozenInstanceError, is_dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest

from vaekit import Experiment, InputError, Model, Source, choices, choose
from vaekit.experiment import ADAPTER
from vaekit.likelihoods import Gaussian
from vaekit.networks import MLP
from vaekit.objectives import BetaTC, Critic, Factor
from vaekit.presets import PRESETS
from vaekit.schedules import Cosine, WarmUp
from vaekit.specs import options
from vaekit.training.optimizers import SGD

DIGITS = Experiment(data=Source(name="digits"))
RICH = Experiment(
    data=Source(name="faces/", split="0.8/0.2", binarization="threshold", seed=3, image_size=(28, 20)),
    model=Model(latent_dim=7, network=MLP(hidden=(300, 200)), likelihood=Gaussian(scale="pixel")),
    optimizer=SGD(learning_rate=0.1, momentum=0.9),
    schedule=Cosine(warm_up=2),
    training_samples=10**6,
    seed=2**62,
    ema=0.999,
    early_stopping=5,
).replace("objective.beta_schedule", {"kind": "warm_up", "epochs": 3})


@pytest.mark.parametrize("experiment", [DIGITS, RICH], ids=["plain", "rich"])
def test_json_to_and_fro(experiment: Experiment) -> None:
    again = Experiment.from_json(experiment.to_json())
    assert again == experiment
    assert hash(again) == hash(experiment)
    assert again.to_json() == experiment.to_json()
    assert again.digest == experiment.digest


def test_an_experiment_is_a_value() -> None:
    with pytest.raises(FrozenInstanceError):
        DIGITS.seed = 1
    changed = DIGITS.replace("seed", 1)
    assert (DIGITS.seed, changed.seed) == (0, 1)
    assert changed.replace("seed", 0) == DIGITS


def test_digest_is_of_the_fields_alone() -> None:
    assert len(DIGITS.digest) == 64
    shuffled = json.dumps(json.loads(DIGITS.to_json()), sort_keys=True)
    assert Experiment.from_json(shuffled).digest == DIGITS.digest
    assert len({DIGITS.replace(path, value).digest for path, value in CHANGES}) == len(CHANGES)


CHANGES: list[tuple[str, Any]] = [
    ("data.split", "0.8/0.2"),
    ("model.latent_dim", 3),
    ("model.network", "conv"),
    ("model.network.hidden", [3]),
    ("model.likelihood", "gaussian"),
    ("objective.beta", 2),
    ("objective.beta_schedule", "cyclic"),
    ("optimizer", "sgd"),
    ("optimizer.learning_rate", 0.5),
    ("schedule", {"kind": "milestones", "at": [3, 5]}),
    ("epochs", 0.5),
    ("early_stopping", 3),
]


@pytest.mark.parametrize(("path", "value"), CHANGES)
def test_replacing_changes_that_field_alone(path: str, value: Any) -> None:
    before, after = json.loads(DIGITS.to_json()), json.loads(DIGITS.replace(path, value).to_json())
    *parents, last = path.split(".")
    for parent in parents:
        assert {k: v for k, v in before.items() if k != parent} == {k: v for k, v in after.items() if k != parent}
        before, after = before[parent], after[parent]
    assert {k: v for k, v in before.items() if k != last} == {k: v for k, v in after.items() if k != last}
    assert before[last] != after[last]


def test_a_kind_that_is_named_again_keeps_its_fields() -> None:
    experiment = DIGITS.replace_all({"optimizer": "sgd", "optimizer.momentum": 0.5})
    assert experiment.replace("optimizer", "sgd") == experiment
    assert experiment.replace("optimizer", "adam") == DIGITS
    assert DIGITS.replace("objective.beta_schedule.kind", "warm_up").objective.beta_schedule == WarmUp()


def test_what_is_put_in_place_is_not_changed_by_what_follows() -> None:
    likelihood = {"kind": "gaussian", "scale": "fixed"}
    changes = {"model.likelihood": likelihood, "model.likelihood.fixed_scale": 1.0}
    experiment = Experiment(data=Source(name="digits")).replace_all(changes)
    assert experiment.model.likelihood == Gaussian(scale="fixed", fixed_scale=1.0)
    assert likelihood == {"kind": "gaussian", "scale": "fixed"}


def test_fields_that_go_together_are_checked_once_all_are_in_place() -> None:
    both = DIGITS.replace_all({"model.posterior": "delta", "objective": "reconstruction"})
    assert both.model.posterior.kind == "delta"
    with pytest.raises(InputError, match=r"'delta' and objective 'elbo' do not go together, .* 'reconstruction'"):
        DIGITS.replace("model.posterior", "delta")


@pytest.mark.parametrize("posterior", ["gaussian", "delta", "standard_normal"])
@pytest.mark.parametrize("objective", ["elbo", "wake_sleep", "reconstruction", "monte_carlo_em"])
def test_two_posteriors_have_an_objective_of_their_own(posterior: str, objective: str) -> None:
    changes = {"model.posterior": posterior, "objective": objective}
    if (posterior, objective) in {
        ("gaussian", "elbo"),
        ("gaussian", "wake_sleep"),
        ("delta", "reconstruction"),
        ("standard_normal", "monte_carlo_em"),
    }:
        assert DIGITS.replace_all(changes).objective.kind == objective
    else:
        with pytest.raises(InputError, match=f"'{posterior}' and objective '{objective}' do not go together"):
            DIGITS.replace_all(changes)


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("modle.latent_dim", 3, "'modle.latent_dim': experiment has no field 'modle'; did you mean 'model'?"),
        ("model.piror", "x", "'model.piror': model has no field 'piror'; did you mean 'prior'?"),
        ("model.network.hiden", [3], "model.network.hiden is not a field; did you mean 'hidden'?"),
        ("epochs.x", 3, "epochs has no field 'x'"),
        ("", 3, "experiment has no field ''; choose from batch_size, data"),
        ("model.likelihood", "bernouli", "model.likelihood 'bernouli' is unknown; did you mean 'bernoulli'?"),
        ("model.network", {"kind": "mlp", "hiden": [3]}, "model.network.hiden is not a field; did you mean 'hidden'?"),
        (
            "model.posterior",
            {"kind": "delta", "head": "log_scale"},
            "model.posterior.head is not a field: 'delta' has none, so leave it out",
        ),
        ("model", {"latent_dm": 3}, "model.latent_dm is not a field; did you mean 'latent_dim'?"),
        ("optimizer", "adm", "optimizer 'adm' is unknown; did you mean 'adam'?"),
        ("precision", "bf61", "precision 'bf61' is unknown; did you mean 'bf16'?"),
        ("data.binarization", "dynamc", "data.binarization 'dynamc' is unknown; did you mean 'dynamic'?"),
        ("epochs", -1, "epochs is -1: give a number greater than 0"),
        ("epochs", "ten", "epochs is 'ten': give a number"),
        ("epochs", float("nan"), "epochs is nan: give a finite number"),
        ("batch_size", 1.5, "batch_size is 1.5: give a whole number"),
        ("seed", 2**63, f"seed is {2**63}: give a number less than {2**63}"),
        ("ema", 1, "ema is 1: give a number less than 1"),
        ("model.network.hidden", 5, "model.network.hidden is 5: give a list, such as 300,300"),
        ("model.network.hidden", [0], "model.network.hidden[0] is 0: give a number greater than 0"),
        ("model.network.gated", "maybe", "model.network.gated is 'maybe': give true or false"),
        ("model.network.initialization", "x", "is 'x': give torch, glorot or a number"),
        ("optimizer.betas", [0.9], "optimizer.betas[1] is missing: give it"),
        ("model.prior", 3, "model.prior is 3: give an object with its kind and fields"),
        ("data.name", 5, "data is 5: give the name of a data set"),
    ],
)
def test_what_is_wrong_is_named_with_its_remedy(path: str, value: Any, words: str) -> None:
    with pytest.raises(InputError) as found:
        DIGITS.replace(path, value)
    assert words in str(found.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "this is not JSON: EOF"),
        ("[]", "give an object"),
        ("{}", "data is missing: give it"),
        ('{"data": {"name": "x"}, "epocs": 1}', "epocs is not a field; did you mean 'epochs'?"),
        ('{"data": {"nam": "x"}}', "is"),
        ("[" * 100_000, "this is not JSON"),
        (b"\xff\xfe", "this is not JSON"),
    ],
)
def test_json_that_is_wrong_is_explained(text: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        Experiment.from_json(text)


def fields(cls: Any, location: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every field of a spec and of every kind of its parts, but for the kinds' own names."""
    for name, field in cls.__pydantic_fields__.items():
        kinds = [kind for kind in get_args(field.annotation) or [field.annotation] if is_dataclass(kind)]
        if name != "kind" and len(kinds) != 1:
            yield (*location, name)
        for kind in kinds:
            yield from fields(kind, (*location, name, *((kind.kind,) if len(kinds) > 1 else ())))  # type: ignore[union-attr]


def test_options_cover_every_field_with_its_type() -> None:
    found = list(options(Experiment))
    assert {option.location for option in found} == set(fields(Experiment))
    assert len({option.location for option in found}) == len(found) > 60
    assert all(option.type for option in found)


def test_the_default_of_an_option_is_what_the_field_has() -> None:
    for option in options(Experiment):
        experiment, words = DIGITS, option.path.split(".")
        kinds = [part for part in option.location if part not in words]
        if "decoder_layers" in words or option.path == "data.name" or {"monte_carlo_em", "prior", "own"} & {*kinds}:
            continue
        for part, kind in itertools.pairwise(option.location):
            if kind in kinds:
                path = option.path[: option.path.index(part) + len(part)]
                experiment = experiment.replace(path, kind)
        assert experiment.replace(option.path, option.default) == experiment, option.path


@pytest.mark.parametrize("name", PRESETS)
def test_presets_are_valid(name: str) -> None:
    experiment = DIGITS.replace_all(PRESETS[name])
    shape = (1, 28, 20) if name == "aevb-frey" else (1, 28, 28)
    vae = experiment.model.build(shape)
    assert vae.likelihood(vae.prior().sample((2,))).mean.shape == (2, *shape)


class TestChoose:
    def test_later_words_win(self, tmp_path: Path) -> None:
        saved = DIGITS.replace_all({"model.latent_dim": 3, "epochs": 1, "batch_size": 7, "seed": 9})
        (tmp_path / "e.json").write_text(saved.to_json())
        found = choose(
            config=tmp_path / "e.json", preset="wei", epochs=3, latent_dim=5, set={"epochs": 4, "model.latent_dim": 6}
        )
        assert found.seed == 9  # config
        assert found.batch_size == 50  # preset before config
        assert choose(config=tmp_path / "e.json", preset="wei", batch_size=8).batch_size == 8  # flag before preset
        assert (found.epochs, found.model.latent_dim) == (4, 6)  # set before flag
        assert choose(config=tmp_path / "e.json") == saved
        assert choose("mnist", config=tmp_path / "e.json").data.name == "mnist"

    def test_naming_a_preset_s_kind_keeps_its_fields(self) -> None:
        assert choose("digits", preset="wei", network="mlp") == choose("digits", preset="wei")
        assert choose("digits", preset="wei", network="mlp").model.network.hidden == (512,)

    def test_flags_are_fields(self) -> None:
        found = choose(
            "digits", network="mlp", latent_dim=2, hidden=[30, 20], likelihood="bernoulli", beta=4, epochs=0.5,
            batch_size=10, optimizer="sgd", learning_rate=0.1, seed=3, precision="bf16", binarize="static",
        )  # fmt: skip
        by_path = {
            "model.latent_dim": 2, "model.network.hidden": [30, 20], "objective.beta": 4, "epochs": 0.5,
            "batch_size": 10, "optimizer": "sgd", "optimizer.learning_rate": 0.1, "seed": 3, "precision": "bf16",
            "data.binarization": "static",
        }  # fmt: skip
        assert found == DIGITS.replace_all(by_path)

    @pytest.mark.parametrize(
        ("array", "likelihood", "network"),
        [
            (np.random.default_rng(0).normal(size=(20, 3)), "gaussian", "mlp"),
            (np.random.default_rng(0).integers(0, 2, (20, 5, 5)), "bernoulli", "mlp"),
            (np.random.default_rng(0).integers(0, 256, (20, 28, 28), np.uint8), "gaussian", "mlp"),
            (np.random.default_rng(0).integers(0, 256, (20, 29, 28), np.uint8), "gaussian", "conv"),
            (np.random.default_rng(0).integers(0, 256, (20, 32, 32, 3), np.uint8), "gaussian", "conv"),
            (np.random.default_rng(0).integers(0, 256, (20, 8, 8, 3), np.uint8), "gaussian", "conv"),
            (np.random.default_rng(0).integers(0, 256, (20, 7, 9, 3), np.uint8), "gaussian", "mlp"),
        ],
    )
    def test_what_is_left_open_is_chosen_by_the_data(
        self, array: np.ndarray, likelihood: str, network: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO, logger="vaekit")
        np.save(tmp_path / "x.npy", array)
        found = choose(str(tmp_path / "x.npy"))
        assert (found.model.likelihood.kind, found.model.network.kind) == (likelihood, network)
        chosen = [record.getMessage() for record in caplog.records if record.getMessage().startswith("chosen: ")]
        assert [line.split()[1] for line in chosen] == [
            "model.network", "model.likelihood", "precision", "epochs", "evaluate_every", "early_stopping",
        ]  # fmt: skip
        assert all(" because " in line for line in chosen)

    @pytest.mark.parametrize(
        ("images", "words", "epochs", "every", "patience"),
        [
            (40, {}, 3000, 150, 5),  # all 32 training examples in one batch: a step per epoch
            (2500, {}, 150, 7, 5),
            (2500, {"batch_size": 10}, 15, 1, 5),
            (50_000, {}, 10, 1, None),
            (40, {"epochs": 3}, 3, 1, None),
            (40, {"set": {"training_samples": 320}}, 10, 1, None),
            (40, {"preset": "wei"}, 10, 1, None),
            (40, {"set": {"evaluate_every": 2}}, 3000, 2, None),
            (40, {"set": {"early_stopping": 2}}, 3000, 1, 2),
            (40, {"set": {"data.split": "0.8/0.2"}}, 3000, 150, None),  # no validation part to stop by
            (40, {"set": {"objective": "wake_sleep"}}, 3000, 150, None),
            (40, {"set": {"objective": "factor"}}, 3000, 150, None),  # its bound is not what it minimizes
            (40, {"set": {"objective": "importance"}}, 3000, 150, 5),
            (40, {"set": {"objective": {"kind": "elbo", "beta_schedule": {"kind": "warm_up"}}}}, 3000, 150, None),
            (40, {"beta": 2}, 3000, 150, 5),
        ],
    )
    def test_small_data_are_trained_for_thousands_of_steps(
        self, images: int, words: dict[str, Any], epochs: float, every: float, patience: int | None, tmp_path: Path
    ) -> None:
        np.save(tmp_path / "x.npy", np.random.default_rng(0).random((images, 3)))
        found = choose(tmp_path / "x.npy", **words)
        assert (found.epochs, found.evaluate_every, found.early_stopping) == (epochs, every, patience)

    def test_an_experiment_keeps_its_length(self, tmp_path: Path) -> None:
        (tmp_path / "e.json").write_text(DIGITS.to_json())
        assert choose(config=tmp_path / "e.json").epochs == 10

    @pytest.mark.parametrize(
        ("words", "activation", "initialization"),
        [
            ({"prior": "vamp"}, "relu", "glorot"),
            ({"prior": "mixture", "hidden": [30, 30]}, "relu", "glorot"),
            ({"prior": "vamp", "set": {"model.network.activation": "tanh"}}, "tanh", "torch"),
            ({"preset": "vampprior"}, "tanh", "glorot"),  # gated
            ({"preset": "iwae-1l", "prior": "vamp"}, "tanh", "glorot"),
            ({"network": "mlp", "prior": "vamp"}, "relu", "glorot"),
            ({}, "tanh", "torch"),
        ],
    )
    def test_a_learned_prior_gets_units_that_do_not_saturate(
        self, words: dict[str, Any], activation: str, initialization: str
    ) -> None:
        network = choose("digits28", **words).model.network
        assert isinstance(network, MLP)
        assert (network.activation, network.initialization) == (activation, initialization)

    @pytest.mark.parametrize("name", ["digits", "digits28", "t.csv"])
    def test_what_is_suggested_is_what_is_chosen(
        self, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        Path("t.csv").write_text("a,b,c\n" + "".join(f"{i % 7},{'xy'[i % 2]},{'pqr'[i % 3]}\n" for i in range(40)))
        source = Source(name=name)
        changes = {choice.path: choice.value for choice in choices.suggested(source, source.read())[0]}
        assert Experiment(data=source).replace_all(changes) == choose(name)

    def test_what_is_named_is_not_chosen(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.INFO, logger="vaekit")
        choose("digits", network="mlp", likelihood="bernoulli", precision="fp32", binarize="none", epochs=1)
        assert caplog.text == ""

    def test_wrong_words_are_refused_before_data_are_read(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(Source, "read", lambda *_: pytest.fail("the data were read"))
        for wrong in ({"preset": "aevb-mnits"}, {"epochs": -1}, {"likelihood": "bernouli"}, {"set": {"x": 1}}):
            with pytest.raises(InputError):
                choose("digits", **wrong)

    @pytest.mark.parametrize(
        ("words", "message"),
        [
            ({"preset": "aevb-mnits"}, "preset 'aevb-mnits' is unknown; did you mean 'aevb-mnist'?"),
            ({"config": Path("nope.json")}, "config nope.json cannot be read"),
            ({"data": "mnits"}, "did you mean 'mnist'?"),
        ],
    )
    def test_refusals(self, words: dict[str, Any], message: str) -> None:
        with pytest.raises(InputError) as found:
            choose(**({"data": None if "config" in words else "digits"} | words))
        assert message in str(found.value)

    def test_no_data(self) -> None:
        with pytest.raises(InputError, match="no data were named: give a set such as mnist"):
            choose()

    def test_config_that_is_wrong_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "e.json").write_text('{"data": {"name": "digits"}, "epochs": -2}')
        with pytest.raises(InputError, match=r"config .*e\.json: epochs is -2: give a number greater than 0"):
            choose(config=tmp_path / "e.json")


def test_values_of_settings() -> None:
    found = choices.fields(
        ["a=1", "b=0.5", "c=word", "d=1,2", "e=a,b", "f=[1]", "g=true", "h=null", 'i={"kind": "x"}', "j=x=y", "k="]
    )
    found |= choices.fields(["l=none"])
    assert found == {
        "a": 1, "b": 0.5, "c": "word", "d": [1, 2], "e": "a,b", "f": [1], "g": True, "h": None, "i": {"kind": "x"},
        "j": "x=y", "k": None, "l": None,
    }  # fmt: skip
    with pytest.raises(InputError, match="'model' has no value: write model=value"):
        choices.fields(["model"])


def test_resuming_takes_a_new_length_and_names_what_it_ignores(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="vaekit")
    found = choices.extend(DIGITS, {"epochs": 20, "batch_size": 7, "seed": 0, "data.name": "mnist"})
    assert found == DIGITS.replace("epochs", 20)
    lines = [record.getMessage() for record in caplog.records]
    assert lines[0] == "resume changes: epochs to 20"
    assert [line.split(",")[0] for line in lines[1:]] == [
        "resume ignores: batch_size 7",
        "resume ignores: data.name mnist",
    ]
    in_samples = DIGITS.replace("training_samples", 1000)
    assert choices.extend(in_samples, {"epochs": 20}) == in_samples
    assert choices.extend(in_samples, {"training_samples": 2000}).training_samples == 2000
    with pytest.raises(InputError, match="seed is -1"):
        choices.extend(DIGITS, {"seed": -1})


def test_fields_that_joined_later_change_no_older_digest() -> None:
    tree = ADAPTER.dump_python(DIGITS, mode="json")
    del (
        tree["data"]["label"],
        tree["data"]["ignore"],
        tree["data"]["columns"],
        tree["data"]["missing"],
        tree["data"]["sentinels"],
        tree["data"]["format"],
        tree["model"]["corruption"],
        tree["shuffle"],
        tree["optimizer"]["decayed"],
        tree["objective"]["free_bits_per"],
    )
    assert DIGITS.digest == sha256(json.dumps(tree, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
    changed = [DIGITS.replace("data.label", ""), DIGITS.replace("data.ignore", ["id"])]
    assert len({DIGITS.digest, *(experiment.digest for experiment in changed)}) == 3
    em = DIGITS.replace_all({"model.posterior": "standard_normal", "objective": "monte_carlo_em"})
    tree["model"]["posterior"] = {"kind": "standard_normal"}
    tree["objective"] = {"kind": "monte_carlo_em", "leapfrog": 10, "acceptance": 0.9, "starts": 100, "transitions": 20}
    assert em.digest == sha256(json.dumps(tree, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
    assert em.replace("objective.updates", 5).digest != em.digest


@pytest.mark.parametrize(
    "path",
    [
        "batch_size",
        "training_samples",
        "early_stopping",
        "seed",
        "model.latent_dim",
        "objective.samples",
        "data.seed",
        "epochs",
    ],
)
def test_numbers_beyond_64_bits_are_refused(path: str) -> None:
    with pytest.raises(InputError, match=rf"{path} is 1\D?0.*: give a number less than \d+"):
        Experiment(data=Source(name="digits")).replace(path, 10**23)


def test_a_part_of_a_part_whose_kind_was_just_chosen_can_be_set() -> None:
    changes = {"objective": "factor", "objective.critic.hidden": [9], "objective.critic.activation": "elu"}
    assert DIGITS.replace_all(changes).objective == Factor(critic=Critic(hidden=(9,), activation="elu"))
    changes = {"objective": "beta_tc", "objective.beta_schedule": "warm_up", "objective.beta_schedule.epochs": 3}
    assert DIGITS.replace_all(changes).objective == BetaTC(beta_schedule=WarmUp(epochs=3))
    with pytest.raises(InputError, match=r"objective\.critic\.hiden is not a field; did you mean 'hidden'"):
        DIGITS.replace_all({"objective": "factor", "objective.critic.hiden": [9]})
