"""Parts from outside: found only where their module is imported, checked, trained, saved and read again."""

import sys
from pathlib import Path
from typing import Any

import own_parts
import pytest
import torch
from small import finished, same, small, stopped
from torch import Tensor
from torch.distributions import Distribution, Normal

from vaekit import VAE, Builder, Conditional, Experiment, InputError, Loss, Run, Source, evaluate, report, sample
from vaekit.cli import main
from vaekit.compatibility import traits
from vaekit.data import Batch, Space

PARTS = {
    "model.prior": "own_parts:ShiftedPrior",
    "model.posterior": "own_parts:ScaledPosterior",
    "model.likelihood": "own_parts:NoisyBits",
    "model.network": "own_parts:Shallow",
    "objective": "own_parts:Tempered",
}


def own(*paths: str, **changes: Any) -> Experiment:
    """A small experiment on bits with some parts from outside."""
    bits = {"data__binarization": "threshold", "model__likelihood": "bernoulli", "epochs": 0.2}
    return small(**bits, **changes).replace_all({path: PARTS[path] for path in paths})


@pytest.mark.parametrize("path", PARTS)
def test_part_from_outside_trains_evaluates_samples_and_resumes_to_the_byte(path: str, tmp_path: Path) -> None:
    experiment = own(path)
    whole = finished(experiment, tmp_path / "whole", device="cpu")
    assert Run(whole.path).experiment == experiment
    part = experiment.objective if path == "objective" else getattr(experiment.model, path.removeprefix("model."))
    assert (part.kind, part.path) == ("own", PARTS[path])
    found = evaluate(whole, samples=5, images=20, device="cpu")
    assert found["log_evidence"]["value"] > found["elbo"]["value"]
    assert sample(whole, 3).shape == (3, 1, 8, 8)
    stopped(experiment, tmp_path / "stopped", step=2, device="cpu")
    assert same(finished(experiment, tmp_path / "stopped", resume=True, device="cpu"), whole)


def test_run_of_parts_from_outside_alone_is_reported(tmp_path: Path) -> None:
    run = finished(own(*PARTS), tmp_path / "run")
    report(run)
    assert "own_parts:Tempered" in (run.path / "report.html").read_text()


def test_settings_reach_the_class_and_are_part_of_the_experiment() -> None:
    experiment = own("model.prior").replace("model.prior.settings.scale", 0.5)
    assert experiment.model.prior.settings == (("scale", 0.5),)
    assert experiment.model.build((1, 8, 8)).prior.scale == 0.5
    assert Experiment.from_json(experiment.to_json()) == experiment
    assert hash(experiment) == hash(Experiment.from_json(experiment.to_json()))
    assert experiment.digest != own("model.prior").digest
    at_once = {"model.prior": "own_parts:ShiftedPrior", "model.prior.settings.scale": 0.5}
    assert own().replace_all(at_once) == experiment
    listed = experiment.replace("model.prior.settings", {"b": [1, [True, None]], "a": "word"})
    assert listed.model.prior.settings == (("a", "word"), ("b", (1, (True, None))))
    assert Experiment.from_json(listed.to_json()) == listed


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"a": {"b": 1}}, r"settings.a is \{'b': 1\}: give a number, a word"),
        ({"a": float("nan")}, "settings.a is nan: give a number"),
        ({"two words": 1}, "settings has the name 'two words'"),
        (3, r"settings is 3: give names and values, such as \{'beta': 2.0\}"),
    ],
)
def test_settings_are_plain_values(value: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        own("model.prior").replace("model.prior.settings", value)


def test_nothing_is_imported_to_load_and_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = finished(own("model.prior", "objective"), tmp_path / "run")
    (tmp_path / "hostile.py").write_text(f"open({str(tmp_path / 'executed')!r}, 'w')\nfrom own_parts import *\n")
    monkeypatch.syspath_prepend(tmp_path)
    text = (run.path / "experiment.json").read_text()
    (run.path / "experiment.json").write_text(text.replace("own_parts", "hostile"))
    run = Run(run.path)
    with pytest.raises(
        InputError, match=r"prior hostile:ShiftedPrior .* hostile is not imported: add --import hostile"
    ):
        evaluate(run)
    with pytest.raises(InputError, match="hostile is not imported"):
        finished(run.experiment, run.path, resume=True)
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("model.prior", "no_such_module:Prior", "prior no_such_module:Prior is a class of another package, and"),
        ("model.prior", "own_parts:ShiftPrior", "own_parts has no 'ShiftPrior': did you mean 'ShiftedPrior'?"),
        ("model.prior", "own_parts:Shallow", "prior own_parts:Shallow is not a class derived from vaekit.Conditional"),
        ("model.prior", "subprocess:Popen", "prior subprocess:Popen is not a class derived from vaekit.Conditional"),
        ("model.network", "own_parts:Tempered", "not a class derived from vaekit.Architecture"),
        ("objective", "own_parts:independent", "not a class derived from vaekit.Objective"),
        ("objective", "__main__:Mine", "keep the class in a file of its own, and import that"),
        ("objective", "vaekit:reproduce", "vaekit has no 'reproduce'"),
        ("model.prior", {"kind": "own", "path": "own_parts"}, "name a class as package.module:Class"),
        ("model.prior", {"kind": "own", "path": "own_parts:a b"}, "name a class as package.module:Class"),
    ],
)
def test_what_is_not_such_a_class_is_refused(path: str, value: Any, message: str, tmp_path: Path) -> None:
    assert "subprocess" in sys.modules
    with pytest.raises(InputError) as error:
        finished(own().replace(path, value), tmp_path / "run")
    assert message in str(error.value)
    assert not (tmp_path / "run").exists()


class NoSettings(Conditional):
    def __init__(self, builder: Builder) -> None:
        super().__init__()


class Unfinished(Conditional):
    """Fails where it is called."""

    def __init__(self, builder: Builder) -> None:
        super().__init__()

    def forward(self, c: Any = None) -> Distribution:
        raise KeyError("no such thing")


class PerUnit(Conditional):
    """A distribution of one latent, whose log_prob is one number per latent."""

    def __init__(self, builder: Builder) -> None:
        super().__init__()
        self.loc = torch.nn.Parameter(torch.zeros(builder.latent_dim))

    def forward(self, c: Any = None) -> Distribution:
        return Normal(self.loc, torch.ones_like(self.loc), validate_args=False)


class Failing(own_parts.Tempered):
    """Fails at the images that it is given after so many batches."""

    def __init__(self, vae: VAE, space: Space, batches: int = 0) -> None:
        super().__init__(vae, space)
        self.batches = batches

    def forward(self, vae: VAE, batch: Batch, *prepared: Tensor) -> Loss:
        self.batches -= 1
        return super().forward(vae, batch) if self.batches >= 0 else {}["term"]


class PerImage(own_parts.Tempered):
    """Returns a loss of each image."""

    def forward(self, vae: VAE, batch: Batch, *prepared: Tensor) -> Loss:
        return super().forward(vae, batch)._replace(value=-vae.draw(batch.x).log_weight[0])


class Mute(Conditional):
    """Does not say which data it is for."""

    def __init__(self, builder: Builder) -> None:
        super().__init__()


@pytest.mark.parametrize(
    ("path", "cls", "changes", "message"),
    [
        (
            "model.prior",
            NoSettings,
            {"settings": {"a": 1}},
            r"cannot be built .*TypeError.*mend the class, or its settings {'a': 1}",
        ),
        ("model.prior", Unfinished, {}, r"prior test_own:Unfinished fails.*KeyError: 'no such thing'"),
        ("objective", Failing, {}, r"objective test_own:Failing fails .*test_own\.py, line \d+ \(KeyError: 'term'\)"),
        (
            "objective",
            PerImage,
            {},
            r"objective PerImage returns Loss\(value=.*: return a vaekit.Loss whose value, bound",
        ),
        ("model.prior", PerUnit, {}, r"log_prob of the prior has shape \(1, 2, 2\) for 1 draws for each of 2 examples"),
        ("model.likelihood", Mute, {}, "likelihood test_own:Mute states supports None: give its class a tuple"),
    ],
)
def test_a_class_that_does_not_do_is_named(
    path: str, cls: type, changes: dict[str, Any], message: str, tmp_path: Path
) -> None:
    experiment = own().replace(path, {"kind": "own", "path": f"{__name__}:{cls.__name__}", **changes})
    with pytest.raises(InputError, match=message):
        finished(experiment, tmp_path / "run")
    assert not (tmp_path / "run").exists()


class Values(own_parts.ShiftedPrior):
    """Needs values while it is built, which the meta device does not have."""

    def __init__(self, builder: Builder) -> None:
        super().__init__(builder, scale=torch.ones(()).item())


def test_a_class_that_needs_values_is_built_where_there_are_some(tmp_path: Path) -> None:
    assert finished(own().replace("model.prior", f"{__name__}:Values"), tmp_path / "run").vae().prior.scale == 1


class Codes(Conditional):
    """One-hot vectors."""

    latents = "one_hot"


class Free(own_parts.Tempered):
    """Needs no encoder, and has no bound."""

    has = frozenset({"generative"})
    needs = {"posterior": {"fixed"}}  # noqa: RUF012


def test_what_a_class_states_decides_what_it_goes_with() -> None:
    assert traits(own("model.prior").model.prior) == {"real", "density", "factorized", "gaussian"}
    assert traits(own("model.posterior").model.posterior) == {"real", "encoder", "density", "pathwise"}
    with pytest.raises(InputError, match="posterior 'gaussian' and prior 'own' do not go together"):
        own().replace("model.prior", f"{__name__}:Codes")
    with pytest.raises(InputError, match="posterior 'gaussian' and objective 'own' do not go together"):
        own().replace("objective", f"{__name__}:Free")
    without = own().replace_all({"model.posterior": "standard_normal", "objective": f"{__name__}:Free"})
    with pytest.raises(InputError, match="early_stopping 3 needs an objective that reports a bound"):
        without.replace("early_stopping", 3)
    assert own("objective", early_stopping=3).early_stopping == 3


def test_what_is_not_imported_is_refused_when_it_is_built_and_not_before() -> None:
    experiment = own().replace("model.posterior", "no_such_module:Posterior").replace("early_stopping", 3)
    assert Experiment.from_json(experiment.to_json()) == experiment


@pytest.mark.parametrize("kind", ["printed_sampling", "printed_kl"])
def test_former_kinds_are_classes_of_the_studies_with_the_same_digest(kind: str) -> None:
    former = Experiment(data=Source(name="digits")).replace("objective", kind)
    assert former.objective.path.startswith("vaekit.studies.printed:Printed")
    assert former.objective.settings == (("beta", 1.0),)
    assert former.replace("objective", {"kind": "own", "path": former.objective.path}).digest == former.digest
    assert former.replace("objective", {"kind": kind, "beta": 0.5}).objective.settings == (("beta", 0.5),)
    assert former.replace("objective", {"kind": kind, "beta": 0.5}).digest != former.digest
    assert '"kind": "own"' in former.to_json()


LOSSES = """
from own_parts import *

class Mine(Tempered):
    pass
"""


def test_the_command_line_imports_what_it_is_told_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "losses_of_mine.py").write_text(LOSSES)
    (tmp_path / "broken_losses.py").write_text("1 / 0")
    words = ["train", "digits", "--epochs", "1", "--hidden", "8", "--objective", "losses_of_mine:Mine", "--no-report"]
    words += ["--set", "objective.settings.weight=0.25", "--run", "run", "--compile", "off"]
    assert main(words) == 2
    assert "add --import losses_of_mine if you trust it" in capsys.readouterr().err
    assert main([*words, "--import", "no_losses"]) == 2
    assert "--import no_losses: there is no such module among the installed packages or in" in capsys.readouterr().err
    assert main([*words, "--import", "broken_losses"]) == 2
    assert "its import fails (ZeroDivisionError: division by zero): mend the module" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
    assert main([*words, "--import", "losses_of_mine"]) == 0
    assert Run("run").experiment.objective.settings == (("weight", 0.25),)
    monkeypatch.delitem(sys.modules, "losses_of_mine")
    assert main(["train", "--resume", "--run", "run", "--epochs", "2", "--no-report"]) == 2
    assert main(["show", "run"]) == 0
    assert main(["evaluate", "run", "--images", "10", "--samples", "2"]) == 0  # without the loss
    assert (
        main(["train", "--resume", "--run", "run", "--epochs", "2", "--no-report", "--import", "losses_of_mine"]) == 0
    )


LATE = """
from vaekit import Loss, Objective
from vaekit.objectives import reported

class Late(Objective):
    batches = 0

    def __init__(self, vae, space):
        super().__init__()

    def forward(self, vae, batch, *prepared):
        Late.batches += 1
        terms = reported(vae, vae.draw(batch.x))
        return Loss(-terms["elbo"], terms["elbo"] if Late.batches < 9 else terms["bound"], terms)
"""


@pytest.mark.parametrize("debug", [False, True])
def test_an_error_of_a_class_of_the_users_is_a_sentence(
    debug: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delitem(sys.modules, "late_losses", raising=False)
    (tmp_path / "late_losses.py").write_text(LATE)
    words = ["train", "digits", "--epochs", "1", "--hidden", "8", "--objective", "late_losses:Late", "--run", "run"]
    assert main([*words, "--import", "late_losses", *(["--debug"] if debug else [])]) == 1
    said = capsys.readouterr().err
    file = tmp_path / "late_losses.py"
    assert f"vaekit: late_losses:Late fails in {file}, line 14 (KeyError: 'bound'): mend it; --debug" in said
    assert ("Traceback" in said) == debug
