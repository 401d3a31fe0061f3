"""A process that takes its share of another one's training."""

import signal
from contextlib import closing
from pathlib import Path

from vaekit.data import Data
from vaekit.experiment import Experiment
from vaekit.run import Run
from vaekit.training.gathering import joined
from vaekit.training.loop import Training
from vaekit.training.ranks import Ranks

SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")
"""those that end a training, about which rank 0 decides; Windows has no SIGHUP"""


def follow() -> int:
    """Take this process's share of the training that rank 0 leads, until it ends; return the exit status.

    A failure is told to rank 0, which says so.
    """
    for name in SIGNALS:
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    ranks = joined()
    try:
        take_part(ranks)
    except Exception as error:
        sentence = " ".join(str(error).split()) or type(error).__name__
        ranks.store.set("failed", f"worker {ranks.rank} failed ({sentence})")
        return 1
    finally:
        ranks.leave()
    return 0


def take_part(ranks: Ranks) -> None:
    """Wait for rank 0's order, read run and data, and take steps as long as rank 0 calls for them."""
    order = ranks.order()
    ranks.connect(order["device"])  # from here on, rank 0 notices if this process ends
    device = ranks.device(order["device"])
    experiment, run = Experiment.from_json(order["experiment"]), Run(Path(order["path"]))
    data: Data = run.data(order["data_root"], order["data"])
    training = Training(experiment, run, data.to(device), device, ranks=ranks)
    with closing(training.batches()) as batches:
        while ranks.called():
            training.take_step(next(batches))
