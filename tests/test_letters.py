"""Letters in figures: names of any script are drawn or described, and nothing in them is read as a formula."""

import warnings
import xml.etree.ElementTree as ET

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread
from test_plots import points, texts

from vaekit.reporting import plots

NAMES = [
    r"$\frac{$",
    "US$ in ^_ C$",
    "猫",
    "한국어 " * 9,
    "esc\x1b[31m",
    "two\nlines",
    "caf\udce9",
    "\ufffe",
    "\U0010fffd",
    "é",
]


@pytest.fixture
def random():
    return np.random.default_rng(0)


def with_names(random, names):
    """A figure of every kind that shows names."""
    words = {"title": f"of {names[0]}", "note": f"{names[1]}, {names[2]}"}
    n, x, images = len(names), random.normal(size=(40, len(names))), random.random((2, len(names), 1, 8, 8))
    labels, counts = np.arange(40) % n, random.integers(0, 9, (n, n))
    yield plots.scatter(x[:, :2], labels, names, axes_labels=names[:2], **words)
    yield plots.scatter(x[:, :3], labels, names, axes_labels=names[:3], **words)
    yield plots.agreement(x, x, names, **words)
    yield plots.marginals(x, x, names, **words)
    yield plots.fidelity(dict.fromkeys(names, (0.5, 0.1)), *np.full((3, n), 0.5), **words)
    yield plots.confusion(counts, names, **words)
    yield plots.class_counts({"test": counts[0], "samples": counts[1]}, names, **words)
    yield plots.pairs(images, images, names=("original", "reconstruction"), columns=names, **words)
    yield plots.curves(np.arange(3.0), {name: dict.fromkeys(names, np.arange(3.0)) for name in names[:2]}, **words)
    yield plots.rate_distortion(names, *points(np.arange(float(n)), np.arange(float(n))), **words)


def test_names_of_any_letters_are_drawn_and_described(tmp_path, random):
    with warnings.catch_warnings(action="error"):  # such as of a missing glyph
        for k, figure in enumerate(with_names(random, NAMES)):
            path = plots.save(figure, tmp_path, str(k))
            ET.parse(path)
            assert imread(path.with_suffix(".png")).size


def test_a_dollar_is_a_dollar(random):
    shown = texts(
        plots.scatter(random.normal(size=(40, 2)), np.arange(40) % 2, NAMES[:2], axes_labels="ab", title="$x$")
    )
    assert {"$x$", *NAMES[:2]} <= set(shown)


def test_letters_come_from_the_fonts_there_are_or_are_code_points(monkeypatch, random):
    assert plots.fonts.legible("é, σ, \U0010fffd") == r"é, σ, \U0010fffd"
    fonts = {"DejaVu Sans": "é ", "Kanji Sans": "é猫"}
    monkeypatch.setattr(plots.fonts, "_others", lambda: [(name, name) for name in fonts])
    monkeypatch.setattr(plots.fonts, "findfont", lambda properties: properties.get_family()[0])
    monkeypatch.setattr(plots.fonts, "_draws", lambda path, character: character in fonts[path])
    plots.fonts._family.cache_clear()
    assert plots.fonts.legible("é 猫 犬") == "é 猫 " + plots.fonts.escape("犬")
    figure = Figure()
    texts = [figure.text(0, 0, text) for text in ("é", "é猫")]
    plots.fonts.in_their_fonts(figure)
    assert texts[0].get_fontfamily() == mpl.rcParams["font.family"]
    assert texts[1].get_fontfamily() == ["DejaVu Sans", "Kanji Sans"]
    monkeypatch.undo()
    plots.fonts._family.cache_clear()


def test_wide_letters_are_cut_earlier():
    assert plots.style.short("abcdef", 6) == "abcdef"
    assert plots.style.short("abcdefg", 6) == "abcde…"
    assert plots.fonts.letters("猫" * 3) == 6
