"""The report and the figures of a run: what applies is drawn, what does not is said, and the page stands alone."""

import logging
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser
from importlib.metadata import version
from urllib.parse import unquote

import numpy as np
import pytest
import torch

from vaekit import choose, evaluate, train
from vaekit.data import Source, Space
from vaekit.errors import InputError, RunError
from vaekit.evaluations import weights_digest
from vaekit.experiment import Experiment
from vaekit.reporting.drawings import Subject, curves, drawings, pictures, traversals
from vaekit.reporting.drawings.codes import components
from vaekit.reporting.reports import _duration, _estimate, figures, report
from vaekit.run import WEIGHTS, Run

IMAGES = ["losses", "latents-2d", "manifold", "reconstructions", "interpolations", "samples"]


def row(epoch, loss, **more):
    terms = {"loss": loss, "elbo": -loss, "reconstruction": loss - 2, "kl": 2.0, **more}
    return {"epoch": epoch, "step": int(10 * epoch), "samples": int(1000 * epoch), "train": terms, "test": terms,
            "images_per_second": 500.0, "seconds": 2.0 * epoch}  # fmt: skip


ROWS = [row(0.0, 40.0), row(1.0, 30.0), row(2.0, 25.0)]


def make(path, source, rows=ROWS, **changes):
    """A run with untrained weights."""
    experiment = Experiment(data=source).replace_all({"model.latent_dim": 2, "model.network.hidden": [8]} | changes)
    space = source.load().space
    run = Run.create(path, experiment, space)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        run.save(WEIGHTS, experiment.model.build(space.event_shape).state_dict())
    run.write_metrics(rows)
    return run


@pytest.fixture
def digits(tmp_path):
    return make(tmp_path / "run", Source(name="digits", binarization="dynamic"))


@pytest.fixture
def said(caplog):
    caplog.set_level(logging.INFO, logger="vaekit")
    return caplog


class Page(HTMLParser):
    """All tags of a page, its text, and the SVG documents in its images."""

    def __init__(self, path):
        super().__init__()
        self.tags, self.words = [], []
        self.feed(path.read_text("utf-8"))
        self.text = " ".join(" ".join(self.words).split())
        self.images = {}
        for tag, attributes in self.tags:
            if tag == "figure":
                name = attributes["id"]
            if tag == "img":
                kind, svg = attributes["src"].split(",", 1)
                assert kind == "data:image/svg+xml"
                self.images[name] = (unquote(svg), attributes["alt"])

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.words.append(data)


def names(paths):
    return [path.stem for path in paths]


def test_every_figure_of_an_image_model_is_drawn(digits, said):
    paths = figures(digits)
    assert names(paths) == IMAGES
    assert all(path.parent == digits.path / "figures" and path.with_suffix(".png").is_file() for path in paths)
    assert not said.messages


@pytest.mark.parametrize(
    ("latent_dim", "latents"),
    [(1, ["latents-1d"]), (3, ["latents-2d", "latents-3d"]), (5, ["latents-2d", "latents-pca"])],
)
def test_latents_of_any_number_are_drawn(tmp_path, latent_dim, latents):
    run = make(tmp_path / "run", Source(name="digits"), **{"model.latent_dim": latent_dim})
    one_of = ["manifold"] if latent_dim < 3 else ["traversals"]
    kl = ["kl-per-unit"] if latent_dim > 2 else []
    assert names(figures(run)) == ["losses", *latents, *one_of, *IMAGES[3:], *kl]


@pytest.fixture
def leaning(tmp_path):
    """A model of digits: unit 0 brightens, unit 2 brightens half as much, units 1 and 3 are idle."""
    changes = {"model.latent_dim": 4, "model.network.hidden": []}
    run = make(tmp_path / "run", Source(name="digits"), **changes)
    weights = {k: torch.zeros_like(v) for k, v in run.experiment.model.build((1, 8, 8)).state_dict().items()}
    weights["posterior.head.weight"][0, :32], weights["posterior.head.weight"][2, 32:] = 0.1, 0.05
    weights["likelihood.network.0.weight"][:, 0], weights["likelihood.network.0.weight"][:, 2] = 1.0, 0.5
    run.save(WEIGHTS, weights)
    return run


def test_traversals_move_one_unit_and_leave_the_idle_ones_out(leaning):
    subject = Subject(leaning, leaning.vae(), leaning.data().fixed("test"))
    assert subject.used == [0, 2]
    drawing = traversals(subject)
    axes = drawing.figure.axes[0]
    assert [t.get_text()[:4] for t in axes.get_yticklabels()] == ["z[0]", "z[2]"]
    cells = np.asarray(axes.get_images()[0].get_array())
    rows = [row[row[:, 3] > 0, 0].reshape(14, 8)[1:, 0] / 255 for row in (cells[0], cells[-1])]
    z = subject.codes[0]
    for row, moved, other in zip(rows, (1.0, 0.5), (0.5 * z[2], z[0]), strict=True):
        expected = 1 / (1 + np.exp(-(moved * np.linspace(-3, 3, 13) + other)))
        assert np.allclose(row, expected, atol=1 / 255)
    assert any(
        "left out: 2 idle units, which change nothing" in " ".join(t.get_text().split()) for t in drawing.figure.texts
    )


def test_components_are_the_directions_in_which_the_codes_spread_most(leaning):
    subject = Subject(leaning, leaning.vae(), leaning.data().fixed("test"))
    axes = components(subject).figure.axes[0]
    covariance = np.cov(subject.codes.T)
    shares = np.sort(np.linalg.eigvalsh(covariance))[::-1] / np.trace(covariance)
    assert axes.get_xlabel() == f"component 1 ({100 * shares[0]:.0f} % of the variance)"
    points = axes.collections[0].get_offsets()
    assert np.allclose(np.var(points, axis=0, ddof=1), shares[:2] * np.trace(covariance), rtol=1e-4)


def test_interpolations_name_the_classes_of_both_ends(digits):
    subject = Subject(digits, digits.vae(), digits.data().fixed("test"))
    strips = next(drawing for drawing in pictures(subject) if drawing.name == "interpolations")
    names = [t.get_text() for t in strips.figure.axes[0].get_yticklabels()]
    assert names == ["0 → 3", "1 → 4", "2 → 5", "3 → 6", "4 → 7", "5 → 8"]


def test_the_axes_of_a_manifold_say_that_they_are_quantiles(digits):
    subject = Subject(digits, digits.vae(), digits.data().fixed("test"))
    axes = next(pictures(subject)).figure.axes[0]
    assert axes.get_xlabel().startswith("z[0] (KL ")
    assert axes.get_xlabel().endswith("at quantiles of the prior")


def test_the_growth_of_the_evidence_is_paired(digits):
    found = evaluate(digits, samples=20, images=50)
    bounds = digits.measured(found["per_image"])
    first, last = (bounds[f"log_evidence_at_{k}"][:50].double() for k in (1, 20))
    paired, error = (last - first).mean(), (last - first).std() / 50**0.5
    axes = next(drawing for drawing in drawings(digits, None, None, print) if drawing.name == "evidence").figure.axes[0]
    bars = axes.containers[0]
    assert np.allclose(bars.lines[0].get_ydata()[[0, -1]], [0, paired], atol=1e-4)
    low, high = bars.lines[2][0].get_segments()[-1][:, 1]
    assert np.isclose(high - low, 4 * error, rtol=1e-3)


def test_pdf_is_drawn_on_request_and_other_formats_are_refused(digits):
    paths = figures(digits, format="pdf")
    assert {path.suffix for path in paths} == {".pdf"}
    assert all(path.with_suffix(suffix).is_file() for path in paths for suffix in (".svg", ".png", ".pdf"))
    with pytest.raises(InputError, match="format 'jpeg' is unknown; choose from pdf, png, svg"):
        figures(digits, format="jpeg")


def test_drawing_again_gives_the_same_bytes_and_no_other_random_numbers(digits):
    first = report(digits).read_bytes()
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    assert report(digits).read_bytes() == first
    assert torch.equal(torch.rand(3), expected)


def test_all_terms_are_drawn_and_tabulated_by_name() -> None:
    space = Space.of((1, 8, 8))
    drawn = curves([row(0.0, 40.0, total_correlation=1.0), row(1.0, 30.0, total_correlation=0.5)], space)
    titles = [axes.get_title(loc="left") for axes in reversed(drawn.figure.axes)]
    assert titles == ["Loss = negative ELBO", "Reconstruction", "KL", "Total correlation"]
    assert drawn.table is not None
    assert drawn.table["Total correlation: test"].tolist() == [1.0, 0.5]


def test_an_auto_encoder_has_neither_samples_nor_kl(tmp_path, said):
    changes = {"model.posterior": "delta", "objective": "reconstruction"}
    terms = {"loss": 3.0, "reconstruction": 3.0}
    rows = [{**row(epoch, 3.0), "train": terms, "test": terms} for epoch in (0.0, 1.0)]
    run = make(tmp_path / "run", Source(name="digits"), rows, **changes)
    assert names(figures(run)) == IMAGES[:5]
    assert said.messages == [
        "no samples: it needs an objective that brings codes and prior together, so that samples mean something, "
        "unlike 'reconstruction'",
    ]
    assert "Loss = reconstruction" in " ".join(Page(report(run)).images["losses"][1:])


def test_a_table_has_its_own_figures(tmp_path):
    x = np.random.default_rng(0).normal(size=(60, 4)) @ np.diag([1.0, 10.0, 100.0, 1000.0])
    np.savetxt(tmp_path / "table.csv", x, delimiter=",", header="a,b,c,<b>d</b>", comments="")
    run = make(tmp_path / "run", Source(name=str(tmp_path / "table.csv")), **{"model.likelihood": "gaussian"})
    page = Page(report(run))
    assert list(page.images) == ["reconstructions", "traversals", "losses", "latents-2d", "samples"]
    assert "table.csv" in page.text


@pytest.mark.parametrize("shape", [(20, 28, 20), (20, 30, 40, 3), (10, 8, 8)], ids=["odd", "color", "few"])
def test_own_images_without_labels_are_drawn(tmp_path, shape):
    np.save(tmp_path / "images.npy", np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8))
    source = Source(name=str(tmp_path / "images.npy"))
    run = make(tmp_path / "run", source, **{"model.likelihood": "gaussian"})
    page = Page(report(run))
    left = set(IMAGES) - set(page.images)
    assert left == (set() if shape[0] > 10 else {"interpolations"})
    assert "in one color, since the data have no labels" in page.text


def test_images_of_real_numbers_are_drawn_in_their_own_range(tmp_path):
    x = np.random.default_rng(0).normal(50.0, 9.0, (20, 1, 8, 8)).astype(np.float32)
    np.save(tmp_path / "images.npy", x)
    run = make(tmp_path / "run", Source(name=str(tmp_path / "images.npy")), **{"model.likelihood": "gaussian"})
    assert names(figures(run)) == IMAGES


def test_lost_data_leave_the_curves_and_a_line(tmp_path, said):
    np.save(tmp_path / "images.npy", np.zeros((20, 8, 8), np.uint8))
    run = make(tmp_path / "run", Source(name=str(tmp_path / "images.npy")), **{"model.likelihood": "gaussian"})
    (tmp_path / "images.npy").unlink()
    page = Page(report(run))
    assert list(page.images) == ["losses"]
    assert said.messages[0].startswith("no figures of the model: ")
    assert "No figures of the model: " in page.text


def test_a_run_without_metrics_weights_or_results_has_a_report(tmp_path, said):
    run = make(tmp_path / "run", Source(name="digits"), rows=[])
    (run.path / WEIGHTS).unlink()
    page = Page(report(run))
    assert not page.images
    assert [message.split(":")[0] for message in said.messages] == ["no loss curves", "no figures of the model"]
    assert "No numbers yet: vaekit evaluate run estimates" in page.text


def test_metrics_of_one_split_and_with_holes_are_drawn(tmp_path):
    rows = [{"epoch": 0.0, "step": 0, "samples": 0, "seconds": 0.0, "train": {}},
            {"epoch": 0.5, "step": 3, "samples": 300, "seconds": 0.5, "train": {"loss": 5.0, "kl": 1.0}}]  # fmt: skip
    run = make(tmp_path / "run", Source(name="digits"), rows)
    page = Page(report(run))
    assert "The train loss was lowest, 5.00 nats, at epoch 0.5 of 0.5." in page.text


def test_the_page_stands_alone(digits):
    path = report(digits)
    page = Page(path)
    assert path == digits.path / "report.html"
    assert path.stat().st_size < 3_000_000
    assert {"script", "link", "iframe", "object"}.isdisjoint(tag for tag, _ in page.tags)
    for _, attributes in page.tags:
        assert not any(key.startswith("on") for key in attributes)
        assert all(attributes[key].startswith("data:") for key in ("src", "href") if key in attributes)
    policy = next(a["content"] for _, a in page.tags if a.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'")


def test_images_are_whole_svg_with_words_for_those_who_cannot_see_them(digits):
    for name, (svg, alt) in Page(report(digits)).images.items():
        root = ElementTree.fromstring(svg)
        assert root.tag == "{http://www.w3.org/2000/svg}svg", name
        assert "prefers-color-scheme: dark" in svg
        assert "fill: #ffffff" not in svg
        assert len(alt) > 30


def test_the_page_states_experiment_data_and_training(digits):
    text = Page(report(digits)).text
    for fact in (
        "digits, split 1257/180/360, dynamic binarization",
        "1,257 train, 180 validation, 360 test",
        "model.network.hidden [8]",
        "model.likelihood bernoulli",
        "2 epochs, 20 steps, 2,000 images",
        "500 images per second",
        "The test loss was lowest, 25.00 nats, at epoch 2 of 2.",
        digits.experiment.digest[:16],
        '"batch_size": 100',
    ):
        assert fact in text


def estimate(value, standard_error, samples=1000):
    return {"value": value, "standard_error": standard_error, "samples": samples}


def test_numbers_have_errors_draws_split_binarization_and_command(digits):
    evaluation = {"split": "test", "binarization": "dynamic", "images": 360, "command": "vaekit evaluate run -k 1000",
                  "elbo": estimate(-25.1234, 0.3123), "log_evidence": estimate(-24.5123, 0.0301),
                  "kl": estimate(1.5, None), "perplexity": estimate(1234.5, 12.3)}  # fmt: skip
    digits.add_evaluation(evaluation)
    text = Page(report(digits)).text
    assert "test split, 360 images, dynamic binarization" in text
    assert "−25.12 ± 0.31 1,000" in text
    assert "−24.512 ± 0.030 1,000" in text
    assert "1.500 ± unknown 1,000" in text
    assert "perplexity 1,234 ± 12" in text
    assert "Made by vaekit evaluate run -k 1000" in text
    assert text.index("log-evidence") < text.index("ELBO")


def test_measured_samples_are_in_the_page(run):
    quality = evaluate(run, metrics=["evidence", "samples"], samples=2, images=40)["samples"]
    page = Page(report(run))
    assert set(page.images) >= {"evidence", "confusion", "classes", "neighbors"}
    assert "the 10 of 40 samples that lie closest to a training image; below, 10 not picked." in page.text
    assert "legible (p > 0.9)" in page.text
    for kind, row in quality["table"].items():
        assert f"{kind} {'{value:.2f} ± {standard_error:.2f}'.format_map(row['inception_score'])}" in page.text
    (run.path / quality["closest"]).unlink()
    assert "neighbors" not in Page(report(run)).images


def test_a_page_begins_with_the_picture_that_says_most(digits, tmp_path):
    assert list(Page(report(digits)).images)[:2] == ["manifold", "latents-2d"]
    run = make(tmp_path / "ten", Source(name="digits"), **{"model.latent_dim": 10})
    page = Page(report(run))
    assert list(page.images)[:2] == ["traversals", "samples"]
    before = [tag for tag, _ in page.tags][: [tag for tag, _ in page.tags].index("h2")]
    assert before.count("img") == 2
    assert "details" not in before


def test_at_most_ten_numbers_come_first_each_with_a_word_and_the_rest_is_folded(digits):
    keys = ["log_evidence", "ais", "bits_per_dim", "elbo", "reconstruction", "kl", "amortization_gap",
            "mutual_information", "effective_samples", "linear_probe", "nearest_neighbors", "aggregate_kl",
            "kth_marginal_likelihood"]  # fmt: skip
    evaluation = {"split": "test", "binarization": "dynamic", "images": 360, "command": "vaekit evaluate run"}
    evaluation |= {key: estimate(2.0 + k, 0.1) for k, key in enumerate(keys)}
    evaluation |= {"words": {"effective_samples": "too few: use --samples 10000"}, "weights": weights_digest(digits)}
    digits.add_evaluation(evaluation)
    text = Page(report(digits)).text
    first, folded = text.split("All numbers, with their draws and commands")
    assert "360 test images, dynamic binarization" in first
    assert "effective draws 10.00 ± 0.10 of 1,000 too few: use --samples 10000" in first
    assert "bits per dimension 4.00 ± 0.10" in first
    for hidden in ("minus cross-entropy", "KL of all codes to the prior", "5 nearest neighbors"):
        assert hidden not in first
        assert hidden in folded


def test_places_of_the_user_are_not_in_the_page(tmp_path):
    home = tmp_path / "home of a user"
    home.mkdir()
    np.save(home / "faces.npy", np.random.default_rng(0).random((60, 8, 8)))
    experiment = choose(str(home / "faces.npy"), latent_dim=2, hidden=[8], epochs=1)
    for _ in train(experiment, home / "my run"):
        pass
    evaluate(home / "my run", samples=2, images=6)
    page = report(home / "my run").read_text()
    assert "home of a user" not in page
    assert "Made by <code>vaekit evaluate &#39;my run&#39; --split test" in page
    for _ in train(experiment.replace("epochs", 2), home / "my run", resume=True):
        pass
    page = report(home / "my run").read_text()  # whose numbers are stale now, and whose figures say how to renew them
    assert "home of a user" not in page
    assert "vaekit evaluate" in page


def test_the_versions_that_trained_and_wrote_are_in_the_page(digits):
    assert "trained by" not in Page(report(digits)).text
    for _ in train(digits.experiment.replace("epochs", 0.2), digits.path, overwrite=True):
        pass
    text = Page(report(digits.path)).text
    assert f"trained by vaekit {version('vaekit')}" in text
    assert f"Written by vaekit {version('vaekit')}" in text


def test_a_note_on_the_likelihood_is_in_the_page(digits):
    digits.add_evaluation({"split": "test", "binarization": "none", "images": 1, "command": "vaekit evaluate run",
                           "elbo": estimate(1.0, 0.1), "note": "a Bernoulli on gray values is no density"})  # fmt: skip
    assert "A Bernoulli on gray values is no density." in Page(report(digits)).text


@pytest.mark.parametrize(
    ("value", "error", "written"),
    [
        (-98.1234, 0.31, ("−98.12", "0.31")),
        (1.0, None, ("1.000", "unknown")),
        (None, None, ("unknown", "unknown")),
        (0.5, 0.00123, ("0.5000", "0.0012")),
        (12345.6, 321.0, ("12,346", "321")),
    ],
)
def test_a_number_has_two_digits_of_its_error(value, error, written):
    assert _estimate(value, error, 1)[:2] == written


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.61, "0.6 s"), (59.9, "1 min 0 s"), (95, "1 min 35 s"), (7261, "2 h 1 min")]
)
def test_durations(seconds, text):
    assert _duration(seconds) == text


def test_a_folder_that_cannot_be_written_is_a_sentence(digits):
    (digits.path / "figures").write_text("in the way")
    with pytest.raises(RunError, match="cannot be written"):
        figures(digits)


def test_what_others_wrote_is_escaped(tmp_path):
    run = make(tmp_path / "<b>run&amp;", Source(name="digits"))
    run.add_evaluation({"split": "test", "binarization": "none", "images": 1, "command": "<script>alert(1)</script>",
                        "elbo": estimate(1.0, 0.1)})  # fmt: skip
    path = report(run)
    assert {"b", "script"}.isdisjoint(tag for tag, _ in Page(path).tags)
    assert "<b>run&amp;" in Page(path).text


def test_units_whose_codes_do_not_move_are_not_taken_for_useful(digits):
    weights = digits.experiment.model.build(digits.space.event_shape).state_dict()
    weights["posterior.head.weight"].zero_()
    weights["posterior.head.bias"].copy_(torch.tensor([1.0, 1.0, 0.0, 0.0]))
    digits.save(WEIGHTS, weights)
    text = Page(report(digits)).text
    assert "No latent unit is used: the KL is 1 nats per example, but less than 1% of the variance" in text
