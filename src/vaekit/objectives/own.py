"""An objective of your own."""

from collections.abc import Mapping
from typing import Any, ClassVar

from vaekit import own
from vaekit.compatibility import Role
from vaekit.data import Space
from vaekit.model import VAE
from vaekit.objectives.objective import Objective
from vaekit.specs import spec


@spec
class Own(own.Own):
    """A loss by a class of yours: an ``Objective`` that is built from the model, which it must not keep, and the space.

    Unless it states otherwise, it needs a posterior with a density and draws that can be differentiated, brings codes
    and prior together, and reports no bound by which training could stop early.
    """

    role: ClassVar[Role] = "objective"
    base: ClassVar[type] = Objective
    usual: ClassVar[Mapping[str, Any]] = {
        "has": {"generative"},
        "needs": {"posterior": {"density", "pathwise"}},
    }

    def build(self, vae: VAE, space: Space) -> Objective:
        """Return the objective for a model of data in a space."""
        made: Objective = self.make(vae, space)
        return made
