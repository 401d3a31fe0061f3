"""Training: a generator that takes steps, reports progress, and keeps the run's folder in order."""

import logging
import math
import time
from collections.abc import Generator, Iterator, Mapping
from contextlib import closing
from functools import cached_property, partial
from itertools import count
from typing import Any, cast

import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from vaekit import devices
from vaekit.arguments import Place, to_path
from vaekit.compatibility import traits
from vaekit.data import Batch, Data, Split
from vaekit.data.order import Order
from vaekit.data.source import to_name
from vaekit.errors import InputError, RunError
from vaekit.experiment import Experiment
from vaekit.footprint import activations, smaller_images
from vaekit.model import VAE
from vaekit.objectives import Loss
from vaekit.own import modules
from vaekit.progress import Progress
from vaekit.run import WEIGHTS, Run, alone, refuse_taken
from vaekit.training.captured import Captured, can_be_captured
from vaekit.training.checks import (
    check,
    chosen_device,
    refuse_another,
    refuse_apart,
    refuse_begun,
    refuse_no_experiment,
)
from vaekit.training.diagnosis import REMEDY, first_non_finite, non_finite_weight
from vaekit.training.gathering import errand, gathered, refuse_workers
from vaekit.training.optimizers import moments
from vaekit.training.ranks import Alone
from vaekit.training.state import (
    Facts,
    State,
    optimizer_tensors,
    read_state,
    refuse_unlike,
    restore_optimizer,
    unresumable,
    write_state,
)
from vaekit.training.steps import ALONE, Descent, Step, refuse_unknown, wants_compiling

log = logging.getLogger("vaekit")

SECONDS_BETWEEN_CHECKPOINTS = 30.0
SECONDS_BETWEEN_REPORTS = 0.1
EVALUATION_SEED = 0
ROUNDING = 6
"""digits to which counts of steps are trusted: 1.1 × 100 is a little more than 110"""


def train(
    experiment: Experiment,
    run: Run | Place,
    *,
    device: str = "auto",
    data_root: Place | None = None,
    data: Any = None,
    resume: bool = False,
    overwrite: bool = False,
    compile: str = "auto",
    workers: int = 1,
) -> Generator[Progress, None, None]:
    """Train ``experiment`` into the folder ``run``; yield progress about ten times per second and at each evaluation.

    You may close the generator at any report: the state is saved, and ``resume`` continues from it. On a CPU the
    resumed run ends with the same bytes as an uninterrupted one (on the same machine, with as many threads).

    The training seeds and draws from torch's global generators, in single precision and with gradients, but only
    between two reports: whenever control returns to the caller, generators, default precision and gradient mode are
    as the caller left them. Meanwhile, other threads that seed or sample with vaekit wait for the next report.

    Args:
        experiment: what to train; with ``resume``, the run's own, of which only the length may differ.
        run: the folder.
        device: auto, cpu, cuda or mps.
        data_root: folder of named sets.
        data: what to train on in place of what the experiment names: a named set, a path, or data in memory, such as an
            array, a DataFrame or a torch Dataset, which the run's experiment names by their digest; with ``resume``,
            where the run's data are if they have moved, or those in memory again.
        resume: continue the run in the folder.
        overwrite: replace the run in the folder.
        compile: auto (if there are enough steps to pay for it), on or off; a resumed run continues as it began.
        workers: processes that train the model together, each on its share of every batch: on CUDA, one per device.

    Raises:
        InputError: if the data do not suit the experiment, the training exceeds the memory, the folder is taken, or
            the run to resume has another experiment, is trained longer than asked, or lacks its state; it is unchanged.
        RunError: if the loss becomes NaN or infinite, or memory or the disk runs out; the last good state is kept.
    """
    refuse_unknown(compile)  # before a folder is begun or replaced
    refuse_no_experiment(experiment)
    refuse_workers(workers, device)
    refuse_apart(experiment, workers, data, compile)
    path, target = to_path(run, "run"), chosen_device(device)
    if resume:
        folder = Run(path)
        refuse_another(experiment, folder)
        loaded = folder.data(data_root, data)
        check(experiment, loaded.space, target, workers)
    else:
        refuse_begun(experiment)
        refuse_taken(path, overwrite)
        if data is not None:
            experiment = experiment.replace("data.name", to_name(data))
        loaded = experiment.data.load(data_root, place=data)
        check(experiment, loaded.space, target, workers)
    remedy = f"train again with {smaller_images(loaded.space)}a smaller one or a smaller model"
    with (
        alone(path),
        devices.memory_errors(f"batch_size {experiment.batch_size}", remedy),
        gathered(workers, path, modules([experiment])) as ranks,
    ):
        if not resume:
            folder = Run.create(path, experiment, loaded.space, overwrite)
        ranks.begin(errand(experiment, path, target, data_root, data), target)
        yield from devices.in_turns(reports(experiment, folder, loaded.to(target), target, compile, ranks), target)


def reports(
    experiment: Experiment, run: Run, data: Data, device: torch.device, compile: str, ranks: Alone
) -> Generator[Progress, None, None]:
    """Begin or resume the training of a run, write its experiment, and continue to the end."""
    training = Training(experiment, run, data, device, compile, ranks)
    run.begin(experiment)
    yield from training.reports()


class Training:
    """The state of a training: built from the seed, or read from the run's folder if it was begun before."""

    captures = True  # steps, on a device that can do so

    def __init__(
        self,
        experiment: Experiment,
        run: Run,
        data: Data,
        device: torch.device,
        compile: str = "off",
        ranks: Alone = ALONE,
    ) -> None:
        self.experiment, self.run, self.device, self.ranks = experiment, run, device, ranks
        self.data = data
        self.held_out = "test" if data.validation is None else "validation"

        devices.keep_freed_memory()
        images = len(data.train)
        self.batch_size = min(experiment.batch_size, images)
        samples = experiment.training_samples or experiment.epochs * images
        self.epochs, self.steps_per_epoch = samples / images, images / self.batch_size
        self.steps = math.ceil(round(samples / self.batch_size, ROUNDING))
        ranks.divide(self.batch_size)
        self.order = Order(images, self.batch_size, experiment.seed, experiment.shuffle)

        saved = read_state(run, experiment)
        if saved and saved.facts.step > self.steps:
            trained = saved.facts.step / self.steps_per_epoch
            raise InputError(
                f"{run.path} is trained for {trained:.4g} epochs already, more than the {self.epochs:.4g} asked for: "
                "give more epochs, or leave them out"
            )
        if self.batch_size < experiment.batch_size:
            log.info("batch_size %s is more than the training images: every step takes all %s of them",
                     f"{experiment.batch_size:,}", f"{images:,}")  # fmt: skip
        devices.set_seed(experiment.seed, device)
        self.vae = experiment.model.build(data.space).to(device)
        if not saved:
            self.vae.begin(partial(data.train.some, seed=experiment.seed))
        self.objective = experiment.objective.build(self.vae, data.space).to(device)
        self.optimizer = experiment.optimizer.build(self.vae.parameters())
        second = self.objective.second
        self.second = second.build(self.objective.parameters()) if second else None
        self.average = experiment.ema and AveragedModel(
            self.vae, multi_avg_fn=get_ema_multi_avg_fn(experiment.ema), use_buffers=True
        )
        self.step, self.saved, self.counted, self.seconds, self.busy = 0, 0, 0, 0.0, 0.0
        self.best_bound, self.stale, self.best = -math.inf, 0, dict[str, Tensor]()
        self.captured: Captured | None = None
        self.totals: dict[str, float] = {}
        if saved:
            self.restore(saved)
        how = experiment.precision, experiment.gradient_norm, self.second, ranks
        self.descent = Descent(Step(self.vae, self.objective), self.optimizer, *how)
        matrices = "matrices" in traits(experiment.model.network)
        if saved and saved.facts.workers != ranks.size:
            log.info("%s has had %d workers so far and now has %d: images and noise stay the same, and only rounding "
                     "differs", run.path, saved.facts.workers, ranks.size)  # fmt: skip
        if ranks.size > 1:
            return
        self.captured = Captured(self) if self.captures and can_be_captured(self) else None
        if saved.facts.compiled if saved else wants_compiling(compile, self.steps, matrices, device):
            example = Batch(torch.zeros(1, *data.space.event_shape, device=device))
            (self.captured or self.descent).compile(example, asked=compile == "on")

    def reports(self, each_step: bool = False) -> Generator[Progress, None, None]:
        """Train to the end; the state is saved at the start, every half minute, at the end, and on closing.

        Args:
            each_step: report every step, not only ten times per second.
        """
        began = time.perf_counter() - self.seconds
        reported, saved = -math.inf, time.perf_counter()
        row = self.begin()
        with closing(self.batches()) as batches:
            while True:
                now = time.perf_counter()
                self.seconds = now - began
                if row or each_step or now - reported > SECONDS_BETWEEN_REPORTS:
                    reported = now
                    try:
                        yield self.report(row)
                    except GeneratorExit:
                        self.save()
                        raise
                if self.finished:
                    break
                if now - saved > SECONDS_BETWEEN_CHECKPOINTS:
                    self.save()
                    saved = now
                self.ranks.call(True)
                self.take_steps(batches)
                row = self.evaluate() if self.evaluation_due else None
        self.end()

    def batches(self) -> Generator[Batch]:
        """Give the batches of the steps that are left, as they are stored."""
        return self.data.train.stream(map(self.order.rows, count(self.step)))

    def begin(self) -> dict[str, Any] | None:
        """Save and evaluate the initial weights, and return the row.

        If some steps were taken before, drop the rows of metrics.jsonl that were written after them instead.
        """
        if self.step == 0:
            self.run.write_metrics([])
            self.save()
            return self.evaluate()
        if self.step >= self.steps:
            log.info("%s is trained to its end already: more epochs extend it", self.run.path)
        self.run.write_metrics([row for row in self.run.metrics() if row["step"] <= self.step])
        return None

    def end(self) -> None:
        """Save the last state, and say so if training stopped early."""
        self.save()
        if self.step < self.steps:
            log.info("stopped at epoch %.4g: %d evaluations found no better bound", self.epoch, self.stale)

    @cached_property
    def evaluation_batch(self) -> int:
        """How many images are evaluated at once."""
        return activations(self.experiment, self.data.space).evaluation_batch(self.batch_size)

    @property
    def epoch(self) -> float:
        """Passes over the training images so far."""
        return self.step / self.steps_per_epoch

    @property
    def finished(self) -> bool:
        """Whether all steps are taken, or early stopping has lost its patience."""
        patience = self.experiment.early_stopping
        return self.step >= self.steps or (patience is not None and self.stale >= patience)

    @property
    def evaluation_due(self) -> bool:
        """Whether the last step completed another ``evaluate_every`` epochs, or the training."""
        return self.step == self.evaluated_after(self.step - 1)

    def evaluated_after(self, step: int) -> int:
        """Return the first step after a step which completes another ``evaluate_every`` epochs, or the training."""
        interval = self.experiment.evaluate_every * self.steps_per_epoch
        passed = round(step / interval, ROUNDING) // 1
        return min(self.steps, math.ceil(round((passed + 1) * interval, ROUNDING)))

    def take_steps(self, batches: Iterator[Batch]) -> None:
        """Take a step, or as many as are captured at once: at most until there is something to evaluate."""
        if self.captured:
            self.captured.take_some()
        else:
            self.take_step(next(batches))

    def take_step(self, stored: Batch) -> None:
        """Take a step on a batch as it is stored: an update of the weights, or as many as an objective asks for."""
        began = time.perf_counter()
        batch = self.data.train.seen(stored)
        state = devices.random_state(self.device)
        self.advance()
        part = self.ranks.part(batch)
        with devices.autocast(self.device, self.experiment.precision):
            prepared = self.descent.step.prepare(part)
        numbers = [self.descent(part, *prepared) for _ in range(self.objective.updates)]
        if not all(math.isfinite(each["loss"]) and math.isfinite(each.get("adversary", 0.0)) for each in numbers):
            devices.set_random_state(state, self.device)
            with devices.autocast(self.device, self.experiment.precision):
                raise self.failure(self.descent.step, batch, self.batch_name)
        self.count(numbers[0])  # before the weights are fitted to the batch
        self.busy += time.perf_counter() - began

    def advance(self) -> None:
        """Set what is scheduled to its value at this step: the learning rate, and what the objective schedules."""
        self.objective.advance(self.epoch, self.epochs)
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate(self.epoch)

    def rate(self, epoch: float) -> float:
        """Return the learning rate after so many epochs."""
        return self.experiment.optimizer.learning_rate * self.experiment.schedule.factor(epoch, self.epochs)

    def count(self, numbers: Mapping[str, float]) -> None:
        """Count a step that was taken, with its loss and terms."""
        if self.average:
            self.average.update_parameters(self.vae)
        for name, number in numbers.items():
            self.totals[name] = self.totals.get(name, 0.0) + number
        self.counted += 1
        self.step += 1

    @property
    def batch_name(self) -> str:
        """Name of the next step's batch in errors."""
        return f"the batch of step {self.step}, in epoch {int(self.epoch) + 1},"

    def failure(self, step: Step, batch: Batch, where: str) -> RunError:
        """Say why the loss on a batch is NaN or infinite; the last checkpoint, from before, stays as it is."""
        cause = first_non_finite(step, batch)
        return RunError(f"the loss on {where} is NaN or infinite (first: {cause.first}); {self.kept}; {cause.remedy}")

    @property
    def kept(self) -> str:
        return f"the state after {self.saved} steps is kept in {self.run.path}"

    def begin_window(self) -> None:
        """Start a new average; the window reaches from one evaluation to the next."""
        self.totals = {}
        self.counted, self.busy = 0, 0.0
        if self.captured:
            self.captured.set(self.totals)

    @property
    def window(self) -> dict[str, float]:
        """Means over the window."""
        return {name: total / self.counted for name, total in self.totals.items()}

    @property
    def images_per_second(self) -> float:
        """Speed of the steps in the window; evaluation is not counted."""
        return self.counted * self.batch_size / self.busy if self.busy else 0.0

    @property
    def model(self) -> VAE:
        """The model that is evaluated and saved: the averaged one if there is one."""
        return cast(VAE, self.average.module) if self.average else self.vae

    def evaluate(self) -> dict[str, Any]:
        """Measure the held-out images, write a row to metrics.jsonl, and remember the best weights."""
        if self.captured:
            self.captured.settle()
        bound, held_out = self.measure(self.held_out)
        window = self.window
        train = {name: window[name] for name in held_out} if window else self.measure("train")[1]
        row = {
            "epoch": self.epoch,
            "step": self.step,
            "samples": self.step * self.batch_size,
            "train": train,
            self.held_out: held_out,
            "images_per_second": round(self.images_per_second, 1),
            "seconds": round(self.seconds, 3),
        }
        self.run.append_metrics(row)
        if self.experiment.early_stopping and self.step:
            self.stale += 1
            if bound > self.best_bound:
                self.best_bound, self.stale = bound, 0
                self.best = {name: t.clone() for name, t in self.model.state_dict().items()}
        self.begin_window()
        return row

    @torch.no_grad()
    def measure(self, name: str) -> tuple[float, dict[str, float]]:
        """Bound and terms over a split with fixed bits and noise; of the training images, as many as are held out."""
        held_out: Split = getattr(self.data, self.held_out)
        split = self.data.fixed(name, len(held_out))
        images = min(len(split), len(held_out))
        bound, totals = 0.0, dict[str, float]()
        step = Step(self.model, self.objective).eval()
        self.objective.advance(self.epoch, self.epochs)
        with devices.seeded(EVALUATION_SEED, self.device):
            for rows in torch.arange(images).split(self.evaluation_batch if images > self.batch_size else images):
                batch = split.batch(rows)
                loss: Loss = step(batch)
                if not math.isfinite(loss.value.item()):
                    raise self.failure(step, batch, f"{name} images after step {self.step}")
                bound += float(loss.bound) * len(rows) / images
                for term, value in loss.numbers().items():
                    totals[term] = totals.get(term, 0.0) + value * len(rows) / images
        step.train()
        return bound, totals

    def report(self, row: Mapping[str, Any] | None) -> Progress:
        """Report the progress of the training."""
        if self.captured:
            self.captured.settle()
        terms = row["train"] if row else self.window
        speed = row["images_per_second"] if row else self.images_per_second
        steps = self.epoch, self.epochs, self.step, self.steps
        return Progress(*steps, terms, row, speed, self.seconds, self.data.space.noun, self.model)

    @property
    def random(self) -> dict[str, Tensor]:
        """State of the generators from which the next step draws."""
        return devices.random_state(self.device)

    def save(self) -> None:
        """Write weights and state; each file is replaced as a whole, so a crash leaves the old one or the new one.

        Weights that are NaN or infinite are not saved: what was saved before is still good.
        """
        if self.captured:
            self.captured.settle()
        if weight := non_finite_weight(self.vae) or non_finite_weight(self.objective):
            raise RunError(f"weight {weight} is NaN or infinite after step {self.step}; {self.kept}; {REMEDY}")
        parts: dict[str, Mapping[str, Tensor]] = {
            "model": self.vae.state_dict(),
            "optimizer": optimizer_tensors(self.optimizer),
            "objective": self.objective.state_dict(),
            "second": optimizer_tensors(self.second) if self.second else {},
            "average": self.average.state_dict() if self.average else {},
            "best": self.best,
            "total": {name: torch.tensor(total, dtype=torch.float64) for name, total in self.totals.items()},
            "random": self.random,
        }
        facts = Facts(
            step=self.step,
            seconds=self.seconds,
            counted=self.counted,
            busy=self.busy,
            stale=self.stale,
            best_bound=self.best_bound,
            compiled=(self.captured or self.descent).compiled,
            workers=self.ranks.size,
            experiment=self.experiment,
            data=self.data.space.digest,
        )
        write_state(self.run, facts, parts)
        self.run.save(WEIGHTS, self.best or self.model.state_dict())
        self.saved = self.step

    def restore(self, saved: State) -> None:
        """Restore a saved state, after comparing each part with what the experiment needs."""
        facts, parts = saved
        try:
            self.refuse_unlike_parts(facts, parts)
            restore_optimizer(self.optimizer, parts["optimizer"], moments(self.experiment.optimizer), facts.step)
            self.vae.load_state_dict(parts["model"])
            self.objective.load_state_dict(parts["objective"])
            if self.second and self.objective.second:
                restore_optimizer(self.second, parts["second"], moments(self.objective.second), facts.step)
            if self.average:
                self.average.load_state_dict(parts["average"])
            devices.set_random_state(parts["random"], self.device)
        except (RuntimeError, ValueError) as error:
            raise unresumable(self.run, str(error)) from None
        self.step, self.stale, self.counted = facts.step, facts.stale, facts.counted
        self.seconds, self.busy, self.best_bound = facts.seconds, facts.busy, facts.best_bound
        self.saved = self.step
        self.best = {name: tensor.clone().to(self.device) for name, tensor in parts["best"].items()}
        self.totals = {name: float(total) for name, total in parts["total"].items()}

    def refuse_unlike_parts(self, facts: Facts, parts: Mapping[str, Mapping[str, Tensor]]) -> None:
        """Refuse parts of a state whose names, shapes or types are not those of this training."""
        best = self.experiment.early_stopping and facts.best_bound > -math.inf
        rows = self.run.metrics()
        terms = (rows[-1]["train"] if rows else parts["total"]) if facts.counted else ()
        others = {name: state for name, state in parts["random"].items() if name in ("cuda", "mps")}
        expected: dict[str, Mapping[str, Tensor]] = {
            "model": self.vae.state_dict(),
            "objective": self.objective.state_dict(),
            "average": self.average.state_dict() if self.average else {},
            "best": self.model.state_dict() if best else {},
            "total": dict.fromkeys(terms, torch.zeros((), dtype=torch.float64)),
            "random": {"cpu": torch.get_rng_state()} | others,
        }
        for part, like in expected.items():
            refuse_unlike(part, parts[part], like)
