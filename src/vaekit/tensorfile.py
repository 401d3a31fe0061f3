"""A safetensors file piece by piece: the bytes of ``safetensors.torch.save``, without a second copy of all tensors."""

import json
import struct
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

KINDS = {
    torch.int64: "I64",
    torch.float64: "F64",
    torch.float32: "F32",
    torch.int32: "I32",
    torch.bfloat16: "BF16",
    torch.float16: "F16",
    torch.int16: "I16",
    torch.int8: "I8",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}
"""the format's names of types, in the order in which tensors of these types stand in a file"""
ALIGNMENT = 8


def pieces(tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None) -> Iterator[bytes | memoryview]:
    """Yield the header of a safetensors file, then tensor after tensor; only one at a time is copied, if at all.

    Args:
        tensors: on any device, of any layout in memory.
        metadata: words for the header.

    Example:
        >>> sum(len(piece) for piece in pieces({"x": torch.zeros(2, 3)}))
        96
    """
    order = list(KINDS)
    names = sorted(tensors, key=lambda name: (order.index(tensors[name].dtype), name))
    header: dict[str, object] = {"__metadata__": dict(metadata)} if metadata else {}
    end = 0
    for name in names:
        begin, end = end, end + tensors[name].nbytes
        kind, shape = KINDS[tensors[name].dtype], list(tensors[name].shape)
        header[name] = {"dtype": kind, "shape": shape, "data_offsets": [begin, end]}
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % ALIGNMENT)
    yield struct.pack("<Q", len(text)) + text
    for name in names:
        yield tensors[name].detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data
