"""Event files for TensorBoard, on request."""

from collections.abc import Generator
from contextlib import closing
from itertools import chain
from pathlib import Path

from vaekit.errors import InputError
from vaekit.training.loop import Progress


def record(reports: Generator[Progress, None, None], folder: Path) -> Generator[Progress, None, None]:
    """Pass on the reports of a training, and write each evaluation's terms as scalars, train/elbo and so on.

    Raises:
        InputError: if tensorboard is not installed.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise InputError("--tensorboard needs the package tensorboard: pip install 'vaekit[tensorboard]'") from None
    with closing(reports):
        first = next(reports)  # creates the folder
        with SummaryWriter(str(folder)) as writer:
            for report in chain([first], reports):
                row = report.row or {}
                for split in ("train", "validation", "test"):
                    for name, value in row.get(split, {}).items():
                        writer.add_scalar(f"{split}/{name}", value, row["samples"])
                yield report
