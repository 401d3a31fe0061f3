"""A posterior of your own."""

from collections.abc import Mapping
from typing import Any, ClassVar

from vaekit import own
from vaekit.building import Builder
from vaekit.compatibility import Role
from vaekit.conditional import Conditional
from vaekit.specs import spec


@spec
class Own(own.Own):
    """q(z | x) by a class of yours: a ``Conditional`` that is built from a ``Builder`` and called with x.

    Unless it states otherwise, it is over real vectors, depends on x, has a density, and draws by ``rsample``.
    """

    role: ClassVar[Role] = "posterior"
    base: ClassVar[type] = Conditional
    usual: ClassVar[Mapping[str, Any]] = {"has": {"encoder", "density", "pathwise"}}

    def build(self, builder: Builder) -> Conditional:
        """Return the module."""
        made: Conditional = self.make(builder)
        return made
