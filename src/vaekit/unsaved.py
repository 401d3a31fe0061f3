"""A model in memory, in the place of a run: what is measured of it is returned and kept nowhere."""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.distributions import Distribution, Independent, Normal

from vaekit import devices, likelihoods
from vaekit.building import ObservedLikelihood
from vaekit.compatibility import Trait, Traits
from vaekit.conditional import Conditional
from vaekit.data import Data, Source, Space, Split
from vaekit.data.raw import content_digest
from vaekit.data.values import has_holes
from vaekit.distributions import Observed, has_density
from vaekit.errors import InputError
from vaekit.model import VAE
from vaekit.training.diagnosis import try_out

PARTS = ("prior", "posterior", "likelihood")


def as_vae(module: nn.Module, event_shape: tuple[int, ...]) -> VAE:
    """Return a module with the three parts as a model; one that is a model already is returned as it is.

    Raises:
        InputError: if it lacks a part.
    """
    missing = [part for part in PARTS if not isinstance(getattr(module, part, None), nn.Module)]
    if missing:
        raise InputError(
            f"{type(module).__name__} has no {' and no '.join(missing)}: give a run, or a module with the parts prior, "
            "posterior and likelihood, such as vaekit.VAE(prior, posterior, likelihood)"
        )
    if isinstance(module, VAE):
        return module
    prior, posterior, likelihood = (cast(Conditional, getattr(module, part)) for part in PARTS)
    return VAE(prior, posterior, likelihood, event_shape)


@dataclass(frozen=True)
class Unsaved:
    """A model and the data that it is measured on, which are those of all splits.

    Attributes:
        vae: the model: a copy, on the CPU and in evaluation mode at first.
        space, part: of the data: values are as the model reads them, 8-bit levels as k/255.
    """

    vae: VAE
    space: Space
    part: Split

    path = Path("a model in memory")

    @classmethod
    def of(cls, module: nn.Module, data: Any) -> "Unsaved":
        """Take a module with the three parts, and data of any kind that ``train`` takes.

        Raises:
            InputError: if a part is missing or gives densities of another shape, or the data do not fit.
        """
        if data is None:
            raise InputError("data is None: a model in no run needs the data to measure it on, an array or a path")
        source = Source(name=data)
        raw = source.read(place=data)
        assert raw.support  # as `Source.read` gives
        size = len(raw.x)
        space = Space(
            source=source.name, event_shape=raw.x.shape[1:], support=raw.support, binarization="none", split=f"{size}",
            sizes={"test": size}, digest=raw.digest or content_digest(raw.x, raw.labels), classes=raw.classes,
            columns=raw.columns, missing=has_holes(raw.x),
        )  # fmt: skip
        labels = None if raw.labels is None else torch.from_numpy(raw.labels)
        x = torch.from_numpy(raw.x if raw.x.dtype.kind != "f" else raw.x.astype("float32"))
        vae = deepcopy(as_vae(module, space.event_shape)).cpu().eval()
        found = cls(vae, space, Split(x, labels, levels=255 if raw.support == "byte" else 1))
        with torch.no_grad(), devices.isolated(torch.device("cpu")):
            draws = try_out(found.vae, found.some(), 1, ["a part of yours"])
            if space.missing and not isinstance(found.vae.likelihood(draws.z), Observed):
                raise InputError(
                    "data has missing values (NaN), which this likelihood does not leave out: fill them, or let it "
                    "return vaekit.distributions.Observed(p)"
                )
            assert found.experiment  # seen while the model is on the CPU
        return found

    def some(self) -> Tensor:
        """Return the first two examples, on the CPU."""
        return self.part.batch(torch.arange(min(2, len(self.part)))).x

    def data(self, root: Any = None, place: Any = None, *, stored: bool = False) -> Data:
        """Return the data as all splits."""
        return Data(self.space, self.part, None, self.part, 0)

    @cached_property
    def experiment(self) -> Any:
        """What the parts have, as far as their distributions of the first examples show it."""
        prior, posterior = self.vae.prior(), self.vae.posterior(self.some())
        model = SimpleNamespace(
            prior=_part("prior", self.vae.prior, seen(prior)),
            posterior=_part("posterior", self.vae.posterior, seen(posterior) | {"encoder"}),
            likelihood=_likelihood(self.vae.likelihood),
            network=SimpleNamespace(kind="own"),
        )
        objective = SimpleNamespace(kind="own", has={"generative"})
        return SimpleNamespace(model=model, objective=objective, early_stopping=None)

    def metrics(self) -> list[dict[str, Any]]:
        """Return no rows: nothing is known of a training."""
        return []

    def measured(self, name: str) -> dict[str, Tensor]:
        """Return no numbers: none are kept."""
        return {}

    def save(self, name: str, tensors: Mapping[str, Tensor], facts: Mapping[str, Any] | None = None) -> None:
        """Keep nothing."""

    def add_evaluation(self, evaluation: Mapping[str, Any]) -> None:
        """Keep nothing."""


def seen(p: Distribution) -> set[Trait]:
    """Say what a distribution has.

    Example:
        >>> sorted(seen(Independent(Normal(torch.zeros(2), torch.ones(2)), 1)))
        ['closed', 'density', 'factorized', 'gaussian', 'pathwise', 'standard']
    """
    if not has_density(p):
        return {"point", "pathwise"}
    found: set[Trait] = {"density"}
    if p.has_rsample:
        found.add("pathwise")
    if isinstance(p, Independent) and p.reinterpreted_batch_ndims == 1:
        found.add("factorized")
        if isinstance(p.base_dist, Normal):
            found |= {"gaussian", "closed"}
            loc, scale = p.base_dist.loc, p.base_dist.scale
            if not loc.requires_grad and bool((loc == 0).all()) and bool((scale == 1).all()):
                found.add("standard")
    return found


def _part(role: str, module: nn.Module, has: set[Trait]) -> Any:
    stated = cast(Traits, getattr(module, "has", frozenset()))
    return SimpleNamespace(kind="own", latents=getattr(module, "latents", "real"), has=has | set(stated))


def _likelihood(module: nn.Module) -> Any:
    """Return the spec of a likelihood of vaekit, or what a class of the user's states of itself."""
    module = module.likelihood if isinstance(module, ObservedLikelihood) else module
    name = type(module).__name__
    if type(module) is getattr(likelihoods, name, None):
        return getattr(module, "spec", getattr(likelihoods, name.removesuffix("Likelihood"))())
    supports = getattr(module, "supports", ())
    return SimpleNamespace(kind="own", supports=supports, normalized_on=getattr(module, "normalized_on", supports))
