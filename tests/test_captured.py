"""Steps without the host: those of a graph, here called one by one, against ordinary ones; and the noise of stacks."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from scipy.stats import kstest
from small import small
from test_stacks import mixed, stacked
from torch.utils._python_dispatch import TorchDispatchMode

from vaekit import Experiment, Run, RunError, train, train_stack
from vaekit.training import captured, noise
from vaekit.training.loop import Training
from vaekit.training.optimizers import SGD, Adagrad, Adam, Adamax, AdamW, RMSprop

BITS = {"data.binarization": "dynamic", "model.likelihood": "bernoulli"}
KINDS: dict[str, dict[str, Any]] = {
    "plain": {},
    "average": {"ema": 0.9, "gradient_norm": 5.0, "objective.beta_schedule": "warm_up"},
    "adagrad": {"optimizer": {"kind": "adagrad", "weight_decay": 0.1, "decayed": "matrices"}, **BITS},
    "rmsprop": {"optimizer": {"kind": "rmsprop", "momentum": 0.5}, "schedule": {"kind": "cosine", "warm_up": 0.5}},
    "convolutions": {"model.network": {"kind": "conv", "channels": [3], "strides": [2], "hidden": [8]}},
    "wake_sleep": {"objective": "wake_sleep", **BITS},
    "flow": {"model.posterior": "flow", "model.prior": "flow"},
    "holes": {"data.missing": 0.2, "optimizer": "adamw"},
}
OBJECTIVES = ("elbo", "importance", "info", "beta_tc", "dip", "capacity", "wake_sleep")


@pytest.fixture
def on_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take steps on the CPU as on a device with graphs, of which there are none here."""
    monkeypatch.setattr(captured, "CAPTURING", ("cpu",))


def weights(run: Path) -> dict[str, torch.Tensor]:
    return load_file(run / "weights.safetensors")


def apart(one: Path, other: Path) -> float:
    """The largest difference between weights."""
    ours, theirs = weights(one), weights(other)
    return max(float((ours[name] - theirs[name]).abs().max()) for name in ours)


def trained(experiment: Experiment, run: Path, stop: int | None = None, **options: Any) -> Path:
    reports = train(experiment, run, device="cpu", **options)
    for progress in reports:
        if stop is not None and progress.step >= stop:
            break
    reports.close()
    return run


def terms(run: Path) -> list[float]:
    parts = [part for row in Run(run).metrics() for part in row.values() if isinstance(part, dict)]
    return [number for part in parts for number in part.values()]


def bound(run: Run) -> float:
    return float(run.metrics()[-1]["validation"]["elbo"])


@pytest.mark.parametrize("kind", KINDS)
def test_steps_are_those_of_the_host(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    experiment = small(epochs=2).replace_all(KINDS[kind])
    plain = trained(experiment, tmp_path / "plain")
    monkeypatch.setattr(captured, "CAPTURING", ("cpu",))
    alike = trained(experiment, tmp_path / "alike")
    assert apart(plain, alike) < 1e-6
    assert terms(alike) == pytest.approx(terms(plain), rel=1e-5)


@pytest.mark.parametrize("kind", ["average", "adagrad"])
def test_resumed_steps_end_with_the_same_bytes(kind: str, tmp_path: Path, on_cpu: None) -> None:
    experiment = small(epochs=2).replace_all({**KINDS[kind], "evaluate_every": 0.3})
    whole = trained(experiment, tmp_path / "whole")
    trained(experiment, tmp_path / "parts", stop=3)
    parts = trained(experiment, tmp_path / "parts", resume=True)
    assert apart(whole, parts) == 0
    assert terms(parts) == terms(whole)


def test_a_state_of_captured_steps_continues_without_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    experiment = small(epochs=2).replace("evaluate_every", 0.3)
    whole = trained(experiment, tmp_path / "whole")
    with monkeypatch.context() as patch:
        patch.setattr(captured, "CAPTURING", ("cpu",))
        trained(experiment, tmp_path / "parts", stop=3)
    assert apart(whole, trained(experiment, tmp_path / "parts", resume=True)) < 1e-6


def test_a_loss_that_is_not_finite_stops_the_steps(tmp_path: Path, on_cpu: None) -> None:
    experiment = small(epochs=2).replace("optimizer.learning_rate", 1e20)
    with pytest.raises(RunError, match=r"batch of step 1, in epoch 1, is NaN or infinite \(first: .* after 0 steps"):
        trained(experiment, tmp_path / "run")
    assert all(tensor.isfinite().all() for tensor in weights(tmp_path / "run").values())


def test_a_failing_member_leaves_the_stack(tmp_path: Path, on_cpu: None) -> None:
    members = [small(epochs=2).replace("seed", i) for i in range(3)]
    members[1] = members[1].replace("optimizer.learning_rate", 1e20)
    paths = [tmp_path / str(i) for i in range(3)]
    with pytest.raises(RunError, match="step 1, in epoch 1, is NaN or infinite"):
        list(train_stack(members, paths, device="cpu"))
    assert [round(Run(path).metrics()[-1]["epoch"]) for path in paths] == [2, 0, 2]
    stacked([members[0], members[2]], tmp_path / "two")
    assert apart(paths[0], tmp_path / "two" / "0") < 1e-6  # the step that failed counted for nobody


@pytest.mark.parametrize(
    "changes", [{"gradient_norm": 5.0}, KINDS["adagrad"], {"objective.samples": 2}, KINDS["convolutions"]]
)
def test_members_do_not_depend_on_their_stack(changes: dict[str, Any], tmp_path: Path, on_cpu: None) -> None:
    members = mixed(changes)
    three, two = stacked(members, tmp_path / "three"), stacked(members[:2], tmp_path / "two")
    for ours, theirs in zip(three, two, strict=False):
        assert apart(ours.path, theirs.path) < 1e-6
    stacked(members, tmp_path / "parts", stop=3)
    for ours, theirs in zip(three, stacked(members, tmp_path / "parts", resume=True), strict=True):
        assert apart(ours.path, theirs.path) == 0


def test_a_stack_trains_as_well_as_its_members_alone(tmp_path: Path, on_cpu: None) -> None:
    members = [small(epochs=5).replace_all({"seed": i, **BITS}) for i in range(4)]
    together = [bound(run) for run in stacked(members, tmp_path / "stack")]
    alone = [bound(Run(trained(e, tmp_path / str(e.seed)))) for e in members]
    spread = np.std(alone, ddof=1) / 2
    assert abs(np.mean(together) - np.mean(alone)) < 4 * math.hypot(spread, np.std(together, ddof=1) / 2)


class Looking(TorchDispatchMode):
    """Whether the host looks at a number, which on a GPU would have it wait."""

    def __init__(self) -> None:
        super().__init__()
        self.looked: list[str] = []

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = str(function)
        if any(word in name for word in ("_local_scalar_dense", "nonzero", "normal.Tensor", "aten.equal")):
            self.looked.append(name)
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize("changes", [*KINDS.values(), *({"objective": {"kind": kind}, **BITS} for kind in OBJECTIVES)])
def test_the_host_looks_at_no_number(
    changes: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, on_cpu: None
) -> None:
    begun: list[Training] = []
    former = Training.__init__
    monkeypatch.setattr(Training, "__init__", lambda self, *args: [former(self, *args), begun.append(self)][0])
    reports = train(small(epochs=1).replace_all(changes), tmp_path / "run", device="cpu")
    next(reports)
    steps = begun[0].captured
    assert steps
    with torch.enable_grad(), Looking() as mode:
        steps.take()
    assert mode.looked == []
    reports.close()


def test_without_graphs_a_function_is_called() -> None:
    total = torch.zeros(())
    captured.Graphs(lambda: total.add_(1), [total], torch.device("cpu"), "fp32")(40)  # type: ignore[arg-type, return-value]
    assert float(total) == 40


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_graphs_call_a_function_as_often_as_asked() -> None:
    total, device = torch.zeros((), device="cuda"), torch.device("cuda")
    captured.Graphs(lambda: total.add_(1), [total], device, "fp32")(40)  # type: ignore[arg-type, return-value]
    waiting = captured.Graphs(lambda: total.add_(float(total > 0)), [total], device, "fp32")  # type: ignore[arg-type, return-value]
    waiting(40)
    assert float(total) == 80
    assert not waiting.graphs


@pytest.mark.parametrize(
    "spec",
    [
        Adam(weight_decay=0.1),
        AdamW(),
        Adamax(weight_decay=0.1),
        Adagrad(weight_decay=0.1),
        RMSprop(),
        RMSprop(momentum=0.5),
        SGD(learning_rate=0.1),
        SGD(learning_rate=0.1, momentum=0.5),
        SGD(learning_rate=0.1, momentum=0.5, nesterov=True),
    ],
    ids=repr,
)
def test_updates_are_torchs(spec: Any) -> None:
    torch.manual_seed(0)
    weight = torch.nn.Parameter(torch.randn(5, 3, dtype=torch.float64))
    optimizer = spec.build([weight])
    ours, kept = weight.detach().clone(), None
    for t in range(1, 6):
        weight.grad = torch.randn_like(weight)
        optimizer.step()
        if kept is None:
            names = [
                name for name, tensor in optimizer.state[weight].items() if torch.is_tensor(tensor) and tensor.ndim
            ]
            kept = {name: torch.zeros_like(ours) for name in names}
        rate = torch.tensor(spec.learning_rate, dtype=torch.float64)
        count = torch.tensor(float(t), dtype=torch.float64)
        ours, kept = spec.update(ours, weight.grad, rate, count, spec.weight_decay, **kept)
        torch.testing.assert_close(ours, weight.detach(), rtol=1e-12, atol=0)
    for name, tensor in kept.items():
        torch.testing.assert_close(tensor, optimizer.state[weight][name], rtol=1e-12, atol=0)


class TestNoise:
    KEY = noise.keys([0, 1, 2**63 - 1, -5])
    PLACES = noise.places_of(2, 500, 20, torch.device("cpu"))

    def test_it_follows_the_published_formula(self) -> None:
        key, counter, mask = int(self.KEY[1, 0]) % 2**64, (3 * noise.KINDS + 2 << noise.PLACES) + 7, 2**64 - 1
        y = x = counter * key & mask
        z = y + key & mask
        for added in (y, z, y):
            x = x * x + added & mask
            x = x >> 32 | x << 32 & mask
        found = noise.uniform(self.KEY[1:2], torch.tensor(3), 2, torch.tensor([7]))
        assert float(found) == ((x * x + z & mask) >> 32 >> 8) / 2**24

    @pytest.mark.parametrize("kind", [0, 1, 3])
    def test_uniform_numbers_are(self, kind: int) -> None:
        found = noise.uniform(self.KEY, torch.tensor(5), kind, self.PLACES)
        assert 0 <= float(found.min()) <= float(found.max()) < 1
        for row in found:
            assert kstest(row.numpy(), "uniform").pvalue > 1e-4

    def test_normal_numbers_are(self) -> None:
        first, second = (noise.normal(self.KEY, torch.tensor(step), self.PLACES) for step in (0, 1))
        for row in first:
            assert kstest(row.numpy(), "norm").pvalue > 1e-4
        everything = torch.cat([first, second])  # of other seeds and steps: uncorrelated
        correlation = torch.corrcoef(everything) - torch.eye(len(everything))
        assert float(correlation.abs().max()) < 5 / math.sqrt(len(self.PLACES))
        lagged = (first[:, 1:] * first[:, :-1]).mean(1)
        assert float(lagged.abs().max()) < 5 / math.sqrt(len(self.PLACES))

    def test_draws_do_not_depend_on_the_number_of_latents(self) -> None:
        few, many = (noise.places_of(2, 3, d, torch.device("cpu")).view(6, d) for d in (2, 5))
        assert torch.equal(few, many[:, :2])
