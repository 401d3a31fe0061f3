"""Event files for TensorBoard, in the folder of the run."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from PIL import Image
from torch.utils.tensorboard import SummaryWriter

from vaekit.run import Run
from vaekit.tracking.samples import cells
from vaekit.tracking.tracker import Values

EVENTS = "events.out.tfevents.*"


class TensorBoard:
    """A writer of event files."""

    def forget(self, run: Run, identity: str) -> None:
        """Remove the event files that are there: they are written anew."""
        for path in run.path.glob(EVENTS):
            path.unlink()

    def open(self, run: Run, identity: str, parameters: Mapping[str, Any]) -> None:
        """Begin a file, with the experiment as a text."""
        self.writer = SummaryWriter(str(run.path))
        self.writer.add_text("experiment", "\n".join(f"- {path}: {value}" for path, value in parameters.items()))

    def log(self, values: Values, step: int) -> None:
        """Write scalars, images, and tables as texts."""
        for name, value in values.items():
            if isinstance(value, int | float):
                self.writer.add_scalar(name, value, step)
            elif value.suffix == ".csv":
                header, *rows = cells(value)
                lines = [header, ["---"] * len(header), *rows]
                self.writer.add_text(name, "\n".join(f"| {' | '.join(line)} |" for line in lines), step)
            else:
                with Image.open(value) as image:
                    self.writer.add_image(name, np.asarray(image.convert("RGB")), step, dataformats="HWC")

    def close(self) -> None:
        """Close the file."""
        self.writer.close()
