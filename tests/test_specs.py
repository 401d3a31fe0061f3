"""Specs made in Python: every wrong value is one sentence, and specs are values that copy and pickle."""

import copy
import inspect
import pickle
from dataclasses import replace
from typing import Annotated, Any

import numpy as np
import pytest
from pydantic import Field

from vaekit import Annealing, Experiment, InputError, Model, Source
from vaekit.data import Space
from vaekit.networks import MLP
from vaekit.specs import described, options, spec
from vaekit.training.optimizers import Adam


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: Model(latent_dim=-1), "latent_dim is -1: give a number greater than 0"),
        (lambda: Model(latent_dim="two"), "latent_dim is 'two': give a whole number"),
        (lambda: Model(latent_dims=2), "latent_dims is not a field; did you mean 'latent_dim'?"),
        (lambda: Model(3), "Model was given 3 without a name: write name=value"),
        (lambda: Model(network="conv"), "network is 'conv': give an object with its kind and fields"),
        (lambda: Experiment(), "data is missing: give it"),
        (lambda: Experiment(data=Source(name="digits"), epochs=-1), "epochs is -1: give a number greater than 0"),
        (lambda: Adam(learning_rate=np.zeros((40, 40))), "learning_rate is array([[0., 0., 0., .* give a number"),
        (lambda: Annealing(start="data"), "start 'data' is unknown; choose from better, encoder, prior"),
        (lambda: Space(source="x"), "event_shape is missing: give it"),
        (lambda: replace(MLP(), hidden=(0,)), "hidden[0] is 0: give a number greater than 0"),
    ],
)
def test_a_wrong_value_is_a_sentence(make: Any, sentence: str) -> None:
    with pytest.raises(InputError) as raised:
        make()
    beginning, _, end = sentence.partition(".* ")
    assert str(raised.value).startswith(beginning)
    assert str(raised.value).endswith(end)
    assert "\n" not in str(raised.value)
    assert raised.value.__cause__ is None


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"objective": "prior"}, "objective.weights is missing: give the digest .*'vaekit refit-prior' takes"),
        ({"model.prior.kind": "own"}, "model.prior.path is missing: give the class, as package.module:Class"),
    ],
)
def test_what_is_missing_is_described(changes: dict[str, str], sentence: str) -> None:
    with pytest.raises(InputError, match=f"^{sentence}"):
        Experiment(data=Source(name="digits")).replace_all(changes)
    with pytest.raises(InputError, match=r"^name is missing: give a named set, or the path of .* digest$"):
        Source()


def test_spaces_are_told_apart_as_keys() -> None:
    spaces = [Space.of((1, 8, 8)), Space.of((1, 8, 8)), Space.of((1, 8, 9))]
    assert len(set(spaces)) == 2


def test_a_wrong_value_inside_a_whole_is_named_by_its_path() -> None:
    with pytest.raises(InputError, match=r"^model\.latent_dim is -1: give a number greater than 0$"):
        Experiment.from_json('{"data": {"name": "digits"}, "model": {"latent_dim": -1}}')


def test_every_wrong_field_is_named_once() -> None:
    with pytest.raises(InputError) as raised:
        Experiment.from_json(
            '{"data": {"name": "digits", "image_size": "big"}, "epocs": 1, "model": {"network": {"kind": "mlp", '
            '"hidden": [0, -1], "initialization": "orthogonal"}}, "seed": -1}'
        )
    assert str(raised.value) == (
        "data.image_size is 'big': give a whole number. "
        "model.network.hidden[0] is 0: give a number greater than 0. "
        "model.network.initialization is 'orthogonal': give torch, glorot or a number. "
        "seed is -1: give a number greater than or equal to 0. "
        "epocs is not a field; did you mean 'epochs'?"
    )


def test_a_spec_is_copied_and_pickled() -> None:
    experiment = Experiment(data=Source(name="digits"), model=Model(latent_dim=3))
    for same in (pickle.loads(pickle.dumps(experiment)), copy.copy(experiment), copy.deepcopy(experiment)):
        assert same == experiment
        assert hash(same) == hash(experiment)
    assert replace(experiment, seed=1).seed == 1


@spec
class Place:
    x: float = 0.0
    """where it is"""
    name: Annotated[str, Field(description="what it is called")] = ""


@spec
class Tower(Place):
    height: float = 1.0


def test_a_field_is_documented_by_the_line_below_it_or_by_its_description() -> None:
    fields = [(option.path, option.description) for option in options(Tower)]
    assert fields == [("x", "where it is"), ("name", "what it is called"), ("height", "")]
    assert [each.meaning for each in described(Tower(x=1))] == ["where it is", "what it is called", ""]


def test_sources_are_not_read_where_specs_are_made(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("getsource", "getsourcelines", "getsourcefile", "findsource"):
        monkeypatch.setattr(inspect, name, lambda *given: pytest.fail("read"))

    @spec
    class Silent:
        x: float = 0.0
        """where it is"""

    assert Silent(x=2).x == 2
