"""Figures in one style for screens, papers and dark pages: arrays in, a matplotlib Figure out.

Every figure carries a sentence on what it shows as its label, ``figure.get_label()``, for readers who cannot see it.
Nothing here touches pyplot or leaves a trace in matplotlib's settings, so a notebook's own style stays as it was.
"""

from vaekit.reporting.plots.classes import class_counts
from vaekit.reporting.plots.codes import kl_per_unit, scatter
from vaekit.reporting.plots.confusion import confusion
from vaekit.reporting.plots.curves import curves
from vaekit.reporting.plots.growth import growth
from vaekit.reporting.plots.images import (
    gaussian_quantiles,
    interpolations,
    levels,
    manifold,
    pairs,
    samples,
    strips,
    traversals,
)
from vaekit.reporting.plots.plane import rate_distortion
from vaekit.reporting.plots.style import ALWAYS, FORMATS, INK, MUTED, PAPER, RULE, Figure, ramp, save, short
from vaekit.reporting.plots.tables import agreement, fidelity, histograms, marginals, responses

__all__ = [
    "ALWAYS",
    "FORMATS",
    "INK",
    "MUTED",
    "PAPER",
    "RULE",
    "Figure",
    "agreement",
    "class_counts",
    "confusion",
    "curves",
    "fidelity",
    "gaussian_quantiles",
    "growth",
    "histograms",
    "interpolations",
    "kl_per_unit",
    "levels",
    "manifold",
    "marginals",
    "pairs",
    "ramp",
    "rate_distortion",
    "responses",
    "samples",
    "save",
    "scatter",
    "short",
    "strips",
    "traversals",
]
