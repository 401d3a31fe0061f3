"""Random numbers that are functions of a seed, a step and a place, so that many seeds draw theirs at once."""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float, Int64
from torch import Tensor

PLACES = 36
"""bits of a counter that number places; those above are the step, and which of its numbers they are"""
LATENTS = 16
"""bits of a place that number latents, so that a draw does not depend on how many there are"""
KINDS = 4
"""numbers that a step may draw for a place"""
LOW = 0xFFFFFFFF


def keys(seeds: Sequence[int]) -> Int64[Tensor, "seeds 1"]:
    """Return an odd number of 64 irregular bits for each seed, by the finalizer of SplitMix64."""
    return torch.tensor([[_signed(_mixed(seed) | 1)] for seed in seeds], dtype=torch.int64)


def _mixed(seed: int) -> int:
    """Mix the bits of a number.

    Example:
        >>> hex(_mixed(0))
        '0xe220a8397b1dcdaf'
    """
    z = (seed + 0x9E3779B97F4A7C15) % 2**64
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB % 2**64
    return z ^ (z >> 31)


def _signed(bits: int) -> int:
    return bits - 2**64 if bits >= 2**63 else bits


def uniform(
    key: Int64[Tensor, "seeds 1"], step: Int64[Tensor, ""], kind: int, places: Int64[Tensor, "places"]
) -> Float[Tensor, "seeds places"]:
    """Return numbers that are uniform over [0, 1), multiples of 2^-24.

    Four rounds of squaring turn a counter into 32 bits. Products of 64-bit numbers lose their upper half, as they
    should.

    Reference: *Squares: a fast counter-based RNG (Widynski, 2020)*, arXiv:2004.06278.

    Args:
        key: of each seed.
        step: number of the step.
        kind: which of the numbers of the step, from 0 to 3.
        places: numbers below 2^36, one for each.
    """
    y = (((step * KINDS + kind) << PLACES) + places) * key
    x, z = y, y + key
    for added in (y, z, y):
        x = x * x + added
        x = (x << 32) | ((x >> 32) & LOW)
    bits = ((x * x + z) >> 32) & LOW
    return (bits >> 8).float() * 2.0**-24


def normal(
    key: Int64[Tensor, "seeds 1"], step: Int64[Tensor, ""], places: Int64[Tensor, "places"]
) -> Float[Tensor, "seeds places"]:
    """Return draws from N(0, 1), by the formula of Box and Muller; they take the kinds 1 and 2 of uniform numbers."""
    radius = (-2 * torch.log1p(-uniform(key, step, 1, places))).sqrt()
    return radius * torch.cos(2 * math.pi * uniform(key, step, 2, places))


def places_of(samples: int, batch: int, latents: int, device: torch.device) -> Int64[Tensor, "places"]:
    """Number the latents of all draws of a batch, (samples · batch · latents,)."""
    rows = torch.arange(samples * batch, device=device)[:, None] << LATENTS
    return (rows + torch.arange(latents, device=device)).flatten()
