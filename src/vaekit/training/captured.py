"""Steps on a CUDA device, captured as graphs: the host starts many at once, and waits only to read what they found."""

import copy
import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from vaekit import devices
from vaekit.data import Batch
from vaekit.devices import Precision
from vaekit.objectives import Objective
from vaekit.schedules import Constant
from vaekit.training.compiling import Compiled
from vaekit.training.optimizers import Adam, AdamW, Optimizer, moments
from vaekit.training.steps import Step

if TYPE_CHECKING:
    from vaekit.training.loop import Training

log = logging.getLogger("vaekit")

AHEAD = 512
"""steps whose rows and scheduled numbers are on the device at a time"""
CAPTURING = ("cuda",)
"""kinds of devices on which steps are captured"""
BETWEEN_READS = 1.0
"""seconds after which the host looks at what steps found"""
REPEATED = 16
"""steps of the longer graph"""

WAITED = "synchronizing CUDA operation"
"""words of torch's error"""

OfSteps = Callable[[int, int], Tensor]
"""(first step, how many) → something of each of these steps, (how many, ...)"""


class Graphs:
    """A function of nothing but tensors that stay where they are, captured once on its own and once repeated.

    Where there are no graphs, or it waits for the device, which cannot be captured, it is called time after time.

    Args:
        function: what is captured; the first calls, which make what it needs, are ordinary ones.
        changed: the tensors that it changes.
        device: where its tensors are.
        precision: of its matrix products.
    """

    def __init__(
        self, function: Callable[[], None], changed: Sequence[Tensor], device: torch.device, precision: Precision
    ) -> None:
        self.function, self.changed, self.device, self.precision = function, changed, device, precision
        self.graphs: dict[int, torch.cuda.CUDAGraph] = {}
        self.ordinary: float = 2 if device.type == "cuda" else math.inf

    def __call__(self, times: int) -> None:
        """Call the function so many times."""
        with devices.products(self.precision):
            while times:
                times -= self.call(times)

    def call(self, most: int) -> int:
        """Call the function at most so many times; return how many times."""
        if self.ordinary:
            self.ordinary -= 1
            return self.begin() if self.device.type == "cuda" else self.once()
        repeats = REPEATED if most >= REPEATED else 1
        self.graph(repeats).replay()
        return repeats

    def once(self) -> int:
        self.function()
        return 1

    def begin(self) -> int:
        """Call the function on a stream of its own, as is asked for before a capture; see at last whether it waits."""
        side, stream = torch.cuda.Stream(self.device), torch.cuda.current_stream(self.device)
        side.wait_stream(stream)
        with torch.cuda.stream(side):
            called = self.once() if self.ordinary else self.tried()
        stream.wait_stream(side)
        return called

    def tried(self) -> int:
        """Call the function unless it waits for the device; then nothing has changed, and it is not captured."""
        before, random = [tensor.detach().clone() for tensor in self.changed], devices.random_state(self.device)
        torch.cuda.set_sync_debug_mode("error")
        try:
            return self.once()
        except RuntimeError as error:
            if WAITED not in str(error):
                raise
        finally:
            torch.cuda.set_sync_debug_mode("default")
        log.info("chosen: steps that are not captured, because they wait for the device")
        for tensor, former in zip(self.changed, before, strict=True):
            tensor.detach().copy_(former)
        devices.set_random_state(random, self.device)
        self.ordinary = math.inf
        return 0

    def graph(self, repeats: int) -> "torch.cuda.CUDAGraph":
        """Return the graph of so many calls."""
        if repeats not in self.graphs:
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph):
                for _ in range(repeats):
                    self.function()
            self.graphs[repeats] = graph
        return self.graphs[repeats]


class Ahead:
    """What the steps ahead need besides weights, on the device: the rows of their batches, and scheduled numbers.

    Args:
        rows: (step, n) → row numbers of n steps, (n, *rows).
        scheduled: (step, n) → the numbers that are scheduled for n steps, (n, *numbers).
        first: the next step.
        device: where they are needed.
    """

    def __init__(self, rows: OfSteps, scheduled: OfSteps, first: int, device: torch.device) -> None:
        self.of_rows, self.of_numbers, self.device = rows, scheduled, device
        self.first = self.next = first
        self.place = torch.zeros(1, dtype=torch.int64, device=device)
        self.step = torch.full((), first, dtype=torch.int64, device=device)
        self.rows, self.numbers = rows(first, AHEAD).to(device), scheduled(first, AHEAD).to(device)
        self.passed: torch.cuda.Event | None = None

    def now(self) -> tuple[Tensor, Tensor]:
        """Return rows and numbers of the step that is being taken."""
        return self.rows.index_select(0, self.place)[0], self.numbers.index_select(0, self.place)[0]

    def advance(self, taken: Tensor) -> None:
        """Go on to the next step, if one was taken, a number that is 0 or 1."""
        self.place += taken
        self.step += taken

    @property
    def left(self) -> int:
        """Steps that can be taken before ``fill``."""
        return self.first + AHEAD - self.next

    def fill(self) -> None:
        """Put the next steps on the device; the host waits here until it is no more than a window ahead."""
        rows, numbers = self.of_rows(self.next, AHEAD), self.of_numbers(self.next, AHEAD)
        if self.passed:
            self.passed.synchronize()
        self.first = self.next
        for target, source in ((self.rows, rows), (self.numbers, numbers)):
            target.copy_(source.pin_memory() if self.device.type == "cuda" else source, non_blocking=True)
        self.place.zero_()
        if self.device.type == "cuda":
            self.passed = torch.cuda.Event()
            self.passed.record()

    def through(self, graphs: Graphs, steps: int) -> None:
        """Have so many steps taken."""
        while steps:
            if not self.left:
                self.fill()
            now = min(steps, self.left)
            graphs(now)
            self.next += now
            steps -= now


class Pace:
    """How many steps are started at once: so many that they take about a second."""

    def __init__(self) -> None:
        self.steps, self.last = AHEAD, time.perf_counter()

    def read(self) -> None:
        """Take note that what steps found was read."""
        now = time.perf_counter()
        if now - self.last < BETWEEN_READS / 2:
            self.steps *= 2
        self.last = now


class Found(NamedTuple):
    """What steps found until now.

    Attributes:
        failed: whether the loss of one was NaN or infinite, after which none was taken.
        step: steps taken.
        totals: sums over steps since they were last set, by name.
    """

    failed: bool
    step: int
    totals: dict[str, float]


class Captured:
    """The steps of a training, each a whole: gather, binarize, forward, backward, update, average.

    Losses are summed on the device. A step whose loss is NaN or infinite changes nothing, and neither do those after.

    Args:
        training: whose steps these are.
    """

    def __init__(self, training: "Training") -> None:
        self.training = training
        self.device, experiment = training.device, training.experiment
        self.split, self.module = training.data.train, training.descent.step
        self.gradient_norm = experiment.gradient_norm
        self.cast = cast_to(experiment.precision)
        self.spec, self.average = experiment.optimizer, training.average or None
        self.momentum = experiment.ema
        self.weights = Weights(training.optimizer, experiment.optimizer, training.step)
        self.buffers = list(scheduled_buffers(training.objective).values())
        self.ahead = Ahead(training.order.batches, scheduled(training), training.step, self.device)
        self.failed = torch.zeros((), device=self.device)
        x = torch.zeros(1, *training.data.space.event_shape, device=self.device)
        self.names = tuple(names(self.module, x))
        self.totals = torch.zeros(len(self.names), dtype=torch.float64, device=self.device)
        self.set(training.totals)
        self.function: Callable[[], None] = self.take
        self.graphs = Graphs(self.run, self.changed, self.device, experiment.precision)
        self.first, self.random = training.step, self.offset
        self.pace = Pace()

    @property
    def changed(self) -> list[Tensor]:
        """The tensors that a step changes."""
        average = [self.average.n_averaged, *tensors(self.average.module)] if self.average else []
        own = [self.ahead.place, self.ahead.step, self.failed, self.totals]
        return [*own, *tensors(self.module), *self.weights.kept_tensors, *average]

    def compile(self, batch: Batch, asked: bool) -> None:
        """Have the steps compiled at the first one, as those of ``Descent`` are."""
        self.function = Compiled(self.take, "steps", asked)

    @property
    def compiled(self) -> bool:
        """Whether steps are compiled."""
        return isinstance(self.function, Compiled) and not self.function.failed

    def run(self) -> None:
        """Take a step, by compiled code or without."""
        self.function()

    def take_some(self) -> None:
        """Have steps taken that end before an evaluation; the host does not wait for them."""
        training, began = self.training, time.perf_counter()
        steps = min(self.pace.steps, training.evaluated_after(training.step) - training.step)
        self.ahead.through(self.graphs, steps)
        training.counted += steps
        training.step += steps
        training.busy += time.perf_counter() - began

    def settle(self) -> None:
        """Wait for the steps and let the training have what they found; fail if a loss was NaN or infinite."""
        training, began = self.training, time.perf_counter()
        found = self.read()
        training.busy += time.perf_counter() - began
        training.totals = found.totals if training.counted else {}
        self.weights.count(found.step)
        if found.failed:
            training.counted += found.step - training.step
            training.step = found.step
            self.restore_random(found.step)
            batch = self.split.batch(training.order.rows(found.step))
            with devices.autocast(self.device, self.cast):
                raise training.failure(self.module, batch, training.batch_name)

    def take(self) -> None:
        """Take a step, with nothing but tensors on the device."""
        rows, numbers = self.ahead.now()
        for buffer, number in zip(self.buffers, numbers[1:], strict=True):
            buffer.copy_(number)
        batch = self.split.batch(rows)
        with devices.autocast(self.device, self.cast):
            loss = self.module(batch)
        gradients = torch.autograd.grad(loss.value, self.weights.tensors, allow_unused=True)
        with torch.no_grad():
            self.failed.copy_(torch.maximum(self.failed, (~loss.value.isfinite()).float()))
            good = 1 - self.failed
            self.weights.update(clipped(gradients, self.gradient_norm), numbers[0], self.failed)
            if self.average is not None and self.momentum is not None:
                follow(self.average, self.module.vae, self.momentum, good)
            found = torch.stack(list(loss.named.values())).double()
            self.totals += torch.where(good > 0, found, torch.zeros_like(found))
            self.ahead.advance(good.long())

    def set(self, totals: Mapping[str, float]) -> None:
        """Set the sums over steps; those that are not given are zero."""
        self.totals.copy_(torch.tensor([totals.get(name, 0.0) for name in self.names], dtype=torch.float64))

    def read(self) -> Found:
        """Wait for the steps, and return what they found."""
        facts = torch.cat([self.failed[None].double(), self.ahead.step[None].double(), self.totals])
        failed, step, *totals = facts.tolist()
        self.pace.read()
        return Found(bool(failed), int(step), dict(zip(self.names, totals, strict=True)))

    @property
    def offset(self) -> int:
        """How many numbers the device's generator has drawn."""
        return int(torch.cuda.get_rng_state(self.device).view(torch.int64)[1]) if self.device.type == "cuda" else 0

    def restore_random(self, step: int) -> None:
        """Have the generator draw the numbers of a step once more; all steps draw as many."""
        if self.device.type == "cuda":
            each = (self.offset - self.random) // (self.ahead.next - self.first)
            state = torch.cuda.get_rng_state(self.device)
            state.view(torch.int64)[1] = self.random + each * (step - self.first)
            torch.cuda.set_rng_state(state, self.device)


class Weights:
    """The weights of a model with what its optimizer keeps of them, and how a step changes both.

    Args:
        optimizer: torch's, of the weights; its state is used as it is.
        spec: what it was built from.
        step: steps taken so far.
    """

    def __init__(self, optimizer: torch.optim.Optimizer, spec: Optimizer, step: int) -> None:
        self.spec, self.groups = spec, optimizer.param_groups
        self.tensors: list[Tensor] = [w for group in self.groups for w in group["params"]]
        self.decays = [group["weight_decay"] for group in self.groups for _ in group["params"]]
        self.kept = moments(spec)
        for w in self.tensors:
            state = optimizer.state[w]
            for name, shaped in self.kept.items():
                like = w.detach() if shaped else w.new_zeros(())
                state[name] = state[name].to(w.device) if name in state else torch.zeros_like(like)
        self.states = [optimizer.state[w] for w in self.tensors]
        self.steps = torch.full((), float(step), device=self.tensors[0].device)

    @property
    def kept_tensors(self) -> list[Tensor]:
        """What is kept of all weights, and the number of steps."""
        return [self.steps, *(tensor for state in self.states for tensor in state.values())]

    def update(self, gradients: Sequence[Tensor | None], rate: Tensor, failed: Tensor) -> None:
        """Change weights and what is kept of them, in place, unless ``failed`` is 1; weights without gradient stay."""
        self.steps += 1 - failed
        if isinstance(self.spec, Adam | AdamW) and not torch.compiler.is_compiling():
            return self.fused(self.spec, gradients, rate, failed)
        for w, g, decay, state in zip(self.tensors, gradients, self.decays, self.states, strict=True):
            if g is None:
                continue
            kept = {name: state[name] for name, shaped in self.kept.items() if shaped}
            weight, moved = self.spec.update(w.detach(), g, rate, self.steps, decay, **kept)
            w.detach().copy_(torch.where(failed > 0, w, weight))
            for name, tensor in moved.items():
                kept[name].copy_(torch.where(failed > 0, kept[name], tensor))
        return None

    def fused(self, spec: Adam | AdamW, gradients: Sequence[Tensor | None], rate: Tensor, failed: Tensor) -> None:
        """Have torch's fused kernel take a step of Adam or AdamW for all weights at once."""
        decoupled = isinstance(spec, AdamW)
        for decay in sorted(set(self.decays)):
            rows = [
                (w.detach(), g, state["exp_avg"], state["exp_avg_sq"], state["step"])
                for w, g, own, state in zip(self.tensors, gradients, self.decays, self.states, strict=True)
                if g is not None and own == decay
            ]
            if rows:
                columns = map(list, zip(*rows, strict=True))
                torch.ops.vaekit.adam(*columns, rate, failed, *spec.betas, spec.eps, decay, decoupled)

    def count(self, step: int) -> None:
        """Write the number of steps where torch's optimizer keeps it."""
        for state in self.states:
            if "step" in state:
                state["step"].fill_(step)


def clipped(gradients: Sequence[Tensor | None], most: float | None) -> Sequence[Tensor | None]:
    """Scale gradients whose norm over all weights is larger than ``most`` down to it, as torch's own function does."""
    if not most:
        return gradients
    norm = torch.stack([g.square().sum() for g in gradients if g is not None]).sum().sqrt()
    factor = (most / (norm + 1e-6)).clamp(max=1.0)
    return [None if g is None else g * factor for g in gradients]


def follow(average: AveragedModel, model: nn.Module, momentum: float, good: Tensor) -> None:
    """Move the average of the weights, which begins at the first step, towards the model's, if ``good`` is 1."""
    share = good * (1 - momentum * (average.n_averaged > 0))
    pairs = zip(tensors(average.module), tensors(model), strict=True)
    for mean, value in pairs:
        mean.copy_(mean.lerp(value, share) if mean.is_floating_point() else value)
    average.n_averaged += good.long()


def tensors(module: nn.Module) -> list[Tensor]:
    """Return parameters and buffers, without gradients."""
    return [tensor.detach() for tensor in (*module.parameters(), *module.buffers())]


def names(step: Step, x: Tensor) -> list[str]:
    """Return the names of loss and terms; torch looks up the closed form of a KL meanwhile, which compiled code cannot.

    Args:
        step: the objective as a module.
        x: an example, (1, *event).
    """
    with devices.seeded(0, x.device), torch.no_grad():
        found = list(step.eval()(Batch(x)).named)
    step.train()
    return found


def cast_to(precision: Precision) -> Precision:
    """Return the precision that a step casts to; TF32 is not cast to, and graphs are captured with it."""
    return "bf16" if precision == "bf16" else "fp32"


def scheduled_buffers(objective: Objective) -> dict[str, Tensor]:
    """Return the buffers of an objective that ``advance`` sets, by name: those that are not saved."""
    saved = objective.state_dict().keys()
    return {name: buffer for name, buffer in objective.named_buffers() if name not in saved}


def scheduled(training: "Training") -> OfSteps:
    """Return what gives the learning rates of n steps and what their objective schedules, (n, 1 + scheduled)."""
    twin = copy.deepcopy(training.objective).cpu()
    buffers = list(scheduled_buffers(twin).values())

    def numbers(step: int) -> list[float]:
        epoch = step / training.steps_per_epoch
        twin.advance(epoch, training.epochs)
        return [training.rate(epoch), *(float(buffer) for buffer in buffers)]

    def of_steps(first: int, n: int) -> Tensor:
        if twin.steady and training.experiment.schedule == Constant():
            return torch.tensor([numbers(first)]).expand(n, -1).contiguous()
        return torch.tensor([numbers(step) for step in range(first, first + n)])

    return of_steps


def can_be_captured(training: "Training") -> bool:
    """Whether steps can be captured: of one process and one player, with one update per batch, and data in memory."""
    objective = training.objective
    eager = type(objective).prepare is not Objective.prepare
    eager = eager or any(buffer.ndim for buffer in scheduled_buffers(objective).values())
    alone = training.ranks.size == 1 and training.second is None and objective.updates == 1
    return training.device.type in CAPTURING and alone and not eager and not training.data.train.large
