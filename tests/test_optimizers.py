"""Every field of an optimizer's spec reaches torch under torch's name for it."""

from typing import Any

import pytest
import torch
from torch import nn

from vaekit.training.optimizers import SGD, Adagrad, Adam, Adamax, AdamW, RMSprop

MOMENTS: Any = {"learning_rate": 0.1, "betas": (0.2, 0.3), "eps": 0.4, "weight_decay": 0.5}


@pytest.mark.parametrize(
    ("spec", "torch_class", "group"),
    [
        (Adam(**MOMENTS), torch.optim.Adam, MOMENTS),
        (AdamW(**MOMENTS), torch.optim.AdamW, MOMENTS),
        (Adamax(**MOMENTS), torch.optim.Adamax, MOMENTS),
        (
            Adagrad(learning_rate=0.1, eps=0.4, weight_decay=0.5),
            torch.optim.Adagrad,
            {"learning_rate": 0.1, "eps": 0.4, "weight_decay": 0.5, "lr_decay": 0},
        ),
        (
            RMSprop(learning_rate=0.1, smoothing=0.2, momentum=0.3, eps=0.4, weight_decay=0.5),
            torch.optim.RMSprop,
            {"learning_rate": 0.1, "alpha": 0.2, "momentum": 0.3, "eps": 0.4, "weight_decay": 0.5, "centered": False},
        ),
        (
            SGD(learning_rate=0.1, momentum=0.3, nesterov=True, weight_decay=0.5),
            torch.optim.SGD,
            {"learning_rate": 0.1, "momentum": 0.3, "nesterov": True, "weight_decay": 0.5, "dampening": 0},
        ),
    ],
    ids=lambda value: getattr(value, "kind", ""),
)
def test_fields_reach_torch(spec: Any, torch_class: type, group: dict[str, Any]) -> None:
    optimizer = spec.build([nn.Parameter(torch.zeros(2))])
    assert type(optimizer) is torch_class
    (found,) = optimizer.param_groups
    assert {name: found["lr" if name == "learning_rate" else name] for name in group} == group


def test_nesterov_without_momentum_is_refused_before_torch_is_asked() -> None:
    with pytest.raises(ValueError, match=r"nesterov is true and momentum is 0: give a momentum, such as 0\.9"):
        SGD(nesterov=True)


@pytest.mark.parametrize("kind", [Adam, AdamW, Adamax, Adagrad, RMSprop, SGD])
def test_decay_of_matrices_leaves_biases_and_shared_scales_alone(kind: Any) -> None:
    shapes = (2, 3), (3,), (4, 1, 3, 3), ()
    weights = [nn.Parameter(torch.ones(shape)) for shape in shapes]
    optimizer = kind(learning_rate=0.1, weight_decay=0.5, decayed="matrices").build(weights)
    for weight in weights:
        weight.grad = torch.zeros_like(weight)
    optimizer.step()
    assert [bool((weight < 1).all()) for weight in weights] == [True, False, True, False]
    assert all(torch.equal(weights[i], torch.ones(shapes[i])) for i in (1, 3))
