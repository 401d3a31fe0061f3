"""Figures: the same bytes every time, right ranges, right places, and nothing left behind in matplotlib."""

import subprocess
import sys

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.image import imread

from vaekit.reporting import plots
from vaekit.reporting.pages import COLORS
from vaekit.reporting.plots.images import _grid, _pixels
from vaekit.reporting.plots.style import CLASSES, SERIES


@pytest.fixture
def random():
    return np.random.default_rng(0)


def texts(figure):
    found = [t.get_text() for t in figure.texts]
    for axes in figure.axes:
        found += [t.get_text() for t in axes.texts]
    return found


def test_saving_twice_gives_the_same_bytes(tmp_path, random):
    points, labels, images = random.normal(size=(50, 2)), random.integers(0, 4, 50), random.random((9, 1, 8, 8))
    for name in ("first", "second"):
        plots.save(plots.scatter(points, labels, axes_labels=["a", "b"], title="codes"), tmp_path / name, "codes")
        plots.save(plots.samples(images, title="samples"), tmp_path / name, "samples")
    written = sorted(path.name for path in (tmp_path / "first").iterdir())
    assert written == ["codes.png", "codes.svg", "samples.png", "samples.svg"]
    for name in written:
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "second" / name).read_bytes()


def test_settings_of_the_user_change_nothing_and_stay(tmp_path, random):
    images = random.random((4, 1, 8, 8))
    plain = plots.save(plots.samples(images, title="samples"), tmp_path, "plain").read_bytes()
    with mpl.rc_context({"font.size": 30, "axes.facecolor": "red", "svg.fonttype": "none"}):
        assert plots.save(plots.samples(images, title="samples"), tmp_path, "mine").read_bytes() == plain
        assert mpl.rcParams["font.size"] == 30


def test_pyplot_is_never_imported():
    code = "import vaekit.reporting.plots, sys; sys.exit('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_untrained_model_does_not_squash_the_curves():
    epochs = np.arange(11.0)
    loss = np.array([540.0, *np.linspace(180, 150, 10)])
    figure = plots.curves(epochs, {"Loss": {"train": loss, "test": loss + 2}}, title="curves")
    low, high = figure.axes[0].get_ylim()
    assert 140 < low < 150
    assert 182 < high < 190
    assert figure.axes[0].get_title(loc="right") == "off scale: up to 542.0"
    assert {"train 150.0", "test 152.0"} <= set(texts(figure))
    assert "train 150.0, test 152.0" in figure.get_label()


@pytest.mark.parametrize(
    "values",
    [[3.0], [2.0, 2.0, 2.0], [np.nan, 1.0, np.inf], [np.nan, np.nan]],
    ids=["one", "constant", "holes", "none"],
)
def test_curves_of_odd_metrics_are_drawn(tmp_path, values):
    epochs = np.arange(float(len(values)))
    figure = plots.curves(epochs, {"Loss": {"train": np.array(values)}}, title="curves")
    plots.save(figure, tmp_path, "curves")
    assert np.isfinite(figure.axes[0].get_ylim()).all()


def test_labels_of_curves_that_end_together_stay_apart():
    epochs = np.arange(5.0)
    flat = {"train": np.full(5, 2.0), "validation": np.full(5, 2.0), "test": np.full(5, 2.0)}
    figure = plots.curves(epochs, {"KL": flat}, title="curves")
    heights = sorted(t.get_position()[1] for t in figure.axes[0].texts)
    assert np.diff(heights).min() > 0.13


def test_many_curves_have_a_colour_each_and_a_label():
    series = {f"run {k}": np.array([5.0, 4.0, 3.0 + k]) for k in range(9)}
    axes = plots.curves(np.arange(3.0), {"KL": series}, title="curves").axes[0]
    assert {t.get_text() for t in axes.texts} == {f"run {k} {plots.style.number(3.0 + k)}" for k in range(9)}
    lines = [line for line in axes.lines if len(line.get_xdata()) == 3]
    assert len({line.get_color() for line in lines}) == 9
    heights = sorted(t.get_position()[1] for t in axes.texts)
    assert heights[0] > -0.1
    assert np.diff(heights).min() > 0.08


def oklab(colors, transform):
    rgb = np.array([[int(c[i : i + 2], 16) / 255 for i in (1, 3, 5)] for c in colors])
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4) @ np.array(transform).T
    to_cones = [
        [0.41222147, 0.53633254, 0.05144599],
        [0.2119035, 0.68069955, 0.10739696],
        [0.0883025, 0.28171884, 0.62997870],
    ]
    to_lab = [
        [0.21045426, 0.79361779, -0.00407205],
        [1.9779985, -2.42859221, 0.45059371],
        [0.0259040, 0.78277177, -0.80867577],
    ]
    return np.cbrt((linear @ np.array(to_cones).T).clip(0)) @ np.array(to_lab).T


EYES = {  # G. Machado et al., A physiologically-based model for simulation of color vision deficiency, 2009, severity 1
    "normal": np.eye(3),
    "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritan": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}


@pytest.mark.parametrize("eyes", EYES)
@pytest.mark.parametrize(("colors", "distance"), [(CLASSES, 0.09), (SERIES, 0.117)], ids=["classes", "series"])
def test_no_two_colors_look_alike_to_any_eyes(eyes, colors, distance):
    lab = oklab(colors, EYES[eyes])
    between = np.linalg.norm(lab[:, None] - lab[None], axis=-1)
    assert between[np.triu_indices(len(colors), 1)].min() > distance


def luminance(color):
    levels = np.array([int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    return np.where(levels <= 0.04045, levels / 12.92, ((levels + 0.055) / 1.055) ** 2.4) @ [0.2126, 0.7152, 0.0722]


def contrast(a, b):
    """The contrast ratio of WCAG 2.2."""
    bright, dark = sorted((luminance(a), luminance(b)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("page", COLORS["paper"], ids=["light", "dark"])
def test_every_color_stands_out_on_the_light_page_and_on_the_dark_one(page):
    for color in (*SERIES, *CLASSES, *plots.ramp([str(k) for k in range(12)]).values()):
        assert contrast(color, page) >= 3, color
    kind = COLORS["paper"].index(page)
    assert all(contrast(COLORS[name][kind], page) >= 4.5 for name in ("ink", "muted"))


def test_ordered_names_lie_along_one_ramp():
    lab = oklab(list(plots.ramp([f"d = {d}" for d in (2, 3, 4, 5, 10, 30)]).values()), EYES["normal"])
    assert (np.diff(lab[:, 0]) > 0).all()  # so that the order survives in gray
    steps = np.linalg.norm(np.diff(lab, axis=0), axis=1)
    assert steps.max() < 2 * steps.min()


def test_a_published_line_has_the_hue_of_its_method_and_dashes():
    series = {name: np.arange(3.0) + k for k, name in enumerate(("AEVB", "w–s", "AEVB paper", "w–s paper"))}
    published = {"AEVB paper": "AEVB", "w–s paper": "w–s"}
    axes = plots.curves(np.arange(3.0), {"bound": series}, title="t", published=published).axes[0]
    lines = [line for line in axes.lines if len(line.get_xdata()) == 3]
    hues, styles = [line.get_color() for line in lines], [line.get_linestyle() for line in lines]
    assert hues[:2] == hues[2:] != hues[1::-1]
    assert styles == ["-", "-", "--", "--"]


def test_names_at_the_ends_of_lines_stay_on_the_sheet():
    series = {name: np.array([-140.0, -112.8]) for name in ("AEVB Adagrad", "w–s Adagrad", "MMMMMMMMMMMMMM")}
    figure = plots.curves(np.arange(2.0), {"bound": series}, title="t")
    figure.canvas.draw()
    edges = [t.get_window_extent().x1 for t in figure.axes[0].texts if not t.get_text().startswith("MM")]
    assert max(edges) < figure.bbox.x1


def test_known_errors_are_bars_of_two_standard_errors():
    values, errors = np.array([np.nan, -140.0, np.nan]), np.array([np.nan, 1.5, np.nan])
    figure = plots.curves(
        np.arange(3.0), {"evidence": {"AEVB": values}}, title="t", errors={"evidence": {"AEVB": errors}}
    )
    (bars,) = figure.axes[0].containers
    (segment,) = (segment for segment in bars.lines[2][0].get_segments() if len(segment))
    assert segment.tolist() == [[1.0, -143.0], [1.0, -137.0]]
    assert figure.axes[0].get_ylim()[0] < -143


def test_one_low_value_does_not_squeeze_a_panel_but_each_end_is_shown():
    epochs = np.linspace(0.1, 2, 20)
    rising = -100 - 60 * np.exp(-2 * epochs)
    far = rising - 30
    far[0] = -412
    axes = plots.curves(epochs, {"bound": {"a": rising, "b": far}}, title="t").axes[0]
    assert axes.get_ylim()[0] > -250
    assert axes.get_title(loc="right") == "off scale: down to −412.0"
    apart = {"a": rising, "b": rising, "c": rising, "d": rising, "e": np.full(20, -900.0)}
    assert plots.curves(epochs, {"bound": apart}, title="t").axes[0].get_ylim()[0] < -900


def test_a_figure_is_large_enough_for_slides_and_comes_as_pdf_on_request(tmp_path, random):
    figure = plots.samples(random.random((9, 1, 28, 28)), title="samples")
    path = plots.save(figure, tmp_path, "samples", ("pdf", "png"))
    first = path.read_bytes()
    assert (path.name, first[:5]) == ("samples.pdf", b"%PDF-")
    assert imread(tmp_path / "samples.png").shape[1] >= 1600
    assert plots.save(figure, tmp_path, "samples", ("pdf",)).read_bytes() == first


def test_each_unit_has_a_row_beside_the_image_it_starts_from():
    images = np.linspace(0, 1, 6).reshape(2, 3, 1, 1, 1) * np.ones((2, 3, 1, 4, 4))
    figure = plots.traversals(
        images, np.ones((1, 4, 4)), names=["z[3]", "z[0]"], ticks=["−3", "", "3"], title="traversals"
    )
    axes = figure.axes[0]
    assert [t.get_text() for t in axes.get_xticklabels()] == ["image", "−3", "", "3"]
    assert [t.get_text() for t in axes.get_yticklabels()] == ["z[3]", "z[0]"]
    row = np.asarray(axes.get_images()[0].get_array())[-1]
    assert row[row[:, 3] > 0, 0].reshape(4, 4)[:, 0].tolist() == [255, 153, 204, 255]


def test_columns_answer_to_a_unit_by_lines_named_at_their_ends():
    z = np.linspace(-3, 3, 5)
    slopes = np.array([0.1, -1.0, 2.0, 0.0, 0.5, -0.2, 0.3])
    figure = plots.responses(z, z[None, :, None] * slopes, list("abcdefg"), names=["z[1]"], title="responses")
    (axes,) = figure.axes
    assert [t.get_text() for t in axes.texts] == ["c", "e", "g", "f", "b"]  # the five that move most, as they end
    colors = {t.get_text(): line.get_color() for t, line in zip(axes.texts, axes.lines, strict=True)}
    assert colors["c"] == colors["e"] != colors["b"] == colors["f"]
    heights = [t.get_position()[1] for t in axes.texts]
    assert np.diff(heights).max() < -0.1
    assert "z[1]: c" in figure.get_label()


@pytest.mark.parametrize("dimensions", [1, 2, 3])
@pytest.mark.parametrize("n", [1, 2, 300])
@pytest.mark.parametrize("labeled", [True, False])
def test_codes_are_drawn_in_one_to_three_dimensions(tmp_path, random, dimensions, n, labeled):
    labels = random.integers(0, 3, n) if labeled else None
    names = [f"z[{k}]" for k in range(dimensions)]
    figure = plots.scatter(random.normal(size=(n, dimensions)), labels, axes_labels=names, title="codes")
    plots.save(figure, tmp_path, "codes")
    assert len(figure.axes) == 1
    assert bool(figure.legends) == (labeled and dimensions != 2)  # on a plane the classes are named where they lie
    assert f"{n} points over z[0]" in figure.get_label()


def test_ten_classes_get_colors_and_the_rest_is_grey(random):
    labels = np.concatenate([np.full(40, k) for k in range(10)] + [np.arange(10, 60)])
    points = random.normal(size=(len(labels), 2))
    classes = [f"class {k}" for k in range(60)]
    figure = plots.scatter(points, labels, classes, axes_labels=["a", "b"], title="codes")
    names = [t.get_text() for t in figure.legends[0].get_texts()]
    assert names == ["50 other classes"]
    assert set(classes[:10]) <= set(texts(figure))


CLOTHES = ["trouser", "pullover", "coat", "bag"]


def clothes(random, places):
    """Codes of four classes, each close to its place, and two far away that make all of them small."""
    labels = np.arange(400) % 4
    points = np.asarray(places)[labels] + random.normal(size=(400, 2)) * 1e-3
    points, labels = np.concatenate([points, [[0, 0], [10, 10]]]), np.concatenate([labels, [0, 0]])
    return plots.scatter(points, labels, CLOTHES, axes_labels=["a", "b"], title="codes")


def test_names_of_classes_do_not_cover_each_other(random):
    figure = clothes(random, [[5.3, 5.3], [5.3, 5.3], [5.0, 5.6], [2.0, 5.0]])
    figure.canvas.draw()
    boxes = [t.get_window_extent() for t in figure.axes[0].texts]
    assert len(boxes) == 4
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])
    assert not figure.legends


def test_classes_that_coincide_are_named_in_a_legend(random):
    figure = clothes(random, [[5.3, 5.3]] * 4)
    assert [t.get_text() for t in figure.legends[0].get_texts()] == CLOTHES
    assert not figure.axes[0].texts


def test_a_manifold_grows_right_and_up():
    quantiles = plots.gaussian_quantiles(8)
    brightness = np.linspace(0, 1, 64).reshape(8, 8)  # grows with x within a row, and with y from row to row
    images = np.broadcast_to(brightness[:, :, None, None, None], (8, 8, 1, 4, 4))
    figure = plots.manifold(images, quantiles, quantiles, axes_labels=["z[0]", "z[1]"], title="manifold")
    bitmap = np.asarray(figure.axes[0].get_images()[0].get_array())
    assert bitmap[-1, 0].tolist() == [0, 0, 0, 255]
    assert bitmap[0, -1].tolist() == [255, 255, 255, 255]
    assert bitmap[0, 0, 0] > bitmap[-1, -1, 0]
    assert figure.axes[0].get_xlabel() == "z[0]"
    labels = [t.get_text() for t in figure.axes[0].get_yticklabels()]
    assert (labels[0], labels[-1]) == ("1.5", "−1.5")


def test_gaussian_quantiles_cut_equal_mass():
    from scipy.stats import norm

    assert np.allclose(norm.cdf(plots.gaussian_quantiles(20)), (np.arange(20) + 0.5) / 20)


def test_reconstructions_stand_under_their_originals():
    ones, zeros = np.ones((3, 5, 1, 8, 8)), np.zeros((3, 5, 1, 8, 8))
    figure = plots.pairs(ones, zeros, names=("original", "reconstruction"), title="pairs")
    names = [t.get_text() for t in figure.axes[0].get_yticklabels()]
    assert names == ["original", "reconstruction"] * 3
    column = np.asarray(figure.axes[0].get_images()[0].get_array())[:, 0]
    opaque = column[column[:, 3] > 0, 0]
    assert opaque.reshape(6, 8).tolist() == [[255] * 8, [0] * 8] * 3


def test_strips_begin_and_end_with_originals():
    between = np.full((2, 3, 1, 8, 8), 0.5)
    figure = plots.interpolations(
        np.ones((2, 1, 8, 8)), between, np.zeros((2, 1, 8, 8)), ticks=["0", "1/2", "1"], title="strips"
    )
    assert [t.get_text() for t in figure.axes[0].get_xticklabels()] == ["original", "0", "1/2", "1", "original"]
    row = np.asarray(figure.axes[0].get_images()[0].get_array())[0]
    assert row[row[:, 3] > 0, 0].reshape(5, 8)[:, 0].tolist() == [255, 128, 128, 128, 0]


@pytest.mark.parametrize("shape", [(1, 8, 8), (1, 28, 28), (1, 28, 20), (1, 105, 105), (3, 32, 32), (2, 9, 7)])
def test_a_pixel_of_an_image_is_a_whole_block_of_the_file(tmp_path, random, shape):
    images = random.integers(0, 2, (25, *shape)).astype(float)
    figure = plots.samples(images, title="samples")
    plots.save(figure, tmp_path, "samples")
    axes = figure.axes[0]
    bitmap = np.asarray(axes.get_images()[0].get_array())
    file = (imread(tmp_path / "samples.png")[..., :3] * 255).round().astype(np.uint8)
    box = axes.get_position().transformed(figure.transFigure)
    left, top = round(box.x0), file.shape[0] - round(box.y1)
    block = round(box.width) // bitmap.shape[1]
    assert round(box.width) == block * bitmap.shape[1]
    drawn = file[top : top + round(box.height), left : left + round(box.width)]
    expected = np.where(bitmap[..., 3:] > 0, bitmap[..., :3], 255).repeat(block, 0).repeat(block, 1)
    assert np.array_equal(drawn, expected)


def test_large_photographs_are_averaged_down_so_that_files_stay_small(tmp_path, random):
    photographs = random.random((64, 3, 25, 25)).repeat(8, 2).repeat(8, 3)
    assert _pixels(photographs.reshape(8, 8, 3, 200, 200)).shape == (8, 8, 66, 66, 4)
    path = plots.save(plots.samples(photographs, title="samples"), tmp_path, "samples")
    assert path.stat().st_size < 1_000_000


def test_values_outside_the_range_are_clipped():
    images = np.array([-1.0, 0.5, 2.0, np.nan]).reshape(1, 4, 1, 1, 1)
    assert _pixels(images)[0, :, 0, 0, 0].tolist() == [0, 128, 255, 0]


def test_long_names_of_columns_take_two_lines():
    columns = ["T-shirt/top", "Ankle boot", "Bag", *[""] * 7]
    figure = _grid(np.zeros((2, 10, 1, 28, 28)), "t", "", ["original", "reconstruction"], columns)
    names = [t.get_text() for t in figure.axes[0].get_xticklabels()]
    assert names[:3] == ["T-shirt\ntop", "Ankle\nboot", "Bag"]


def test_units_are_sorted_and_idle_ones_are_open_circles():
    kl = np.array([0.5, 1e-5, 2.0, 0.005])
    figure = plots.kl_per_unit(kl, [2, 0], threshold=0.01, title="units")
    axes = figure.axes[0]
    assert [t.get_text() for t in axes.get_xticklabels()] == ["z[2]", "z[0]", "z[3]", "z[1]"]
    assert axes.get_yscale() == "linear"
    assert axes.get_ylim()[0] == 0
    used, idle = (points for points in axes.collections if hasattr(points, "get_sizes"))
    assert np.allclose(used.get_offsets(), [[0, 2.0], [1, 0.5]])
    assert np.allclose(idle.get_offsets(), [[2, 0.005], [3, 1e-5]])
    assert not np.allclose(used.get_facecolor(), idle.get_facecolor())
    assert "2 are used" in figure.get_label()


def test_tables_show_twelve_columns_and_say_so(tmp_path, random):
    x = random.normal(size=(40, 15))
    names = [f"column {k}" for k in range(15)]
    figure = plots.agreement(x, x, names, title="agreement", note="wine")
    assert len(figure.axes) == 12
    assert "R² = 1.00" in texts(figure)
    assert any(t == "wine; the first 12 of 15 columns" for t in texts(figure))
    plots.save(figure, tmp_path, "agreement")
    x[:, 0] = 1
    plots.save(plots.marginals(x, x, names, title="marginals"), tmp_path, "marginals")
    assert "constant" in texts(plots.agreement(x, x, names, title="agreement"))


def test_growth_of_the_evidence_is_a_paired_gain_with_its_error(tmp_path):
    counts, gains = np.array([1.0, 10.0, 100.0]), np.array([0.0, 3.0, 5.0])
    figure = plots.growth(counts, gains, np.array([0, 0.1, 0.2]), annealed=(6.0, 0.3), title="growth")
    axes = figure.axes[0]
    assert axes.get_xscale() == "log"
    assert [t.get_text() for t in axes.get_xticklabels()] == ["1", "10", "100"]
    assert texts(figure)[-2:] == ["importance\n+5 ± 0.2", "annealed\n+6 ± 0.3"]
    heights = np.concatenate([segment[:, 1] for segment in axes.containers[0].lines[2][0].get_segments()])
    assert np.allclose(sorted(heights), [0, 0, 2.8, 3.2, 4.6, 5.4])
    assert "K = 100: +5" in figure.get_label()
    plots.save(figure, tmp_path, "growth")


def points(rates, distortions, error=0.2):
    return [np.stack([values, np.full(len(values), error)], axis=1) for values in (rates, distortions)]


def test_models_lie_between_rate_and_distortion_over_lines_of_one_elbo(tmp_path):
    rates, distortions = points([5.0, 10.0, 25.0], [120.0, 100.0, 75.0])
    figure = plots.rate_distortion(["a", "b", "c"], rates, distortions, title="plane", note="mnist")
    (axes,) = figure.axes
    (bars,) = axes.containers
    assert bars.lines[0].get_xydata().tolist() == [[5, 120], [10, 100], [25, 75]]
    horizontal, vertical = (collection.get_segments()[0] for collection in bars.lines[2])
    assert np.allclose(horizontal, [[4.6, 120], [5.4, 120]])
    assert np.allclose(vertical, [[5, 119.6], [5, 120.4]])
    levels = [line.get_xydata().sum(1) for line in axes.lines if len(line.get_xydata()) == 2]
    named = [float(t.removeprefix("ELBO ").replace("−", "-")) for t in texts(figure) if t.startswith("ELBO")]
    assert len(named) >= 4
    assert np.allclose(levels, -np.array(named)[:, None])
    assert {"a", "b", "c"} <= set(texts(figure))
    assert "b: 10.0, 100.0" in figure.get_label()
    plots.save(figure, tmp_path, "plane")


@pytest.mark.parametrize("error", [0.1, np.nan])
def test_names_of_models_in_one_place_stay_apart(tmp_path, error):
    names = [f"mnist-mlp-{k}" for k in range(4)]
    figure = plots.rate_distortion(names, *points([9.0] * 4, [-700.0] * 4, error), title="plane")
    plots.save(figure, tmp_path, "plane")
    boxes = [t.get_window_extent() for t in figure.axes[0].texts if t.get_text() in names]
    assert len(boxes) == 4
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])


@pytest.mark.parametrize("n", [1, 3, 60])
def test_classes_are_counted_side_by_side(tmp_path, n):
    counts = {"test images": np.arange(n) + 3, "samples": np.full(n, 7)}
    names = [f"class number {k}" for k in range(n)]
    figure = plots.class_counts(counts, names, title="classes")
    bars = figure.axes[0].patches
    assert [bar.get_height() for bar in bars] == [*(np.arange(n) + 3), *[7] * n]
    assert np.allclose([bars[0].get_x(), bars[n].get_x() + bars[n].get_width()], [-0.4, 0.4])
    assert [t.get_text() for t in figure.legends[0].get_texts()] == list(counts)
    assert f"of each of {n} classes" in figure.get_label()
    plots.save(figure, tmp_path, "classes")


def test_strips_have_a_name_beside_each_row(random):
    figure = plots.strips(random.random((3, 5, 1, 8, 8)), names=["original", "noisy", "decoded"], title="strips")
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["original", "noisy", "decoded"]
    assert figure.get_label() == "strips: 3 rows of 5 images."
