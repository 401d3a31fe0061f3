"""The figure of what each latent unit does to the decoded mean while the others stay where they are."""

import numpy as np

from vaekit.reporting import plots
from vaekit.reporting.drawings.subject import Drawing, Subject, example, of_images

UNITS, STEPS, REACH = 10, 13, 3.0
"""units at most, steps of each, and how far they go in standard deviations"""


def traversals(subject: Subject) -> Drawing:
    """Draw the decoded mean while one unit goes from −3 to 3 and the others keep the code of a test example.

    Units are sorted by their KL; those that are idle are only counted. A unit goes by standard deviations of the
    prior, or of the codes where their prior is not a standard normal.
    """
    units, total = subject.used[:UNITS] or subject.order[:1].tolist(), subject.codes.shape[1]
    middle, spread = (0.0, 1.0) if subject.gaussian else (subject.codes.mean(0), subject.codes.std(0))
    steps = np.linspace(-REACH, REACH, STEPS)
    z = np.tile(subject.codes[0], (len(units), STEPS, 1))
    for row, unit in zip(z, units, strict=True):
        row[:, unit] = np.broadcast_to(middle, total)[unit] + steps * np.broadcast_to(spread, total)[unit]
    draw = _pictures if of_images(subject.run.space) else _lines
    figure = draw(
        subject, z, units, steps, "; ".join([subject.note.rsplit(", ", 1)[0], *_left_out(subject, len(units))])
    )
    deviations = "prior standard deviations" if subject.gaussian else "standard deviations of the codes"
    one = example(subject.run.space)
    return Drawing(
        "traversals",
        figure,
        f"What each latent unit does: it goes from −3 to 3 {deviations}, the others stay at the code of the first test "
        f"{one}. Units of largest KL first.",
    )


def _left_out(subject: Subject, shown: int) -> list[str]:
    """Say how many units are not shown, and why."""
    used, total = len(subject.used), subject.codes.shape[1]
    lines = []
    if used > shown:
        lines.append(f"{shown} of {used} used units")
    if total > max(used, shown):
        idle = total - max(used, shown)
        lines.append(f"left out: {idle} idle unit{'s' * (idle > 1)}, which change{'s' * (idle == 1)} nothing")
    return lines


def _pictures(subject: Subject, z: np.ndarray, units: list[int], steps: np.ndarray, note: str) -> plots.Figure:
    return plots.traversals(
        subject.decoded(z),
        subject.images(np.array([0]))[0],
        names=[_name(subject, unit) for unit in units],
        ticks=[f"{step:.0f}".replace("-", "−") if step == round(step) else "" for step in steps],
        title="What each latent unit does",
        note=note,
    )


def _lines(subject: Subject, z: np.ndarray, units: list[int], steps: np.ndarray, note: str) -> plots.Figure:
    x, shown = subject.split.batch(subject.rows).x[:, subject.numbers], subject.numbers
    deviation = (x - x.nanmean(0)).square().nanmean(0).sqrt().numpy()
    decoded = subject.mean(z).numpy()[..., shown] / np.where(deviation > 0, deviation, 1)
    return plots.responses(
        steps,
        decoded - decoded[:, STEPS // 2, None],
        [subject.columns[k] for k in shown],
        names=[_name(subject, unit) for unit in units],
        title="What each latent unit does",
        note=note,
        xlabel="unit (prior standard deviations)" if subject.gaussian else "unit (standard deviations)",
    )


def _name(subject: Subject, unit: int) -> str:
    return f"z[{unit}]" if subject.kl is None else f"z[{unit}] {subject.kl[unit]:.1f} nats"
