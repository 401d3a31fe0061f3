"""A prior of your own."""

from collections.abc import Mapping
from typing import Any, ClassVar

from vaekit import own
from vaekit.building import Builder
from vaekit.compatibility import Role
from vaekit.conditional import Conditional
from vaekit.specs import spec


@spec
class Own(own.Own):
    """p(z) by a class of yours: a ``Conditional`` that is built from a ``Builder`` and returns p(z) without a context.

    Unless it states otherwise, it is over real vectors and has a density.
    """

    role: ClassVar[Role] = "prior"
    base: ClassVar[type] = Conditional
    usual: ClassVar[Mapping[str, Any]] = {"has": {"density"}}

    def build(self, builder: Builder) -> Conditional:
        """Return the module."""
        made: Conditional = self.make(builder)
        return made
