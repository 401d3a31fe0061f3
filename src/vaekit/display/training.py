"""Training while you watch: in a terminal, a log file or a notebook, by the same line."""

from typing import Any

from vaekit.arguments import Place
from vaekit.display.messages import Output, messages
from vaekit.display.progress import follow
from vaekit.experiment import Experiment
from vaekit.run import Run
from vaekit.training.loop import train


def fit(experiment: Experiment, run: Run | Place, *, quiet: bool = False, **options: Any) -> Run:
    """Train an experiment into a folder, show how it goes, and return the run.

    What is shown is a bar with the terms in a terminal, with a curve in a notebook, and a line per epoch in a log file.
    To do something of your own meanwhile, take the reports of ``train`` one by one.

    Args:
        experiment: what to train.
        run: the folder.
        quiet: show nothing.
        options: as for ``train``.

    Raises:
        InputError, RunError: as ``train`` does.
    """
    with messages(Output(quiet=quiet)):
        for _ in follow(train(experiment, run, **options), quiet):
            pass
    return Run.of(run)
