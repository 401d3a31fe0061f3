"""What is missing in figures: transparent pixels, columns without their holes, categories by number."""

import numpy as np
import pytest

from vaekit.reporting import plots
from vaekit.reporting.plots.images import _pixels


def test_missing_pixels_are_transparent_and_averages_leave_them_out() -> None:
    images = np.full((1, 2, 1, 4, 4), 0.5, np.float32)
    images[0, 0, 0, 0, 0] = np.nan
    pixels = _pixels(images)
    assert pixels[0, 0, 0, 0].tolist() == [0, 0, 0, 0]
    assert (np.delete(pixels.reshape(-1, 4), 0, 0) == [128, 128, 128, 255]).all()
    large = np.full((1, 1, 3, 1200, 1200), 0.25, np.float32)
    large[..., ::2] = np.nan
    assert _pixels(large)[0, 0, 0, 0].tolist() == [64, 64, 64, 128]


@pytest.mark.filterwarnings("error")
def test_figures_of_tables_leave_holes_out_and_count_categories() -> None:
    random = np.random.default_rng(0)
    true = np.stack([random.normal(size=300), random.integers(0, 3, 300), np.full(300, np.nan)], 1)
    true[::7, :2] = np.nan
    made = np.stack(
        [true[:, 0] + 0.1, np.where(np.arange(300) < 150, true[:, 1], (true[:, 1] + 1) % 3), np.zeros(300)], 1
    )
    made = np.nan_to_num(made)
    names, categories = ["a", "b", "c"], [None, ("red", "green", "blue"), None]
    figure = plots.agreement(true, made, names, categories, title="t")
    words = [text.get_text() for axes in figure.axes for text in axes.texts]
    assert words == ["R² = 0.99", "50 % right", "missing"]
    assert [text.get_text() for text in figure.axes[1].get_xticklabels()] == ["red", "green", "blue"]
    figure = plots.marginals(true, made, names, categories, title="t")
    assert [text.get_text() for text in figure.axes[1].get_xticklabels()] == ["red", "green", "blue"]
    assert len(figure.axes[1].patches[0].get_path().vertices) > 0
    plots.histograms(true, names, title="t")
