"""How much of an artefact is run."""

from vaekit.data import Source
from vaekit.specs import spec

SCALES = ("smoke", "laptop", "full")


@spec
class Scale:
    """How long an artefact's experiments are, and how closely they are measured."""

    epochs: float
    """of an experiment of the usual length"""
    longer: float = 5
    """how many times as long an artefact's longer experiments are"""
    images: int = 10_000
    """test images that are measured, at most"""
    seeds: int = 1
    """trainings of each experiment"""
    digits: bool = False
    """scikit-learn's digits in place of the report's images"""

    def source(self, name: str) -> Source:
        """The data: grey levels of the named set, or digits."""
        return Source(name="digits" if self.digits else name)


SMOKE = Scale(epochs=1, images=100, digits=True)
