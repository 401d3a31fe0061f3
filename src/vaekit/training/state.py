"""The state from which a training continues to the same bytes: written beside the weights, checked on reading."""

from collections.abc import Mapping
from importlib.metadata import version
from typing import Annotated, NamedTuple

import torch
from pydantic import Field, TypeAdapter, ValidationError
from safetensors import SafetensorError, safe_open
from torch import Tensor

from vaekit.errors import InputError
from vaekit.experiment import Experiment, unlike
from vaekit.files import refuse_irregular, status
from vaekit.run import STATE, WEIGHTS, Run, read, weight_shapes
from vaekit.specs import explain, spec

Count = Annotated[int, Field(ge=0, lt=2**63)]
Seconds = Annotated[float, Field(ge=0)]
PARTS = ("model", "optimizer", "objective", "second", "average", "best", "total", "random")
FORMER = ("chains.", "objective.chains.")
"""how names of the chains of Monte Carlo EM begin in states of version 0.1.0, and now"""
Parts = Mapping[str, Mapping[str, Tensor]]
"""tensors by part and name"""


@spec
class Facts:
    """Numbers of a state."""

    step: Count
    """steps taken"""
    seconds: Seconds
    """time spent"""
    counted: Count
    """steps since the last evaluation"""
    busy: Seconds
    """time spent in them"""
    stale: Count
    """evaluations since the best one"""
    best_bound: Annotated[float, Field(allow_inf_nan=True, lt=float("inf"))]
    """of the best evaluation; minus infinity if there is none"""
    compiled: bool = False
    """whether the steps are compiled"""
    workers: Count = 1
    """processes that took them together"""
    experiment: Experiment | None = None
    """what is trained; states of version 0.1.0 do not say"""
    data: str | None = None
    """digest of the data"""
    version: str | None = None
    """version of vaekit that wrote it"""


_FACTS: TypeAdapter[Facts] = TypeAdapter(Facts)


class State(NamedTuple):
    """State as read: its facts and the shapes of its model are checked, its other parts are not yet."""

    facts: Facts
    parts: dict[str, dict[str, Tensor]]


def write_state(run: Run, facts: Facts, parts: Parts) -> None:
    """Write a state; the file is replaced as a whole, so that a crash leaves the old one or the new one."""
    tensors = {f"{part}.{name}": tensor for part, named in parts.items() for name, tensor in named.items()}
    run.save(STATE, tensors, _FACTS.dump_python(facts, mode="json") | {"version": version("vaekit")})


def saved_facts(run: Run) -> Facts | None:
    """Return the numbers of a run's state; None if it is gone or damaged."""
    path = run.path / STATE
    try:
        refuse_irregular(path)
        with safe_open(path, "pt") as file:
            return _FACTS.validate_json((file.metadata() or {}).get("facts", "{}"))
    except (OSError, ValueError, SafetensorError, InputError):
        return None


def trained_by(run: Run) -> str | None:
    """Return the version of vaekit that trained a run last; None if its state is gone, damaged or older than that."""
    facts = saved_facts(run)
    return facts.version if facts else None


def read_state(run: Run, experiment: Experiment) -> State | None:
    """Read the state of a run that is to continue as ``experiment``; return None if it has not begun to train.

    The tensors are views of the file, so that no memory is taken for them.

    Raises:
        InputError: if the state is missing beside trained weights, damaged, or that of another run.
    """
    path = run.path / STATE
    if status(path) is None:
        if status(run.path / WEIGHTS) is not None:
            raise InputError(
                f"{run.path} has trained weights but no {STATE}, without which training cannot continue: restore that "
                "file, or train anew into another folder"
            )
        return None
    tensors, said = read(path, weight_shapes(experiment.model, run.space), "model.")
    try:
        facts = _FACTS.validate_python(said)
    except ValidationError as error:
        raise unresumable(run, explain(error, Facts)) from None
    if facts.experiment and (difference := unlike(facts.experiment, experiment)):
        raise unresumable(run, f"it belongs to another experiment: {difference}")
    if facts.data not in (None, run.space.digest):
        raise unresumable(run, "it belongs to a training on other data")
    try:
        return State(facts, parts_of(tensors))
    except ValueError as error:
        raise unresumable(run, str(error)) from None


def parts_of(tensors: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    """Sort the tensors of a state by the part that their names begin with.

    Raises:
        ValueError: naming one that is not part of a state.
    """
    parts: dict[str, dict[str, Tensor]] = {part: {} for part in PARTS}
    for name, tensor in tensors.items():
        part, _, key = (FORMER[1] + name.removeprefix(FORMER[0]) if name.startswith(FORMER[0]) else name).partition(".")
        if part not in parts:
            raise ValueError(f"{name} is not part of a state")
        parts[part][key] = tensor
    return parts


def unresumable(run: Run, reason: str) -> InputError:
    """Return the error that says why a state cannot be resumed, and what to do."""
    return InputError(
        f"{run.path / STATE} does not fit the run ({reason}): restore the run's own, or train anew into another folder"
    )


def refuse_unlike(part: str, found: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> None:
    """Refuse tensors whose names, shapes or types are not those of the tensors they replace.

    Raises:
        ValueError: naming the first that is wrong.
    """
    for name in sorted(found.keys() | expected.keys()):
        if name not in found:
            raise ValueError(f"{part}.{name} is missing")
        if name not in expected:
            raise ValueError(f"{part}.{name} is not part of this training")
        tensor, like = found[name], expected[name]
        if tensor.shape != like.shape or tensor.dtype != like.dtype:
            raise ValueError(f"{part}.{name} is {kind(tensor)}, where {kind(like)} is needed")


def kind(tensor: Tensor) -> str:
    """Name a tensor's type and shape.

    Example:
        >>> kind(torch.zeros(2, 3))
        'float32 of shape (2, 3)'
    """
    return f"{tensor.dtype}".removeprefix("torch.") + f" of shape {tuple(tensor.shape)}"


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Return the tensors of an optimizer's state by "parameter.name"."""
    state = optimizer.state_dict()["state"]
    return {
        f"{i}.{name}": value for i, named in state.items() for name, value in named.items() if isinstance(value, Tensor)
    }


def restore_optimizer(
    optimizer: torch.optim.Optimizer, found: Mapping[str, Tensor], kept: Mapping[str, bool], steps: int
) -> None:
    """Put tensors into an optimizer's state; a weight that never had a gradient has none.

    Args:
        optimizer: of the weights, fresh.
        found: tensors by "parameter.name".
        kept: the names of what is kept of a weight with a gradient, and whether it has the weight's shape.
        steps: steps taken.

    Raises:
        ValueError: naming the first that is missing, superfluous or of another shape.
    """
    weights: list[Tensor] = [weight for group in optimizer.param_groups for weight in group["params"]]
    seen = {name.partition(".")[0] for name in found}
    scalar = torch.zeros(())
    if steps and kept and not found:
        raise ValueError("the state of the optimizer is missing")
    expected = {
        f"{i}.{name}": weight if shaped else scalar
        for i, weight in enumerate(weights)
        if str(i) in seen
        for name, shaped in kept.items()
    }
    refuse_unlike("optimizer", found, expected)
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in found.items():
        index, _, key = name.partition(".")
        place = torch.empty_like(weights[int(index)]) if tensor.shape else torch.empty_like(tensor)
        state.setdefault(int(index), {})[key] = place.copy_(tensor)  # in memory as the weight is, channels last
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
