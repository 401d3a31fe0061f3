"""Figures that only tables have, column by column: reconstructions, and samples beside the data."""

from vaekit.reporting import plots
from vaekit.reporting.drawings.subject import Drawing, Subject


def agreement(subject: Subject) -> Drawing:
    """Draw the reconstruction of each column against its true value."""
    space = subject.run.space
    x = subject.split.batch(subject.rows[:2000]).x
    figure = plots.agreement(
        space.restore(x),
        space.restore(subject.vae.reconstruct(x)),
        subject.columns,
        subject.words,
        title="Reconstructed against true values",
        note=subject.note,
    )
    caption = "Test rows in the file's units; R² is the part of the variance that is explained, 1 at best."
    if any(subject.words):
        caption = f"{caption} Of categories it is the share that is right, and areas are numbers of rows."
    return Drawing("reconstructions", figure, caption)


def marginals(subject: Subject) -> Drawing:
    """Draw each column's histogram over the test rows and over samples of the model."""
    space = subject.run.space
    x = subject.split.batch(subject.rows).x
    figure = plots.marginals(
        space.restore(x),
        space.restore(subject.sampled(2000, noise=True)),
        subject.columns,
        subject.words,
        title="Test rows and samples of the model",
        note=subject.note,
    )
    caption = "Histograms of the test rows and of 2,000 samples of x, with the noise of p(x | z)."
    return Drawing("samples", figure, caption)
