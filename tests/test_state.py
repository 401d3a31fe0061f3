"""The state file: what may be taken up and what is refused, with the run left as it was."""

import json
import re
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from small import finished, good, numbers, same, small, stopped

from vaekit import InputError, Run, train
from vaekit.run import STATE, WEIGHTS


def files(run: Run) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in run.path.iterdir() if path.is_file()}


def parts(run: Run) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Tensors and facts of a state."""
    with safe_open(run.path / STATE, "pt") as file:
        return load_file(run.path / STATE), json.loads(file.metadata()["facts"])


def rewrite(run: Run, tensors: dict[str, torch.Tensor], facts: str) -> None:
    save_file(tensors, run.path / STATE, {"facts": facts})


def refusal(run: Run, **changes: Any) -> str:
    """Resume a run, which is refused and leaves it as it was; return the sentence."""
    before = files(run)
    with pytest.raises(InputError) as caught:
        list(train(run.experiment.replace_all({"epochs": 5, **changes}), run.path, resume=True))
    assert files(run) == before
    return str(caught.value)


pytestmark = pytest.mark.usefixtures("every_step")


@pytest.fixture
def interrupted(every_step: None, tmp_path: Path) -> Run:
    """Stopped after five steps, in the middle of an epoch."""
    return stopped(small(ema=0.9), tmp_path / "run", 5)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"model.latent_dim": 5}, r"run was begun with another experiment \(model\.latent_dim is 2 in one and 5 in"),
        ({"objective": "wake_sleep"}, r"another experiment \(objective.*only epochs and training_samples may change"),
        ({"seed": 1}, "seed is 0 in one and 1 in the other"),
        ({"data.binarization": "static"}, "data.binarization is 'none' in one and 'static' in the other"),
    ],
)
def test_another_experiment_is_refused(changes: dict[str, Any], words: str, interrupted: Run) -> None:
    assert re.search(words, refusal(interrupted, **changes))


def test_fewer_epochs_than_are_trained_are_refused(tmp_path: Path) -> None:
    run = finished(small(epochs=2), tmp_path / "run")
    assert re.search(
        r"run is trained for 2\.005 epochs already, more than the 1 asked for: give more", refusal(run, epochs=1)
    )
    assert re.search("more than the 0.7955 asked for", refusal(run, training_samples=1000))
    assert Run(run.path).experiment.epochs == 2


def test_fewer_epochs_than_planned_are_taken_if_they_are_not_trained_yet(tmp_path: Path) -> None:
    run = stopped(small(epochs=50), tmp_path / "run", 5)
    assert same(finished(small(epochs=1), run.path, resume=True), finished(small(epochs=1), tmp_path / "whole"))


def test_trained_weights_without_their_state_are_refused(interrupted: Run) -> None:
    (interrupted.path / STATE).unlink()
    assert re.search(
        rf"run has trained weights but no {STATE}.*: restore that file, or train anew", refusal(interrupted)
    )


def test_the_state_of_another_run_is_refused(interrupted: Run, tmp_path: Path) -> None:
    other = stopped(small(ema=0.9, seed=1), tmp_path / "other", 5)
    (interrupted.path / STATE).write_bytes((other.path / STATE).read_bytes())
    assert re.search(
        "does not fit the run .*it belongs to another experiment: seed is 1 in one and 0 in the other",
        refusal(interrupted),
    )
    tensors, facts = parts(other)
    rewrite(interrupted, tensors, json.dumps(facts | {"experiment": None, "data": "0" * 64}))
    assert re.search("belongs to a training on other data", refusal(interrupted))


def test_states_of_version_0_1_0_resume_to_the_byte(interrupted: Run, tmp_path: Path) -> None:
    tensors, facts = parts(interrupted)
    old = {name: value for name, value in facts.items() if name not in ("experiment", "data")}
    rewrite(interrupted, tensors, json.dumps(old))
    assert same(finished(small(ema=0.9), interrupted.path, resume=True), finished(small(ema=0.9), tmp_path / "whole"))


FACTS: dict[str, tuple[str, str]] = {
    "negative": ("-3", "step is -3: give a number greater than or equal to 0"),
    "infinite": ("1e999", "step is inf: give a (finite|whole) number"),
    "large": ("1" + "0" * 400, "step"),
    "word": ('"x"', "step is 'x': give a whole number"),
    "nothing": ("null", "step is None: give a whole number"),
    "past the end": ("100000", "epochs already, more than the 5 asked for"),
}


@pytest.mark.parametrize(("value", "words"), FACTS.values(), ids=FACTS)
def test_facts_that_cannot_be_are_refused(value: str, words: str, interrupted: Run) -> None:
    tensors, facts = parts(interrupted)
    rewrite(interrupted, tensors, json.dumps(facts | {"step": "@"}).replace('"@"', value))
    assert re.search(words, refusal(interrupted))


def test_facts_that_are_missing_or_deep_are_refused(interrupted: Run) -> None:
    tensors, facts = parts(interrupted)
    rewrite(interrupted, tensors, json.dumps({name: value for name, value in facts.items() if name != "stale"}))
    assert re.search("stale is missing: give it", refusal(interrupted))
    rewrite(interrupted, tensors, "[" * 100_000)
    assert re.search("is damaged", refusal(interrupted))


Change = Callable[[dict[str, torch.Tensor]], object]
TENSORS: dict[str, tuple[Change, str]] = {
    "no moment": (lambda t: t.pop("optimizer.0.exp_avg_sq"), r"optimizer\.0\.exp_avg_sq is missing"),
    "no moments": (lambda t: [t.pop(n) for n in list(t) if "optimizer" in n], "state of the optimizer is missing"),
    "moment of another shape": (
        lambda t: t.update({"optimizer.0.exp_avg": torch.zeros(3)}),
        r"optimizer\.0\.exp_avg is float32 of shape \(3,\), where float32 of shape \(12, 64\) is needed",
    ),
    "moments of no weight": (
        lambda t: t.update({"optimizer.99.step": torch.zeros(())}),
        r"optimizer\.99.* is not part",
    ),
    "average": (lambda t: t.pop("average.n_averaged"), r"average\.n_averaged is missing"),
    "foreign best": (lambda t: t.update({"best.x": torch.zeros(1)}), r"best\.x is not part of this training"),
    "total of two": (
        lambda t: t.update({"total.kl": torch.zeros(2).double()}),
        r"total\.kl is float64 of shape \(2,\)",
    ),
    "foreign total": (lambda t: t.update({"total.x": torch.zeros(()).double()}), r"total\.x is not part"),
    "type": (lambda t: t.update({"model.posterior.head.bias": torch.zeros(4).double()}), "is float64 of shape"),
    "shape": (
        lambda t: t.update({"model.posterior.head.bias": torch.zeros(5)}),
        "'model.posterior.head.bias' does not",
    ),
    "no generator": (lambda t: t.pop("random.cpu"), r"random\.cpu is missing"),
    "generator": (lambda t: t["random.cpu"].fill_(255), "invalid|Invalid"),
    "other part": (lambda t: t.update({"x": torch.zeros(1)}), "x is not part of a state"),
}


@pytest.mark.parametrize(("change", "words"), TENSORS.values(), ids=TENSORS)
def test_tensors_that_do_not_fit_are_refused(change: Change, words: str, interrupted: Run) -> None:
    tensors, facts = parts(interrupted)
    change(tensors)
    rewrite(interrupted, tensors, json.dumps(facts))
    assert re.search(words, refusal(interrupted))


def test_best_weights_belong_to_a_best_bound(tmp_path: Path) -> None:
    experiment = small(early_stopping=3, evaluate_every=0.25)
    run = stopped(experiment, tmp_path / "run", 10)
    tensors, facts = parts(run)
    assert "best.posterior.head.bias" in tensors
    rewrite(run, {name: tensor for name, tensor in tensors.items() if not name.startswith("best.")}, json.dumps(facts))
    assert re.search(r"best\..* is missing", refusal(run))


def test_a_state_is_a_safetensors_file_with_json(interrupted: Run) -> None:
    content = (interrupted.path / STATE).read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    facts = json.loads(json.loads(content[8 : 8 + length])["__metadata__"]["facts"])
    assert facts["experiment"]["seed"] == 0
    assert facts["data"] == interrupted.space.digest


def test_rows_after_the_state_are_forgotten_only_when_training_goes_on(interrupted: Run, tmp_path: Path) -> None:
    interrupted.append_metrics(interrupted.metrics()[-1] | {"step": 999})
    assert re.search("another experiment", refusal(interrupted, seed=1))
    assert interrupted.metrics()[-1]["step"] == 999
    run = finished(small(ema=0.9), interrupted.path, resume=True)
    assert numbers(run) == numbers(finished(small(ema=0.9), tmp_path / "whole"))
    assert good(run)


def test_a_kill_between_state_and_weights_is_mended_by_resuming(tmp_path: Path) -> None:
    run = finished(small(), tmp_path / "run")
    weights = (run.path / WEIGHTS).read_bytes()
    (run.path / WEIGHTS).unlink()
    finished(small(), run.path, resume=True)
    assert (run.path / WEIGHTS).read_bytes() == weights
