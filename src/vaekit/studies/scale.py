"""How much of an artifact is run."""

from vaekit.data import Source
from vaekit.specs import spec

SCALES = ("smoke", "laptop", "full")


@spec
class Scale:
    """How long an artifact's experiments are, and how precisely they are measured."""

    epochs: float
    """length of an experiment, unless it is one of the longer ones"""
    longer: float = 5
    """how many times as long the artifact's longer experiments are"""
    images: int = 10_000
    """most test images that are measured"""
    seeds: int = 1
    """trainings per experiment"""
    digits: bool = False
    """whether scikit-learn's digits replace the report's images"""

    def source(self, name: str) -> Source:
        """Return the data: gray levels of the named set, or digits."""
        return Source(name="digits" if self.digits else name)


SMOKE = Scale(epochs=1, images=100, digits=True)
