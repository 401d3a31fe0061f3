"""A likelihood of your own."""

from typing import ClassVar, get_args

from vaekit import own
from vaekit.building import Builder
from vaekit.compatibility import Role
from vaekit.conditional import Conditional
from vaekit.data import Support
from vaekit.errors import InputError, shown
from vaekit.specs import spec


@spec
class Own(own.Own):
    """p(x | z) by a class of yours: a ``Conditional`` that is built from a ``Builder`` and called with z.

    The class states the values that it ``supports``, of binary, byte, unit, real and mixed, and, where it is a density
    or probability on some of them only, those as ``normalized_on``. One that is independent over the elements of x says
    so by ``has = {"elementwise"}``, which missing values need: its distribution is torch's ``Independent``, or
    has a method ``element_log_prob(x)``.
    """

    role: ClassVar[Role] = "likelihood"
    base: ClassVar[type] = Conditional

    @property
    def supports(self) -> tuple[Support, ...]:
        """Values that it accepts."""
        stated: tuple[Support, ...] | None = self._stated("supports", None)
        if self.known and not (isinstance(stated, tuple) and stated and {*stated} <= {*get_args(Support)}):
            known = ", ".join(get_args(Support))
            raise InputError(
                f"likelihood {self.path} states supports {shown(stated)}: give its class a tuple of some of {known}, "
                "such as supports = ('binary',)"
            )
        return stated or ()

    @property
    def normalized_on(self) -> tuple[Support, ...]:
        """Values on which it sums or integrates to 1."""
        return self._stated("normalized_on", self.supports)

    def build(self, builder: Builder) -> Conditional:
        """Return the module."""
        made: Conditional = self.make(builder)
        return made
