"""The columns of a table, each with a density or probability of its kind."""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Annotated, ClassVar, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from pydantic import Field
from torch import Tensor, nn
from torch.distributions import Bernoulli, Distribution, Normal

from vaekit import distributions
from vaekit.building import Builder
from vaekit.compatibility import Traits
from vaekit.conditional import Conditional
from vaekit.data import Support
from vaekit.data.columns import Column
from vaekit.distributions import Categories, Counts, at_least_fp32
from vaekit.errors import InputError
from vaekit.likelihoods.pixels import bounded_log_scale
from vaekit.specs import spec

LEAST_DISPERSION = 1e-6
"""lower bound of a count's α, at which it is a Poisson"""
LARGEST_LOG_MEAN = 30.0
"""upper bound of the log of a count's mean"""


class Group(nn.Module):
    """Columns of one kind: from ``outputs`` numbers of the decoder to the distribution of the columns side by side."""

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.outputs = outputs

    @abstractmethod
    def forward(self, raw: Float[Tensor, "... outputs"]) -> Distribution:
        """Return the distribution, whose batch shape is (..., columns)."""


class Reals(Group):
    """x_i ~ N(m_i(z), s_i²), each column with a learned scale; positive ones are logarithms."""

    def __init__(self, columns: Sequence[Column], minimum_scale: float) -> None:
        super().__init__(len(columns))
        self.minimum_scale = minimum_scale
        self.log_scale = nn.Parameter(torch.full((len(columns),), -1.0))

    def forward(self, raw: Float[Tensor, "... outputs"]) -> Distribution:
        scale = bounded_log_scale(self.log_scale, self.minimum_scale).exp()
        return Normal(raw, scale.expand_as(raw), validate_args=False)


class Numbers(Group):
    """x_i ~ a negative binomial with mean μ_i(z), each column with a learned dispersion.

    The decoder outputs log μ_i as log(1 + x_i) is standardized for the encoder.
    """

    shift: Tensor
    scale: Tensor

    def __init__(self, columns: Sequence[Column]) -> None:
        super().__init__(len(columns))
        self.log_dispersion = nn.Parameter(torch.zeros(len(columns)))
        self.register_buffer("shift", torch.tensor([column.shift for column in columns]), persistent=False)
        self.register_buffer("scale", torch.tensor([column.divisor for column in columns]), persistent=False)

    def forward(self, raw: Float[Tensor, "... outputs"]) -> Distribution:
        log_mean = (self.shift + self.scale * raw).clamp(max=LARGEST_LOG_MEAN)
        return Counts(log_mean, bounded_log_scale(self.log_dispersion, LEAST_DISPERSION), validate_args=False)


class Bits(Group):
    """x_i ~ Bernoulli(σ(ℓ_i(z)))."""

    def __init__(self, columns: Sequence[Column]) -> None:
        super().__init__(len(columns))

    def forward(self, raw: Float[Tensor, "... outputs"]) -> Distribution:
        return Bernoulli(logits=raw, validate_args=False)


class Choices(Group):
    """x_i ~ a categorical distribution with a logit for each category, padded to the largest number of them."""

    picked: Tensor

    def __init__(self, columns: Sequence[Column]) -> None:
        sizes = [len(column.categories) for column in columns]
        super().__init__(sum(sizes))
        self.register_buffer("picked", padded(sizes), persistent=False)

    def forward(self, raw: Float[Tensor, "... outputs"]) -> Distribution:
        logits = F.pad(raw, (0, 1), value=-torch.inf).index_select(-1, self.picked.flatten())
        return Categories(logits.unflatten(-1, self.picked.shape), validate_args=False)


class Levels(Group):
    """P(x_i ≤ k) = σ(c_ik − m_i(z)) for levels in order, with learned cuts c_i0 < c_i1 < …: cumulative logits.

    Reference: *Regression models for ordinal data (McCullagh, 1980)*.
    """

    sizes: Tensor
    picked: Tensor

    def __init__(self, columns: Sequence[Column]) -> None:
        super().__init__(len(columns))
        sizes = [max(len(column.categories), 2) for column in columns]
        begin = [(torch.arange(1, size) / size).logit() for size in sizes]  # all levels are equally likely
        self.first = nn.Parameter(torch.stack([cuts[:1] for cuts in begin]))
        self.gaps = nn.Parameter(torch.cat([cuts.diff().expm1().log() for cuts in begin]))
        self.register_buffer("sizes", torch.tensor(sizes)[:, None], persistent=False)
        self.register_buffer("picked", padded([size - 2 for size in sizes]), persistent=False)

    def forward(self, raw: Float[Tensor, "... outputs"]) -> Distribution:
        gaps = F.pad(F.softplus(self.gaps), (0, 1), value=1.0)[self.picked]
        cuts = torch.cat([self.first, self.first + gaps.cumsum(-1)], -1)
        level = torch.arange(cuts.shape[-1] + 1, device=cuts.device)
        lowest, highest = level == 0, level == self.sizes - 1
        # log [σ(b) − σ(a)] = log σ(b) + log σ(−a) + log (1 − e^(a − b)) for a level between the cuts a and b.
        above = F.logsigmoid(F.pad(cuts, (0, 1)) - raw[..., None])
        below = F.logsigmoid(raw[..., None] - F.pad(cuts, (1, 0)))
        between = torch.log(-torch.expm1(-F.pad(gaps, (1, 1), value=1.0)))
        log_prob = above.masked_fill(highest, 0) + below.masked_fill(lowest, 0)
        log_prob = log_prob + between.masked_fill(lowest | highest, 0)
        return Categories(log_prob.masked_fill(level >= self.sizes, -torch.inf), validate_args=False)


def padded(sizes: Sequence[int]) -> Int[Tensor, "rows largest"]:
    """Number elements row by row, each row padded by the number of all of them.

    Example:
        >>> padded([2, 1])
        tensor([[0, 1],
                [2, 3]])
    """
    rows = torch.full((len(sizes), max(sizes)), sum(sizes))
    for row, found in zip(rows, torch.arange(sum(sizes)).split(list(sizes)), strict=True):
        row[: len(found)] = found
    return rows


class ColumnsLikelihood(Conditional):
    """Independent columns given z, group by group of the same kind.

    Args:
        decoder: number of outputs → network, z (..., d) → (..., 1, outputs).
        columns: of the table.
        minimum_scale: lower bound of the scales of real columns.
    """

    places: Tensor
    order: Tensor

    def __init__(self, decoder: Callable[[int], nn.Module], columns: Sequence[Column], minimum_scale: float) -> None:
        super().__init__()
        found: dict[tuple[str, int], list[int]] = {}
        for i, column in enumerate(columns):
            found.setdefault(group_of(column), []).append(i)
        groups: list[Group] = []
        for (kind, _), where in sorted(found.items()):
            own = [columns[i] for i in where]
            groups.append(Reals(own, minimum_scale) if kind == "real" else GROUPS[kind](own))
        self.groups, self.sizes = nn.ModuleList(groups), [group.outputs for group in groups]
        self.network = decoder(sum(self.sizes))
        places = torch.tensor([i for _, group in sorted(found.items()) for i in group])
        self.register_buffer("places", places, persistent=False)
        self.register_buffer("order", places.argsort(), persistent=False)

    def forward(self, c: Float[Tensor, "... latent"] | None = None) -> Distribution:
        raw = at_least_fp32(self.network(c)).squeeze(-2).split(self.sizes, -1)
        groups = [group(part) for group, part in zip(self.groups, raw, strict=True)]
        return distributions.Columns(groups, self.places, self.order)


GROUPS: dict[str, Callable[[Sequence[Column]], Group]] = {
    "count": Numbers,
    "binary": Bits,
    "category": Choices,
    "ordinal": Levels,
}


def group_of(column: Column) -> tuple[str, int]:
    """Return the group of a column: its kind, and a size, so that categories are padded to twice their number at most.

    Example:
        >>> group_of(Column(name="species", kind="category", categories=("a", "b", "c")))
        ('category', 2)
    """
    if column.kind == "category":
        return "category", (len(column.categories) - 1).bit_length()
    return "real" if column.kind == "positive" else column.kind, 0


@spec
class Columns:
    """A density or probability for each column of a table by its kind, given the latents independent of each other.

    Real columns are Gaussian, positive ones log-normal, each with a learned scale; counts are negative binomial, with a
    Poisson as the limit; binary columns are Bernoulli, categories categorical, and ordinal ones have cumulative logits.
    Densities are those of what the model reads: standardized values, and standardized logarithms of positive ones.

    Reference: *Handling incomplete heterogeneous data using VAEs (Nazábal, Olmos, Ghahramani, Valera, 2020)*,
    arXiv:1807.03653, whose likelihoods these are, but for the scales, which do not depend on z here.
    """

    supports: ClassVar[tuple[Support, ...]] = ("mixed", "real")
    normalized_on: ClassVar[tuple[Support, ...]] = ("mixed", "real")
    has: ClassVar[Traits] = {"elementwise"}
    kind: Literal["columns"] = "columns"
    minimum_scale: Annotated[float, Field(gt=0)] = 0.01
    """lower bound of the scales of real and positive columns, in standard deviations of the column's values"""

    def build(self, builder: Builder) -> Conditional:
        """Return the module on top of a new decoder.

        Raises:
            InputError: if the data are images.
        """
        if len(builder.event_shape) != 1:
            raise InputError(
                f"likelihood columns needs a table, and {builder.space.source} has images: choose likelihood gaussian"
            )
        columns = builder.space.columns or [Column(name=str(i)) for i in range(builder.event_shape[0])]
        return ColumnsLikelihood(lambda outputs: builder.decoder(1, (outputs,)), columns, self.minimum_scale)
