"""Compiled steps: the eager ones' numbers, and what happens where nothing can be compiled."""

import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from pydantic import TypeAdapter
from torch import Tensor

from vaekit.data import Batch, Space
from vaekit.errors import InputError
from vaekit.model import Model
from vaekit.networks import Conv
from vaekit.objectives import ELBO
from vaekit.training import steps
from vaekit.training.optimizers import Optimizer
from vaekit.training.steps import Descent, Step, wants_compiling

# In a process of its own: in this one every function checks its arguments, which cannot be compiled.
SCRIPT = """
import json, logging, sys, vaekit
from vaekit.training import steps
from vaekit.choices import choose

steps.WORTHWHILE = 10
logging.basicConfig(level=logging.INFO)
for (run, compile, resume, changes) in json.loads(sys.argv[1]):
    experiment = choose("digits", latent_dim=2, hidden=[20], set=changes)
    try:
        for report in vaekit.train(experiment, run, device="cpu", compile=compile, resume=resume):
            pass
    except vaekit.InputError as error:
        print(json.dumps(str(error)))
    else:
        rows = [[row["train"]["loss"], row["validation"]["loss"]] for row in vaekit.load(run).metrics()]
        print(json.dumps(rows))
"""


def trained(*trainings: tuple[Path, str, bool, dict[str, object]], **environment: str) -> tuple[list, str]:
    """Losses of trainings, or the errors that ended them, and what was logged."""
    plain = json.dumps([[str(run), *rest] for run, *rest in trainings])
    command = [sys.executable, "-W", "error", "-c", SCRIPT, plain]
    found = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr
    return [json.loads(line) for line in found.stdout.splitlines()], found.stderr


def test_compiled_steps_draw_the_same_numbers_and_a_resumed_run_goes_on_compiled(tmp_path: Path) -> None:
    half = {"epochs": 0.5, "evaluate_every": 0.5, "objective.beta_schedule": "warm_up"}
    whole = half | {"epochs": 1}
    eager, compiled, _, resumed = trained(
        (tmp_path / "eager", "off", False, whole),
        (tmp_path / "compiled", "on", False, whole),
        (tmp_path / "parts", "on", False, half),
        (tmp_path / "parts", "off", True, whole),
    )[0]
    assert len(eager) == 3
    assert (torch.tensor(compiled) / torch.tensor(eager) - 1).abs().max() < 1e-5
    assert compiled != eager  # else nothing was compiled: the last bits differ
    assert resumed == compiled


@pytest.mark.slow
def test_compiled_densities_are_the_eager_ones(tmp_path: Path) -> None:
    script = """
import logging, torch
from vaekit.evaluation.annealing import Annealing, annealed
from vaekit.evaluation.evidence import evidence
from vaekit.sharding import compile_densities
from vaekit.model import Model

logging.basicConfig(level=logging.INFO)
compile, compiled = torch.compile, []
torch.compile = lambda *args, **options: compiled.append(args) or compile(*args, **options)
torch.manual_seed(0)
vae = Model(latent_dim=2).build((1, 8, 8)).eval().requires_grad_(False)
x = torch.rand(7, 1, 8, 8).round()

def found():
    torch.manual_seed(1)
    return torch.stack([evidence(vae, x, 100)["log_evidence"], annealed(vae, x, Annealing(temperatures=4, chains=3))])

eager = found()
compile_densities(vae)
assert (found() - eager).abs().max() < 1e-4
assert len(compiled) == 1
"""
    run = subprocess.run([sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert "eager densities" not in run.stderr  # else they could not be compiled


@pytest.mark.slow
def test_without_a_compiler_steps_are_eager_unless_compiled_ones_were_asked_for(tmp_path: Path) -> None:
    poor = {"CXX": "no-such-compiler", "TORCHINDUCTOR_CACHE_DIR": str(tmp_path / "cache")}
    (error, rows), logged = trained(
        (tmp_path / "on", "on", False, {"epochs": 1}), (tmp_path / "auto", "auto", False, {"epochs": 1}), **poor
    )
    assert error.startswith("compile 'on' does not work on this machine (InvalidCxxCompiler: ")
    assert error.endswith("): choose auto or off")
    assert len(rows) == 2
    assert "chosen: compiled steps because there are" in logged
    assert "chosen: eager steps because they cannot be compiled" in logged


def test_the_number_of_steps_decides(caplog: pytest.LogCaptureFixture) -> None:
    def chosen(steps: int, matrices: bool = True, device: str = "cpu") -> list[bool]:
        return [wants_compiling(choice, steps, matrices, torch.device(device)) for choice in ("off", "auto", "on")]

    caplog.set_level(logging.INFO, logger="vaekit")
    assert chosen(steps.WORTHWHILE - 1) == [False, False, True]
    assert chosen(steps.WORTHWHILE, False) == [False, False, True]
    assert not caplog.text
    assert chosen(steps.WORTHWHILE) == [False, True, True]
    assert "--compile off" in caplog.text
    assert chosen(steps.WORTHWHILE, False, "cuda") == [False, True, True]
    with pytest.raises(InputError, match="compile 'always' is unknown: choose auto, on or off"):
        wants_compiling("always", 1, True, torch.device("cpu"))


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"kind": "adamw", "weight_decay": 0.1, "betas": (0.5, 0.9)},
        {"weight_decay": 0.5, "decayed": "matrices"},
        {"kind": "adamw", "weight_decay": 0.5, "decayed": "matrices"},
    ],
)
def test_a_whole_step_is_the_optimizers_own_and_changes_nothing_where_the_loss_is_no_number(changes: dict) -> None:
    x, space = torch.rand(20, 1, 8, 8).round(), Space.of((1, 8, 8))
    optimizer = TypeAdapter(Optimizer).validate_python({"kind": "adam", **changes})

    def stepped(whole: bool) -> list[Tensor]:
        torch.manual_seed(0)
        vae = Model(latent_dim=2, network=Conv(channels=(4,), strides=(2,))).build(space)
        step = Step(vae, ELBO().build(vae, space))
        descent = Descent(step, optimizer.build(step.parameters()), "fp32", None)
        if whole:
            descent.whole = steps.whole(step, descent.optimizer)
        for batch in (x, x / 0, x):
            for group in descent.optimizer.param_groups:
                group["lr"] /= 2
            torch.manual_seed(1)
            descent(Batch(batch))
        return [*step.parameters(), *(state["step"] for state in descent.optimizer.state.values())]

    for ours, theirs in zip(stepped(True), stepped(False), strict=True):
        assert torch.allclose(ours, theirs, rtol=1e-6, atol=1e-9)
