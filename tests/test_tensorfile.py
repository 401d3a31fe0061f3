"""Safetensors files written piece by piece against the format's own library."""

import torch
from safetensors.torch import load, save

from vaekit.tensorfile import KINDS, pieces

ODD = 'é"\\\n\x01/'


def test_bytes_are_those_of_the_library() -> None:
    tensors = {f"{kind}.{i}": torch.arange(6).to(kind).view(2, 3) for i in (0, 1) for kind in reversed(KINDS)}
    tensors |= {"scalar": torch.tensor(3.0), "empty": torch.zeros(0, 4), ODD: torch.ones(1)}
    for metadata in (None, {"facts": ODD}):
        assert b"".join(pieces(tensors, metadata)) == save(tensors, metadata)


def test_layouts_in_memory_do_not_matter() -> None:
    tensors = {
        "transposed": torch.arange(6.0).view(2, 3).t(),
        "images": torch.arange(48.0).view(2, 2, 3, 4).to(memory_format=torch.channels_last),
        "part": torch.arange(9)[3:6],
        "weight": torch.nn.Parameter(torch.ones(2)),
    }
    found = load(b"".join(pieces(tensors)))
    assert all(torch.equal(found[name], tensor) for name, tensor in tensors.items())


def test_nothing_is_copied_that_lies_in_order() -> None:
    x = torch.zeros(4)
    _, data = pieces({"x": x})
    x.fill_(1.0)
    assert bytes(data) == torch.ones(4).numpy().tobytes()
