"""Building a model from its specs: what each part is built from, and how parts meet each other."""

from collections.abc import Callable, Sequence
from typing import Protocol

from jaxtyping import Float
from torch import Tensor, nn
from torch.distributions import Distribution

from vaekit.conditional import Conditional
from vaekit.data import Space
from vaekit.distributions import Observed
from vaekit.errors import InputError
from vaekit.features import Features


class Layers(Protocol):
    """The spec of a network."""

    def encoder(self, event_shape: Sequence[int]) -> tuple[nn.Module, int]: ...

    def decoder(self, latent_dim: int, event_shape: Sequence[int], outputs: int) -> nn.Module: ...


class Part(Protocol):
    """The spec of a prior, posterior or likelihood."""

    @property
    def kind(self) -> str: ...

    def build(self, builder: "Builder") -> Conditional: ...


class Parts(Protocol):
    """The spec of a model."""

    @property
    def latent_dim(self) -> int: ...
    @property
    def network(self) -> Layers: ...
    @property
    def corruption(self) -> str | None: ...
    @property
    def prior(self) -> Part: ...
    @property
    def posterior(self) -> Part: ...
    @property
    def likelihood(self) -> Part: ...


class ObservedLikelihood(Conditional):
    """p(x_observed | z), where NaN marks the elements of x that are not observed.

    Args:
        likelihood: z (..., d) → p(x | z), independent over the elements of x.
    """

    def __init__(self, likelihood: Conditional) -> None:
        super().__init__()
        self.likelihood = likelihood

    def forward(self, c: Float[Tensor, "... latent"] | None = None) -> Distribution:
        return Observed(self.likelihood(c))

    def begin(self, examples: Callable[[int], Float[Tensor, "n *event"]]) -> None:
        self.likelihood.begin(examples)


class Builder:
    """The parts of a model while it is built: each is built once, when it is first asked for.

    A part may ask for another one, such as a prior that encodes pseudo-inputs by the posterior. It keeps it in a tuple,
    ``self.borrowed = (builder.posterior,)``, so that its weights belong to their owner alone: they are saved, averaged
    and updated once.

    Args:
        model: the spec.
        space: of the data.
    """

    def __init__(self, model: Parts, space: Space) -> None:
        self.model, self.space = model, space
        self._asked: list[str] = []
        self._built: dict[str, Conditional] = {}

    @property
    def latent_dim(self) -> int:
        """Number of latents d."""
        return self.model.latent_dim

    @property
    def event_shape(self) -> tuple[int, ...]:
        """Shape of one example."""
        return self.space.event_shape

    def encoder(self) -> tuple[nn.Module, int]:
        """Return a new trunk of an encoder, x (batch, *event) → features (batch, width), and its width.

        Where x has holes or columns of several kinds, or is corrupted, its network reads the features of x.
        """
        read = Features(self.space, self.model.corruption)
        trunk, width = self.model.network.encoder(read.shape)
        return (trunk if read.identity else nn.Sequential(read, trunk)), width

    def decoder(self, outputs: int, event_shape: Sequence[int] | None = None) -> nn.Module:
        """Return a new decoder, z (..., d) → (..., outputs, *event), for x or for another ``event_shape``."""
        shape = self.event_shape if event_shape is None else event_shape
        return self.model.network.decoder(self.latent_dim, shape, outputs)

    @property
    def prior(self) -> Conditional:
        """p(z)."""
        return self._part("prior", self.model.prior)

    @property
    def posterior(self) -> Conditional:
        """q(z | x)."""
        return self._part("posterior", self.model.posterior)

    @property
    def likelihood(self) -> Conditional:
        """p(x | z); where x may have holes, the density of what is observed."""
        return self._part("likelihood", self.model.likelihood)

    def _part(self, role: str, spec: Part) -> Conditional:
        if role not in self._built:
            if role in self._asked:
                kinds = " and ".join(f"{each} {getattr(self.model, each).kind!r}" for each in self._asked)
                raise InputError(f"{kinds} are built from each other: choose another kind for one of them")
            self._asked.append(role)
            part = spec.build(self)
            self._built[role] = ObservedLikelihood(part) if role == "likelihood" and self.space.missing else part
            self._asked.remove(role)
        return self._built[role]
